/*
 * The span of one attempt at a chunk. The worker gets the span's id with the request. docs/observing.md names the spans
 * and their attributes.
 */
#ifndef FANTAIL_COORDINATOR_DISPATCH_ATTEMPT_TRACE_H
#define FANTAIL_COORDINATOR_DISPATCH_ATTEMPT_TRACE_H

#include "coordinator/job/job.h"

/* The request headers that give the trace context of a chunk to its worker. */
#define TRACE_HEADERS_MAX 2
struct trace_headers {
    char parent[16 + TRACEPARENT_SIZE];
    char *state; /* NULL: none */
};

struct attempt_trace {
    struct trace_context context;
    uint64_t started_ns;
    unsigned attempt;
    /* Where the chunk was sent. If `url` is NULL, no span is recorded. The strings are copies, because the endpoint may
     * be removed before the attempt ends. */
    char *url, *address;
};

/* Begins the span. Call it before the request is made, even if there is no trace. `address` may be NULL. */
void attempt_trace_begin(struct attempt_trace *t, const struct phase *p, const struct sched_attempt *a, const char *url,
                         const char *address);
/* Stores pointers to the headers for the worker in `headers`, and returns their number. The headers are borrowed from
 * h. The caller must release h. */
size_t attempt_trace_headers(const struct attempt_trace *t, const struct phase *p, struct trace_headers *h,
                             const char **headers);
void trace_headers_release(struct trace_headers *h);

struct attempt_outcome {
    const struct sched_attempt *attempt;
    const char *worker; /* the name of the worker that answered; NULL: unknown */
    int status;         /* 0: no response */
    const char *result; /* a name from sched_end_name(), or "cut_off" */
    bool failed;
    const char *reason; /* why the attempt failed or was cut off; NULL: neither has happened */
};
/* Exports the span of an attempt that has ended or was cut off, and releases t. */
void attempt_trace_end(struct attempt_trace *t, const struct phase *p, const struct attempt_outcome *o);

#endif
