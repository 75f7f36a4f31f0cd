/*
 * What the coordinator knows about its workers: where they are, which tasks they have, which tokens and certificates
 * the coordinator uses for them, and why no worker can be reached. This module does not depend on jobs or chunks.
 * Owner: the coordinator.
 */
#ifndef FANTAIL_COORDINATOR_FLEET_WORKER_FLEET_H
#define FANTAIL_COORDINATOR_FLEET_WORKER_FLEET_H

#include "common/http_client/http_client.h"
#include "common/net/tls_material.h"
#include "common/service/option.h"
#include "common/service/token_file.h"
#include "coordinator/fleet/connect_error.h"
#include "coordinator/fleet/endpoints.h"
#include "coordinator/fleet/registry.h"
#include "coordinator/fleet/survey.h"

struct worker_fleet_config {
    const char *workers;                       /* the option --workers, which endpoints.h reads */
    const char *token_file;                    /* NULL: workers get no token */
    const char *ca, *client_cert, *client_key; /* paths of files; NULL: none */
    double dns_refresh_s;
    bool register_workers;      /* workers may register themselves, even if `workers` is not register:// */
    const char *expected_tasks; /* comma-separated tasks that are known before a worker reports them; NULL: none */
};

struct worker_fleet {
    const struct worker_fleet_config *config;
    struct http_client *client;
    struct tls_store tls; /* certificates of `client` */
    struct token_file tokens;
    char *authorization; /* the header line that every request to a worker carries; NULL: none */
    uint64_t token_age;  /* how many times the token in `authorization` was replaced */
    struct endpoints endpoints;
    struct registry registry;
    struct survey survey;
    struct connect_error connect_error;
    char fault[1024]; /* private: the text of worker_fleet_fault() */
};

/* Checks the options and reads the tokens, before anything starts. Returns 0, or the exit status after a message that
 * names the option. All members of `f` except config must be zeroed. `open`: other machines can connect to this
 * coordinator, and --insecure was not given. */
MUST_CHECK int worker_fleet_check(struct worker_fleet *f, const struct option_spec *spec, bool open);
/* Returns whether workers may register themselves. The option --workers must have been checked. */
bool worker_fleet_takes_registrations(const struct worker_fleet_config *config);
void worker_fleet_register_metrics(struct worker_fleet *f);
/* Starts everything except the search for addresses. On failure, returns false and writes a sentence to err. */
MUST_CHECK bool worker_fleet_start(struct worker_fleet *f, uv_loop_t *loop, char *err, size_t err_size);
/* Starts the search for addresses: from now on the ops are called with `data`. On failure, returns false and writes a
 * sentence to err. */
MUST_CHECK bool worker_fleet_find_workers(struct worker_fleet *f, const struct endpoints_ops *ops, void *data,
                                          char *err, size_t err_size);
/* Call it when a worker has rejected the token of a request that was sent when token_age was `age`. Reads the token
 * file again if it has changed. Returns true if there is a newer token, with which the request may be sent again. */
MUST_CHECK bool worker_fleet_has_newer_token(struct worker_fleet *f, uint64_t age);
/* Returns why no worker can be reached, as far as it is known: why the name of --workers has no known addresses, and
 * why the last worker could not be reached. NULL: neither is known. The text is borrowed until the next call. */
const char *worker_fleet_fault(struct worker_fleet *f);
/* Writes the sentence. If worker_fleet_fault() knows a reason, appends ": " and the reason. */
void worker_fleet_explain(struct worker_fleet *f, const char *sentence, char *out, size_t out_size);
/* Reads tokens and certificates again. A running request keeps the token and the certificates with which it was
 * sent. */
void worker_fleet_reload(struct worker_fleet *f);
/* Ends every request, and calls the op `removed` for every address. The loop must keep running until the handles are
 * closed. */
void worker_fleet_stop(struct worker_fleet *f);
/* Call it after worker_fleet_stop(), when nothing uses the fleet any longer. */
void worker_fleet_release(struct worker_fleet *f);

#endif
