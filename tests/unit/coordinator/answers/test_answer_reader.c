#include <criterion/criterion.h>

#include "coordinator/answers/answer_reader.h"
#include "unit/leaks.h"

struct seen {
    struct buf text; /* everything that was reported, in one form */
    uint64_t values, errors, calls;
    uint64_t done, costs, starting;
    struct chunk_cost cost;
};

static void on_values(void *data, uint64_t n, const char *lines, size_t len)
{
    struct seen *s = data;
    s->values += n;
    s->calls++;
    buf_add(&s->text, lines, len);
}

/* Accepts every second one. */
static void on_value(void *data, struct buf *line)
{
    on_values(data, 1, line->data, line->len);
    if (((struct seen *)data)->calls % 2) buf_release(line);
}

static void on_error(void *data, const struct answer_line *line, const char *bytes, size_t len)
{
    struct seen *s = data;
    s->errors++;
    buf_add(&s->text, bytes, len);
}

static void on_end(void *data, const struct answer_line *line)
{
    struct seen *s = data;
    s->done = line->done;
}

static void on_cost(void *data, const struct chunk_cost *cost)
{
    struct seen *s = data;
    s->costs += cost->items > 0;
    s->cost = *cost;
}

static void on_starting(void *data, uint64_t processes)
{
    ((struct seen *)data)->starting += processes;
}

static const struct answer_reader_ops ops = {on_values, on_value, on_error, on_end, on_cost, on_starting};

static const char answer[] = "{\"starting\":2}\n{\"value\":1}\n{\"value\":\"two\"}\n{ \"value\" : 3 }\n"
                             "{\"cost\":{\"items\":3,\"slot_s\":0.5}}\n"
                             "{\"error\":{\"name\":\"crashed\",\"cause\":\"killed\"}}\n{\"value\":5}\n"
                             "{\"end\":\"complete\",\"done\":5,\"cost\":{\"items\":4,\"slot_s\":0.75}}\n";
static const char canonical[] = "{\"value\":1}\n{\"value\":\"two\"}\n{\"value\":3}\n"
                                "{\"error\":{\"name\":\"crashed\",\"cause\":\"killed\"}}\n{\"value\":5}\n";

Test(answer_reader, reads_the_same_in_pieces_of_any_size)
{
    for (size_t piece = 1; piece <= sizeof answer; piece++) {
        struct seen s = {0};
        struct answer_reader r;
        answer_reader_init(&r, &ops, &s);
        for (size_t at = 0; at < sizeof answer - 1; at += piece) {
            size_t n = sizeof answer - 1 - at < piece ? sizeof answer - 1 - at : piece;
            cr_assert(answer_reader_feed(&r, answer + at, n), "piece %zu: %s", piece, r.fault);
        }
        cr_assert(r.ended);
        cr_assert_eq(s.values, 4);
        cr_assert_eq(s.errors, 1);
        cr_assert(s.costs == 2 && s.cost.items == 4 && s.cost.slot_ns == 750000000);
        cr_assert_eq(s.done, 5);
        cr_assert_eq(s.starting, 2);
        cr_assert_str_eq(buf_cstr(&s.text), canonical);
        buf_release(&s.text);
        answer_reader_release(&r);
    }
    assert_no_leaks();
}

Test(answer_reader, a_run_of_values_is_one_report)
{
    struct seen s = {0};
    struct answer_reader r;
    answer_reader_init(&r, &ops, &s);
    const char lines[] = "{\"value\":1}\n{\"value\":2}\n{\"value\":3}\n{\"value\":";
    cr_assert(answer_reader_feed(&r, lines, sizeof lines - 1));
    cr_assert_eq(s.calls, 1);
    cr_assert_eq(s.values, 3);
    buf_release(&s.text);
    answer_reader_release(&r);
    assert_no_leaks();
}

static void expect_fault(const char *bytes, const char *phrase)
{
    struct seen s = {0};
    struct answer_reader r;
    answer_reader_init(&r, &ops, &s);
    cr_assert_not(answer_reader_feed(&r, bytes, strlen(bytes)));
    cr_assert(strstr(r.fault, phrase), "'%s' lacks '%s'", r.fault, phrase);
    buf_release(&s.text);
    answer_reader_release(&r);
    assert_no_leaks();
}

Test(answer_reader, a_line_that_is_not_an_envelope_is_a_fault)
{
    expect_fault("{\"value\":}\n", "not an envelope");
    expect_fault("hello\n", "not an envelope");
    expect_fault("\n", "not an envelope");
    expect_fault("{\"value\":nan}\n", "not an envelope");
    expect_fault("{\"end\":\"complete\",\"done\":0}\nx", "after the end");
    expect_fault("{\"end\":\"complete\",\"done\":0}\n{\"value\":1}\n", "after the end");
}
