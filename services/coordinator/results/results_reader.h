/*
 * Answers GET /v1/jobs/{id}/results. The reader sends the answers of a stored job as NDJSON lines, in the order of the
 * items, as fast as the client reads them. If the job has not ended, the reader waits for further answers. The reader
 * holds only a few blocks of answers, however large the job is.
 *
 *              the store has the job                 the last line is pending
 *   ASKING --------------------------> OPEN --------------------------------> TAIL
 *      |                                |
 *      |  404, 503, 500                 | the store is broken, or the coordinator drains
 *      v                                v
 *   (answered)                         CUT   the client sees that the stream was cut, and can read on with `from`
 *
 * While the store is away, the stream waits and sends heartbeats. If the job is removed during the stream, the last
 * line says so.
 */
#ifndef FANTAIL_COORDINATOR_RESULTS_RESULTS_READER_H
#define FANTAIL_COORDINATOR_RESULTS_RESULTS_READER_H

#include "coordinator/job/job_hint.h"
#include "coordinator/store/store.h"

struct http_exchange;
struct job_watches;

/* The handler of the route, whose path has the parameter `id`. `watches` is borrowed until the exchange is over. */
void results_reader_handle(struct http_exchange *x, struct job_watches *watches);
/* Call it when the exchange `x` asks for a job that has ended. Takes ownership of the exchange, and answers with the
 * job's results, as if the job were synchronous. The answer is one document, or lines if the client asks for them. If
 * the job is removed or redriven before the document is complete, the document is cut off. `read` is the READ_JOB call
 * that has found the job. If this call has all blocks of the job, the reader takes the job and the blocks from the
 * call, and need not read them again. `read` may be NULL. `likeness` says what the only item looks like (job_hint.h).
 * It selects the hint in the answer. */
void results_reader_answer(struct http_exchange *x, struct job_watches *watches, const char *id,
                           const struct store_call *read, enum job_likeness likeness);
/* Returns whether results_reader_answer() may be called. That function must not be called for a document with more than
 * LIMIT_DOCUMENT_RESULTS results. `job` was returned by READ_JOB. */
bool results_reader_may_answer(const struct http_exchange *x, const struct stored_job *job);

#endif
