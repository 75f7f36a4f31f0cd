#include <criterion/criterion.h>

#include "unit/leaks.h"
#include "worker/chunk/chunk.h"
#include "worker/chunk/item_trace.h"
#include "worker/process/window.h"

static struct chunk_fault fault;

static struct chunk *chunk_of(const char *body)
{
    struct chunk *c = chunk_new(true, strlen(body));
    cr_assert(chunk_add(c, body, strlen(body), &fault));
    cr_assert(chunk_finish(c, &fault));
    return c;
}

static void assert_answers(struct chunk *c, const char *expected)
{
    char got[4096] = "";
    ssize_t n = chunk_pull(c, got, sizeof got - 1);
    cr_assert_str_eq(n > 0 ? got : "", expected);
}

static void answer(struct run *r, const char *line)
{
    run_answer(r, line, strlen(line), 1);
}

static void assert_items(const struct run *r, const char *expected)
{
    cr_assert_eq(r->len, strlen(expected));
    cr_assert_eq(memcmp(r->chunk->items.data + r->offset, expected, r->len), 0);
}

static uint64_t fixed_clock(void)
{
    return 900;
}

/* Answers n items of the chunk, of which those for which fails() is true are errors. */
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

Test(item_trace, a_long_answer_that_goes_on_with_its_memory_is_recorded_too)
{
    struct chunk *c = traced_chunk(1);
    struct run *r = chunk_take(c, 1, SIZE_MAX);
    struct buf line = {0};
    buf_add_str(&line, "{\"value\":\"");
    for (int i = 0; i < 1000000; i++) buf_add_char(&line, 'x');
    buf_add_str(&line, "\"}\n");
    c->succeeded++;
    cr_assert(run_take_answers(r, &line, 1));
    cr_assert_null(line.data);
    cr_assert_eq(c->item_trace->count, 1);
    cr_assert_eq(c->item_trace->answered, 1);
    buf_release(&line);
    chunk_unref(c);
    assert_no_leaks();
}

Test(item_trace, failures_have_a_cap_too)
{
    struct chunk *c = traced_chunk(1000);
    for (int i = 0; i < 10; i++) answer_many(c, 100, fails_always);
    cr_assert_eq(c->item_trace->count, ITEM_TRACE_FAILED);
    cr_assert_eq(c->item_trace->answered, 1000);
    chunk_unref(c);
    assert_no_leaks();
}

Test(item_trace, an_item_that_its_process_died_on_is_recorded_once_and_the_rest_when_answered)
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

Test(chunk, an_empty_body_is_complete_at_once)
{
    struct chunk *c = chunk_of("\n \r\n");
    assert_answers(c, "{\"end\":\"complete\",\"done\":0}\n");
    cr_assert_eq(chunk_pull(c, (char[1]){0}, 1), -1);
    chunk_unref(c);
    assert_no_leaks();
}

Test(chunk, an_answer_is_taken_whole_when_it_is_long_and_ended_and_untouched)
{
    enum { LONG = 100000 };
    static char line[LONG + 16], byte[1];
    struct buf all = {0};
    for (int pulled = 0; pulled < 2; pulled++) {
        struct chunk *c = chunk_of("1\n2\n");
        struct run *r = chunk_take(c, 2, SIZE_MAX);
        int len = snprintf(line, sizeof line, "{\"value\":%0*d}\n", LONG, 0);
        run_answer(r, line, (size_t)len, 1);
        cr_assert(!chunk_take_whole(c, &all), "one is still to come");
        if (pulled) cr_assert_eq(chunk_pull(c, byte, 1), 1);
        answer(r, "{\"value\":2}\n");
        cr_assert_eq(chunk_take_whole(c, &all), !pulled);
        if (!pulled) {
            cr_assert(strstr(buf_cstr(&all), "}\n{\"value\":2}\n{\"end\":\"complete\",\"done\":2}\n"));
            cr_assert_eq(c->held, 0);
            cr_assert_eq(chunk_pull(c, byte, 1), -1);
        }
        buf_release(&all);
        chunk_unref(c);
    }
    struct chunk *c = chunk_of("1\n");
    answer(chunk_take(c, 1, SIZE_MAX), "{\"value\":1}\n");
    cr_assert(!chunk_take_whole(c, &all), "short");
    chunk_unref(c);
    assert_no_leaks();
}

