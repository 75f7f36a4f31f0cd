#include <criterion/criterion.h>

#include "coordinator/answers/result_writer.h"
#include "unit/leaks.h"

static const char lines[] = "{\"value\":1}\n{\"error\":{\"name\":\"crashed\"}}\n{\"value\":[\"x\"]}\n";

static bool keep_error(void *data, uint64_t index, const char *line, size_t len)
{
    return buf_addf(data, "%llu=%.*s;", (unsigned long long)index, (int)len - 1, line);
}

/* Writes the results with `room` bytes per call, and compares the whole output. */
static void expect(enum result_format format, uint64_t first, size_t room, const char *wanted, const char *errors)
{
    struct result_writer w;
    struct buf out = {0}, kept = {0};
    size_t used = 0;
    uint64_t done = 0;
    result_writer_init(&w, format);
    w.on_error = keep_error;
    w.data = &kept;
    while (used < sizeof lines - 1) {
        cr_assert(buf_reserve(&out, room));
        struct result_written n = result_writer_write(&w, first + done, 3 - done, lines + used, sizeof lines - 1 - used,
                                                      out.data + out.len, room);
        cr_assert(n.bytes > 0 && n.bytes <= room);
        out.len += n.bytes;
        used += n.line_bytes;
        done += n.lines;
    }
    cr_assert_eq(done, 3);
    cr_assert_str_eq(buf_cstr(&out), wanted);
    cr_assert_str_eq(buf_cstr(&kept), errors);
    buf_release(&out);
    buf_release(&kept);
}

Test(result_writer, ndjson_in_buffers_of_any_size)
{
    for (size_t room = 1; room < 200; room++)
        expect(RESULTS_NDJSON, 98, room,
               "{\"type\":\"result\",\"index\":98,\"value\":1}\n"
               "{\"type\":\"error\",\"index\":99,\"error\":{\"name\":\"crashed\"}}\n"
               "{\"type\":\"result\",\"index\":100,\"value\":[\"x\"]}\n",
               "");
    assert_no_leaks();
}

Test(result_writer, json_gives_values_with_null_for_errors_and_keeps_those)
{
    for (size_t room = 1; room < 40; room++)
        expect(RESULTS_JSON, 0, room, "1,null,[\"x\"]", "1={\"error\":{\"name\":\"crashed\"}};");
    assert_no_leaks();
}

Test(result_writer, the_errors_of_a_document_in_buffers_of_any_size)
{
    static const char errors[] = "{\"error\":{\"name\":\"crashed\"}}\n{\"error\":{}}\n";
    for (size_t room = 1; room < 100; room++) {
        struct result_writer w;
        struct buf out = {0};
        size_t used = 0;
        uint64_t done = 0;
        result_writer_init(&w, RESULTS_ERRORS);
        while (used < sizeof errors - 1) {
            cr_assert(buf_reserve(&out, room));
            struct result_written n = result_writer_write(&w, 9 + done, 2 - done, errors + used,
                                                          sizeof errors - 1 - used, out.data + out.len, room);
            cr_assert(n.bytes > 0 && n.bytes <= room);
            out.len += n.bytes;
            used += n.line_bytes;
            done += n.lines;
        }
        cr_assert_str_eq(buf_cstr(&out), "{\"index\":9,\"error\":{\"name\":\"crashed\"}},{\"index\":10,\"error\":{}}");
        buf_release(&out);
    }
    assert_no_leaks();
}

Test(result_writer, a_line_of_many_items_says_how_many)
{
    static const char line[] = "{\"error\":{\"name\":\"cancelled\"}}\n";
    struct result_writer w;
    char out[200];
    result_writer_init(&w, RESULTS_NDJSON);
    w.count = 5000000;
    struct result_written n = result_writer_write(&w, 7, 1, line, sizeof line - 1, out, sizeof out - 1);
    out[n.bytes] = '\0';
    cr_assert_str_eq(out, "{\"type\":\"error\",\"index\":7,\"count\":5000000,\"error\":{\"name\":\"cancelled\"}}\n");
    result_writer_init(&w, RESULTS_ERRORS);
    w.count = 2;
    n = result_writer_write(&w, 7, 1, line, sizeof line - 1, out, sizeof out - 1);
    out[n.bytes] = '\0';
    cr_assert_str_eq(out, "{\"index\":7,\"count\":2,\"error\":{\"name\":\"cancelled\"}}");
}

