/*
 * Spans that wait for the collector, in batches that are ready to be sent: each is the body of a request, open for more
 * spans until it is full or on its way. Bounded by spans and by bytes; what is beyond is refused. A pure module.
 */
#ifndef FANTAIL_COMMON_OBSERVE_TRACE_QUEUE_H
#define FANTAIL_COMMON_OBSERVE_TRACE_QUEUE_H

#include "common/observe/otlp.h"

struct trace_batch {
    struct trace_batch *next;
    struct buf body;
    unsigned spans;
    bool whole; /* takes no more */
};

struct trace_queue {
    struct trace_batch *first, *last;
    struct buf resource; /* what otlp_add_resource() wrote: set by the owner before the first span, released here */
    unsigned batch_spans, queue_spans;
    unsigned spans;
    size_t bytes;
};

/* False when the queue is full. */
MUST_CHECK bool trace_queue_add(struct trace_queue *q, const struct span *s, uint64_t unix_offset_ns);
/* There is a batch that need not wait for more spans. */
bool trace_queue_is_due(const struct trace_queue *q);
/* The first batch, ended. NULL when there is none. It stays the first until it is dropped. */
const struct trace_batch *trace_queue_close_first(struct trace_queue *q);
/* It leaves the queue, delivered or not. Returns how many spans it had. */
unsigned trace_queue_drop_first(struct trace_queue *q);
void trace_queue_release(struct trace_queue *q);

#endif
