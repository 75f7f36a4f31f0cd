#include "common/observe/trace_queue.h"

#include "common/base/limits.h"

static struct trace_batch *open_batch(struct trace_queue *q)
{
    struct trace_batch *b = q->last;
    if (b && !b->whole && b->spans < q->batch_spans) return b;
    b = xcalloc(1, sizeof *b);
    otlp_begin(&b->body, q->resource.data, q->resource.len);
    *(q->last ? &q->last->next : &q->first) = b;
    q->last = b;
    return b;
}

bool trace_queue_add(struct trace_queue *q, const struct span *s, uint64_t unix_offset_ns)
{
    if (q->spans >= q->queue_spans || q->bytes >= LIMIT_TRACE_QUEUE_BYTES) return false;
    struct trace_batch *b = open_batch(q);
    size_t before = b->spans ? b->body.len : 0;
    if (b->spans) buf_add_char(&b->body, ',');
    otlp_add_span(&b->body, s, unix_offset_ns);
    b->spans++;
    q->spans++;
    q->bytes += b->body.len - before;
    return true;
}

bool trace_queue_is_due(const struct trace_queue *q)
{
    const struct trace_batch *b = q->first;
    return b && (b->whole || b->next || b->spans >= q->batch_spans);
}

const struct trace_batch *trace_queue_close_first(struct trace_queue *q)
{
    struct trace_batch *b = q->first;
    if (!b || b->whole) return b;
    size_t before = b->body.len;
    otlp_end(&b->body);
    q->bytes += b->body.len - before;
    b->whole = true;
    return b;
}

unsigned trace_queue_drop_first(struct trace_queue *q)
{
    struct trace_batch *b = q->first;
    unsigned spans = b->spans;
    q->first = b->next;
    if (!q->first) q->last = NULL;
    q->spans -= spans;
    q->bytes -= b->body.len;
    buf_release(&b->body);
    free(b);
    return spans;
}

void trace_queue_release(struct trace_queue *q)
{
    while (q->first) trace_queue_drop_first(q);
    buf_release(&q->resource);
}
