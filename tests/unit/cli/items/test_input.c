/* Input: counting lines, and items that end with a NUL byte. */
#include <criterion/criterion.h>
#include <sys/mman.h>
#include <unistd.h>

#include "cli/items/input.h"

/* Reads a file of `count` lines of `len` bytes, with an empty line after each. Returns how many lines the input has
 * counted. */
static uint64_t lines_read(size_t len, size_t count, enum input_form form)
{
    struct input in;
    int fd = memfd_create("lines", 0);
    char *line = xmalloc(len + 2);
    memset(line, '1', len);
    memcpy(line + len, "\n\n", 2);
    for (size_t i = 0; i < count; i++) cr_assert_eq(write(fd, line, len + 2), (ssize_t)len + 2);
    cr_assert_eq(lseek(fd, 0, SEEK_SET), 0);
    input_init(&in, &(struct input_source){.fd = fd}, form);
    while (!in.ended) input_read(&in, 0);
    uint64_t lines = in.lines, counted = batch_count(&in.filling, form == INPUT_JSON);
    cr_assert_eq(counted, lines, "%zu lines of %zu bytes", count, len);
    cr_assert_eq(in.filling.newlines, 2 * count, "%zu lines of %zu bytes", count, len);
    cr_assert(!in.filling.indented, "%zu lines of %zu bytes", count, len);
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

/* The functions that count lines process a long line in pieces. The blank line may begin at the end of one piece or at
 * the start of the next piece. */
Test(input, a_blank_line_after_a_line_of_any_length_is_noticed)
{
    static char text[4200];
    for (size_t len = 4070; len < 4120; len++) {
        struct input in;
        int fd = memfd_create("lines", 0);
        memset(text, '1', len);
        memcpy(text + len, "\n \n1", 4);
        cr_assert_eq(write(fd, text, len + 4), (ssize_t)len + 4);
        cr_assert_eq(lseek(fd, 0, SEEK_SET), 0);
        input_init(&in, &(struct input_source){.fd = fd}, INPUT_JSON);
        while (!in.ended) input_read(&in, 0);
        cr_assert(in.filling.indented, "%zu", len);
        cr_assert_eq(in.filling.newlines, 3, "%zu", len);
        input_release(&in);
        close(fd);
    }
}

/* The items must not depend on how the bytes are cut into pieces. */
Test(input, texts_that_end_with_a_nul_become_json_strings)
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

static void assert_next(struct input *in, struct batch *b, uint64_t items_max, const char *wanted)
{
    cr_assert(input_has_batch(in, true, 0));
    input_cut_some(in, b, items_max);
    cr_assert_eq(b->len, strlen(wanted), "%.*s", (int)b->len, b->data);
    cr_assert_arr_eq(b->data, wanted, b->len);
}

Test(input, a_batch_says_whether_it_may_have_blank_lines)
{
    static const char *const inputs[] = {"1\n\n2\n", "1\r\n", "1 2\t3\n", "1\n \n", "\t\n", "1\n\r\n"};
    for (size_t i = 0; i < ARRAY_SIZE(inputs); i++) {
        struct input in;
        struct batch b = {0};
        int fd = memfd_create("lines", 0);
        cr_assert_eq(write(fd, inputs[i], strlen(inputs[i])), (ssize_t)strlen(inputs[i]));
        cr_assert_eq(lseek(fd, 0, SEEK_SET), 0);
        input_init(&in, &(struct input_source){.fd = fd}, INPUT_JSON);
        while (!in.ended) input_read(&in, 0);
        input_cut(&in, &b);
        cr_assert_eq(b.indented, i > 2, "%s", inputs[i]);
        input_release(&in);
        free(b.data);
        close(fd);
    }
}

Test(input, a_batch_is_not_larger_than_the_limit_unless_it_has_one_item)
{
    struct input in;
    struct batch b = {0};
    int ends[2];
    cr_assert_eq(pipe(ends), 0);
    cr_assert_eq(write(ends[1], "1\n2\n3\n44444444\n5\n6\n7\n", 21), 21);
    close(ends[1]);
    input_init(&in, &(struct input_source){.fd = ends[0]}, INPUT_JSON);
    input_limit_batches(&in, 4);
    while (!in.ended) input_read(&in, 0);
    assert_next(&in, &b, 0, "1\n2\n");
    assert_next(&in, &b, 5, "3\n");
    cr_assert_eq(b.lines, 1);
    assert_next(&in, &b, 0, "44444444\n");
    cr_assert_eq(b.first_line, 4);
    assert_next(&in, &b, 1, "5\n");
    assert_next(&in, &b, 0, "6\n7\n");
    cr_assert(input_is_empty(&in));
    input_release(&in);
    free(b.data);
    close(ends[0]);
}

Test(input, a_batch_may_have_only_some_of_the_lines)
{
    struct input in;
    struct batch b = {0};
    int ends[2];
    cr_assert_eq(pipe(ends), 0);
    cr_assert_eq(write(ends[1], "1\n\n2\n3\n4\n5", 10), 10);
    input_init(&in, &(struct input_source){.fd = ends[0]}, INPUT_JSON);
    input_read(&in, 0);
    assert_next(&in, &b, 2, "1\n\n2\n");
    cr_assert_eq(b.first_line, 1);
    assert_next(&in, &b, 1, "3\n");
    cr_assert_eq(b.first_line, 4);
    assert_next(&in, &b, 5, "4\n");
    cr_assert_not(input_has_batch(&in, true, 0));
    cr_assert_eq(write(ends[1], "0\n6\n7\n", 6), 6);
    close(ends[1]);
    while (!in.ended) input_read(&in, 0);
    cr_assert_not(input_is_empty(&in));
    assert_next(&in, &b, 2, "50\n6\n");
    assert_next(&in, &b, 0, "7\n");
    cr_assert_eq(b.first_line, 8);
    cr_assert(input_is_empty(&in));
    cr_assert_eq(in.lines, 7);
    input_release(&in);
    free(b.data);
    close(ends[0]);
}
