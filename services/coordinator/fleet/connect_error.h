/*
 * Why the workers cannot be reached, for the people who wait for them: the reason of the last connection that could not
 * be made, forgotten when one can. Owner: the coordinator.
 */
#ifndef FANTAIL_COORDINATOR_FLEET_CONNECT_ERROR_H
#define FANTAIL_COORDINATOR_FLEET_CONNECT_ERROR_H

#include "common/http_client/http_client.h"
#include "coordinator/fleet/endpoints.h"

struct reach {
    char reason[512]; /* "" when nothing is wrong */
};

void reach_note(struct reach *r, const struct endpoint *e, const struct http_call_result *result);
/* A sentence about a worker that could not be reached, with the reason behind it when it is known. */
void reach_explain(const struct reach *r, const char *sentence, char *out, size_t out_size);

#endif
