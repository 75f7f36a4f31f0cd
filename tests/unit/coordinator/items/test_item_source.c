#include <criterion/criterion.h>

#include "coordinator/items/item_source.h"
#include "unit/leaks.h"

static void expect_cut(const struct item_source *s, uint64_t max_items, size_t max_bytes, uint64_t first,
                       const char *lines)
{
    struct buf out = {0};
    uint64_t at = 99, n = item_source_cut(s, max_items, max_bytes, &at, &out), newlines = 0;
    for (const char *c = lines; *c; c++) newlines += *c == '\n';
    cr_assert_eq(n, newlines);
    cr_assert_eq(at, first);
    cr_assert_str_eq(buf_cstr(&out), lines);
    buf_release(&out);
}

static void expect_drop(const struct item_source *s, uint64_t max_items, uint64_t items, uint64_t first)
{
    uint64_t at = 99;
    cr_assert_eq(item_source_drop(s, max_items, &at), items);
    cr_assert_eq(at, first);
}

Test(item_source, a_range_is_made_as_it_is_cut)
{
    struct jobspec spec = {.source = SOURCE_RANGE, .start = 5, .stop = 15, .step = 2, .generated_count = 5};
    struct generated_items generated = {.spec = &spec};
    struct item_source s = generated_items_source(&generated);
    expect_cut(&s, 2, 1000, 0, "5\n7\n");
    expect_drop(&s, 1, 1, 2);
    expect_cut(&s, 100, 1, 3, "11\n");
    expect_cut(&s, 100, 1000, 4, "13\n");
    expect_cut(&s, 100, 1000, 5, "");
    expect_drop(&s, 100, 0, 5);
    assert_no_leaks();
}

Test(item_source, spans_take_more_room_than_numbers)
{
    struct jobspec spec = {.source = SOURCE_SPANS, .start = 0, .stop = 25, .step = 10, .generated_count = 3};
    struct generated_items generated = {.spec = &spec};
    struct item_source s = generated_items_source(&generated);
    expect_cut(&s, 100, 60, 0, "{\"start\":0,\"stop\":10}\n{\"start\":10,\"stop\":20}\n");
    expect_cut(&s, 100, 60, 2, "{\"start\":20,\"stop\":25}\n");
    assert_no_leaks();
}

Test(item_source, spooled_items_are_numbered_across_cuts_and_drops)
{
    struct spool spool = {0};
    struct spooled_items spooled = {.spool = &spool};
    struct item_source s = spooled_items_source(&spooled);
    struct buf lines = {0};
    buf_add_str(&lines, "1\n2\n3\n4\n");
    spool_take(&spool, &lines, 4);
    expect_cut(&s, 1, 100, 0, "1\n");
    expect_drop(&s, 2, 2, 1);
    buf_add_str(&lines, "5\n");
    spool_take(&spool, &lines, 1);
    expect_cut(&s, 100, 100, 3, "4\n5\n");
    expect_cut(&s, 100, 100, 5, "");
    spool_release(&spool);
    assert_no_leaks();
}

Test(item_source, each_source_knows_about_how_long_its_items_are)
{
    struct jobspec spec = {.source = SOURCE_RANGE, .start = 0, .stop = 5, .step = 1, .generated_count = 5};
    struct generated_items generated = {.spec = &spec};
    struct item_source numbers = generated_items_source(&generated);
    cr_assert(item_source_item_bytes(&numbers) >= 2 && item_source_item_bytes(&numbers) <= 32);
    struct spool spool = {0};
    struct spooled_items spooled = {.spool = &spool};
    struct item_source s = spooled_items_source(&spooled);
    cr_assert_eq(item_source_item_bytes(&s), 0);
    struct buf lines = {0};
    buf_add_str(&lines, "1\n\"1234567\"\n");
    spool_take(&spool, &lines, 2);
    cr_assert_eq(item_source_item_bytes(&s), 6);
    spool_release(&spool);
    assert_no_leaks();
}
