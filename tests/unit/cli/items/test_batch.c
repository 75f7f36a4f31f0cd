/* Batches: finding an item, and finding bad items. */
#include <criterion/criterion.h>

#include "cli/items/batch.h"

static struct batch batch_of(char *text)
{
    return (struct batch){.data = text, .len = strlen(text)};
}

Test(batch, lines_of_white_space_are_not_items)
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

Test(batch, a_piece_has_whole_lines_and_at_least_one_item)
{
    struct batch b = batch_of((char[]){"1\n\n22\n \n333\n4"});
    static const struct {
        size_t from, max_bytes, end;
        uint64_t items;
    } cases[] = {{0, 0, 2, 1}, {0, 2, 2, 1},  {0, 5, 3, 1},  {0, 6, 6, 2},  {0, 11, 8, 2},    {0, 12, 12, 3},
                 {3, 1, 6, 1}, {6, 0, 12, 1}, {8, 3, 12, 1}, {8, 6, 13, 2}, {12, 100, 13, 1}, {13, 9, 13, 0}};
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        uint64_t items = 7;
        cr_expect_eq(batch_piece(&b, true, cases[i].from, cases[i].max_bytes, &items), cases[i].end, "case %zu", i);
        cr_expect_eq(items, 7 + cases[i].items, "case %zu", i);
    }
}

Test(batch, a_line_is_numbered_with_the_blank_lines_before_it)
{
    struct batch b = batch_of((char[]){"1\n\n \t\n2\n"});
    cr_assert_eq(batch_line(&b, 6), 0);
    b.first_line = 10;
    cr_assert_eq(batch_line(&b, 0), 10);
    cr_assert_eq(batch_line(&b, 6), 13);
}

Test(batch, bad_items_are_found_one_after_another)
{
    struct batch b = batch_of((char[]){"1\n\nx\n[1,\n2\n"});
    struct bad_item bad;
    cr_assert(batch_find_bad(&b, INPUT_JSON, 0, 0, &bad));
    cr_assert_eq(bad.index, 1);
    cr_assert_eq(bad.offset, 3);
    cr_assert_eq(bad.len, 1);
    cr_assert(batch_find_bad(&b, INPUT_JSON, 2, 5, &bad));
    cr_assert_eq(bad.index, 2);
    cr_assert(strstr(bad.reason, "byte 3"), "%s", bad.reason);
    cr_assert_not(batch_find_bad(&b, INPUT_JSON, 3, 9, &bad));
    cr_assert_not(batch_find_bad(&b, INPUT_TEXT, 0, 0, &bad));
}

Test(batch, text_must_be_utf_8)
{
    struct batch b = batch_of((char[]){"a\"\\\t\n\xc3\xa4\n\xc3\nb\n"});
    struct bad_item bad;
    cr_assert(batch_find_bad(&b, INPUT_TEXT, 0, 0, &bad));
    cr_assert_eq(bad.index, 2);
    cr_assert_eq(bad.len, 1);
}

Test(batch, a_byte_order_mark_and_nul_bytes_are_named)
{
    static char nul[] = "a\nb\0c\n",
                mark[] = "1\n\xEF\xBB\xBF"
                         "2\n",
                string[] = "\"a\\u0001\\\"\xC3\xA4\xFF\"\n";
    struct batch b = {.data = nul, .len = sizeof nul - 1};
    struct bad_item bad;
    cr_assert(batch_find_bad(&b, INPUT_TEXT, 0, 0, &bad));
    cr_assert(bad.index == 1 && strstr(bad.reason, "NUL byte at byte 1"), "%s", bad.reason);
    b = batch_of(mark);
    cr_assert(!batch_has_mark_at(&b, 0) && batch_has_mark_at(&b, 2) && !batch_has_mark_at(&b, b.len));
    for (enum input_form form = INPUT_JSON; form <= INPUT_TEXT; form++) {
        cr_assert(batch_find_bad(&b, form, 0, 0, &bad));
        cr_assert(bad.index == 1 && strstr(bad.reason, "byte order mark"), "%s", bad.reason);
    }
    b = batch_of(string);
    cr_assert(batch_find_bad(&b, INPUT_NULLS, 0, 0, &bad));
    cr_assert(strstr(bad.reason, "not valid UTF-8 at byte 5 of the item"), "%s", bad.reason);
}

Test(batch, the_beginning_of_a_line_that_is_too_long_is_a_bad_item)
{
    struct batch b = batch_of((char[]){"111\n"});
    struct bad_item bad;
    b.too_long = true;
    cr_assert(batch_find_bad(&b, INPUT_JSON, 0, 0, &bad));
    cr_assert_eq(bad.index, 0);
    cr_assert_eq(bad.len, 3);
}

Test(batch, the_value_of_a_row_is_checked_and_not_the_row)
{
    static const struct {
        enum input_form form;
        const char *row, *reason; /* NULL: the row is good */
    } cases[] = {
        {INPUT_JSON_ROWS, "[0,[1,{}]]\n", NULL},
        {INPUT_JSON_ROWS, "[0,1,2]\n", "not JSON at byte 1 of the item: "},
        {INPUT_JSON_ROWS, "[0,]]\n", "not JSON at byte 0 of the item: "},
        {INPUT_JSON_ROWS,
         "[0,\xef\xbb\xbf"
         "1]\n",
         "a byte order mark"},
        {INPUT_TEXT_ROWS, "[0,\"a\\n\\u001f\xc3\xa4\"]\n", NULL},
        {INPUT_TEXT_ROWS, "[0,\"a\\nb\xff\"]\n", "not valid UTF-8 at byte 3 of the item"},
        {INPUT_TEXT_ROWS,
         "[0,\"\xef\xbb\xbf"
         "1\"]\n",
         "a byte order mark"},
        {INPUT_NULL_ROWS,
         "[0,\"\xef\xbb\xbf"
         "1\"]\n",
         NULL},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct batch b = {.data = (char *)(uintptr_t)cases[i].row, .len = strlen(cases[i].row)};
        struct bad_item bad = {0};
        bool found = batch_find_bad(&b, cases[i].form, 0, 0, &bad);
        cr_expect_eq(found, cases[i].reason != NULL, "case %zu: %s", i, bad.reason);
        if (found && cases[i].reason)
            cr_expect_eq(strncmp(bad.reason, cases[i].reason, strlen(cases[i].reason)), 0, "case %zu: %s", i,
                         bad.reason);
    }
}
