/* Rows: the items of a command, encoded from the bytes of the input. */
#include <criterion/criterion.h>

#include "cli/items/row_encoder.h"

/* The rows must not depend on how the bytes are cut into pieces. */
static void assert_rows_of(struct row_encoder with, const char *data, size_t len, const char *wanted, size_t wanted_len)
{
    for (size_t piece = 1; piece <= len; piece++) {
        char out[ROW_ENCODER_ROOM(200)];
        struct row_encoder e = with;
        size_t n = 0;
        for (size_t at = 0; at < len; at += piece)
            n += row_encoder_add(&e, data + at, len - at < piece ? len - at : piece, out + n);
        n += row_encoder_end(&e, out + n);
        cr_assert_eq(n, wanted_len, "pieces of %zu: %.*s", piece, (int)n, out);
        cr_assert_arr_eq(out, wanted, n, "pieces of %zu: %.*s", piece, (int)n, out);
    }
}

static void assert_rows(enum input_form form, const char *data, size_t len, const char *wanted, size_t wanted_len)
{
    assert_rows_of((struct row_encoder){.form = form}, data, len, wanted, wanted_len);
}

#define ASSERT_ROWS(form, data, wanted) assert_rows(form, data, sizeof(data) - 1, wanted, sizeof(wanted) - 1)

Test(row_encoder, a_line_of_text_is_a_row_without_its_line_end)
{
    ASSERT_ROWS(INPUT_TEXT_ROWS, "a b\n\n\"\\\t\r\n\xc3\xa4\rx\r\r\nend\r",
                "[0,\"a b\"]\n[1,\"\"]\n[2,\"\\\"\\\\\\t\"]\n[3,\"\xc3\xa4\\rx\\r\"]\n[4,\"end\"]");
    ASSERT_ROWS(INPUT_TEXT_ROWS, "1,2]\n", "[0,\"1,2]\"]\n");
}

Test(row_encoder, bytes_that_are_no_text_make_a_row_that_is_no_json)
{
    ASSERT_ROWS(INPUT_TEXT_ROWS, "a\0\xff\nb\n", "[0,\"a\0\xff\"]\n[1,\"b\"]\n");
}

Test(row_encoder, a_text_that_ends_with_a_nul_keeps_all_its_bytes)
{
    ASSERT_ROWS(INPUT_NULL_ROWS,
                "\xef\xbb\xbf"
                "a\r\nb\0\0\x1f",
                "[0,\"\xef\xbb\xbf"
                "a\\r\\nb\"]\n[1,\"\"]\n[2,\"\\u001f\"]");
}

Test(row_encoder, a_json_value_is_kept_and_blank_lines_are_no_rows)
{
    ASSERT_ROWS(INPUT_JSON_ROWS, " [1, 2] \r\n\n \t\r\n\"a\"\n3", "[0,[1, 2] \r]\n\n\n[1,\"a\"]\n[2,3]");
}

Test(row_encoder, raw_rows_have_all_bytes)
{
    static const char data[] = "a\r\n\xff\0\n\"", wanted[] = "[0,\"a\\u000d\"]\n[1,\"\xc3\xbf\\u0000\"]\n[2,\"\\\"\"]";
    assert_rows_of((struct row_encoder){.form = INPUT_TEXT_ROWS, .raw = true}, data, sizeof data - 1, wanted,
                   sizeof wanted - 1);
    static const char nulls[] = "a\n\0b", rows[] = "[0,\"a\\n\"]\n[1,\"b\"]";
    assert_rows_of((struct row_encoder){.form = INPUT_NULL_ROWS, .raw = true}, nulls, sizeof nulls - 1, rows,
                   sizeof rows - 1);
}

Test(row_encoder, rows_that_are_done_are_left_out_and_the_others_keep_their_index)
{
    struct done_set done = {0};
    cr_assert(done_set_add(&done, 0));
    cr_assert(done_set_add(&done, 2));
    cr_assert(done_set_add(&done, 4));
    static const char data[] = "a\tb\r\nb\n\rc\r\nd\ne\t", rows[] = "[1,\"b\"]\n[3,\"d\"]\n";
    assert_rows_of((struct row_encoder){.form = INPUT_TEXT_ROWS, .skip = &done}, data, sizeof data - 1, rows,
                   sizeof rows - 1);
    static const char json[] = "1\n2\n\n3\n[4]\n5", kept[] = "[1,2]\n\n[3,[4]]\n";
    assert_rows_of((struct row_encoder){.form = INPUT_JSON_ROWS, .skip = &done}, json, sizeof json - 1, kept,
                   sizeof kept - 1);
    done_set_release(&done);
}
