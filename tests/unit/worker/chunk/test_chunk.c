#include <criterion/criterion.h>

#include "unit/chunks.h"
#include "unit/leaks.h"
#include "worker/chunk/chunk.h"

static struct chunk_fault fault;

static void answer(struct run *r, const char *line)
{
    run_answer(r, line, strlen(line), 1);
}

static void assert_items(const struct run *r, const char *expected)
{
    cr_assert_eq(r->len, strlen(expected));
    cr_assert_eq(memcmp(r->chunk->items.data + r->offset, expected, r->len), 0);
}

Test(chunk, an_empty_body_is_complete_at_once)
{
    struct chunk *c = chunk_of("\n \r\n");
    assert_answers(c, "{\"end\":\"complete\",\"done\":0}\n");
    cr_assert_eq(chunk_pull(c, (char[1]){0}, 1), -1);
    chunk_unref(c);
    assert_no_leaks();
}

Test(chunk, a_whole_answer_is_taken_if_it_is_long_has_ended_and_was_not_pulled)
{
    enum { LONG = 100000 };
    static char line[LONG + 16], byte[1];
    struct buf all = {0};
    for (int pulled = 0; pulled < 2; pulled++) {
        struct chunk *c = chunk_of("1\n2\n");
        struct run *r = chunk_take(c, 2, SIZE_MAX);
        int len = snprintf(line, sizeof line, "{\"value\":%0*d}\n", LONG, 0);
        run_answer(r, line, (size_t)len, 1);
        cr_assert(!chunk_take_whole(c, &all), "the answer to one item is still to come");
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

Test(chunk, blank_lines_are_removed_wherever_the_upload_is_cut)
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

/* Adds a line in parts of `part` bytes. Returns whether the line is accepted. */
static bool add_in_parts(struct chunk *c, const char *line, size_t len, size_t part)
{
    for (size_t at = 0; at < len; at += part) {
        if (!chunk_add(c, line + at, len - at < part ? len - at : part, &fault)) return false;
        size_t here = c->items.len - c->line_start;
        if (here >= 5000) cr_assert_eq(c->line_scanned, here, "bytes are left to scan at the end of the line");
    }
    return chunk_finish(c, &fault);
}

Test(chunk, a_long_item_is_checked_while_it_comes_with_the_same_result)
{
    static const struct {
        const char *open, *close;
        bool good;
    } lines[] = {
        {"[\"", "\"]", true},    {" [\"", "\"] \t\r", true}, {"[\"", "\"]\n", true},
        {"[\"", "\"] 1", false}, {"[\"", "\"", false},       {"[\"\x01", "\"]", false},
        {"[x\"", "\"]", false},  {"[\"", "\"]]", false},     {"[\"", "\",\xC3\"]", false},
    };
    for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
        struct buf text = {0};
        buf_add_str(&text, lines[i].open);
        while (text.len < 20000) buf_add_char(&text, 'x');
        buf_add_str(&text, lines[i].close);
        struct chunk *whole = chunk_new(true, 0), *parts = chunk_new(true, 0);
        cr_assert_eq(add_in_parts(whole, text.data, text.len, text.len), lines[i].good, "%zu", i);
        struct chunk_fault first = fault;
        cr_assert_eq(add_in_parts(parts, text.data, text.len, 1000), lines[i].good, "%zu", i);
        if (!lines[i].good) {
            cr_assert_eq(fault.offset, first.offset, "%zu: %zu and %zu", i, fault.offset, first.offset);
            cr_assert_str_eq(fault.reason, first.reason);
        }
        chunk_unref(whole);
        chunk_unref(parts);
        buf_release(&text);
    }
    assert_no_leaks();
}

Test(chunk, a_long_blank_line_is_looked_at_while_it_comes)
{
    static char spaces[1000];
    struct chunk *c = chunk_new(false, 0);
    memset(spaces, ' ', sizeof spaces);
    for (int i = 1; i <= 20; i++) {
        cr_assert(chunk_add(c, spaces, sizeof spaces, &fault));
        cr_assert_eq(c->line_blank, (size_t)i * sizeof spaces);
    }
    cr_assert(chunk_add(c, "\n1\n", 3, &fault));
    cr_assert_eq(c->received, 1);
    cr_assert_eq(c->items.len, 2);
    chunk_unref(c);
    assert_no_leaks();
}

Test(chunk, no_client_can_send_a_control_line)
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

/* Takes three items at a time, and answers them in the order 2, 3, 1. */
Test(chunk, completed_runs_are_joined_while_an_earlier_item_is_unanswered)
{
    enum { TRIPLES = 100 };
    struct buf body = {0}, expected = {0};
    for (int i = 0; i <= 3 * TRIPLES; i++) buf_addf(&body, "%d\n", i);
    struct chunk *c = chunk_of(buf_cstr(&body));
    struct run *first = chunk_take(c, 1, SIZE_MAX);
    for (int i = 0; i < TRIPLES; i++) {
        struct run *a = chunk_take(c, 1, SIZE_MAX), *b = chunk_take(c, 1, SIZE_MAX), *d = chunk_take(c, 1, SIZE_MAX);
        answer(b, "b\n");
        answer(d, "d\n");
        answer(a, "a\n");
        unsigned runs = 0;
        for (const struct run *r = c->runs; r; r = r->next) runs++;
        cr_assert_leq(runs, 5);
    }
    answer(first, "0\n");
    buf_add_str(&expected, "0\n");
    for (int i = 0; i < TRIPLES; i++) buf_add_str(&expected, "a\nb\nd\n");
    buf_add_str(&expected, "{\"end\":\"complete\",\"done\":301}\n");
    assert_answers(c, buf_cstr(&expected));
    cr_assert_eq(c->held, 0);
    chunk_unref(c);
    buf_release(&body);
    buf_release(&expected);
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

Test(chunk, after_a_crash_the_current_item_is_answered_and_the_others_wait_again)
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
    cr_assert_eq(chunk_available(c), 1, "an item that was started runs to its end");
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

Test(chunk, an_abandoned_chunk_lives_until_its_last_run_is_returned)
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

Test(chunk, a_run_can_be_returned_with_the_answer_of_an_item_in_its_middle)
{
    struct chunk *c = chunk_of("1\n2\n3\n4\n");
    run_return_at(chunk_take(c, 4, SIZE_MAX), 2, "X\n", 2);
    cr_assert_eq(chunk_available(c), 3);
    while (chunk_available(c)) answer(chunk_take(c, 1, SIZE_MAX), "v\n");
    assert_answers(c, "v\nv\nX\nv\n{\"end\":\"complete\",\"done\":4}\n");
    chunk_unref(c);
    assert_no_leaks();
}

Test(chunk, a_quiet_chunk_says_that_the_worker_runs_but_not_twice_to_a_client_that_does_not_read)
{
    struct chunk *c = chunk_of("1\n2\n");
    chunk_say_alive(c);
    assert_answers(c, "");
    c->says_cost = true;
    chunk_say_alive(c);
    chunk_say_alive(c);
    assert_answers(c, "{\"cost\":{\"items\":0,\"slot_s\":0.000000000}}\n");
    struct run *r = chunk_take(c, 2, SIZE_MAX);
    answer(r, "{\"value\":1}\n");
    chunk_say_alive(c);
    assert_answers(c, "{\"value\":1}\n");
    answer(r, "{\"value\":2}\n");
    assert_answers(c, "{\"value\":2}\n{\"end\":\"complete\",\"done\":2}\n");
    chunk_say_alive(c);
    assert_answers(c, "");
    chunk_unref(c);
    assert_no_leaks();
}

static uint64_t thirty_us(const struct chunk *c)
{
    return 30000;
}

Test(chunk, says_what_its_items_cost_to_a_client_that_asked)
{
    struct chunk *c = chunk_of("1\n2\n3\n");
    struct run *r = chunk_take(c, 3, SIZE_MAX);
    c->says_cost = true;
    c->chunk_ns = thirty_us;
    chunk_add_cost(c, 1, COST_LINE_NS / 2);
    answer(r, "{\"value\":1}\n");
    assert_answers(c, "{\"value\":1}\n");
    chunk_add_cost(c, 1, COST_LINE_NS / 2);
    answer(r, "{\"value\":2}\n");
    assert_answers(c, "{\"cost\":{\"items\":2,\"slot_s\":0.250000000,\"chunk_s\":0.000030000}}\n{\"value\":2}\n");
    chunk_add_cost(c, 1, 1000);
    answer(r, "{\"value\":3}\n");
    assert_answers(c, "{\"value\":3}\n{\"end\":\"complete\",\"done\":3,"
                      "\"cost\":{\"items\":3,\"slot_s\":0.250001000,\"chunk_s\":0.000030000}}\n");
    cr_assert_eq(c->held, 0);
    chunk_unref(c);
    assert_no_leaks();
}
