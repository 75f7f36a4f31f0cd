/* Certificates for HTTPS calls to workers: the CA certificates that the coordinator trusts, and its client
 * certificate. */
#ifndef FANTAIL_COORDINATOR_FLEET_WORKER_TLS_H
#define FANTAIL_COORDINATOR_FLEET_WORKER_TLS_H

#include "coordinator/fleet/worker_fleet.h"

/* Checks the options, before anything starts. Returns 0, or 2 after a message that names the option. The option
 * --workers must have been checked before. */
MUST_CHECK int worker_tls_check(const struct option_spec *spec, const struct worker_fleet_config *config);
/* Reads the certificates into the certificate store `store`, and keeps the certificate store up to date. On failure,
 * returns false and writes a sentence to err. */
MUST_CHECK bool worker_tls_start(struct tls_store *store, const struct worker_fleet_config *config, uv_loop_t *loop,
                                 char *err, size_t err_size);

#endif
