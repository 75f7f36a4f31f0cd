/*
 * What both services share around their main: the public and the admin server, health, metrics, readiness, signals,
 * and the way out. A main is
 *
 *     option_parse(...)                      its rows include SERVICE_OPTION_ROWS
 *     service_check(&spec, &config.service)  2 when the options do not go together
 *     s = service_start(loop, &config.service, &hooks, err, sizeof err)     listens
 *     service_set_ready(s, true, NULL)
 *     status = service_run(s)                until the drain is over
 *     service_free(s)
 *
 * Both servers answer GET /livez, /healthz (200 as long as the loop turns) and /readyz (200, or 503 with the reason);
 * the admin server also /metrics and the routes of hooks->admin_routes (/autoscale).
 *
 * The way out, on SIGTERM or SIGINT: not ready, answers carry Connection: close, requests are still taken for
 * shutdown_delay_s; then hooks->drain runs and the listener closes; when hooks->idle says so and no exchange is open,
 * or drain_s have passed and hooks->cut has ended the rest, kept connections are ended (http_server_close_idle()); then the
 * public server, hooks->stop, the admin server, the log. A second signal ends the process at once with status 1, after
 * hooks->abort. SIGHUP: tokens and certificates are read again, then hooks->reload. SIGPIPE and SIGXFSZ are
 * ignored.
 *
 * With a token file every request to the public server but those for health needs one of its tokens (access.h). The
 * admin server has no secrets to tell and changes nothing: it is open, as those who probe and scrape expect.
 *
 * Knows nothing of jobs or tasks, and needs no HTTP client.
 */
#ifndef FANTAIL_COMMON_SERVICE_SERVICE_H
#define FANTAIL_COMMON_SERVICE_SERVICE_H

#include <uv.h>

#include "common/base/base.h"
#include "common/http_server/http_server.h"
#include "common/observe/log.h"
#include "common/service/option.h"
#include "common/service/tls_options.h"

struct service;

/* Embedded in each service's config struct and filled by SERVICE_OPTION_ROWS. */
struct service_config {
    const char *host;
    int64_t port; /* 0: a free one */
    bool reuse_port;
    const char *admin_host;
    int64_t admin_port;           /* 0: a free one; -1: no admin server */
    const char *token_file;       /* NULL: whoever reaches the port may ask */
    bool insecure;                /* ... also from other machines */
    struct tls_server_config tls; /* of the public port; the admin port speaks http */
    double shutdown_delay_s;
    double drain_s;
    int log_level;
    int64_t ready_fd; /* -1: none */
    bool exit_with_parent;
    int64_t parent_pid;   /* 0: whoever it is at the start */
    int64_t busy_poll_us; /* -1: busy_poller_start() chooses */
};

/* SERVICE_OPTION_ROWS(struct worker_config, service, "8081", "9081"), among the rows of a table. */
#define SERVICE_OPTION_ROWS(S, f, default_port, default_admin_port)                                                    \
    OPTION_HEADING("Listening"),                                                                                       \
        OPTION_STRING("host", S, f.host, "127.0.0.1",                                                                  \
                      "numeric address to serve on, :: is every IPv4 and IPv6 one; or unix:PATH, a socket file"),      \
        OPTION_PORT("port", S, f.port, default_port, 0, "port to serve on; 0 takes a free one"),                       \
        OPTION_BOOL("reuse-port", S, f.reuse_port, NULL,                                                               \
                    "share the port with other processes of this program; the kernel spreads connections"),            \
        OPTION_STRING("admin-host", S, f.admin_host, "127.0.0.1", "address of health and metrics, likewise"),          \
        OPTION_PORT("admin-port", S, f.admin_port, default_admin_port, -1,                                             \
                    "port of health and metrics; 0 takes a free one, off has none"),                                   \
        OPTION_HEADING("Access"),                                                                                      \
        OPTION_PATH("token-file", S, f.token_file, NULL,                                                               \
                    "a file of bearer tokens, one a line, of which requests must carry one; read again on SIGHUP"),    \
        OPTION_BOOL("insecure", S, f.insecure, NULL,                                                                   \
                    "listen beyond this machine without --token-file: whoever reaches the port may run tasks"),        \
        TLS_SERVER_OPTION_ROWS(S, f.tls), OPTION_HEADING("Life and death"),                                            \
        OPTION_SECONDS("shutdown-delay-s", S, f.shutdown_delay_s, "0", 0, 3600,                                        \
                       "after SIGTERM keep accepting for so long, until load balancers have noticed"),                 \
        OPTION_SECONDS("drain-s", S, f.drain_s, "30", 0, 86400, "then give running work so long to end"),              \
        OPTION_BOOL("exit-with-parent", S, f.exit_with_parent, NULL,                                                   \
                    "end when the process that started this one ends"),                                                \
        OPTION_INT("parent-pid", S, f.parent_pid, "0", 0, INT32_MAX,                                                   \
                   "with --exit-with-parent: which process that is, should it end before this one has begun; 0 asks",  \
                   .no_env = true),                                                                                    \
        OPTION_INT("ready-fd", S, f.ready_fd, "-1", -1, 1048576,                                                       \
                   "once listening, write \"ready PORT ADMIN_PORT\" and a newline to this descriptor and close it",    \
                   .no_env = true),                                                                                    \
        OPTION_INT("busy-poll-us", S, f.busy_poll_us, "-1", -1, 1000,                                                  \
                   "when events come quickly, look for the next for so long before sleeping; 0 never; -1: 100, but 0 " \
                   "where processor time is metered"),                                                                 \
        OPTION_CHOICE("log-level", S, f.log_level, "info", log_level_names, "least level that is logged")

