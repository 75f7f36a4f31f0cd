#include <criterion/criterion.h>

#include "coordinator/items/spool.h"
#include "unit/leaks.h"

static void put(struct spool *s, const char *lines, uint64_t items)
{
    struct buf b = {0};
    buf_add_str(&b, lines);
    spool_take(s, &b, items);
    cr_assert_eq(b.len, 0);
    buf_release(&b);
}

static void expect_cut(struct spool *s, uint64_t max_items, size_t max_bytes, uint64_t items, const char *lines)
{
    struct buf out = {0};
    cr_assert_eq(spool_cut(s, max_items, max_bytes, &out), items);
    cr_assert_str_eq(buf_cstr(&out), lines);
    buf_release(&out);
}

Test(spool, gives_lines_in_order_across_blocks)
{
    struct spool s = {0};
    put(&s, "1\n2\n", 2);
    put(&s, "3\n", 1);
    expect_cut(&s, 1, 100, 1, "1\n");
    expect_cut(&s, 10, 100, 2, "2\n3\n");
    expect_cut(&s, 10, 100, 0, "");
    cr_assert_eq(s.items, 0);
    cr_assert_eq(s.bytes, 0);
    assert_no_leaks();
}

Test(spool, a_cut_stays_within_bytes_but_one_large_item_always_goes)
{
    struct spool s = {0};
    put(&s, "1\n\"a long item\"\n2\n", 3);
    expect_cut(&s, 10, 5, 1, "1\n");
    expect_cut(&s, 10, 5, 1, "\"a long item\"\n");
    expect_cut(&s, 10, 5, 1, "2\n");
    spool_release(&s);
    assert_no_leaks();
}

Test(spool, a_large_item_in_the_next_block_does_not_join_a_begun_cut)
{
    struct spool s = {0};
    put(&s, "1\n", 1);
    put(&s, "\"a long item\"\n3\n", 2);
    expect_cut(&s, 10, 5, 1, "1\n");
    cr_assert_eq(s.items, 2);
    spool_release(&s);
    assert_no_leaks();
}

Test(spool, dropped_items_are_freed_and_the_next_cut_begins_after_them)
{
    struct spool s = {0};
    put(&s, "1\n2\n", 2);
    put(&s, "3\n\"four\"\n5\n", 3);
    cr_assert_eq(spool_drop(&s, 3), 3);
    cr_assert_eq(s.items, 2);
    cr_assert_eq(s.bytes, 9);
    expect_cut(&s, 1, 100, 1, "\"four\"\n");
    cr_assert_eq(spool_drop(&s, 100), 1);
    cr_assert_eq(spool_drop(&s, 100), 0);
    cr_assert_eq(s.bytes, 0);
    assert_no_leaks();
}
