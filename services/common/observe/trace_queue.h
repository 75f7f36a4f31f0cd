/*
 * Batches of spans that wait for the collector. A batch is the body of one request. Spans are added to a batch until it
 * is full or is being sent. The queue limits the number of spans and their bytes, and refuses a span that does not fit.
 * A pure module.
 */
#ifndef FANTAIL_COMMON_OBSERVE_TRACE_QUEUE_H
#define FANTAIL_COMMON_OBSERVE_TRACE_QUEUE_H

#include "common/observe/otlp.h"

struct trace_batch {
    struct trace_batch *next;
    struct buf body;
    unsigned spans;
    bool whole; /* no more spans are added */
};

struct trace_queue {
    struct trace_batch *first, *last;
    struct buf resource; /* text of otlp_add_resource(); the owner sets it before the first span */
    unsigned batch_spans, queue_spans;
    unsigned spans;
    size_t bytes;
};

/* Adds a span. Returns false when the queue is full. */
MUST_CHECK bool trace_queue_add(struct trace_queue *q, const struct span *s, uint64_t unix_offset_ns);
/* Returns whether the first batch can be sent without waiting for more spans. */
bool trace_queue_is_due(const struct trace_queue *q);
/* Completes the first batch, so that no more spans are added to it, and returns the batch. Returns NULL if there is no
 * batch. The batch remains the first one until it is dropped. */
const struct trace_batch *trace_queue_close_first(struct trace_queue *q);
/* Removes the first batch, even if it was not sent. Returns how many spans the batch had. */
unsigned trace_queue_drop_first(struct trace_queue *q);
void trace_queue_release(struct trace_queue *q);

#endif
