/*
 * The spans of a job: one for its request, and one for each attempt at a chunk, whose id the worker gets. What they are
 * called and what they say is in docs/operations.md.
 */
#ifndef FANTAIL_COORDINATOR_JOB_JOB_TRACE_H
#define FANTAIL_COORDINATOR_JOB_JOB_TRACE_H

#include "coordinator/job/job.h"

/* What says to a worker which trace its chunk belongs to. */
#define TRACE_HEADERS_MAX 2
struct trace_headers {
    char parent[16 + TRACEPARENT_SIZE];
    char *state; /* NULL: none */
};

/* Reads the request's headers. The answer gets `traceresponse` when we record. */
void job_trace_begin(struct trace_scope *trace, struct coordinator *c, struct http_exchange *x);
/* The job is over: its span is exported, the scope released. */
void job_trace_end(struct job *j);
/* The same for a request that did not become a job; it is answered already. */
void job_trace_refused(struct coordinator *c, struct http_exchange *x);

/* An attempt at a chunk, as its span tells it. */
struct attempt_trace {
    struct trace_context context;
    uint64_t started_ns;
    unsigned attempt;
    char *url, *address; /* where it went, as the endpoint may be gone at the end; NULL when it is not recorded */
};

/* Call it before the request is made, also when nothing is traced. address may be NULL. */
void attempt_trace_begin(struct attempt_trace *t, const struct job *j, const struct sched_attempt *a, const char *url,
                         const char *address);
/* Puts the headers that the worker gets at `headers`; returns how many. Release h afterwards. */
size_t attempt_trace_headers(const struct attempt_trace *t, const struct job *j, struct trace_headers *h,
                             const char **headers);
void trace_headers_release(struct trace_headers *h);

struct attempt_outcome {
    const struct sched_attempt *attempt;
    const char *worker; /* who answered; NULL: nobody said */
    int status;         /* 0: none came */
    const char *result; /* a word of sched_end_name(), or "cut_off" */
    bool failed;
    const char *reason; /* of an end before the last answer; NULL: none */
};
/* The attempt is over, or cut off: exports its span and releases t. */
void attempt_trace_end(struct attempt_trace *t, const struct job *j, const struct attempt_outcome *o);

#endif
