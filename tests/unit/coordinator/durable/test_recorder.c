#include "coordinator/durable/recorder.h"

#include <criterion/criterion.h>

#include "common/base/limits.h"
#include "unit/leaks.h"

static void add(struct recorder *r, uint64_t first, uint64_t n)
{
    struct answer_sink sink = recorder_sink(r);
    struct buf lines = {0};
    for (uint64_t i = first; i < first + n; i++) buf_addf(&lines, "{\"value\":%llu}\n", (unsigned long long)i);
    cr_assert(sink.ops->add(sink.sink, first, n, lines.data, lines.len));
    buf_release(&lines);
}

static void take_line(struct recorder *r, uint64_t index, const char *text)
{
    struct answer_sink sink = recorder_sink(r);
    struct buf line = {0};
    buf_add_str(&line, text);
    cr_assert(sink.ops->take(sink.sink, index, &line));
    buf_release(&line);
}

static void add_error(struct recorder *r, uint64_t first, uint64_t n, const char *name)
{
    struct answer_sink sink = recorder_sink(r);
    struct buf line = {0};
    buf_addf(&line, "{\"error\":{\"name\":\"%s\"}}\n", name);
    cr_assert(sink.ops->add_repeated(sink.sink, first, n, line.data, line.len));
    buf_release(&line);
}

/* Takes the next block, and compares its lines and its ranges. `ranges` is a text such as "0+3 7*2": a line for each of
 * the items 0 to 2, and one repeated line for the items 7 and 8. */
static void expect_block(struct recorder *r, enum block_kind kind, const char *ranges, const char *lines)
{
    struct block b = {0};
    struct buf got = {0};
    cr_assert(recorder_take(r, &b));
    cr_assert_eq(b.kind, kind);
    for (size_t i = 0; i < b.range_count; i++)
        buf_addf(&got, "%s%llu%c%llu", i ? " " : "", (unsigned long long)b.ranges[i].first,
                 b.ranges[i].repeated ? '*' : '+', (unsigned long long)b.ranges[i].n);
    cr_assert_str_eq(buf_cstr(&got), ranges);
    cr_assert_str_eq(buf_cstr(&b.lines), lines);
    buf_release(&got);
    block_release(&b);
}

static void expect_nothing_left(struct recorder *r)
{
    struct block b = {0};
    cr_assert_eq(recorder_bytes(r), 0);
    cr_assert(!recorder_take(r, &b));
}

static void expect_errors(const struct recorder *r, const char *json)
{
    char *errors = recorder_errors_json(r);
    if (json)
        cr_assert_str_eq(errors, json);
    else
        cr_assert_null(errors);
    free(errors);
}

static void over(struct recorder *r)
{
    recorder_release(r);
    assert_no_leaks();
}

Test(recorder, values_in_any_order_become_one_block)
{
    struct recorder r = {0};
    expect_nothing_left(&r);
    add(&r, 5, 1);
    add(&r, 6, 1);
    add(&r, 0, 2);
    cr_assert_gt(recorder_bytes(&r), 4 * strlen("{\"value\":0}\n"));
    cr_assert_eq(r.counts.succeeded, 0, "the values were counted before their block was taken");
    expect_block(&r, BLOCK_VALUES, "5+2 0+2", "{\"value\":5}\n{\"value\":6}\n{\"value\":0}\n{\"value\":1}\n");
    cr_assert_eq(r.counts.succeeded, 4);
    expect_errors(&r, NULL);
    expect_nothing_left(&r);
    over(&r);
}

