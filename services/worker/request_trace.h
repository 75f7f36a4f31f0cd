/*
 * The trace of one request for a chunk: read from its headers, told to the task's processes by control lines, exported
 * as a span for the request with spans for its items below. See docs/observing.md for what they say.
 */
#ifndef FANTAIL_WORKER_REQUEST_TRACE_H
#define FANTAIL_WORKER_REQUEST_TRACE_H

#include "common/trace/trace_scope.h"
#include "worker/chunk/chunk.h"

struct request_trace {
    struct trace_scope scope;
    struct common_value *lines; /* for the processes; NULL: there is no trace */
};

/* export may be NULL. */
void request_trace_begin(struct request_trace *t, struct trace_export *export, const struct http_exchange *x);
void request_trace_release(struct request_trace *t);
/* A chunk of the request is about to be submitted. */
void request_trace_add_chunk(const struct request_trace *t, struct chunk *c);

/* The request is over. */
struct request_summary {
    const char *worker, *task;
    const char *chunk, *job; /* Fantail-Chunk, and the job in it; NULL: none */
    unsigned attempt;
    const char *result;
    int status; /* 0: it was not answered */
    uint64_t items, succeeded, failed;
};
/* Exports the spans of the items of one of its chunks; returns how many items got none. */
uint64_t request_trace_items(const struct request_trace *t, const struct chunk *c, const char *task);
void request_trace_end(const struct request_trace *t, const struct request_summary *summary, uint64_t without_span);

#endif
