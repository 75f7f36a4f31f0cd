/* How the lines of a process become answers. */
#include <criterion/criterion.h>

#include "unit/chunks.h"
#include "unit/leaks.h"
#include "worker/process/window.h"

static unsigned progressed;

static void on_progress(struct chunk *c)
{
    progressed++;
}

static struct intake take_in(struct window *w, const char *text, uint64_t now)
{
    return window_intake(w, text, strlen(text), now, on_progress);
}

Test(window, answers_are_counted_across_runs_and_pieces)
{
    static const char lines[] = "{\"value\":1}\n{\"error\":{\"name\":\"task_error\"}}\n{\"value\":3}\n";
    struct window w;
    struct chunk *a = chunk_of("1\n2\n"), *b = chunk_of("3\n");
    window_init(&w, FORM_TRUSTED, 1);
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

static void append(void *text, const char *lines, size_t len)
{
    buf_add(text, lines, len);
}

static const struct {
    enum window_form form;
    const char *open, *close; /* the text before and after the value in a line of this form */
} long_forms[] = {
    {FORM_TRUSTED, "{\"value\":", "}\n"},
    {FORM_CHECKED, "{\"value\": ", "} \r\n"},
    {FORM_CHECKED_VALUE, "", "\r\n"},
    {FORM_NUMBERED, "{\"id\": 1, \"value\" : ", " }\n"},
};

/* Gives the window a long line in the way in which the worker reads one. If `in_parts` is set, the window also looks at
 * the line while the line is incomplete. Returns the memory of the line. */
static const char *take_long_line_in(struct window *w, const char *text, bool in_parts)
{
    struct buf line = {0};
    size_t len = strlen(text), part = in_parts ? 1000 : len;
    const char *memory;
    cr_assert(buf_reserve(&line, len + 300)); /* spare room, so that the memory does not move later */
    for (size_t at = 0; at + part < len; at += part) {
        buf_add(&line, text + at, part);
        window_frame(w, &line);
        cr_assert_null(window_look(w, line.data, line.len));
    }
    size_t rest = len - (line.len - window_frame_bytes(w));
    buf_add(&line, text + len - rest, rest);
    window_frame(w, &line);
    memory = line.data;
    struct intake in = window_intake_buf(w, &line, 1, on_progress);
    cr_assert_null(in.fault, "%s", in.fault);
    cr_assert_eq(in.answers, 1);
    cr_assert_null(line.data, "the memory was taken");
    return memory;
}

/* Checks that the bytes of a long answer stay in the memory into which they were read. This holds in each form, and
 * also after earlier lines of the chunk. */
static void take_long_answers(size_t form, bool in_parts, bool after_others)
{
    enum { LEN = 100000 };
    struct window w;
    struct chunk *c = chunk_of("1\n");
    struct buf text = {0}, expected = {0}, out = {0};
    if (after_others) c->says_starting = true;
    if (after_others) chunk_say_starting(c, 2);
    buf_add_str(&text, long_forms[form].open);
    buf_add_char(&text, '"');
    while (text.len < LEN) buf_add_char(&text, 'x');
    buf_add_char(&text, '"');
    buf_addf(&expected, "%s{\"value\":%s}\n{\"end\":\"complete\",\"done\":1}\n",
             after_others ? "{\"starting\":2}\n" : "", buf_cstr(&text) + strlen(long_forms[form].open));
    buf_add_str(&text, long_forms[form].close);
    window_init(&w, long_forms[form].form, 1);
    window_push(&w, chunk_take(c, 1, SIZE_MAX), 0);
    const char *memory = take_long_line_in(&w, buf_cstr(&text), in_parts);
    if (w.unconfirmed) window_confirm(&w, 1, on_progress);
    cr_assert_eq(c->held, c->out.len);
    line_queue_each(&c->out, append, &out);
    cr_assert_str_eq(buf_cstr(&out), buf_cstr(&expected));
    size_t len;
    if (after_others) chunk_skip(c, strlen("{\"starting\":2}\n"));
    const char *line = chunk_first_line(c, &len);
    cr_assert(line >= memory && line < memory + 1000, "the value was copied, form %zu", form);
    window_release(&w);
    chunk_unref(c);
    buf_release(&text);
    buf_release(&expected);
    buf_release(&out);
    assert_no_leaks();
}

Test(window, long_answers_are_taken_with_their_memory)
{
    for (size_t form = 0; form < ARRAY_SIZE(long_forms); form++)
        for (int i = 0; i < 4; i++) take_long_answers(form, i & 1, i & 2);
}

Test(window, a_long_answer_for_an_abandoned_chunk_is_dropped)
{
    struct window w;
    struct chunk *c = chunk_of("1\n");
    struct buf line = {0};
    window_init(&w, FORM_TRUSTED, 1);
    window_push(&w, chunk_take(c, 1, SIZE_MAX), 0);
    chunk_abandon(c, 1);
    chunk_unref(c);
    buf_add_str(&line, "{\"value\":\"");
    while (line.len < 100000) buf_add_char(&line, 'x');
    buf_add_str(&line, "\"}\n");
    cr_assert_null(window_intake_buf(&w, &line, 1, on_progress).fault);
    cr_assert_eq(w.items, 0);
    buf_release(&line);
    assert_no_leaks();
}

Test(window, values_get_an_envelope)
{
    struct window w;
    struct chunk *c = chunk_of("1\n2\n");
    window_init(&w, FORM_CHECKED_VALUE, 1);
    window_push(&w, chunk_take(c, 9, SIZE_MAX), 0);
    take_in(&w, "\"A\"\r\n[1]\n", 1);
    window_confirm(&w, 2, on_progress);
    assert_answers(c, "{\"value\":\"A\"}\n{\"value\":[1]}\n{\"end\":\"complete\",\"done\":2}\n");
    window_release(&w);
    chunk_unref(c);
    assert_no_leaks();
}

Test(window, a_line_that_is_not_an_answer_is_a_fault)
{
    static const char *const bad[] = {
        "\n", "{\"value\":}\n", "{\"value\":nan}\n", "{\"end\":\"complete\",\"done\":1}\n", "{\"value\":1", "hello\n"};
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        struct window w;
        struct chunk *c = chunk_of("1\n");
        window_init(&w, FORM_TRUSTED, 1);
        window_push(&w, chunk_take(c, 9, SIZE_MAX), 0);
        struct intake in = take_in(&w, bad[i], 1);
        bool whole = strchr(bad[i], '\n');
        cr_assert_eq(in.fault != NULL, whole, "%s", bad[i]);
        cr_assert_eq(in.used, 0);
        run_return(window_pop(&w), NULL, 0);
        chunk_unref(c);
    }
    struct window idle;
    window_init(&idle, FORM_TRUSTED, 1);
    cr_assert(take_in(&idle, "{\"value\":1}\n", 1).surplus);
    assert_no_leaks();
}

