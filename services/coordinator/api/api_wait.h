/* Answers a POST of a durable job with Prefer: wait=N. The client of a request with this preference waits for the end
 * of the job. */
#ifndef FANTAIL_COORDINATOR_API_API_WAIT_H
#define FANTAIL_COORDINATOR_API_API_WAIT_H

#include "common/http_server/http_server.h"
#include "common/net/prefer_header.h"
#include "coordinator/job/job_hint.h"

struct coordinator;
struct stored_job;

/* Call it when the job is accepted. If the job ends within wanted->wait_s, answers with its results, like a synchronous
 * job. If the job does not end within wanted->wait_s, answers 202 with the document of the job. `job` and `wanted` are
 * copied. `likeness` says what the only item looks like (job_hint.h), and selects the hint in the answer. */
void api_wait_for_accepted(struct http_exchange *x, struct coordinator *c, const struct stored_job *job,
                           const struct preferences *wanted, enum job_likeness likeness);

#endif
