/* Windows of processes that run several items at the same time and answer them in any order. */
#include <criterion/criterion.h>

#include "unit/leaks.h"
#include "worker/process/window.h"

static struct window w;
static struct chunk *chunk;
static unsigned progressed;

static void on_progress(struct chunk *c)
{
    progressed++;
}

static struct intake take_in(const char *text, uint64_t now)
{
    return window_intake(&w, text, strlen(text), now, on_progress);
}

/* Begins with a window of `together` items, and gives the window as many items of `body` as the window accepts. */
static void begin(unsigned together, const char *body)
{
    struct chunk_fault fault;
    window_init(&w, FORM_ANY_ORDER, together);
    chunk = chunk_new(true, strlen(body));
    cr_assert(chunk_add(chunk, body, strlen(body), &fault));
    cr_assert(chunk_finish(chunk, &fault));
    while (window_room(&w, 0) && chunk_available(chunk)) window_push(&w, chunk_take(chunk, 1, SIZE_MAX), 0);
}

static void assert_answers(const char *expected)
{
    char got[4096] = "";
    ssize_t n = chunk_pull(chunk, got, sizeof got - 1);
    cr_assert_str_eq(n > 0 ? got : "", expected);
}

static void end(void)
{
    for (struct run *r; (r = window_pop(&w));) run_return(r, NULL, 0);
    cr_assert_eq(w.items, 0);
    cr_assert_eq(w.bytes, 0);
    window_release(&w);
    chunk_unref(chunk);
    assert_no_leaks();
}

Test(window_ids, the_window_has_room_for_as_many_items_as_run_together)
{
    begin(3, "1\n2\n3\n4\n");
    cr_assert_eq(w.items, 3);
    cr_assert_eq(window_room(&w, NS_PER_S), 0);
    take_in("{\"id\":2,\"value\":0}\n", NS_PER_S);
    cr_assert_eq(window_room(&w, 60 * NS_PER_S), 1, "slow items do not make the window smaller");
    w.bytes += WINDOW_BATCH_BYTES;
    cr_assert_eq(window_room(&w, 0), 0, "large items do");
    w.bytes -= WINDOW_BATCH_BYTES;
    end();
}

Test(window_ids, answers_in_any_order_leave_in_the_order_of_the_items)
{
    begin(4, "1\n2\n3\n4\n");
    struct intake in = take_in("{\"id\":3,\"value\":\"c\"}\n{\"id\":2,\"error\":{\"cause\":\"b\"}}\n", 1);
    cr_assert_null(in.fault);
    cr_assert_eq(in.answers, 2);
    assert_answers("");
    take_in("{\"id\":1,\"value\":\"a\"}\n", 2);
    assert_answers("{\"value\":\"a\"}\n{\"error\":{\"cause\":\"b\"}}\n{\"value\":\"c\"}\n");
    take_in("{\"value\":\"d\",\"id\":4}\n", 3);
    assert_answers("{\"value\":\"d\"}\n{\"end\":\"complete\",\"done\":4}\n");
    cr_assert_eq(chunk->succeeded, 3);
    cr_assert_eq(chunk->failed, 1);
    cr_assert_eq(progressed, 4);
    end();
}

Test(window_ids, each_item_has_had_a_slot_from_its_beginning_to_its_answer)
{
    begin(2, "1\n2\n3\n");
    take_in("{\"id\":2,\"value\":0}\n", 10);
    window_push(&w, chunk_take(chunk, 1, SIZE_MAX), 20);
    take_in("{\"id\":1,\"value\":0}\n{\"id\":3,\"value\":0}\n", 100);
    cr_assert_eq(chunk->cost.slot_ns, 10 + 100 + 80);
    cr_assert_eq(chunk->cost.items, 3);
    end();
}

Test(window_ids, a_line_without_the_id_of_a_running_item_is_no_answer)
{
    begin(2, "1\n2\n");
    struct intake in = take_in("{\"id\":1,\"value\":0}\n{\"id\":1,\"value\":9}\n{\"id\":7,\"value\":9}\nhello\n", 1);
    cr_assert_null(in.fault);
    cr_assert_eq(in.answers, 1);
    cr_assert_str_eq(buf_cstr(&w.strays), "{\"id\":1,\"value\":9}\n{\"id\":7,\"value\":9}\nhello\n");
    assert_answers("{\"value\":0}\n");
    end();
}

