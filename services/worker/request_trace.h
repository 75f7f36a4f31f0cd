/*
 * The trace of one request. The trace is read from the headers, and sent to the task's processes as control lines. When
 * the request ends, the span of the request is exported. The spans of items are children of that span.
 * docs/observing.md describes the spans.
 */
#ifndef FANTAIL_WORKER_REQUEST_TRACE_H
#define FANTAIL_WORKER_REQUEST_TRACE_H

#include "common/trace/trace_scope.h"
#include "worker/chunk/chunk.h"

struct request_trace {
    struct trace_scope scope;
    struct common_value *lines; /* control lines for the processes; NULL: no trace */
};

/* `export` may be NULL. */
void request_trace_begin(struct request_trace *t, struct trace_export *export, const struct http_exchange *x);
void request_trace_release(struct request_trace *t);
/* Call it before a chunk of the request is submitted. */
void request_trace_add_chunk(const struct request_trace *t, struct chunk *c);

/* The facts for the span of a request that has ended. */
struct request_summary {
    const char *worker, *task;
    const char *chunk, *job; /* the header Fantail-Chunk, and the job that it names; NULL: unknown */
    unsigned attempt;
    const char *result;
    int status; /* status of the answer; 0: the request was not answered */
    uint64_t items, succeeded, failed;
};
/* Exports the spans for the items of one chunk. Returns the number of answered items without a span. */
uint64_t request_trace_items(const struct request_trace *t, const struct chunk *c, const char *task);
void request_trace_end(const struct request_trace *t, const struct request_summary *summary, uint64_t without_span);

#endif
