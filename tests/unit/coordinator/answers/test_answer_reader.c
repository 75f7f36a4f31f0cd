#include <criterion/criterion.h>

#include "coordinator/answers/answer_reader.h"
#include "unit/leaks.h"

struct seen {
    struct buf text; /* everything that the reader reported, as text */
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

/* Called for a line that comes in several pieces. If the number of calls so far is odd, takes ownership of the line and
 * frees it. */
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

static void add_times(struct buf *b, const char *text, unsigned times)
{
    while (times--) buf_add_str(b, text);
}

/* Feeds the bytes in pieces. Returns how many bytes the reader took before it refused a piece. If the reader refused no
 * piece, returns the number of all bytes. */
static size_t feed_in_pieces(struct answer_reader *r, const struct buf *bytes, size_t piece)
{
    for (size_t at = 0; at < bytes->len; at += piece) {
        size_t n = bytes->len - at < piece ? bytes->len - at : piece;
        if (!answer_reader_feed(r, bytes->data + at, n)) return at;
    }
    return bytes->len;
}

Test(answer_reader, a_long_value_is_the_same_in_whatever_pieces_it_comes)
{
    static const char *const forms[] = {"{\"value\":%s}\n", "{\"value\": %s }\n", "{\"value\":\t%s} \n"};
    static const size_t pieces[] = {100, 4095, 4096, 70000, 1000000};
    struct buf value = {0}, want = {0};
    buf_add_char(&value, '[');
    add_times(&value, "1, \"}\\\"\", {\"value\":2}, ", 10000);
    buf_add_str(&value, "0]");
    buf_addf(&want, "{\"value\":%s}\n{\"value\":7}\n", buf_cstr(&value));
    for (size_t i = 0; i < ARRAY_SIZE(forms) * ARRAY_SIZE(pieces); i++) {
        struct seen s = {0};
        struct answer_reader r;
        struct buf line = {0};
        const char *hole = strstr(forms[i % 3], "%s");
        buf_add(&line, forms[i % 3], (size_t)(hole - forms[i % 3]));
        buf_add(&line, value.data, value.len);
        buf_add_str(&line, hole + 2);
        buf_add_str(&line, "{\"value\":7}\n");
        answer_reader_init(&r, &ops, &s);
        cr_assert_eq(feed_in_pieces(&r, &line, pieces[i / 3]), line.len, "%s: %s", forms[i % 3], r.fault);
        cr_assert_str_eq(buf_cstr(&s.text), buf_cstr(&want));
        buf_release(&s.text);
        buf_release(&line);
        answer_reader_release(&r);
    }
    buf_release(&value);
    buf_release(&want);
    assert_no_leaks();
}

Test(answer_reader, a_long_line_is_refused_as_soon_as_it_cannot_be_an_answer)
{
    static const struct {
        const char *start, *repeated, *end;
        size_t at_most; /* bytes that may be taken before the line is refused */
    } cases[] = {
        {"{\"value\":[1 2", ",1", "]}\n", 8192},
        {"{\"value\":\"\xFF", "a", "\"}\n", 8192},
        {"{\"error\":{\"cause\":\"", "a", "\"}}\n", LIMIT_OTHER_LINE_BYTES + 4096},
        {"", " ", "{\"value\":1}\n", LIMIT_OTHER_LINE_BYTES + 4096},
        {"{\"value\":\"", "a", "\",\"x\":1}\n", SIZE_MAX},
        {"{\"value\":\"", "a", "\"}}\n", SIZE_MAX},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct seen s = {0};
        struct answer_reader r;
        struct buf line = {0};
        buf_add_str(&line, cases[i].start);
        add_times(&line, cases[i].repeated, 2 * LIMIT_OTHER_LINE_BYTES);
        buf_add_str(&line, cases[i].end);
        answer_reader_init(&r, &ops, &s);
        size_t taken = feed_in_pieces(&r, &line, 4096);
        cr_assert_lt(taken, line.len, "case %zu is taken", i);
        cr_assert_leq(taken, cases[i].at_most, "case %zu: %zu bytes", i, taken);
        buf_release(&s.text);
        buf_release(&line);
        answer_reader_release(&r);
    }
    assert_no_leaks();
}