Test(window_ids, an_answer_that_is_not_valid_fails_its_item_alone)
{
    begin(2, "1\n2\n");
    take_in("{\"id\":2,\"value\":nonsense}\n{\"id\":1,\"value\":0}\n", 1);
    char got[400];
    got[chunk_pull(chunk, got, sizeof got - 1)] = '\0';
    cr_assert_not_null(strstr(got, "{\"value\":0}\n{\"error\":{\"name\":\"bad_output\""));
    end();
}

Test(window_ids, the_cause_of_bad_output_names_a_wrong_encoding)
{
    static const char bad[] =
        "{\"id\":1,\"value\":\"caf\xe9\"}\n{\"id\":2,\"value\":\"a\0b\"}\n{\"id\":3,\"value\":no}\n";
    static const char *const causes[] = {
        "the output is not valid UTF-8", "the output has NUL bytes",
        "the output is not valid JSON, or does not have exactly one of value and error"};
    begin(3, "1\n2\n3\n");
    window_intake(&w, bad, sizeof bad - 1, 1, on_progress);
    char got[1000];
    got[chunk_pull(chunk, got, sizeof got - 1)] = '\0';
    const char *at = got;
    for (size_t i = 0; i < ARRAY_SIZE(causes) && at; i++) at = strstr(at, causes[i]);
    cr_assert_not_null(at, "%s", got);
    end();
}

Test(window_ids, an_item_with_a_verdict_gets_it_whatever_the_process_answers)
{
    begin(2, "1\n2\n");
    window_find(&w, 1)->verdict = xstrdup("{\"error\":{\"name\":\"timed_out\"}}\n");
    take_in("{\"id\":1,\"value\":0}\n", 1);
    assert_answers("{\"error\":{\"name\":\"timed_out\"}}\n");
    cr_assert_eq(chunk->failed, 1);
    window_find(&w, 2)->verdict = xstrdup("{\"error\":{\"name\":\"timed_out\"}}\n");
    run_return(window_pop(&w), NULL, 0);
    window_push(&w, chunk_take(chunk, 1, SIZE_MAX), 5);
    cr_assert_null(window_find(&w, 2));
    take_in("{\"id\":3,\"value\":1}\n", 6);
    assert_answers("{\"value\":1}\n{\"end\":\"complete\",\"done\":2}\n");
    end();
}

Test(window_ids, a_long_answer_keeps_its_memory)
{
    struct buf line = {0};
    begin(2, "1\n2\n");
    buf_add_str(&line, "{\"id\":2,\"value\":\"");
    for (int i = 0; i < 100000; i++) buf_add_char(&line, 'x');
    cr_assert_null(window_look(&w, line.data, line.len));
    buf_add_str(&line, "\"}\n");
    struct intake in = window_intake_buf(&w, &line, 1, on_progress);
    cr_assert_eq(in.answers, 1);
    cr_assert_eq(line.len, 0, "the memory was taken over");
    take_in("{\"id\":1,\"value\":0}\n", 2);
    cr_assert_eq(chunk->out.len,
                 strlen("{\"value\":0}\n{\"value\":\"\"}\n{\"end\":\"complete\",\"done\":2}\n") + 100000);
    buf_release(&line);
    end();
}

Test(window_ids, the_answers_of_a_chunk_that_has_ended_are_dropped)
{
    begin(2, "1\n2\n");
    chunk_abandon(chunk, 1);
    take_in("{\"id\":2,\"value\":0}\n", 2);
    cr_assert_eq(chunk->out.len, 0);
    cr_assert_eq(w.items, 1);
    end();
}

Test(window_ids, a_process_says_which_item_blocks_it)
{
    begin(2, "1\n2\n");
    take_in("#blocked 2\n", 1);
    cr_assert_eq(w.blocked_id, 2);
    take_in("#blocked x\n#blocked\n#blocked 3 4\n", 2);
    cr_assert_eq(w.blocked_id, 2);
    take_in("#blocked 0\n", 3);
    cr_assert_eq(w.blocked_id, 0);
    end();
}

static char logged[200];

static void on_log(struct window *of, const struct run *r, const char *text, size_t len)
{
    snprintf(logged + strlen(logged), sizeof logged - strlen(logged), "%d: %.*s", (int)r->first, (int)len, text);
}

Test(window_ids, the_output_of_an_item_is_passed_on_with_its_item)
{
    begin(2, "1\n2\n");
    w.log = on_log;
    take_in("#log 2 hello there\n#log 1\n#log 9 who\n#log x\n#logs 1\n{\"id\":2,\"value\":0}\n#log 2 late\n", 1);
    cr_assert_str_eq(logged, "1: hello there\n0: \n");
    cr_assert_str_eq(buf_cstr(&w.strays), "who\n#log x\n#logs 1\nlate\n");
    end();
}
