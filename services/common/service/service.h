/*
 * What the main functions of both services share: the public and the admin server, health, metrics, readiness, signals
 * and shutdown. A main function does this:
 *
 *     option_parse(...)                      the table of options includes SERVICE_OPTION_ROWS
 *     service_check(&spec, &config.service)  returns 2 if the options contradict each other
 *     s = service_start(loop, &config.service, &hooks, err, sizeof err)     listens
 *     service_set_ready(s, true, NULL)
 *     status = service_run(s)                returns after the shutdown
 *     service_free(s)
 *
 * Both servers answer GET /livez and /healthz (with 200 while the loop runs) and GET /readyz (with 200, or with 503 and
 * the reason). The admin server also answers /metrics and hooks->admin_routes (/autoscale).
 *
 * Shutdown, on SIGTERM or SIGINT:
 *     DELAYING      not ready, but still accepts requests for shutdown_delay_s; answers have Connection: close
 *     DRAINING      hooks->drain has run and the listener closes; ends when hooks->idle is true and no exchange is
 *                   open, at the latest after drain_s
 *     CUTTING       only if the drain timed out: hooks->cut has ended the running work; the last answers are sent
 *     CLOSING_IDLE  idle connections are closed (http_server_close_idle())
 *     CLOSING       closes the public server, calls hooks->stop, closes the admin server and writes the last log lines
 *
 * At a second signal, the service calls hooks->abort and then ends the process with status 1. At SIGHUP, the service
 * reads tokens and certificates again, and then calls hooks->reload. SIGPIPE and SIGXFSZ are ignored.
 *
 * If there is a token file, every request to the public server needs one of its tokens (access.h), except health
 * requests, preflights (cors.h) and requests to hooks->own_access_path. Requests to the admin server need no token,
 * because probes and scrapers have no token. The admin server reveals no secrets and changes nothing.
 *
 * This code does not depend on jobs or tasks, and needs no HTTP client.
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

/* Sets the level, the format and the name of the service for the log, and ignores SIGPIPE and SIGXFSZ. service_start()
 * does this too. If the program logs or writes anything before service_start(), it must call this function first. */
void service_prepare(const struct service_config *config, const char *name);

/* All members except name and routes may be NULL or 0. */
struct service_hooks {
    const char *name;                      /* such as "worker", for the log and fantail_build_info */
    const struct http_route *routes;       /* routes of the public server except the health routes, ended by {0} */
    const struct http_route *admin_routes; /* ended by {0} */
    void *data;                            /* passed to the routes' handle() and to these hooks */
    void (*leave)(void *data);             /* called at the signal, before shutdown_delay_s begins */
    void (*drain)(void *data);  /* called when the listener closes; must hand back waiting work and start no more */
    bool (*idle)(void *data);   /* returns true when the drain has nothing left to wait for */
    void (*cut)(void *data);    /* called when the drain timed out; must end all running work with an outcome */
    void (*abort)(void *data);  /* called at a second signal if stop() has not run; must clean up; the process ends */
    void (*stop)(void *data);   /* the last call; must close all handles of the program on the loop */
    void (*reload)(void *data); /* called at SIGHUP */
    size_t max_body_bytes;
    const char *too_long_hint; /* see http_server_options; NULL: none */
    unsigned max_connections;
    size_t connection_bytes;             /* see struct http_server_options */
    const char *const *repeated_headers; /* see struct http_server_options */
    const char *unasked_header;          /* see struct http_server_options */
    const char *own_access_path;         /* a path that needs no token, because its handler checks access; NULL: none */
};

/* Checks that the options do not contradict each other. Returns 0, or 2 after a message that names the option. */
MUST_CHECK int service_check(const struct option_spec *spec, const struct service_config *config);

/* Listens on both ports, sets up the log and signals, and writes to ready_fd. /readyz answers "starting" until
 * service_set_ready() is called. On failure closes everything and returns NULL, with a sentence in err. `config` and
 * `hooks` are borrowed until service_free(). */
MUST_CHECK struct service *service_start(uv_loop_t *loop, const struct service_config *config,
                                         const struct service_hooks *hooks, char *err, size_t err_size);
/* Runs the loop until the shutdown is over. Returns the exit status. */
MUST_CHECK int service_run(struct service *s);
/* Frees the service. After this call, the process ignores SIGTERM, SIGINT and SIGHUP. Call it after service_run(). NULL
 * is fine. */
void service_free(struct service *s);

/* Sets the answer of /readyz. If `ready` is false, `reason` must be given; it is copied. After a signal the answer is
 * always "draining". */
void service_set_ready(struct service *s, bool ready, const char *reason);
/* Begins the shutdown, as SIGTERM does. */
void service_shutdown(struct service *s);
/* Call it when hooks->idle may now return true. service_poke() makes the next turn of the loop call hooks->idle.
 * Without service_poke(), up to 20 ms pass before the next call of hooks->idle. */
void service_poke(struct service *s);

uint16_t service_port(const struct service *s);
uint16_t service_admin_port(const struct service *s); /* 0 when there is no admin server */

/* A kind of secret, besides tokens, that only one of the services has. */
struct secret_kind {
    bool (*is_one)(const char *text);
    const char *form; /* what a secret of this kind looks like, for a message */
};

/* Runs the subcommand `write-secret VARIABLE FILE ...`; argv[0] is the name of the subcommand. The subcommand writes
 * secrets from environment variables into files, because some platforms provide secrets only as variables. A secret is
 * the text of a token file, or is of the kind `other`. `other` may be NULL. Returns the exit status. */
MUST_CHECK int service_write_secrets(const struct option_spec *spec, const struct secret_kind *other, int argc,
                                     char **argv);

/* Runs the subcommand `healthcheck`: sends GET /readyz to the service that has this config and runs on this machine.
 * The request goes to the admin port, or to the public port if there is no admin port. Returns the exit status: 0 if
 * the service is ready, and 1 if it is not ready or cannot be asked. If the status is 1, prints the reason on standard
 * error. Each system call blocks for up to 2 s. */
MUST_CHECK int service_healthcheck(const struct service_config *config);

#endif