Test(recorder, values_and_errors_go_into_separate_blocks)
{
    struct recorder r = {0};
    add(&r, 0, 1);
    add_error(&r, 1, 1, "task_error");
    add(&r, 2, 1);
    add_error(&r, 3, 1, "timed_out");
    expect_block(&r, BLOCK_VALUES, "0+1 2+1", "{\"value\":0}\n{\"value\":2}\n");
    cr_assert_eq(r.counts.failed, 0);
    expect_errors(&r, NULL);
    expect_block(&r, BLOCK_ERRORS, "1+1 3+1",
                 "{\"error\":{\"name\":\"task_error\"}}\n{\"error\":{\"name\":\"timed_out\"}}\n");
    cr_assert_eq(r.counts.succeeded, 2);
    cr_assert_eq(r.counts.failed, 2);
    expect_errors(&r, "{\"task_error\":1,\"timed_out\":1}");
    expect_nothing_left(&r);
    over(&r);
}

Test(recorder, an_error_of_many_items_is_one_line)
{
    struct recorder r = {0};
    add_error(&r, 10, 1000, "cancelled");
    add_error(&r, 1010, 1, "cancelled");
    add_error(&r, 1011, 2, "cancelled");
    expect_block(&r, BLOCK_ERRORS, "10*1000 1010+1 1011*2",
                 "{\"error\":{\"name\":\"cancelled\"}}\n{\"error\":{\"name\":\"cancelled\"}}\n"
                 "{\"error\":{\"name\":\"cancelled\"}}\n");
    cr_assert_eq(r.counts.cancelled, 1003);
    cr_assert_eq(r.counts.failed, 0);
    expect_errors(&r, "{\"cancelled\":1003}");
    over(&r);
}

static void add_line(struct recorder *r, uint64_t first, const char *line)
{
    struct answer_sink sink = recorder_sink(r);
    cr_assert(sink.ops->add_repeated(sink.sink, first, 1, line, strlen(line)));
}

Test(recorder, errors_of_the_coordinator_are_told_from_those_of_a_task_with_the_same_name)
{
    struct recorder r = {0};
    add_line(&r, 0, "{\"error\":{\"name\":\"cancelled\",\"attempts\":0,\"worker\":null}}\n");
    add_line(&r, 1, "{\"error\":{\"name\":\"cancelled\",\"attempts\":1,\"worker\":\"w1\"}}\n");
    add_line(&r, 2, "{\"error\":{\"name\":\"deadline_exceeded\",\"attempts\":0,\"worker\":null}}\n");
    add_line(&r, 3, "{\"error\":{\"name\":\"ValueError\",\"attempts\":1,\"worker\":null}}\n");
    struct stored_counts all = recorder_settled(&r);
    cr_assert_eq(all.cancelled, 1);
    cr_assert_eq(all.failed, 3);
    struct block b = {0};
    cr_assert(recorder_take(&r, &b));
    char *errors = recorder_errors_json(&r);
    cr_assert(strstr(errors, "\"task_error\":2"), "ValueError is a name of the task's own: %s", errors);
    free(errors);
    block_release(&b);
    over(&r);
}

Test(recorder, a_long_line_is_taken_over_when_it_is_the_first)
{
    struct recorder r = {0};
    take_line(&r, 3, "{\"value\":\"long\"}\n");
    take_line(&r, 4, "{\"value\":\"next\"}\n");
    add(&r, 5, 1);
    expect_block(&r, BLOCK_VALUES, "3+3", "{\"value\":\"long\"}\n{\"value\":\"next\"}\n{\"value\":5}\n");
    cr_assert_eq(r.counts.succeeded, 3);
    over(&r);
}

Test(recorder, the_counts_of_a_claimed_job_go_on)
{
    struct recorder r = {0};
    struct stored_job job = {.counts = {.succeeded = 5, .failed = 2, .cancelled = 1, .retried = 7},
                             .errors = xstrdup("{\"task_error\":2,\"cancelled\":1,\"unheard_of\":4}")};
    recorder_resume(&r, &job);
    expect_errors(&r, "{\"task_error\":2,\"cancelled\":1}");
    add(&r, 0, 1);
    add_error(&r, 1, 2, "task_error");
    expect_block(&r, BLOCK_VALUES, "0+1", "{\"value\":0}\n");
    expect_block(&r, BLOCK_ERRORS, "1*2", "{\"error\":{\"name\":\"task_error\"}}\n");
    cr_assert_eq(r.counts.succeeded, 6);
    cr_assert_eq(r.counts.failed, 4);
    cr_assert_eq(r.counts.retried, 7);
    expect_errors(&r, "{\"task_error\":4,\"cancelled\":1}");
    stored_job_release(&job);
    over(&r);
}

