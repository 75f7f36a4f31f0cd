/* The pure parts of the command line. */
#include <criterion/criterion.h>
#include <sys/mman.h>
#include <unistd.h>

#include "cli/map/input.h"
#include "cli/map/result_line.h"

static struct batch batch_of(char *text)
{
    return (struct batch){.data = text, .len = strlen(text)};
}

Test(input, lines_of_white_space_are_no_items)
{
    struct batch b = batch_of((char[]){"1\n\n \t\n2\r\n\r\n3\n"});
    uint64_t at = 0;
    size_t offset = 0;
    cr_assert_eq(batch_count(&b, true), 3);
    cr_assert_eq(batch_count(&b, false), 6);
    cr_assert_eq(batch_seek(&b, true, 2, &at, &offset), 11);
    cr_assert_eq(batch_seek(&b, true, 0, &at, &offset), 0);
    cr_assert_eq(batch_seek(&b, true, 3, &at, &offset), b.len);
}

/* A file of `count` lines of `len` bytes with an empty one behind each, read to its end. */
static uint64_t lines_read(size_t len, size_t count, enum input_form form)
{
    struct input in;
    int fd = memfd_create("lines", 0);
    char *line = xmalloc(len + 2);
    memset(line, '1', len);
    memcpy(line + len, "\n\n", 2);
    for (size_t i = 0; i < count; i++) cr_assert_eq(write(fd, line, len + 2), (ssize_t)len + 2);
    cr_assert_eq(lseek(fd, 0, SEEK_SET), 0);
    input_init(&in, fd, form);
    while (!in.ended) input_read(&in, 0);
    uint64_t lines = in.lines, counted = batch_count(&in.filling, form == INPUT_JSON);
    cr_assert_eq(counted, lines, "%zu lines of %zu bytes", count, len);
    input_release(&in);
    free(line);
    close(fd);
    return lines;
}

Test(input, lines_of_any_length_are_counted)
{
    for (size_t len = 4070; len < 4120; len++) {
        cr_assert_eq(lines_read(len, 9, INPUT_JSON), 9, "%zu", len);
        cr_assert_eq(lines_read(len, 9, INPUT_TEXT), 18, "%zu", len);
    }
    for (size_t len = 1; len < 40; len++) cr_assert_eq(lines_read(len, 1000, INPUT_JSON), 1000, "%zu", len);
    cr_assert_eq(lines_read(3000000, 3, INPUT_JSON), 3);
}

Test(input, bad_items_are_found_one_after_another)
{
    struct batch b = batch_of((char[]){"1\n\nx\n[1,\n2\n"});
    struct bad_item bad;
    cr_assert(batch_find_bad(&b, false, 0, 0, &bad));
    cr_assert_eq(bad.index, 1);
    cr_assert_eq(bad.offset, 3);
    cr_assert_eq(bad.len, 1);
    cr_assert(batch_find_bad(&b, false, 2, 5, &bad));
    cr_assert_eq(bad.index, 2);
    cr_assert(strstr(bad.reason, "byte 3"), "%s", bad.reason);
    cr_assert_not(batch_find_bad(&b, false, 3, 9, &bad));
    cr_assert_not(batch_find_bad(&b, true, 0, 0, &bad));
}

Test(input, text_has_to_be_utf_8)
{
    struct batch b = batch_of((char[]){"a\"\\\t\n\xc3\xa4\n\xc3\nb\n"});
    struct bad_item bad;
    cr_assert(batch_find_bad(&b, true, 0, 0, &bad));
    cr_assert_eq(bad.index, 2);
    cr_assert_eq(bad.len, 1);
}

Test(input, a_beginning_of_a_line_is_a_bad_item)
{
    struct batch b = batch_of((char[]){"111\n"});
    struct bad_item bad;
    b.too_long = true;
    cr_assert(batch_find_bad(&b, false, 0, 0, &bad));
    cr_assert_eq(bad.index, 0);
    cr_assert_eq(bad.len, 3);
}

/* However the bytes are cut into pieces. */
Test(input, texts_between_nuls_become_json_strings)
{
    static const char data[] = "a\nb\0\0\"\\\x01\x1f\t\xc3\xa4\0\xff\0end";
    static const char wanted[] = "\"a\\nb\"\n\"\"\n\"\\\"\\\\\\u0001\\u001f\\t\xc3\xa4\"\n\"\xff\"\n\"end";
    for (size_t piece = 1; piece <= sizeof(data) - 1; piece++) {
        char out[INPUT_NULLS_ROOM(sizeof(data))];
        size_t len = 0;
        bool in_text = false;
        for (size_t at = 0; at < sizeof(data) - 1; at += piece) {
            size_t n = sizeof(data) - 1 - at < piece ? sizeof(data) - 1 - at : piece;
            len += input_encode_nulls(data + at, n, &in_text, out + len);
        }
        cr_assert_eq(len, sizeof(wanted) - 1);
        cr_assert_arr_eq(out, wanted, len);
        cr_assert(in_text);
    }
}

static struct result_line read_line(const char *line)
{
    return result_line_read(line, strlen(line));
}

Test(result_line, a_result_reads_the_same_in_both_ways)
{
    static const char *const lines[] = {"{\"type\":\"result\",\"index\":70,\"value\":[1,\"}\"]}",
                                        "{\"type\":\"result\", \"index\":70, \"value\":[1,\"}\"]}"};
    for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
        struct result_line r = read_line(lines[i]);
        cr_assert_eq(r.kind, RESULT_VALUE);
        cr_assert(r.has_index);
        cr_assert_eq(r.index, 70);
        cr_assert_eq(r.len, 7);
        cr_assert_eq(memcmp(r.body, "[1,\"}\"]", 7), 0);
    }
}

Test(result_line, the_end_has_its_status_and_counts)
{
    struct result_line r = read_line("{\"type\":\"end\",\"status\":\"partial\",\"counts\":{\"total\":9,\"failed\":2}}");
    cr_assert_eq(r.kind, RESULT_END);
    cr_assert_eq(memcmp(r.body, "partial", 7), 0);
    cr_assert_eq(r.total, 9);
    cr_assert_eq(r.failed, 2);
}

Test(result_line, what_is_not_understood_is_told_apart_from_what_is_wrong)
{
    cr_assert_eq(read_line("{\"type\":\"news\",\"x\":1}").kind, RESULT_OTHER);
    cr_assert_eq(read_line("{\"type\":\"heartbeat\"}").kind, RESULT_OTHER);
    cr_assert_eq(read_line("{\"type\":\"result\",\"index\":1}").kind, RESULT_BAD);
    cr_assert_eq(read_line("{\"index\":1,\"type\":\"result\",\"value\":1}").kind, RESULT_BAD);
    cr_assert_eq(read_line("[1]").kind, RESULT_BAD);
    cr_assert_eq(read_line("{\"type\":\"result\",\"index\":1,\"value\":1").kind, RESULT_BAD);
    cr_assert_eq(read_line("").kind, RESULT_BAD);
}
