#include <criterion/criterion.h>
#include <errno.h>

#include "common/base/memory_room.h"
#include "coordinator/answers/answer_buffer.h"
#include "coordinator/answers/fold.h"
#include "unit/leaks.h"

static const char value[] = "{\"value\":5}\n", crashed[] = "{\"error\":{\"name\":\"crashed\"}}\n",
                  lost[] = "{\"error\":{\"name\":\"worker_lost\"}}\n";

struct setting {
    struct spill_dir dir;
    struct answer_buffer answers;
    struct fold fold;
    struct answer_sink in;
    struct answer_source errors;
};

static void begin(struct setting *s, enum job_reduce kind, const char *spill_dir)
{
    s->dir = (struct spill_dir){.path = spill_dir};
    answer_buffer_init(&s->answers, COLLECT_INPUT_ORDER, 0, NULL, &s->dir);
    s->in = answer_buffer_sink(&s->answers);
    struct answer_source from = answer_buffer_source(&s->answers);
    fold_init(&s->fold, kind, &from, &s->dir);
    s->errors = fold_source(&s->fold);
}

static void end(struct setting *s)
{
    fold_release(&s->fold);
    struct collector *buried = NULL;
    answer_buffer_release(&s->answers, &buried);
    while (buried) collector_free_buried(&buried);
    assert_no_leaks();
}

static void put(struct setting *s, uint64_t index, const char *line)
{
    cr_assert(s->in.ops->add(s->in.sink, index, 1, line, strlen(line)));
}

static void expect_error(struct setting *s, uint64_t first, size_t n, const char *line)
{
    struct answer_run run;
    bool failed;
    cr_assert(answer_source_peek(&s->errors, &run, &failed));
    cr_assert_eq(run.first, first);
    cr_assert_eq(run.n, n);
    cr_assert_eq(run.repeated, n > 1);
    cr_assert_eq(run.len, strlen(line));
    cr_assert_eq(memcmp(run.bytes, line, run.len), 0);
}

static void expect_no_error(struct setting *s)
{
    struct answer_run run;
    bool failed;
    cr_assert_not(answer_source_peek(&s->errors, &run, &failed));
    cr_assert_not(failed);
    cr_assert_eq(answer_source_unread_bytes(&s->errors), 0);
}

static void expect_result(struct setting *s, const char *wanted)
{
    struct json_slice result = fold_result(&s->fold);
    cr_assert_eq(result.len, strlen(wanted));
    cr_assert_eq(memcmp(result.data, wanted, result.len), 0);
}

Test(fold, values_become_one_and_errors_stay)
{
    struct setting s;
    begin(&s, REDUCE_SUM, "/tmp");
    put(&s, 1, crashed);
    put(&s, 2, value);
    cr_assert_eq(fold_advance(&s.fold, UINT64_MAX), FOLD_OK);
    expect_no_error(&s); /* item 0 comes first */
    put(&s, 0, value);
    cr_assert_eq(fold_advance(&s.fold, UINT64_MAX), FOLD_OK);
    expect_result(&s, "10");
    expect_error(&s, 1, 1, crashed);
    answer_source_consume(&s.errors, 1, strlen(crashed));
    expect_no_error(&s);
    end(&s);
}

Test(fold, an_error_of_many_items_is_kept_once_and_read_in_parts)
{
    struct setting s;
    begin(&s, REDUCE_COUNT, "/tmp");
    cr_assert(s.in.ops->add_repeated(s.in.sink, 0, 1000000, crashed, strlen(crashed)));
    put(&s, 1000000, value);
    cr_assert_eq(fold_advance(&s.fold, UINT64_MAX), FOLD_OK);
    cr_assert_lt(answer_source_unread_bytes(&s.errors), 200);
    expect_error(&s, 0, 1000000, crashed);
    answer_source_consume(&s.errors, 999999, 0);
    expect_error(&s, 999999, 1, crashed);
    answer_source_consume(&s.errors, 1, strlen(crashed));
    expect_no_error(&s);
    expect_result(&s, "1");
    end(&s);
}

Test(fold, errors_that_were_read_leave_no_room_taken)
{
    struct setting s;
    begin(&s, REDUCE_COUNT, "/nowhere/at/all"); /* there is no such folder, so spilling would fail */
    for (uint64_t i = 0; i < 100000; i++) {
        put(&s, i, crashed);
        cr_assert_eq(fold_advance(&s.fold, UINT64_MAX), FOLD_OK);
        expect_error(&s, i, 1, crashed);
        answer_source_consume(&s.errors, 1, strlen(crashed));
    }
    end(&s);
}