Test(result_writer, the_end_of_the_only_line_is_not_searched)
{
    /* If the writer searched for the end of the line, it would cut the line off at the newline in the value. */
    static const char line[] = "{\"value\":\"a\nb\"}\n";
    struct result_writer w;
    char out[200];
    result_writer_init(&w, RESULTS_NDJSON);
    struct result_written n = result_writer_write(&w, 1, 1, line, sizeof line - 1, out, sizeof out - 1);
    out[n.bytes] = '\0';
    cr_assert_str_eq(out, "{\"type\":\"result\",\"index\":1,\"value\":\"a\nb\"}\n");
    cr_assert_eq(n.lines, 1);
}

/* Writes a run of 5 items, with `room` bytes per call. The first item has the index 7. Compares the whole output. */
static void expect_run(struct result_writer w, const char *line, size_t room, const char *wanted)
{
    struct answer_run run = {.first = 7, .n = 5, .bytes = line, .len = strlen(line), .repeated = true};
    struct buf out = {0};
    while (run.n > 0) {
        cr_assert(buf_reserve(&out, room));
        struct result_written n = result_writer_write_run(&w, &run, out.data + out.len, room);
        cr_assert(n.bytes > 0 && n.bytes <= room && n.lines <= run.n);
        out.len += n.bytes;
        run.first += n.lines;
        run.n -= n.lines;
    }
    cr_assert_str_eq(buf_cstr(&out), wanted);
    buf_release(&out);
}

#define CANCELLED "{\"error\":{\"name\":\"cancelled\"}}\n"

Test(result_writer, errors_of_unanswered_items_beyond_the_limit_are_one_line)
{
    for (size_t room = 1; room < 300; room++) {
        struct result_writer w;
        result_writer_init(&w, RESULTS_ERRORS);
        w.alone_left = 2;
        expect_run(w, CANCELLED, room,
                   "{\"index\":7,\"error\":{\"name\":\"cancelled\"}},{\"index\":8,\"error\":{\"name\":\"cancelled\"}},"
                   "{\"index\":9,\"count\":3,\"error\":{\"name\":\"cancelled\"}}");
        w.alone_left = 0;
        expect_run(w, CANCELLED, room, "{\"index\":7,\"count\":5,\"error\":{\"name\":\"cancelled\"}}");
        w.alone_left = 4;
        expect_run(w, CANCELLED, room,
                   "{\"index\":7,\"error\":{\"name\":\"cancelled\"}},{\"index\":8,\"error\":{\"name\":\"cancelled\"}},"
                   "{\"index\":9,\"error\":{\"name\":\"cancelled\"}},{\"index\":10,\"error\":{\"name\":\"cancelled\"}},"
                   "{\"index\":11,\"error\":{\"name\":\"cancelled\"}}");
    }
    assert_no_leaks();
}

Test(result_writer, the_limit_is_for_errors_of_unanswered_items_and_not_for_results)
{
    struct result_writer w;
    struct buf kept = {0};
    result_writer_init(&w, RESULTS_ERRORS);
    w.alone_left = 0;
    expect_run(w, "{\"error\":{}}\n", 7,
               "{\"index\":7,\"error\":{}},{\"index\":8,\"error\":{}},{\"index\":9,\"error\":{}},"
               "{\"index\":10,\"error\":{}},{\"index\":11,\"error\":{}}");
    w.runs = true;
    expect_run(w, "{\"error\":{}}\n", 7, "{\"index\":7,\"count\":5,\"error\":{}}");
    result_writer_init(&w, RESULTS_JSON);
    w.runs = true;
    w.alone_left = 0;
    w.on_error = keep_error;
    w.data = &kept;
    expect_run(w, CANCELLED, 7, "null,null,null,null,null");
    buf_release(&kept);
    assert_no_leaks();
}

#define CRASHED "{\"error\":{\"name\":\"crashed\"}}\n"
#define VALUE   "{\"value\":1}\n"

/* Writes the lines as one run, with `room` bytes per call. The first line has the index 98. Compares the whole
 * output. */
