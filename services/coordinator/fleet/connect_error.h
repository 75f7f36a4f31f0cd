/*
 * Records why the last connection to a worker failed, so that clients that wait for workers can be told the reason. A
 * successful connection clears the reason. Owner: the fleet.
 */
#ifndef FANTAIL_COORDINATOR_FLEET_CONNECT_ERROR_H
#define FANTAIL_COORDINATOR_FLEET_CONNECT_ERROR_H

#include "common/http_client/http_client.h"
#include "coordinator/fleet/endpoints.h"

struct connect_error {
    char reason[512]; /* "" when nothing is wrong */
};

/* Call it when an HTTP call to e has ended with this result. */
void connect_error_note(struct connect_error *c, const struct endpoint *e, const struct http_call_result *result);
/* Writes the sentence. If the reason is known, appends ": " and the reason. */
void connect_error_explain(const struct connect_error *c, const char *sentence, char *out, size_t out_size);

#endif