Test(chunk, blank_lines_vanish_wherever_the_upload_is_cut)
{
    static const char body[] = "\n1\n\n \t\r\n[2,\"a\"]\n\n\n3";
    for (size_t cut = 0; cut <= sizeof body - 1; cut++) {
        struct chunk *c = chunk_new(true, 0);
        cr_assert(chunk_add(c, body, cut, &fault));
        cr_assert(chunk_add(c, body + cut, sizeof body - 1 - cut, &fault));
        cr_assert(chunk_finish(c, &fault));
        cr_assert_eq(c->received, 3);
        struct run *r = chunk_take(c, 10, SIZE_MAX);
        assert_items(r, "1\n[2,\"a\"]\n3\n");
        run_return(r, NULL, 0);
        chunk_unref(c);
    }
    assert_no_leaks();
}

Test(chunk, broken_json_is_refused_with_its_item_and_offset)
{
    struct chunk *c = chunk_new(true, 0);
    cr_assert_not(chunk_add(c, "1\n2\n[3,}\n", 9, &fault));
    cr_assert_eq(fault.item, 2);
    cr_assert_eq(fault.offset, 7);
    chunk_unref(c);
    assert_no_leaks();
}

Test(chunk, no_sender_can_slip_in_a_control_line)
{
    struct chunk *c = chunk_new(false, 0);
    cr_assert_not(chunk_add(c, "#common 1\n", 10, &fault));
    chunk_unref(c);
    assert_no_leaks();
}

Test(chunk, runs_that_end_out_of_order_are_answered_in_order)
{
    struct chunk *c = chunk_of("1\n2\n3\n4\n");
    struct run *a = chunk_take(c, 2, SIZE_MAX), *b = chunk_take(c, 2, SIZE_MAX);
    cr_assert_null(chunk_take(c, 1, SIZE_MAX));
    run_answer(b, "C\nD\n", 4, 2);
    assert_answers(c, "");
    answer(a, "A\n");
    assert_answers(c, "A\n");
    answer(a, "B\n");
    assert_answers(c, "B\nC\nD\n{\"end\":\"complete\",\"done\":4}\n");
    cr_assert_eq(c->held, 0);
    chunk_unref(c);
    assert_no_leaks();
}

Test(chunk, a_run_is_bounded_by_bytes_but_never_empty)
{
    struct chunk *c = chunk_of("\"aaaaaaaa\"\n1\n2\n");
    struct run *a = chunk_take(c, 10, 4), *b = chunk_take(c, 10, 4);
    cr_assert_eq(a->count, 1);
    cr_assert_eq(b->count, 2);
    run_return(a, NULL, 0);
    run_return(b, NULL, 0);
    chunk_unref(c);
    assert_no_leaks();
}

Test(chunk, a_crash_costs_the_item_the_process_was_at_and_the_rest_waits_again)
{
    struct chunk *c = chunk_of("1\n2\n3\n4\n5\n");
    struct run *first = chunk_take(c, 1, SIZE_MAX), *r = chunk_take(c, 10, SIZE_MAX);
    answer(r, "B\n");
    run_return(r, "crash\n", 6);
    cr_assert_eq(c->waiting, 2);
    struct run *rest = chunk_take(c, 1, SIZE_MAX);
    assert_items(rest, "4\n");
    cr_assert_eq(rest->first, 3);
    answer(rest, "D\n");
    answer(first, "A\n");
    assert_answers(c, "A\nB\ncrash\nD\n");
    cr_assert_eq(chunk_done(c), 4);
    answer(chunk_take(c, 10, SIZE_MAX), "E\n");
    assert_answers(c, "E\n{\"end\":\"complete\",\"done\":5}\n");
    chunk_unref(c);
    assert_no_leaks();
}

Test(chunk, draining_hands_back_what_was_not_started)
{
    struct chunk *c = chunk_of("1\n2\n3\n4\n");
    struct run *a = chunk_take(c, 1, SIZE_MAX), *b = chunk_take(c, 1, SIZE_MAX);
    c->draining = true;
    chunk_settle(c);
    cr_assert_eq(chunk_available(c), 0);
    answer(b, "B\n");
    run_return(a, NULL, 0);
    cr_assert_eq(chunk_available(c), 1, "what had been started is run to its end");
    answer(chunk_take(c, 9, SIZE_MAX), "A\n");
    assert_answers(c, "A\nB\n{\"end\":\"draining\",\"done\":2}\n");
    chunk_unref(c);
    assert_no_leaks();
}

Test(chunk, a_deadline_keeps_the_answered_prefix_and_drops_the_rest)
{
    struct chunk *c = chunk_of("1\n2\n3\n");
    struct run *a = chunk_take(c, 1, SIZE_MAX), *b = chunk_take(c, 1, SIZE_MAX);
    answer(a, "A\n");
    chunk_end(c, CHUNK_DEADLINE);
    answer(b, "late\n");
    assert_answers(c, "A\n{\"end\":\"deadline\",\"done\":1}\n");
    chunk_unref(c);
    assert_no_leaks();
}

