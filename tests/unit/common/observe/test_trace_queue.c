#include <criterion/criterion.h>

#include "common/base/limits.h"
#include "common/observe/trace_queue.h"
#include "unit/leaks.h"

static bool add(struct trace_queue *q, const char *name)
{
    return trace_queue_add(q, &(struct span){.kind = SPAN_SERVER, .name = name, .start_ns = 1, .end_ns = 2}, 0);
}

static unsigned count(const struct buf *body, const char *word)
{
    unsigned n = 0;
    for (const char *at = body->data; (at = memmem(at, body->len - (size_t)(at - body->data), word, strlen(word)));
         at++)
        n++;
    return n;
}

static void assert_sane(const struct trace_queue *q)
{
    unsigned spans = 0;
    size_t bytes = 0;
    for (const struct trace_batch *b = q->first; b; b = b->next) {
        spans += b->spans;
        bytes += b->body.len;
        cr_assert_gt(b->spans, 0);
        cr_assert_leq(b->spans, q->batch_spans);
        cr_assert(b->next || b == q->last);
    }
    cr_assert_eq(spans, q->spans);
    cr_assert_eq(bytes, q->bytes);
}

Test(trace_queue, spans_gather_in_batches_that_leave_in_their_order)
{
    struct trace_queue q = {.batch_spans = 2, .queue_spans = 10};
    cr_assert(!trace_queue_is_due(&q));
    cr_assert_null(trace_queue_close_first(&q));
    cr_assert(add(&q, "one"));
    cr_assert(!trace_queue_is_due(&q));
    cr_assert(add(&q, "two"));
    cr_assert(trace_queue_is_due(&q));
    cr_assert(add(&q, "three"));
    assert_sane(&q);
    const struct trace_batch *b = trace_queue_close_first(&q);
    cr_assert_eq(count(&b->body, "\"name\":\"one\"") + count(&b->body, "\"name\":\"two\""), 2);
    cr_assert_eq(count(&b->body, "three"), 0);
    assert_sane(&q);
    cr_assert_eq(trace_queue_drop_first(&q), 2);
    cr_assert_eq(count(&q.first->body, "three"), 1);
    assert_sane(&q);
    trace_queue_release(&q);
    assert_no_leaks();
}

/* A closed batch may already be partly sent, so a later span must not change the batch. */
Test(trace_queue, a_closed_batch_takes_no_more_and_is_closed_once)
{
    struct trace_queue q = {.batch_spans = 5, .queue_spans = 10};
    cr_assert(add(&q, "one"));
    const struct trace_batch *b = trace_queue_close_first(&q);
    size_t len = b->body.len;
    cr_assert(add(&q, "two"));
    cr_assert_eq(trace_queue_close_first(&q), b);
    cr_assert_eq(b->body.len, len);
    cr_assert_eq(b->spans, 1);
    cr_assert(trace_queue_is_due(&q));
    assert_sane(&q);
    trace_queue_release(&q);
    assert_no_leaks();
}

Test(trace_queue, what_is_beyond_its_spans_or_bytes_is_refused)
{
    struct trace_queue q = {.batch_spans = 2, .queue_spans = 3};
    for (int i = 0; i < 3; i++) cr_assert(add(&q, "span"));
    cr_assert(!add(&q, "span"));
    trace_queue_drop_first(&q);
    cr_assert(add(&q, "span"));
    assert_sane(&q);
    trace_queue_release(&q);

    static char long_name[1 * MIB];
    memset(long_name, 'x', sizeof long_name - 1);
    q = (struct trace_queue){.batch_spans = 2, .queue_spans = 1000};
    unsigned added = 0;
    while (add(&q, long_name)) added++;
    cr_assert_eq(added, LIMIT_TRACE_QUEUE_BYTES / MIB);
    assert_sane(&q);
    trace_queue_release(&q);
    assert_no_leaks();
}