Test(fold, a_value_that_does_not_fit_is_a_failure_and_later_errors_still_come)
{
    struct setting s;
    char why[200];
    begin(&s, REDUCE_SUM, "/tmp");
    put(&s, 0, "{\"value\":\"x\"}\n");
    cr_assert_eq(fold_advance(&s.fold, UINT64_MAX), FOLD_NOT_REDUCIBLE);
    fold_explain(&s.fold, FOLD_NOT_REDUCIBLE, why, sizeof why);
    cr_assert_str_eq(why, "sum cannot be applied to the value of item 1 (index 0): it is not a number");
    put(&s, 1, crashed);
    cr_assert_eq(fold_advance(&s.fold, UINT64_MAX), FOLD_NOT_REDUCIBLE);
    expect_error(&s, 1, 1, crashed);
    end(&s);
}

static bool has_no_memory(size_t bytes)
{
    return false;
}

Test(fold, without_memory_for_the_result_the_values_are_given_up_and_errors_still_come)
{
    enum { LEN = 100000 };
    struct setting s;
    struct buf line = {0};
    char why[200];
    buf_add_str(&line, "{\"value\":\"");
    for (unsigned i = 0; i < LEN; i++) buf_add_char(&line, 'x');
    buf_add_str(&line, "\"}\n");
    begin(&s, REDUCE_CONCAT, "/tmp");
    put(&s, 0, buf_cstr(&line));
    put(&s, 1, crashed);
    put(&s, 2, buf_cstr(&line));
    memory_probe = has_no_memory;
    enum fold_status status = fold_advance(&s.fold, UINT64_MAX);
    cr_assert_eq(status, FOLD_NO_MEMORY);
    fold_explain(&s.fold, status, why, sizeof why);
    cr_assert(strstr(why, "memory limit"), "%s", why);
    cr_assert_eq(fold_advance(&s.fold, UINT64_MAX), FOLD_NOT_REDUCIBLE);
    cr_assert_eq(answer_source_unread_bytes(&s.fold.from), 0);
    expect_error(&s, 1, 1, crashed);
    buf_release(&line);
    end(&s);
}

Test(fold, a_full_disk_is_named)
{
    struct setting s;
    char why[200];
    enum fold_status status = FOLD_OK;
    begin(&s, REDUCE_COUNT, "/nowhere/at/all");
    for (uint64_t i = 0; i < 100000 && status == FOLD_OK; i++) {
        put(&s, i, i % 2 ? crashed : lost); /* equal errors would be kept as one */
        status = fold_advance(&s.fold, UINT64_MAX);
    }
    cr_assert_eq(status, FOLD_DISK_FAILED);
    fold_explain(&s.fold, status, why, sizeof why);
    cr_assert_str_eq(why, "the errors could not be stored: No such file or directory");
    end(&s);
}

Test(fold, only_about_so_many_bytes_are_folded_at_once)
{
    struct setting s;
    begin(&s, REDUCE_COUNT, "/tmp");
    /* Each line is an answer run of its own, because the line of the next index is added later. */
    for (uint64_t i = 0; i < 100; i += 2) put(&s, i, "{\"value\":1}\n");
    for (uint64_t i = 1; i < 100; i += 2) put(&s, i, "{\"value\":1}\n");
    unsigned calls = 0;
    enum fold_status status;
    while ((status = fold_advance(&s.fold, 1)) == FOLD_MORE) calls++;
    cr_assert_eq(status, FOLD_OK);
    cr_assert_gt(calls, 10);
    expect_result(&s, "100");
    end(&s);
}

Test(fold, a_long_value_is_folded_in_several_calls_also_between_short_ones)
{
    enum { LONG_BYTES = 300000, CALL_BYTES = 1000 };
    struct setting s;
    struct buf line = {0}, expected = {0};
    begin(&s, REDUCE_CONCAT, "/tmp");
    buf_add_str(&line, "{\"value\":\"");
    while (line.len < LONG_BYTES) buf_add_char(&line, 'x');
    buf_addf(&expected, "\"ab%scd\"", buf_cstr(&line) + strlen("{\"value\":\""));
    buf_add_str(&line, "\"}\n");
    put(&s, 0, "{\"value\":\"ab\"}\n");
    put(&s, 1, buf_cstr(&line));
    put(&s, 2, crashed);
    put(&s, 3, "{\"value\":\"cd\"}\n");
    unsigned calls = 0;
    for (size_t before = 0; fold_advance(&s.fold, CALL_BYTES) == FOLD_MORE; before = s.fold.reduction.best.len) {
        cr_assert_leq(s.fold.reduction.best.len - before, CALL_BYTES);
        calls++;
    }
    cr_assert_geq(calls, LONG_BYTES / CALL_BYTES);
    expect_result(&s, buf_cstr(&expected));
    expect_error(&s, 2, 1, crashed);
    buf_release(&line);
    buf_release(&expected);
    end(&s);
}
