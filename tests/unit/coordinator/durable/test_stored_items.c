#include "coordinator/durable/stored_items.h"

#include <criterion/criterion.h>

#include "unit/leaks.h"

static void ready_lines(struct stored_items *s, uint64_t first, uint64_t n)
{
    struct buf lines = {0};
    for (uint64_t i = first; i < first + n; i++) buf_addf(&lines, "\"item %llu\"\n", (unsigned long long)i);
    stored_items_ready_lines(s, first, n, &lines);
    cr_assert_eq(lines.len, 0);
}

static void expect_cut(struct stored_items *s, uint64_t max_items, size_t max_bytes, uint64_t first, const char *lines)
{
    struct item_source source = stored_items_source(s);
    struct buf out = {0};
    uint64_t at = 99, newlines = 0;
    for (const char *c = lines; *c; c++) newlines += *c == '\n';
    cr_assert_eq(item_source_cut(&source, max_items, max_bytes, &at, &out), newlines);
    cr_assert_str_eq(buf_cstr(&out), lines);
    if (newlines) cr_assert_eq(at, first);
    buf_release(&out);
}

static void expect_drop(struct stored_items *s, uint64_t max_items, uint64_t n, uint64_t first)
{
    struct item_source source = stored_items_source(s);
    uint64_t at = 99;
    cr_assert_eq(item_source_drop(&source, max_items, &at), n);
    if (n) cr_assert_eq(at, first);
}

Test(stored_items, a_cut_ends_at_a_gap)
{
    struct stored_items s = {0};
    expect_cut(&s, 9, 1000, 0, "");
    ready_lines(&s, 2, 2);
    ready_lines(&s, 4, 1);
    ready_lines(&s, 7, 1);
    expect_cut(&s, 9, 1000, 2, "\"item 2\"\n\"item 3\"\n\"item 4\"\n");
    expect_cut(&s, 9, 1000, 7, "\"item 7\"\n");
    expect_cut(&s, 9, 1000, 0, "");
    ready_lines(&s, 8, 1);
    expect_cut(&s, 9, 1000, 8, "\"item 8\"\n");
    stored_items_release(&s);
    assert_no_leaks();
}

Test(stored_items, a_cut_has_at_most_so_many_items_and_bytes)
{
    struct stored_items s = {0};
    struct item_source source = stored_items_source(&s);
    cr_assert_eq(item_source_item_bytes(&source), 0);
    ready_lines(&s, 0, 5);
    cr_assert_eq(item_source_item_bytes(&source), 9);
    expect_cut(&s, 1, 1000, 0, "\"item 0\"\n");
    expect_cut(&s, 9, 18, 1, "\"item 1\"\n\"item 2\"\n");
    expect_cut(&s, 9, 1, 3, "\"item 3\"\n");
    expect_cut(&s, 9, 1000, 4, "\"item 4\"\n");
    stored_items_release(&s);
    assert_no_leaks();
}

Test(stored_items, items_may_become_ready_while_their_range_is_being_cut)
{
    struct stored_items s = {0};
    ready_lines(&s, 0, 2);
    expect_cut(&s, 1, 1000, 0, "\"item 0\"\n");
    ready_lines(&s, 2, 1);
    expect_cut(&s, 9, 1000, 1, "\"item 1\"\n\"item 2\"\n");
    stored_items_release(&s);
    assert_no_leaks();
}

Test(stored_items, dropped_items_are_not_cut)
{
    struct stored_items s = {0};
    ready_lines(&s, 0, 3);
    ready_lines(&s, 5, 2);
    cr_assert_eq(s.left, 5);
    expect_drop(&s, 2, 2, 0);
    expect_cut(&s, 9, 1000, 2, "\"item 2\"\n");
    cr_assert_eq(s.left, 2);
    expect_drop(&s, UINT64_MAX, 2, 5);
    expect_drop(&s, UINT64_MAX, 0, 0);
    cr_assert_eq(s.left, 0);
    stored_items_release(&s);
    assert_no_leaks();
}

Test(stored_items, generated_items_are_made_as_they_are_cut)
{
    struct jobspec spec = {.source = SOURCE_RANGE, .start = 100, .stop = 110, .step = 1, .generated_count = 10};
    struct stored_items s = {.generated = &spec};
    stored_items_ready(&s, 1, 3);
    stored_items_ready(&s, 8, 2);
    expect_cut(&s, 2, 1000, 1, "101\n102\n");
    expect_cut(&s, 9, 1000, 3, "103\n");
    expect_drop(&s, 1, 1, 8);
    expect_cut(&s, 9, 1, 9, "109\n");
    expect_cut(&s, 9, 1000, 0, "");
    stored_items_release(&s);
    assert_no_leaks();
}

Test(stored_items, a_million_generated_items_need_no_memory)
{
    struct jobspec spec = {.source = SOURCE_RANGE, .start = 0, .stop = 1000000, .step = 1, .generated_count = 1000000};
    struct stored_items s = {.generated = &spec};
    stored_items_ready(&s, 0, 1000000);
    expect_drop(&s, 999999, 999999, 0);
    expect_cut(&s, 9, 1000, 999999, "999999\n");
    cr_assert_eq(s.spool.bytes, 0);
    stored_items_release(&s);
    assert_no_leaks();
}
