/*
 * Records why the last connection to a worker failed, so that clients that wait for workers can be told the reason. A
 * successful connection clears the reason, and so does the removal of the worker's address. Owner: the fleet.
 */
#ifndef FANTAIL_COORDINATOR_FLEET_CONNECT_ERROR_H
#define FANTAIL_COORDINATOR_FLEET_CONNECT_ERROR_H

#include "common/http_client/http_client.h"
#include "coordinator/fleet/endpoints.h"

struct connect_error {
    char reason[512];          /* "" when nothing is wrong */
    const struct endpoint *of; /* private: the worker that `reason` is about; NULL: `reason` is "" */
};

/* Call it when an HTTP call to e has ended with this result. */
void connect_error_note(struct connect_error *c, const struct endpoint *e, const struct http_call_result *result);
/* Call it when e is removed. If the reason is about e, clears the reason. */
void connect_error_forget(struct connect_error *c, const struct endpoint *e);

#endif
