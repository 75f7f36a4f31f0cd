/* A POST of a durable job whose client waits for its end: Prefer: wait=N. */
#ifndef FANTAIL_COORDINATOR_API_API_WAIT_H
#define FANTAIL_COORDINATOR_API_API_WAIT_H

#include "common/http_server/http_server.h"
#include "common/net/prefer_header.h"

struct coordinator;
struct stored_job;

/* The job was accepted. If it ends within wanted->wait_s, answers with its results, as the answer to a synchronous job
 * would be. Otherwise answers 202 with the document of the job. `job` and `wanted` are copied. */
void api_wait_for_accepted(struct http_exchange *x, struct coordinator *c, const struct stored_job *job,
                           const struct preferences *wanted);

#endif
