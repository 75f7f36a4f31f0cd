/* The span of a job's request. docs/observing.md names it and its attributes. */
#ifndef FANTAIL_COORDINATOR_JOB_JOB_TRACE_H
#define FANTAIL_COORDINATOR_JOB_JOB_TRACE_H

#include "coordinator/job/job.h"

/* export may be NULL. Reads the request's headers. The answer gets `traceresponse` when we record. */
void job_trace_begin(struct trace_scope *trace, struct trace_export *export, struct http_exchange *x);
/* The job is over: its span is exported, the scope released. */
void job_trace_end(struct job *j);
/* The same for a request that did not become a job; it is answered already. */
void job_trace_refused(struct trace_export *export, struct http_exchange *x);

#endif
