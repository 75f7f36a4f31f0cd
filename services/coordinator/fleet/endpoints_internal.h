/* Private to endpoints*.c. */
#ifndef FANTAIL_COORDINATOR_FLEET_ENDPOINTS_INTERNAL_H
#define FANTAIL_COORDINATOR_FLEET_ENDPOINTS_INTERNAL_H

#include "coordinator/fleet/endpoints.h"

/* Adds an endpoint. `leased`: a worker has registered at this address; otherwise the option --workers lists the
 * address, or its name resolves to it. */
void endpoint_add(struct endpoints *e, const char *url, const char *connect_to, bool leased);
/* Removes the endpoint, and frees it. */
void endpoint_drop(struct endpoints *e, struct endpoint *one);
/* Looks up the name in "name:port" now and every refresh_ms. */
void endpoints_start_lookups(struct endpoints *e, const char *name_port);
/* Returns the endpoint with this address; NULL when there is none. */
struct endpoint *endpoint_find(struct endpoints *e, const char *address);

#endif