Test(window, a_checked_window_keeps_the_answers_of_a_run_until_they_are_confirmed)
{
    struct window w;
    struct chunk *c = chunk_of("1\n2\n3\n");
    window_init(&w, FORM_CHECKED, 1);
    w.limit = 2;
    window_push(&w, chunk_take(c, 2, SIZE_MAX), 0);
    cr_assert_eq(window_room(&w, 1), 0);
    take_in(&w, "{\"value\":1}\n", 1);
    cr_assert_eq(window_index(&w), 1);
    cr_assert_null(take_in(&w, "{\"error\":{\"cause\":\"x\"}}\n", 2).fault);
    cr_assert_not_null(w.unconfirmed);
    cr_assert_eq(c->out.len, 0);
    cr_assert_gt(window_room(&w, 2), 0);
    window_confirm(&w, 3, on_progress);
    cr_assert_eq(c->succeeded, 1);
    cr_assert_eq(c->failed, 1);
    window_push(&w, chunk_take(c, 1, SIZE_MAX), 4);
    take_in(&w, "{\"value\":3}\n", 5);
    window_confirm(&w, 6, on_progress);
    assert_answers(c,
                   "{\"value\":1}\n{\"error\":{\"cause\":\"x\"}}\n{\"value\":3}\n{\"end\":\"complete\",\"done\":3}\n");
    window_release(&w);
    chunk_unref(c);
    assert_no_leaks();
}

Test(window, after_a_surplus_line_no_answer_of_its_run_or_of_the_next_is_passed_on)
{
    struct window w;
    struct chunk *a = chunk_of("1\n2\n"), *b = chunk_of("3\n");
    window_init(&w, FORM_CHECKED, 1);
    window_push(&w, chunk_take(a, 2, SIZE_MAX), 0);
    take_in(&w, "{\"value\":1}\n{\"value\":1}\n", 1);
    window_push(&w, chunk_take(b, 1, SIZE_MAX), 2);
    struct intake in = take_in(&w, "{\"value\":2}\n", 3);
    cr_assert(in.fault && in.surplus);
    run_return(window_pop(&w), NULL, 0);
    run_return(window_take_unconfirmed(&w), NULL, 0);
    cr_assert_eq(a->out.len + b->out.len, 0);
    cr_assert_eq(chunk_available(a), 2);
    cr_assert_eq(chunk_available(b), 1);
    window_release(&w);
    chunk_unref(a);
    chunk_unref(b);
    assert_no_leaks();
}

