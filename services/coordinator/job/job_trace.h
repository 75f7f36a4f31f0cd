/* Records the span of a job's request, and the span of the run of a durable job. docs/observing.md names these two
 * spans and their attributes.
 */
#ifndef FANTAIL_COORDINATOR_JOB_JOB_TRACE_H
#define FANTAIL_COORDINATOR_JOB_JOB_TRACE_H

#include "coordinator/job/job.h"

/* Reads the trace headers of the request. If spans are recorded, adds a traceresponse header to the answer. `export`
 * may be NULL. */
void job_trace_begin(struct trace_scope *trace, struct trace_export *export, struct http_exchange *x);
/* Exports the span of a job that is over, and releases the scope. */
void job_trace_end(struct job *j);
/* Exports the span of a request for a durable job, or of a request that was refused, and releases the scope. The scope
 * may already be released. status 0: the span gets no HTTP status. `job_id` may be NULL. */
void job_trace_end_request(struct trace_scope *trace, int status, const char *job_id);
/* Exports the span of a request that was answered before it became a job. */
void job_trace_refused(struct trace_export *export, struct http_exchange *x);

#endif