Test(recorder, answers_that_are_not_taken_are_settled_but_not_counted)
{
    struct recorder r = {.counts = {.succeeded = 1}};
    add(&r, 0, 2);
    add_error(&r, 2, 3, "worker_lost");
    add_error(&r, 5, 1, "cancelled");
    struct stored_counts all = recorder_settled(&r);
    cr_assert_eq(r.counts.succeeded, 1);
    cr_assert_eq(all.succeeded, 3);
    cr_assert_eq(all.failed, 3);
    cr_assert_eq(all.cancelled, 1);
    over(&r);
}

/* While the store is unavailable, the answers of the items in flight may need much memory. Blocks must stay small even
 * then, because a reader of results keeps whole blocks in memory. */
Test(recorder, long_answers_become_several_blocks)
{
    enum { LINE = 700 * 1024, BLOCK_MOST = 2 * 1024 * 1024 };
    struct recorder r = {0};
    struct answer_sink sink = recorder_sink(&r);
    for (uint64_t i = 0; i < 7; i++) {
        struct buf line = {0};
        while (line.len < LINE) buf_add_str(&line, "0123456789abcdef");
        buf_add_char(&line, '\n');
        if (i % 2)
            sink.ops->take(sink.sink, i, &line);
        else
            sink.ops->add(sink.sink, i, 1, line.data, line.len);
        buf_release(&line);
    }
    add_error(&r, 7, 1, "task_error");
    cr_assert_gt(recorder_bytes(&r), 7 * LINE);
    cr_assert_eq(recorder_settled(&r).succeeded, 7);
    struct block b = {0};
    for (uint64_t at = 0; at < 7;) {
        cr_assert(recorder_take(&r, &b));
        cr_assert_eq(b.ranges[0].first, at);
        cr_assert_leq(b.lines.len, BLOCK_MOST);
        at += b.ranges[0].n;
        cr_assert_eq(r.counts.succeeded, at);
        block_release(&b);
    }
    cr_assert(recorder_take(&r, &b));
    cr_assert_eq(b.kind, BLOCK_ERRORS);
    block_release(&b);
    expect_nothing_left(&r);
    over(&r);
}

Test(recorder, a_closed_recorder_drops_what_comes)
{
    struct recorder r = {0};
    add(&r, 0, 1);
    r.closed = true;
    add(&r, 1, 1);
    take_line(&r, 2, "{\"value\":2}\n");
    add_error(&r, 3, 1, "task_error");
    expect_block(&r, BLOCK_VALUES, "0+1", "{\"value\":0}\n");
    expect_nothing_left(&r);
    over(&r);
}

Test(recorder, a_closed_recorder_notes_the_items_that_were_not_sent)
{
    struct range_list unsent = {0};
    struct recorder r = {.closed = true, .unsent = &unsent};
    struct answer_sink sink = recorder_sink(&r);
    static const char not_sent[] = "{\"error\":{\"name\":\"cancelled\",\"sent\":false}}\n",
                      sent[] = "{\"error\":{\"name\":\"cancelled\",\"sent\":true}}\n";
    cr_assert(sink.ops->add_repeated(sink.sink, 3, 4, not_sent, strlen(not_sent)));
    cr_assert(sink.ops->add_repeated(sink.sink, 7, 4, sent, strlen(sent)));
    add_error(&r, 20, 1, "task_error");
    add(&r, 30, 1);
    cr_assert_eq(unsent.count, 1);
    cr_assert_eq(unsent.ranges[0].first, 3);
    cr_assert_eq(unsent.ranges[0].n, 4);
    cr_assert_eq(recorder_bytes(&r), 0);
    range_list_release(&unsent);
    recorder_release(&r);
    assert_no_leaks();
}