Test(window, with_ids_missing_answers_are_errors_and_surplus_lines_are_passed_over)
{
    static const char bad_output[] = "{\"error\":{\"name\":\"bad_output\"";
    struct window w;
    struct chunk *a = chunk_of("1\n2\n"), *b = chunk_of("3\n4\n");
    window_init(&w, FORM_NUMBERED, 1);
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
    const char *got = line_queue_peek(&a->out, &len);
    cr_assert_eq(memcmp(got, "{\"value\":1}\n", 12), 0);
    cr_assert_eq(memcmp(got + 12, bad_output, sizeof bad_output - 1), 0);
    got = line_queue_peek(&b->out, &len);
    cr_assert_eq(memcmp(got, "{\"value\":3}\n", 12), 0);
    cr_assert_eq(memcmp(got + 12, bad_output, sizeof bad_output - 1), 0);
    cr_assert_str_eq(buf_cstr(&w.strays), "Loading\n{\"id\":1,\"value\":7}\n7\n{\"id\":9,\"value\":7}\n"
                                          "{\"id\":4,\"value\":7}\n");
    window_release(&w);
    chunk_unref(a);
    chunk_unref(b);
    assert_no_leaks();
}

/* Gives the window a long line in the way in which the worker reads one: the window first looks at the line several
 * times while the line arrives, and then takes the complete line. */
static struct intake take_long_line(struct window *w, const char *line, const char **early)
{
    size_t len = strlen(line);
    *early = NULL;
    for (size_t at = 1000; at < len && !*early; at += 1000) *early = window_look(w, line, at);
    return *early ? (struct intake){.fault = *early} : take_in(w, line, 0);
}

Test(window, a_long_value_is_checked_while_it_comes)
{
    for (size_t i = 0; i < ARRAY_SIZE(long_forms); i++) {
        for (int wrong = 0; wrong < 2; wrong++) {
            struct window w;
            struct chunk *c = chunk_of("1\n");
            struct buf line = {0};
            const char *early;
            window_init(&w, long_forms[i].form, 1);
            window_push(&w, chunk_take(c, 1, SIZE_MAX), 0);
            buf_addf(&line, "%s[%s", long_forms[i].open, wrong ? "1 2" : "");
            for (int n = 0; n < 5000; n++) buf_add_str(&line, "\"}\", ");
            buf_addf(&line, "3]%s", long_forms[i].close);
            struct intake in = take_long_line(&w, buf_cstr(&line), &early);
            /* A numbered answer that is wrong does not end the process, so the whole line is read. */
            bool numbered = long_forms[i].form == FORM_NUMBERED;
            cr_assert_eq(early != NULL, wrong && !numbered, "form %zu: %s", i, early);
            cr_assert_eq(in.fault != NULL, wrong && !numbered);
            if (!in.fault && w.unconfirmed) window_confirm(&w, 0, on_progress);
            cr_assert_eq(c->succeeded, in.fault || wrong ? 0 : 1, "form %zu", i);
            if (in.fault) run_return(window_pop(&w), NULL, 0);
            cr_assert(in.fault ||
                      strncmp(chunk_first_line(c, &(size_t){0}), wrong ? "{\"error\":" : "{\"value\":", 9) == 0);
            buf_release(&line);
            window_release(&w);
            chunk_unref(c);
        }
    }
    assert_no_leaks();
}

Test(window, a_line_without_a_value_has_a_limit_of_its_own)
{
    struct window w;
    struct chunk *c = chunk_of("1\n");
    struct buf line = {0};
    const char *early;
    window_init(&w, FORM_TRUSTED, 1);
    window_push(&w, chunk_take(c, 1, SIZE_MAX), 0);
    buf_add_str(&line, "{\"error\":{\"cause\":\"");
    for (unsigned n = 0; n < LIMIT_OTHER_LINE_BYTES + 1000; n++) buf_add_char(&line, 'x');
    buf_add_str(&line, "\"}}\n");
    take_long_line(&w, buf_cstr(&line), &early);
    cr_assert_str_eq(early, "the answer has no value, and is larger than 1 MiB");
    run_return(window_pop(&w), NULL, 0);
    buf_release(&line);
    window_release(&w);
    chunk_unref(c);
    assert_no_leaks();
}

Test(window, a_host_says_that_its_buffer_is_empty_until_the_next_answer)
{
    struct window w;
    struct chunk *c = chunk_of("1\n2\n3\n");
    window_init(&w, FORM_TRUSTED, 1);
    window_push(&w, chunk_take(c, 9, SIZE_MAX), 0);
    struct intake in = take_in(&w, "{\"value\":1}\n#flushed\n", 1);
    cr_assert(w.flushed);
    cr_assert_eq(in.answers, 1);
    cr_assert_eq(in.used, 21);
    take_in(&w, "{\"value\":2}\n", 2);
    cr_assert_not(w.flushed);
    cr_assert_null(take_in(&w, "#flushed\n{\"value\":3}\n#flushed\n", 3).fault);
    cr_assert_not(w.flushed);
    assert_answers(c, "{\"value\":1}\n{\"value\":2}\n{\"value\":3}\n{\"end\":\"complete\",\"done\":3}\n");
    chunk_unref(c);
    assert_no_leaks();
}
