#include <criterion/criterion.h>

#include "unit/leaks.h"
#include "worker/chunk/chunk.h"

static struct chunk_fault fault;

static void answer(struct run *r, const char *line)
{
    run_answer(r, line, strlen(line), 1);
}

static uint64_t fixed_clock(void)
{
    return 900;
}

/* Answers n items of the chunk. The answer is an error if fails() is true for the item's index. */
static void answer_many(struct chunk *c, uint64_t n, bool (*fails)(uint64_t index))
{
    struct buf lines = {0};
    struct run *r = chunk_take(c, n, SIZE_MAX);
    r->since_ns = 100;
    for (uint64_t i = 0; i < r->count; i++) {
        bool failed = fails(r->first + i);
        buf_add_str(&lines, failed ? "{\"error\":{\"name\":\"timed_out\",\"cause\":\"x\"}}\n" : "{\"value\":0}\n");
        *(failed ? &c->failed : &c->succeeded) += 1;
    }
    run_answer(r, lines.data, lines.len, r->count);
    buf_release(&lines);
}

static bool fails_seldom(uint64_t index)
{
    return index == 3 || index == 777 || index == 999;
}

static bool fails_always(uint64_t index)
{
    return true;
}

static struct chunk *traced_chunk(uint64_t items)
{
    struct chunk *c = chunk_new(false, 0);
    c->item_trace = item_trace_new(fixed_clock);
    for (uint64_t i = 0; i < items; i++) cr_assert(chunk_add(c, "1\n", 2, &fault));
    return c;
}

Test(item_trace, the_first_items_and_the_failed_ones_are_recorded)
{
    struct chunk *c = traced_chunk(1000);
    for (int i = 0; i < 10; i++) answer_many(c, 100, fails_seldom);
    const struct item_trace *t = c->item_trace;
    cr_assert_eq(t->answered, 1000);
    cr_assert_eq(t->count, ITEM_TRACE_OTHERS + 3);
    cr_assert_eq(t->failed, 3);
    for (size_t i = 0; i < t->count; i++) {
        const struct item_record *r = &t->records[i];
        cr_assert_eq(r->failed, fails_seldom(r->index));
        cr_assert_eq(r->index, i < ITEM_TRACE_OTHERS + 1 ? i : i == t->count - 1 ? 999 : 777);
        cr_assert_eq(r->start_ns, 100);
        cr_assert_eq(r->end_ns, 900);
        cr_assert_eq(r->together, 100);
        if (r->failed) cr_assert_eq(r->error, ITEM_TIMED_OUT);
    }
    chunk_unref(c);
    assert_no_leaks();
}

Test(item_trace, a_long_answer_whose_memory_is_taken_is_recorded_too)
{
    struct chunk *c = traced_chunk(1);
    struct run *r = chunk_take(c, 1, SIZE_MAX);
    struct buf line = {0};
    struct line_queue lines = {0};
    buf_add_str(&line, "{\"value\":\"");
    for (int i = 0; i < 1000000; i++) buf_add_char(&line, 'x');
    buf_add_str(&line, "\"}\n");
    c->succeeded++;
    line_queue_take(&lines, &line, 0);
    cr_assert(run_take_answers(r, &lines, 1));
    cr_assert_eq(lines.len, 0);
    cr_assert_eq(c->item_trace->count, 1);
    cr_assert_eq(c->item_trace->answered, 1);
    chunk_unref(c);
    assert_no_leaks();
}

Test(item_trace, failed_items_have_a_limit_too)
{
    struct chunk *c = traced_chunk(1000);
    for (int i = 0; i < 10; i++) answer_many(c, 100, fails_always);
    cr_assert_eq(c->item_trace->count, ITEM_TRACE_FAILED);
    cr_assert_eq(c->item_trace->answered, 1000);
    chunk_unref(c);
    assert_no_leaks();
}

Test(item_trace, an_item_that_killed_its_process_is_recorded_once_and_the_others_when_they_are_answered)
{
    struct chunk *c = traced_chunk(3);
    struct run *r = chunk_take(c, 3, SIZE_MAX);
    static const char lost[] = "{\"error\":{\"name\":\"crashed\",\"cause\":\"x\"}}\n";
    c->succeeded++;
    answer(r, "{\"value\":1}\n");
    c->failed++;
    run_return(r, lost, sizeof lost - 1);
    answer_many(c, 3, fails_seldom);
    const struct item_trace *t = c->item_trace;
    cr_assert_eq(t->count, 3);
    for (size_t i = 0; i < 3; i++) {
        cr_assert_eq(t->records[i].index, i);
        cr_assert_eq(t->records[i].failed, i == 1);
    }
    cr_assert_eq(t->records[1].error, ITEM_CRASHED);
    chunk_unref(c);
    assert_no_leaks();
}
