/* Items that are made from records. */
#include <criterion/criterion.h>

#include "cli/items/item_maker.h"
#include "unit/leaks.h"

/* Makes items of lines, whose columns are separated by commas, and releases the maker. */
static const char *items_of(struct item_maker m, const char *lines)
{
    static char text[1000];
    struct input_record r = {0};
    struct buf out = {0};
    for (const char *line = lines, *end; *line; line = end + 1) {
        end = strchr(line, '\n');
        record_clear(&r);
        for (const char *at = line, *stop; at <= end; at = stop + 1) {
            const char *comma = memchr(at, ',', (size_t)(end - at));
            stop = comma ? comma : end;
            record_add(&r, at, (size_t)(stop - at));
        }
        item_maker_add(&m, &r, &out);
    }
    item_maker_end(&m, &out);
    snprintf(text, sizeof text, "%s", buf_cstr(&out));
    buf_release(&out);
    record_release(&r);
    item_maker_release(&m);
    return text;
}

Test(item_maker, a_record_is_an_item)
{
    cr_assert_str_eq(items_of((struct item_maker){0}, "a\nb\"\n"), "\"a\"\n\"b\\\"\"\n");
    cr_assert_str_eq(items_of((struct item_maker){0}, "a,b\nc\n"), "[\"a\",\"b\"]\n\"c\"\n");
    cr_assert_str_eq(items_of((struct item_maker){.columns = true}, "a,b\nc\n"), "[\"a\",\"b\"]\n[\"c\"]\n");
    cr_assert_str_eq(items_of((struct item_maker){.rows = true}, "a,b\nc\n"), "[0,\"a\",\"b\"]\n[1,\"c\"]\n");
    cr_assert_str_eq(items_of((struct item_maker){.rows = true, .values = ITEM_VALUES_RAW}, "\xff\n"),
                     "[0,\"\xc3\xbf\"]\n");
    cr_assert_str_eq(items_of((struct item_maker){.values = ITEM_VALUES_JSON}, "1\n \"a\"\r\n"), "1\n \"a\" \n");
    assert_no_leaks();
}

Test(item_maker, names_make_objects_for_a_task)
{
    struct header_names names = {0};
    record_add(&names.names, "x\"", 2);
    record_add(&names.names, "y", 1);
    cr_assert_str_eq(items_of((struct item_maker){.names = &names}, "a,b\nc\n"),
                     "{\"x\\\"\":\"a\",\"y\":\"b\"}\n{\"x\\\"\":\"c\"}\n");
    cr_assert_str_eq(items_of((struct item_maker){.names = &names, .rows = true}, "a,b\n"), "[0,\"a\",\"b\"]\n");
    header_names_release(&names);
    assert_no_leaks();
}

Test(item_maker, a_group_has_several_records)
{
    cr_assert_str_eq(items_of((struct item_maker){.group_max = 2}, "a\nb\nc\n"), "[\"a\",\"b\"]\n[\"c\"]\n");
    cr_assert_str_eq(items_of((struct item_maker){.group_max = 2, .columns = true}, "a,b\nc,d\n"),
                     "[[\"a\",\"b\"],[\"c\",\"d\"]]\n");
    cr_assert_str_eq(items_of((struct item_maker){.group_max = 2, .rows = true}, "a,b\nc,d\ne\n"),
                     "[0,\"a\",\"b\",\"c\",\"d\"]\n[1,\"e\"]\n");
    assert_no_leaks();
}

Test(item_maker, a_group_fits_into_the_command_line)
{
    struct item_maker m = {.rows = true, .length_max = 10, .length = {.fixed = 2, .each = 1, .times = 1}};
    cr_assert_str_eq(items_of(m, "aaa\nbbb\nc\n0123456789\nd\n"),
                     "[0,\"aaa\",\"bbb\"]\n[1,\"c\"]\n[2,\"0123456789\"]\n[3,\"d\"]\n");
    m.length.quoted = true;
    cr_assert_str_eq(items_of(m, "*\n?\n~\n"), "[0,\"*\",\"?\"]\n[1,\"~\"]\n");
    cr_assert_str_eq(items_of(m, "a\nb\nc\nd\ne\n"), "[0,\"a\",\"b\",\"c\",\"d\"]\n[1,\"e\"]\n",
                     "a value that needs no quotes is counted without them");
    assert_no_leaks();
}

Test(item_maker, the_last_group_is_shared_evenly)
{
    struct item_maker m = {.rows = true, .length_max = 1000, .length.each = 1, .shares = 4};
    cr_assert_str_eq(items_of(m, "1\n2\n3\n4\n5\n6\n"), "[0,\"1\",\"2\"]\n[1,\"3\",\"4\"]\n[2,\"5\",\"6\"]\n");
    cr_assert_str_eq(items_of(m, "1\n2\n"), "[0,\"1\"]\n[1,\"2\"]\n");
    cr_assert_str_eq(items_of(m, ""), "");
    assert_no_leaks();
}

Test(item_maker, items_that_are_done_are_left_out)
{
    struct done_set done = {0};
    cr_assert(done_set_add(&done, 1));
    cr_assert_str_eq(items_of((struct item_maker){.rows = true, .group_max = 2, .skip = &done}, "a\nb\nc\nd\ne\n"),
                     "[0,\"a\",\"b\"]\n[2,\"e\"]\n");
    done_set_release(&done);
    assert_no_leaks();
}
