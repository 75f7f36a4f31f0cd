/* Lists of values, and the items that they make. */
#include <criterion/criterion.h>

#include "cli/items/item_lists.h"
#include "unit/leaks.h"

/* Adds a list: each letter is a value. */
static void add_letters(struct item_lists *l, const char *letters, bool linked)
{
    cr_assert(item_lists_begin(l, linked));
    for (; *letters; letters++) item_lists_add(l, letters, 1);
}

static void assert_items(struct item_lists *l, uint64_t count, const char *wanted)
{
    struct buf out = {0};
    cr_assert_eq(item_lists_items(l), count);
    while (item_lists_next(l, &out)) continue;
    cr_assert_str_eq(buf_cstr(&out), wanted);
    cr_assert_not(item_lists_next(l, &out), "there are no items after the end");
    buf_release(&out);
    item_lists_release(l);
}

Test(item_lists, the_values_of_one_list_are_the_items)
{
    struct item_lists l = {.text = true};
    cr_assert(item_lists_begin(&l, false));
    item_lists_add(&l, "a\"b\n", 4);
    item_lists_add(&l, "", 0);
    assert_items(&l, 2, "\"a\\\"b\\n\"\n\"\"\n");
    assert_no_leaks();
}

Test(item_lists, the_last_of_several_lists_changes_fastest)
{
    struct item_lists l = {0};
    add_letters(&l, "12", false);
    add_letters(&l, "3", false);
    add_letters(&l, "456", false);
    assert_items(&l, 6, "[1,3,4]\n[1,3,5]\n[1,3,6]\n[2,3,4]\n[2,3,5]\n[2,3,6]\n");
}

Test(item_lists, linked_lists_advance_together_and_the_shortest_ends_them)
{
    struct item_lists l = {.rows = true};
    add_letters(&l, "12", true);
    add_letters(&l, "345", false);
    add_letters(&l, "678", true);
    add_letters(&l, "90", true);
    assert_items(&l, 4, "[0,1,3,6,9]\n[1,1,4,7,0]\n[2,2,3,6,9]\n[3,2,4,7,0]\n");
}

Test(item_lists, shorter_lists_begin_again)
{
    struct item_lists l = {.rows = true, .wraps = true};
    add_letters(&l, "12", false);
    add_letters(&l, "3", false);
    add_letters(&l, "456", true);
    assert_items(&l, 3, "[0,1,3,4]\n[1,2,3,5]\n[2,1,3,6]\n");
    struct item_lists empty = {.wraps = true};
    add_letters(&empty, "12", false);
    add_letters(&empty, "", false);
    assert_items(&empty, 0, "");
}

Test(item_lists, a_list_ends_at_a_value_and_blank_values_are_dropped)
{
    struct item_lists l = {0};
    add_letters(&l, "1 2e3", false);
    item_lists_filter(&l, "e", true);
    add_letters(&l, "4 5", false);
    item_lists_filter(&l, "e", false);
    assert_items(&l, 6, "[1,4]\n[1, ]\n[1,5]\n[2,4]\n[2, ]\n[2,5]\n");
}

Test(item_lists, a_shuffled_order_has_each_combination_once)
{
    struct item_lists l = {.rows = true};
    struct buf out = {0};
    unsigned seen[12] = {0}, moved = 0;
    add_letters(&l, "012", false);
    add_letters(&l, "0123", false);
    add_letters(&l, "abcde", true);
    cr_assert(item_lists_shuffle(&l, 42));
    for (unsigned i = 0; i < 12; i++) {
        buf_clear(&out);
        cr_assert(item_lists_next(&l, &out));
        unsigned index, a, b;
        char c;
        cr_assert_eq(sscanf(buf_cstr(&out), "[%u,%u,%u,%c]", &index, &a, &b, &c), 4);
        cr_assert_eq(index, i);
        cr_assert_eq(c, (char)('a' + b));
        moved += a * 4 + b != i;
        seen[a * 4 + b]++;
    }
    for (unsigned i = 0; i < 12; i++) cr_assert_eq(seen[i], 1);
    cr_assert_gt(moved, 0);
    cr_assert_not(item_lists_next(&l, &out));
    buf_release(&out);
    item_lists_release(&l);
    assert_no_leaks();
}

Test(item_lists, an_empty_list_gives_no_items)
{
    struct item_lists l = {0};
    add_letters(&l, "12", false);
    add_letters(&l, "", false);
    assert_items(&l, 0, "");
    struct item_lists linked = {0};
    add_letters(&linked, "12", false);
    add_letters(&linked, "", true);
    assert_items(&linked, 0, "");
    struct item_lists none = {0};
    assert_items(&none, 0, "");
}

Test(item_lists, there_is_a_limit_of_lists_and_a_count_that_is_too_large_is_the_largest)
{
    struct item_lists l = {0};
    for (unsigned i = 0; i < ITEM_LISTS_MAX; i++) add_letters(&l, "1234567", false);
    cr_assert_not(item_lists_begin(&l, false));
    cr_assert_eq(item_lists_items(&l), UINT64_MAX);
    item_lists_release(&l);
}

Test(item_lists, a_text_is_cut_at_its_separators)
{
    static const char text[] = "a\r\n\n b \nend", nulls[] = "a\n\0\0b";
    struct item_lists l = {.text = true};
    cr_assert(item_lists_begin(&l, false));
    item_lists_add_parts(&l, text, sizeof(text) - 1, '\n');
    assert_items(&l, 4, "\"a\"\n\"\"\n\" b \"\n\"end\"\n");
    l = (struct item_lists){.text = true};
    cr_assert(item_lists_begin(&l, false));
    item_lists_add_parts(&l, nulls, sizeof(nulls) - 1, '\0');
    assert_items(&l, 3, "\"a\\n\"\n\"\"\n\"b\"\n");
}

Test(item_lists, blank_lines_are_no_json_values_and_a_value_is_one_line)
{
    static const char text[] = "1\n \t\r\n\n[2] \r\n";
    struct item_lists l = {0};
    cr_assert(item_lists_begin(&l, false));
    item_lists_add_parts(&l, text, sizeof(text) - 1, '\n');
    item_lists_add(&l, "[\n3\r\n]", 6);
    assert_items(&l, 3, "1\n[2]  \n[ 3  ]\n");
}

Test(item_lists, a_row_gives_back_its_values)
{
    struct buf out = {0};
    struct json_slice row = {"[17,\"a,b\"]", 10}, values = item_lists_row_values(false, row, &out);
    cr_assert_arr_eq(values.data, "\"a,b\"", values.len);
    row = (struct json_slice){"[17,1,[2,3]]", 12};
    values = item_lists_row_values(true, row, &out);
    cr_assert_eq(values.len, 9);
    cr_assert_arr_eq(values.data, "[1,[2,3]]", 9);
    row = (struct json_slice){"[17,\"cut off", 12};
    values = item_lists_row_values(true, row, &out);
    cr_assert_eq(values.len, 12);
    values = item_lists_row_values(true, (struct json_slice){0}, &out);
    cr_assert_eq(values.len, 0);
    buf_release(&out);
}
