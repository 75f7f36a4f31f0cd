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
#include "common/service/service_options.h"

struct service;

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
