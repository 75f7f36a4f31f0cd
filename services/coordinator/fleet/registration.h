/*
 * Reads the body of POST /v1/workers, and decides which address the worker has. Pure: no I/O.
 *
 * The worker has the address of the peer, unless the body names another address. The coordinator sends items and its
 * token to the address of the worker, so it does not accept every address. The address is numeric, so that nobody can
 * make the coordinator look up names. The address is never unspecified, multicast or reserved. The address is never
 * link-local, because a cloud offers services to its machines at link-local addresses. A loopback address is accepted
 * only if the peer also has a loopback address.
 */
#ifndef FANTAIL_COORDINATOR_FLEET_REGISTRATION_H
#define FANTAIL_COORDINATOR_FLEET_REGISTRATION_H

#include "coordinator/fleet/leases.h"

#define REGISTRATION_BYTES 2048 /* the longest body */

/* `body` has a NUL after its len bytes. `peer`: numeric address of the connection; NULL: the connection uses a
 * Unix-domain socket. If the body is refused, returns false and writes a sentence to err. */
MUST_CHECK bool registration_read(struct registration *r, const char *body, size_t len, const char *peer, char *err,
                                  size_t err_size);

#endif