Test(chunk, an_abandoned_chunk_lives_until_its_last_run_is_back)
{
    struct chunk *c = chunk_of("1\n2\n3\n");
    struct run *a = chunk_take(c, 2, SIZE_MAX);
    chunk_abandon(c, 5);
    chunk_unref(c);
    answer(a, "A\n");
    answer(a, "B\n");
    assert_no_leaks();
}

Test(chunk, settled_items_keep_their_place_between_others)
{
    struct chunk *c = chunk_new(true, 0);
    cr_assert(chunk_add(c, "1\n2\n", 4, &fault));
    chunk_add_settled(c, "X\n", 2);
    cr_assert(chunk_add(c, "3\n", 2, &fault));
    chunk_add_settled(c, "Y\n", 2);
    cr_assert(chunk_finish(c, &fault));
    while (chunk_available(c)) answer(chunk_take(c, 1, SIZE_MAX), "v\n");
    assert_answers(c, "v\nv\nX\nv\nY\n{\"end\":\"complete\",\"done\":5}\n");
    chunk_unref(c);
    assert_no_leaks();
}

/* ---- the window of a process ---- */

static unsigned progressed;

static void on_progress(struct chunk *c)
{
    progressed++;
}

static struct intake take_in(struct window *w, const char *text, uint64_t now)
{
    return window_intake(w, text, strlen(text), now, on_progress);
}

Test(window, doubles_while_items_are_quick_and_falls_to_one_when_one_is_slow)
{
    struct window w;
    struct buf body = {0};
    for (int i = 0; i < 4000; i++) buf_add_str(&body, "1\n");
    struct chunk *c = chunk_of(buf_cstr(&body));
    uint64_t now = 1000, last = 0;
    window_init(&w, FORM_TRUSTED);
    for (int round = 0; round < 6; round++) {
        uint64_t room = window_room(&w, now);
        cr_assert_eq(room, UINT64_C(1) << round);
        window_push(&w, chunk_take(c, room, SIZE_MAX), now);
        for (last = room; room; room--) cr_assert_null(take_in(&w, "{\"value\":1}\n", now += 1000).fault);
    }
    cr_assert_eq(last, 32);
    window_push(&w, chunk_take(c, 1, SIZE_MAX), now);
    take_in(&w, "{\"value\":1}\n", now += 50 * NS_PER_MS);
    cr_assert_eq(window_room(&w, now), 1);
    chunk_unref(c);
    buf_release(&body);
    assert_no_leaks();
}

Test(window, nothing_is_added_behind_an_item_that_already_takes_long)
{
    struct window w;
    struct chunk *c = chunk_of("1\n2\n");
    window_init(&w, FORM_TRUSTED);
    w.limit = 1000;
    window_push(&w, chunk_take(c, 1, SIZE_MAX), 0);
    cr_assert_gt(window_room(&w, 1000), 0);
    cr_assert_eq(window_room(&w, NS_PER_S), 0);
    run_return(window_pop(&w), NULL, 0);
    chunk_unref(c);
    assert_no_leaks();
}

Test(window, answers_are_counted_across_runs_and_pieces)
{
    static const char lines[] = "{\"value\":1}\n{\"error\":{\"name\":\"task_error\"}}\n{\"value\":3}\n";
    struct window w;
    struct chunk *a = chunk_of("1\n2\n"), *b = chunk_of("3\n");
    window_init(&w, FORM_TRUSTED);
    window_push(&w, chunk_take(a, 9, SIZE_MAX), 0);
    window_push(&w, chunk_take(b, 9, SIZE_MAX), 0);
    struct intake in = window_intake(&w, lines, 20, 1, on_progress);
    cr_assert_eq(in.used, 12);
    in = take_in(&w, lines + 12, 2);
    cr_assert_eq(in.answers, 2);
    cr_assert_eq(w.items, 0);
    cr_assert_eq(w.bytes, 0);
    cr_assert_eq(a->succeeded + a->failed, 2);
    assert_answers(b, "{\"value\":3}\n{\"end\":\"complete\",\"done\":1}\n");
    chunk_unref(a);
    chunk_unref(b);
    assert_no_leaks();
}

