/*
 * The spans of a job: one for its request, and one for each attempt at a chunk, whose id the worker gets. What they are
 * called and what they say is in docs/operations.md.
 */
#ifndef FANTAIL_COORDINATOR_JOB_JOB_TRACE_H
#define FANTAIL_COORDINATOR_JOB_JOB_TRACE_H

#include "coordinator/job/job.h"

/* Reads the request's headers. The answer gets `traceresponse` when we record. */
void job_trace_begin(struct trace_scope *trace, struct coordinator *c, struct http_exchange *x);
/* The job is over: its span is exported, the scope released. */
void job_trace_end(struct job *j);
/* The same for a request that did not become a job; it is answered already. */
void job_trace_refused(struct coordinator *c, struct http_exchange *x);

#endif