static void expect_lines(enum result_format format, bool runs, const char *text, uint64_t n, size_t room,
                         const char *wanted)
{
    struct answer_run run = {.first = 98, .n = n, .bytes = text, .len = strlen(text)};
    struct buf out = {0}, kept = {0};
    struct result_writer w;
    result_writer_init(&w, format);
    w.runs = runs;
    w.on_error = keep_error;
    w.data = &kept;
    while (run.n > 0) {
        cr_assert(buf_reserve(&out, room));
        struct result_written done = result_writer_write_run(&w, &run, out.data + out.len, room);
        cr_assert(done.bytes > 0 && done.bytes <= room && done.lines <= run.n && done.line_bytes <= run.len);
        out.len += done.bytes;
        run.first += done.lines;
        run.n -= done.lines;
        run.bytes += done.line_bytes;
        run.len -= done.line_bytes;
    }
    cr_assert_eq(run.len, 0);
    cr_assert_str_eq(buf_cstr(&out), wanted);
    buf_release(&out);
    buf_release(&kept);
}

Test(result_writer, equal_error_lines_that_follow_one_another_are_one_entry)
{
    for (size_t room = 1; room < 400; room++) {
        expect_lines(RESULTS_NDJSON, true, CRASHED CRASHED CRASHED VALUE VALUE CRASHED CANCELLED CRASHED CRASHED, 9,
                     room,
                     "{\"type\":\"error\",\"index\":98,\"count\":3,\"error\":{\"name\":\"crashed\"}}\n"
                     "{\"type\":\"result\",\"index\":101,\"value\":1}\n"
                     "{\"type\":\"result\",\"index\":102,\"value\":1}\n"
                     "{\"type\":\"error\",\"index\":103,\"error\":{\"name\":\"crashed\"}}\n"
                     "{\"type\":\"error\",\"index\":104,\"error\":{\"name\":\"cancelled\"}}\n"
                     "{\"type\":\"error\",\"index\":105,\"count\":2,\"error\":{\"name\":\"crashed\"}}\n");
        expect_lines(RESULTS_ERRORS, true, CRASHED CRASHED CANCELLED, 3, room,
                     "{\"index\":98,\"count\":2,\"error\":{\"name\":\"crashed\"}},"
                     "{\"index\":100,\"error\":{\"name\":\"cancelled\"}}");
        expect_lines(RESULTS_ERRORS, false, CRASHED CRASHED, 2, room,
                     "{\"index\":98,\"error\":{\"name\":\"crashed\"}},{\"index\":99,\"error\":{\"name\":\"crashed\"}}");
        expect_lines(RESULTS_JSON, true, CRASHED CRASHED VALUE, 3, room, "null,null,1");
    }
    assert_no_leaks();
}

Test(result_writer, one_entry_covers_a_limited_number_of_bytes)
{
    enum { LINES = 20000 };
    struct buf text = {0};
    struct result_writer w;
    char out[256];
    for (int i = 0; i < LINES; i++) buf_add_str(&text, CRASHED);
    struct answer_run run = {.first = 0, .n = LINES, .bytes = text.data, .len = text.len};
    result_writer_init(&w, RESULTS_NDJSON);
    w.runs = true;
    struct result_written done = result_writer_write_run(&w, &run, out, sizeof out / 4);
    cr_assert_eq(done.lines, 0, "the first entry does not fit into the room");
    done = result_writer_write_run(&w, &run, out, sizeof out / 4);
    cr_assert(done.lines > 1000 && done.line_bytes <= 256 * 1024);
    cr_assert_eq(done.line_bytes, done.lines * strlen(CRASHED));
    buf_release(&text);
    assert_no_leaks();
}

/* The lines fill their memory exactly, so that a sanitizer reports a comparison that reads beyond their end. */
Test(result_writer, a_line_that_is_longer_than_an_entry_may_be_is_not_compared_with_the_next_line)
{
    enum { LONG = 300 * 1024 };
    const size_t len = LONG + strlen(CRASHED);
    struct result_writer w;
    char *text = malloc(len), *out = malloc(len + 256);
    memset(text, 'x', LONG);
    memcpy(text, CRASHED, strlen(CRASHED) - 1);
    text[LONG - 1] = '\n';
    memcpy(text + LONG, CRASHED, strlen(CRASHED));
    struct answer_run run = {.first = 0, .n = 2, .bytes = text, .len = len};
    result_writer_init(&w, RESULTS_NDJSON);
    w.runs = true;
    struct result_written done = result_writer_write_run(&w, &run, out, len + 256);
    cr_assert_eq(done.lines, 2);
    cr_assert_eq(done.line_bytes, len);
    cr_assert_null(memmem(out, done.bytes, "count", strlen("count")));
    free(text);
    free(out);
    assert_no_leaks();
}
