/*
 * Code for the main functions of both services: the public and the admin server, health, metrics, readiness, signals
 * and shutdown. Such a main function does this:
 *
 *     option_parse(...)                      its rows include SERVICE_OPTION_ROWS
 *     service_check(&spec, &config.service)  2 when the options do not fit together
 *     s = service_start(loop, &config.service, &hooks, err, sizeof err)     listens
 *     service_set_ready(s, true, NULL)
 *     status = service_run(s)                until the shutdown is over
 *     service_free(s)
 *
 * Both servers answer GET /livez, /healthz (200 as long as the loop runs) and /readyz (200, or 503 with the reason).
 * The admin server also answers /metrics and hooks->admin_routes (/autoscale).
 *
 * Shutdown, on SIGTERM or SIGINT:
 *     DELAYING      not ready; answers have Connection: close; requests are still accepted, for shutdown_delay_s
 *     DRAINING      hooks->drain has run and the listener closes; ends when hooks->idle is true and no exchange is
 *                   open, at the latest after drain_s
 *     CUTTING       only if the drain timed out: hooks->cut has ended the rest, and its answers are sent
 *     CLOSING_IDLE  idle connections are closed (http_server_close_idle())
 *     CLOSING       closes the public server, calls hooks->stop, closes the admin server and the log
 *
 * A second signal ends the process at once with status 1, after hooks->abort. After SIGHUP, tokens and certificates are
 * read again, and then hooks->reload is called. SIGPIPE and SIGXFSZ are ignored.
 *
 * With a token file every request to the public server needs one of its tokens (access.h), except health requests. A
 * request to the admin server needs no token, as probes and scrapers expect: this server reveals no secrets and changes
 * nothing.
 *
 * Knows nothing of jobs or tasks, and needs no HTTP client.
 */
#ifndef FANTAIL_COMMON_SERVICE_SERVICE_H
#define FANTAIL_COMMON_SERVICE_SERVICE_H

#include <uv.h>

#include "common/base/base.h"
#include "common/base/limits.h"
#include "common/http_server/http_server.h"
#include "common/observe/log.h"
#include "common/service/option.h"
#include "common/service/tls_options.h"

struct service;

/* Embedded in each service's config struct and filled by SERVICE_OPTION_ROWS. */
struct service_config {
    const char *host;
    int64_t port; /* 0: any free port */
    bool reuse_port;
    const char *admin_host;
    int64_t admin_port;           /* 0: any free port; -1: no admin server */
    const char *token_file;       /* NULL: no tokens are needed */
    const char *cors_origins;     /* origins whose pages may use the public port, see cors.h; NULL: none */
    bool insecure;                /* allows other machines to connect without a token */
    struct tls_server_config tls; /* TLS of the public port; the admin port has none */
    double keepalive_timeout_s, upload_pause_s;
    double shutdown_delay_s;
    double drain_s;
    int log_level;
    int64_t ready_fd; /* the descriptor for --ready-fd; -1: none */
    bool exit_with_parent;
    int64_t parent_pid;   /* 0: the process that is our parent at the start */
    int64_t busy_poll_us; /* -1: busy_poller_start() chooses the time */
};

#define DEFAULT_DRAIN_S 30 /* how long a drain waits for running work to end; --drain-s */

