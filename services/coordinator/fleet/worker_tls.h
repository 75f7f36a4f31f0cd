/* The certificates that the coordinator trusts, and shows, when it calls workers by https. */
#ifndef FANTAIL_COORDINATOR_FLEET_WORKER_TLS_H
#define FANTAIL_COORDINATOR_FLEET_WORKER_TLS_H

#include "coordinator/coordinator.h"

/* Before anything starts: 0, or 2 after a message that names the option. --workers must have been checked. */
MUST_CHECK int worker_tls_check(const struct option_spec *spec, const struct coordinator_config *config);
/* Fills c->worker_tls and keeps it up to date. False with a sentence in err. */
MUST_CHECK bool worker_tls_start(struct coordinator *c, char *err, size_t err_size);

#endif
