/*
 * Why the workers cannot be reached, for the people who wait for them: the reason of the last connection that could not
 * be made, forgotten when one can. Owner: the coordinator.
 */
#ifndef FANTAIL_REACH_H
#define FANTAIL_REACH_H

#include "endpoints.h"
#include "http_client.h"

struct reach {
    char reason[512]; /* "" when nothing is wrong */
};

void reach_note(struct reach *r, const struct endpoint *e, const struct http_call_result *result);
/* A sentence about a worker that could not be reached, with the reason behind it when it is known. */
void reach_explain(const struct reach *r, const char *sentence, char *out, size_t out_size);

#endif