/* Everything but name and routes may be NULL or 0. */
struct service_hooks {
    const char *name;                      /* "worker": in the log and in fantail_build_info */
    const struct http_route *routes;       /* of the public server, ended by {0}; without health */
    const struct http_route *admin_routes; /* ended by {0} */
    void *data;                            /* given to the routes' handle() and to these hooks */
    void (*drain)(void *data);             /* the listener closes: start nothing new, hand back what waits */
    bool (*idle)(void *data);              /* nothing is left that the drain should wait for */
    void (*cut)(void *data);               /* the drain took too long: end what still runs, with an outcome */
    void (*abort)(void *data);             /* a second signal, before stop(): leave nothing behind, the process ends */
    void (*stop)(void *data);              /* last call: close every handle of yours on the loop */
    void (*reload)(void *data);            /* SIGHUP */
    size_t max_body_bytes;
    unsigned max_connections;
};

/* Whether the options go together; else says what is wrong, with the option's name, and returns 2. */
MUST_CHECK int service_check(const struct option_spec *spec, const struct service_config *config);

/* Listens on both ports, sets up the log and signals, writes to ready_fd. Not ready yet ("starting"). NULL on
 * failure, with a sentence in err and nothing left open. config and hooks are borrowed until service_free(). */
MUST_CHECK struct service *service_start(uv_loop_t *loop, const struct service_config *config,
                                         const struct service_hooks *hooks, char *err, size_t err_size);
/* Runs the loop until the way out is walked; returns the exit status. Afterwards the loop has no handle of ours. */
MUST_CHECK int service_run(struct service *s);
/* After service_run(). NULL is fine. */
void service_free(struct service *s);

/* What /readyz says. reason is copied; needed when not ready. After a signal it stays "draining". */
void service_set_ready(struct service *s, bool ready, const char *reason);
/* The same as SIGTERM. */
void service_shutdown(struct service *s);
/* hooks->idle may have turned true: ends the drain in the next loop turn instead of at the next look (20 ms). */
void service_poke(struct service *s);

uint16_t service_port(const struct service *s);
uint16_t service_admin_port(const struct service *s); /* 0 when there is none */

/* The subcommand `write-secret VARIABLE FILE ...` (argv[0] is its name): writes tokens out of environment variables
 * into files for --token-file, for platforms that give secrets no other way. Returns the exit status. */
MUST_CHECK int service_write_secrets(const struct option_spec *spec, int argc, char **argv);

/* The subcommand `healthcheck`: asks /readyz of a service with this config on this machine, on the admin port or,
 * without one, the public port. Returns the exit status: 0 ready, 1 not (why is on standard error). Blocking, up to 2
 * s. */
MUST_CHECK int service_healthcheck(const struct service_config *config);

#endif