/* Long answers change hands with their memory; it must not matter whose turn it is, nor who still listens. */
static void take_long_answers(enum window_form form)
{
    bool envelope = form == FORM_TRUSTED;
    enum { LEN = 100000 };
    struct window w;
    struct chunk *c = chunk_of("1\n2\n3\n");
    window_init(&w, form);
    w.limit = 100;
    for (int i = 0; i < 3 && envelope; i++) window_push(&w, chunk_take(c, 1, SIZE_MAX), 0);
    for (int i = 0; i < 3; i++) {
        if (!envelope) window_push(&w, chunk_take(c, 1, SIZE_MAX), 0);
        struct buf line = {0};
        buf_add_str(&line, envelope ? "{\"value\":\"" : "\"");
        while (line.len < LEN) buf_add_char(&line, (char)('a' + i));
        buf_add_str(&line, envelope ? "\"}\n" : "\"\n");
        struct intake in = window_take(&w, &line, 1, on_progress);
        if (!envelope) window_sure(&w, 1, on_progress);
        cr_assert_null(in.fault);
        cr_assert_eq(in.answers, 1);
        if (envelope && i == 0) cr_assert_null(line.data);
        buf_release(&line);
    }
    size_t len;
    const char *out = chunk_peek(c, &len), *end = out + len;
    cr_assert_eq(c->held, len);
    for (int i = 0; i < 3; i++) {
        cr_assert_eq(memcmp(out, "{\"value\":\"", 10), 0);
        out += 10;
        out += strspn(out, (char[2]){(char)('a' + i)});
        cr_assert_eq(memcmp(out, "\"}\n", 3), 0);
        out += 3;
    }
    static const char last[] = "{\"end\":\"complete\",\"done\":3}\n";
    cr_assert_eq(end - out, (ptrdiff_t)sizeof last - 1);
    cr_assert_eq(memcmp(out, last, sizeof last - 1), 0);
    window_release(&w);
    chunk_unref(c);
    assert_no_leaks();
}

Test(window, long_answers_are_taken_with_their_memory)
{
    take_long_answers(FORM_TRUSTED);
    take_long_answers(FORM_CHECKED_VALUE);
}

Test(window, a_long_answer_for_an_abandoned_chunk_is_dropped)
{
    struct window w;
    struct chunk *c = chunk_of("1\n");
    struct buf line = {0};
    window_init(&w, FORM_TRUSTED);
    window_push(&w, chunk_take(c, 1, SIZE_MAX), 0);
    chunk_abandon(c, 1);
    chunk_unref(c);
    buf_add_str(&line, "{\"value\":\"");
    while (line.len < 100000) buf_add_char(&line, 'x');
    buf_add_str(&line, "\"}\n");
    cr_assert_null(window_take(&w, &line, 1, on_progress).fault);
    cr_assert_eq(w.items, 0);
    buf_release(&line);
    assert_no_leaks();
}

Test(window, bare_values_get_their_envelope)
{
    struct window w;
    struct chunk *c = chunk_of("1\n2\n");
    window_init(&w, FORM_CHECKED_VALUE);
    window_push(&w, chunk_take(c, 9, SIZE_MAX), 0);
    take_in(&w, "\"A\"\r\n[1]\n", 1);
    window_sure(&w, 2, on_progress);
    assert_answers(c, "{\"value\":\"A\"}\n{\"value\":[1]}\n{\"end\":\"complete\",\"done\":2}\n");
    window_release(&w);
    chunk_unref(c);
    assert_no_leaks();
}

Test(window, lines_that_are_no_answers_are_told_apart)
{
    static const char *const bad[] = {
        "\n", "{\"value\":}\n", "{\"value\":nan}\n", "{\"end\":\"complete\",\"done\":1}\n", "{\"value\":1", "hello\n"};
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        struct window w;
        struct chunk *c = chunk_of("1\n");
        window_init(&w, FORM_TRUSTED);
        window_push(&w, chunk_take(c, 9, SIZE_MAX), 0);
        struct intake in = take_in(&w, bad[i], 1);
        bool whole = strchr(bad[i], '\n');
        cr_assert_eq(in.fault != NULL, whole, "%s", bad[i]);
        cr_assert_eq(in.used, 0);
        run_return(window_pop(&w), NULL, 0);
        chunk_unref(c);
    }
    struct window idle;
    window_init(&idle, FORM_TRUSTED);
    cr_assert(take_in(&idle, "{\"value\":1}\n", 1).unasked);
    assert_no_leaks();
}

