/*
 * Finds out whether a service could listen at an address, before the service is started. The check binds the address
 * and releases it again. The check never listens, so no client can connect.
 */
#ifndef FANTAIL_CLI_FLEET_LISTEN_CHECK_H
#define FANTAIL_CLI_FLEET_LISTEN_CHECK_H

#include "common/base/base.h"

/* Returns 0, or the errno with which a service would fail to listen. `host` is a numeric address or unix:PATH, without
 * a fault (listen_address_fault()); the port of unix:PATH is ignored. */
MUST_CHECK int listen_check(const char *host, uint16_t port);

#endif
