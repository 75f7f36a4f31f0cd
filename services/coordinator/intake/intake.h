/*
 * Receives a durable job: a POST with "Prefer: respond-async" or "Prefer: wait=N". The items of the job go to the store
 * in blocks while the body arrives. The answer 202 is sent after the job has been committed, so that an accepted job is
 * never lost. If the client waits for the end of the job, durable->wait takes ownership of the exchange after the
 * commit.
 *
 *   OPEN ----> ASKING (a worker is asked which tasks there are) ----> STORING (the last calls are open) ----> ANSWERED
 *    |            |                                                      | the acceptance has failed             ^
 *    |            |                                                      v                                       |
 *    |            |                                         DISCARDING (the job is removed) -------------------->|
 *    +------------+--> a problem ------------------------------------------------------------------------------->+
 *
 * If the ACCEPT call fails, its transaction may still have been committed: perhaps only the reply was lost. DISCARD
 * removes the job only if it is still RECEIVING, so the reply to DISCARD shows whether the job was accepted. If DISCARD
 * fails too, the client gets the answer 503, because it is unknown whether the job was accepted. A later request with
 * the same Idempotency-Key finds the job if the job was accepted.
 *
 * The intake is freed when its exchange is over and its calls to the store are done.
 */
#ifndef FANTAIL_COORDINATOR_INTAKE_INTAKE_H
#define FANTAIL_COORDINATOR_INTAKE_INTAKE_H

#include "common/http_server/http_server.h"
#include "common/net/prefer_header.h"
#include "common/trace/trace_scope.h"
#include "coordinator/durable/durable.h"
#include "coordinator/items/splitter.h"
#include "coordinator/items/jobspec.h"

/* Returns true if the request has no Idempotency-Key or a valid one. If the key is not valid, answers the request with
 * 400 and returns false. */
bool intake_check_key(struct http_exchange *x);
/* Handles a POST /v1/jobs that asks for a durable job: answers or accepts the request. */
void intake_handle(struct http_exchange *x, struct durable *d);

/* Sets the headers of an answer about an accepted job: Preference-Applied and Fantail-Job. */
void intake_set_headers(struct http_exchange *x, const char *id, const struct preferences *applied);
/* Answers 202 with the document of an accepted job. If `likeness` is LIKE_JOB, the document has a hint that the only
 * item of the request looks like a job object. */
void intake_answer_accepted(struct http_exchange *x, const struct stored_job *job, const struct preferences *applied,
                            enum job_likeness likeness);

#endif