Test(window, a_checked_window_believes_a_run_only_when_told)
{
    struct window w;
    struct chunk *c = chunk_of("1\n2\n3\n");
    window_init(&w, FORM_CHECKED);
    w.limit = 2;
    window_push(&w, chunk_take(c, 2, SIZE_MAX), 0);
    cr_assert_eq(window_room(&w, 1), 0);
    take_in(&w, "{\"value\":1}\n", 1);
    cr_assert_eq(window_index(&w), 1);
    cr_assert_null(take_in(&w, "{\"error\":{\"cause\":\"x\"}}\n", 2).fault);
    cr_assert_not_null(w.unsure);
    cr_assert_eq(c->out.len, 0);
    cr_assert_gt(window_room(&w, 2), 0);
    window_sure(&w, 3, on_progress);
    cr_assert_eq(c->succeeded, 1);
    cr_assert_eq(c->failed, 1);
    window_push(&w, chunk_take(c, 1, SIZE_MAX), 4);
    take_in(&w, "{\"value\":3}\n", 5);
    window_sure(&w, 6, on_progress);
    assert_answers(c,
                   "{\"value\":1}\n{\"error\":{\"cause\":\"x\"}}\n{\"value\":3}\n{\"end\":\"complete\",\"done\":3}\n");
    window_release(&w);
    chunk_unref(c);
    assert_no_leaks();
}

Test(window, a_surplus_line_leaves_nothing_of_its_run_and_nothing_to_the_next)
{
    struct window w;
    struct chunk *a = chunk_of("1\n2\n"), *b = chunk_of("3\n");
    window_init(&w, FORM_CHECKED);
    window_push(&w, chunk_take(a, 2, SIZE_MAX), 0);
    take_in(&w, "{\"value\":1}\n{\"value\":1}\n", 1);
    window_push(&w, chunk_take(b, 1, SIZE_MAX), 2);
    struct intake in = take_in(&w, "{\"value\":2}\n", 3);
    cr_assert(in.fault && in.unasked);
    run_return(window_pop(&w), NULL, 0);
    run_return(window_take_unsure(&w), NULL, 0);
    cr_assert_eq(a->out.len + b->out.len, 0);
    cr_assert_eq(chunk_available(a), 2);
    cr_assert_eq(chunk_available(b), 1);
    window_release(&w);
    chunk_unref(a);
    chunk_unref(b);
    assert_no_leaks();
}

Test(chunk, a_run_that_ends_in_its_middle_is_redone_round_the_item_at_fault)
{
    struct chunk *c = chunk_of("1\n2\n3\n4\n");
    run_return_at(chunk_take(c, 4, SIZE_MAX), 2, "X\n", 2);
    cr_assert_eq(chunk_available(c), 3);
    while (chunk_available(c)) answer(chunk_take(c, 1, SIZE_MAX), "v\n");
    assert_answers(c, "v\nv\nX\nv\n{\"end\":\"complete\",\"done\":4}\n");
    chunk_unref(c);
    assert_no_leaks();
}

Test(window, ids_name_what_is_missing_and_pass_over_what_is_surplus)
{
    static const char bad_output[] = "{\"error\":{\"name\":\"bad_output\"";
    struct window w;
    struct chunk *a = chunk_of("1\n2\n"), *b = chunk_of("3\n4\n");
    window_init(&w, FORM_NUMBERED);
    window_push(&w, chunk_take(a, 2, SIZE_MAX), 0);
    window_push(&w, chunk_take(b, 2, SIZE_MAX), 0);
    struct intake in = take_in(&w,
                               "Loading\n{\"id\":1,\"value\":1}\n{\"id\":1,\"value\":7}\n7\n{\"id\":9,\"value\":7}\n"
                               "{ \"value\": 3, \"id\": 3 }\n{\"id\":4,\"value\":NaN}\n{\"id\":4,\"value\":7}\n",
                               1);
    cr_assert_null(in.fault);
    cr_assert_eq(in.answers, 4);
    cr_assert_eq(a->succeeded, 1);
    cr_assert_eq(b->failed, 1);
    size_t len;
    const char *got = chunk_peek(a, &len);
    cr_assert_eq(memcmp(got, "{\"value\":1}\n", 12), 0);
    cr_assert_eq(memcmp(got + 12, bad_output, sizeof bad_output - 1), 0);
    got = chunk_peek(b, &len);
    cr_assert_eq(memcmp(got, "{\"value\":3}\n", 12), 0);
    cr_assert_eq(memcmp(got + 12, bad_output, sizeof bad_output - 1), 0);
    cr_assert_str_eq(buf_cstr(&w.strays), "Loading\n{\"id\":1,\"value\":7}\n7\n{\"id\":9,\"value\":7}\n"
                                          "{\"id\":4,\"value\":7}\n");
    window_release(&w);
    chunk_unref(a);
    chunk_unref(b);
    assert_no_leaks();
}