/* Put this among the rows of a table: SERVICE_OPTION_ROWS(struct worker_config, service, "8081", "9081"), */
#define SERVICE_OPTION_ROWS(S, f, default_port, default_admin_port)                                                    \
    OPTION_HEADING("Listening"),                                                                                       \
        OPTION_STRING("host", S, f.host, "127.0.0.1",                                                                  \
                      "numeric address to listen on; :: is all IPv4 and IPv6 addresses; unix:PATH is a socket file"),  \
        OPTION_PORT("port", S, f.port, default_port, 0, "port to listen on; 0: a free port"),                          \
        OPTION_BOOL("reuse-port", S, f.reuse_port, NULL,                                                               \
                    "share the port with other processes of this program; the kernel distributes connections"),        \
        OPTION_STRING("admin-host", S, f.admin_host, "127.0.0.1",                                                      \
                      "address of the admin port: a numeric address or unix:PATH"),                                    \
        OPTION_PORT("admin-port", S, f.admin_port, default_admin_port, -1,                                             \
                    "admin port, with health and metrics; 0: a free port; off: none"),                                 \
        OPTION_SECONDS("keepalive-timeout-s", S, f.keepalive_timeout_s, TEXT_OF(LIMIT_KEEPALIVE_S), 0.1, 86400,        \
                       "close an idle connection after this time; load balancers must close it earlier"),              \
        OPTION_SECONDS("upload-pause-s", S, f.upload_pause_s, TEXT_OF(LIMIT_UPLOAD_PAUSE_S), 0.1, 86400,               \
                       "answer 408 if no byte of a request's body arrives for this time"),                             \
        OPTION_HEADING("Access"),                                                                                      \
        OPTION_PATH("token-file", S, f.token_file, NULL,                                                               \
                    "a file of bearer tokens, one on each line; every request must carry one; read again when it "     \
                    "changes"),                                                                                        \
        OPTION_BOOL("insecure", S, f.insecure, NULL,                                                                   \
                    "accept other machines without --token-file: anyone who can connect can run tasks"),               \
        TLS_SERVER_OPTION_ROWS(S, f.tls), OPTION_HEADING("Start and shutdown"),                                        \
        OPTION_SECONDS("shutdown-delay-s", S, f.shutdown_delay_s, "0", 0, 3600,                                        \
                       "after SIGTERM, accept requests for this long, until load balancers have noticed"),             \
        OPTION_SECONDS("drain-s", S, f.drain_s, TEXT_OF(DEFAULT_DRAIN_S), 0, 86400,                                    \
                       "after --shutdown-delay-s, time for running work to end"),                                      \
        OPTION_BOOL("exit-with-parent", S, f.exit_with_parent, NULL, "end when the parent process ends"),              \
        OPTION_INT("parent-pid", S, f.parent_pid, "0", 0, INT32_MAX,                                                   \
                   "with --exit-with-parent: the parent's process ID, in case it ends early; 0: ask the kernel",       \
                   .no_env = true),                                                                                    \
        OPTION_INT("ready-fd", S, f.ready_fd, "-1", -1, 1048576,                                                       \
                   "once listening, write \"ready PORT ADMIN_PORT\" and a newline to this descriptor and close it",    \
                   .no_env = true),                                                                                    \
        OPTION_INT("busy-poll-us", S, f.busy_poll_us, "-1", -1, 1000,                                                  \
                   "if recent waits for events were short, poll this long before sleeping; 0: never; -1: 100, or 0 "   \
                   "where processor time is limited"),                                                                 \
        OPTION_CHOICE("log-level", S, f.log_level, "info", log_level_names, "lowest level that is logged")

/* All but name and routes may be NULL or 0. */
struct service_hooks {
    const char *name;                      /* "worker": in the log and in fantail_build_info */
    const struct http_route *routes;       /* routes of the public server except the health routes, ended by {0} */
    const struct http_route *admin_routes; /* ended by {0} */
    void *data;                            /* passed to the routes' handle() and to these hooks */
    void (*leave)(void *data);             /* called at the signal, before shutdown_delay_s begins */
    void (*drain)(void *data);  /* called when the listener closes; it must start nothing and hand back waiting work */
    bool (*idle)(void *data);   /* returns true when nothing is left for the drain to wait for */
    void (*cut)(void *data);    /* called when the drain timed out; it must end all running work, with an outcome */
    void (*abort)(void *data);  /* called at a second signal before stop(); it must clean up, then the process ends */
    void (*stop)(void *data);   /* the last call; it must close all its handles on the loop */
    void (*reload)(void *data); /* SIGHUP */
    size_t max_body_bytes;
    unsigned max_connections;
    const char *own_access_path; /* a path whose requests need no token of --token-file, because its handler checks
                                  * their access; NULL: none */
};

/* Checks that the options fit together. Returns 0, or 2 after a message that names the option. */
MUST_CHECK int service_check(const struct option_spec *spec, const struct service_config *config);

/* Listens on both ports, sets up the log and signals, and writes to ready_fd. /readyz answers "starting" until
 * service_set_ready(). Returns NULL on failure, with a sentence in err and nothing left open. `config` and `hooks` are
 * borrowed until service_free(). */
MUST_CHECK struct service *service_start(uv_loop_t *loop, const struct service_config *config,
                                         const struct service_hooks *hooks, char *err, size_t err_size);
/* Runs the loop until the shutdown is over. Returns the exit status. */
MUST_CHECK int service_run(struct service *s);
/* Frees the service. Call it after service_run(). NULL is fine. */
void service_free(struct service *s);

/* Sets the answer of /readyz. If the service is not ready, a reason must be given; it is copied. After a signal the
 * answer stays "draining". */
void service_set_ready(struct service *s, bool ready, const char *reason);
/* Begins the shutdown, as SIGTERM does. */
void service_shutdown(struct service *s);
/* Call it when hooks->idle may have become true. The hook is then called in the next loop turn, instead of within 20
 * ms. */
void service_poke(struct service *s);

uint16_t service_port(const struct service *s);
uint16_t service_admin_port(const struct service *s); /* 0 when there is no admin server */

/* The subcommand `write-secret VARIABLE FILE ...`, whose name is argv[0]. It writes tokens from environment variables
 * into files for --token-file. Some platforms provide secrets only as variables. Returns the exit status. */
MUST_CHECK int service_write_secrets(const struct option_spec *spec, int argc, char **argv);

/* The subcommand `healthcheck`: sends GET /readyz to the service with this config on this machine. It uses the admin
 * port, or the public port if there is no admin port. Returns the exit status: 0 ready, 1 not ready, with the reason on
 * standard error. Blocks for up to 2 s. */
MUST_CHECK int service_healthcheck(const struct service_config *config);

#endif
