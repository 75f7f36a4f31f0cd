/*
 * Registers this worker with its coordinators, and renews the registrations. So a coordinator begins to send work soon
 * after the worker starts, and stops when the worker ends, without depending on name servers.
 *
 * Every request is a complete registration, so a restarted coordinator knows the worker after the next request. The
 * coordinator's answer says how often the worker should send requests. On SIGTERM the worker deregisters before it
 * drains: it sends a goodbye, which is a request with `leaving`.
 *
 * A request contains the first token of the token file. If a coordinator rejects that token, the next token is tried.
 * While tokens are being replaced, some coordinators know only the old token and others only the new one.
 *
 * Owner: the worker. A worker accepts chunks whether or not it is registered.
 */
#ifndef FANTAIL_WORKER_REGISTRATION_REGISTRAR_H
#define FANTAIL_WORKER_REGISTRATION_REGISTRAR_H

#include <uv.h>

#include "common/base/base.h"
#include "common/service/option.h"

struct registrar_config {
    const char *coordinators; /* the option --register, see coordinators.h; NULL: no registration */
    const char *address;      /* numeric address for chunks; NULL: the peer address that the coordinator sees */
    const char *token_file;   /* NULL: the token file of the service */
    const char *ca, *client_cert, *client_key;
};

/* The facts that a registration reports. */
struct registrar_facts {
    const char *worker;
    uint16_t port;
    const char *host;                                        /* the address that the worker listens on */
    const char *token_file;                                  /* the token file of the service; may be NULL */
    void (*write_etag)(void *data, char *etag, size_t size); /* writes the current ETag of GET /v1/tasks */
    void (*left)(void *data); /* called when the goodbyes to all coordinators have ended */
    void *data;
};

struct registrar;

/* Checks the options. If the options are valid, returns 0. If an option is invalid, prints a message that names the
 * option, and returns 2. */
MUST_CHECK int registrar_check(const struct option_spec *spec, const struct registrar_config *config, const char *host);
/* Registers now, and then periodically. If --register is not given, sets *r to NULL, which the functions below accept.
 * On failure returns false, with a sentence in err. */
MUST_CHECK bool registrar_start(struct registrar **r, uv_loop_t *loop, const struct registrar_config *config,
                                const struct registrar_facts *facts, char *err, size_t err_size);
/* Returns the number of coordinators with which this worker is registered now. */
unsigned registrar_held(const struct registrar *r);
/* Call it when the tasks have changed. Sends a registration to each coordinator with which this worker is
 * registered. */
void registrar_renew(struct registrar *r);
/* Reads tokens and certificates again. */
void registrar_reload(struct registrar *r);
/* Sends a goodbye to each coordinator with which this worker is or may be registered, and nothing after the goodbye. */
void registrar_leave(struct registrar *r);
/* Returns true if all goodbyes have ended, or have taken too long. */
bool registrar_left(const struct registrar *r);
/* The loop must keep running until the handles are closed. */
void registrar_stop(struct registrar *r);

#endif
