#include "coordinator/recorded/block_cache.h"

#include <criterion/criterion.h>

#include "unit/leaks.h"

static void add(struct block_cache *c, uint64_t number, unsigned lines, uint64_t item, uint64_t keep, size_t cap)
{
    struct block b = {.number = number};
    for (unsigned i = 0; i < lines; i++) buf_addf(&b.lines, "%u\n", i);
    block_cache_add(c, &b, item, keep, cap, cap);
    cr_assert_eq(b.lines.len, 0);
}

Test(block_cache, lines_are_found_in_a_block)
{
    struct block_cache c = {0};
    add(&c, 1, 1000, 0, 0, 1 << 20);
    const struct cached_block *b = block_cache_find(&c, 1);
    for (unsigned line = 0; line < 1000; line += 37) {
        for (unsigned n = 1; line + n <= 1000; n += 61) {
            size_t from, to;
            cr_assert(cached_block_lines(b, line, n, &from, &to));
            cr_assert_eq(strtoul(b->lines.data + from, NULL, 10), line);
            cr_assert(from == 0 || b->lines.data[from - 1] == '\n');
            cr_assert_eq(b->lines.data[to - 1], '\n');
            if (line + n < 1000) cr_assert_eq(strtoul(b->lines.data + to, NULL, 10), line + n);
        }
    }
    block_cache_release(&c);
    assert_no_leaks();
}

Test(block_cache, lines_that_are_not_there_are_not_found)
{
    struct block_cache c = {0};
    struct block b = {.number = 7};
    size_t from, to;
    buf_add_str(&b.lines, "a\nb\nno newline");
    block_cache_add(&c, &b, 0, 0, 100, 100);
    cr_assert(cached_block_lines(block_cache_find(&c, 7), 1, 1, &from, &to));
    cr_assert_not(cached_block_lines(block_cache_find(&c, 7), 1, 2, &from, &to));
    cr_assert_not(cached_block_lines(block_cache_find(&c, 7), 3, 1, &from, &to));
    cr_assert_not(cached_block_lines(block_cache_find(&c, 7), UINT64_MAX, 2, &from, &to));
    cr_assert_null(block_cache_find(&c, 8));
    block_cache_release(&c);
    assert_no_leaks();
}

Test(block_cache, the_block_that_is_needed_last_is_dropped_first)
{
    struct block_cache c = {0};
    for (uint64_t i = 1; i <= 3; i++) add(&c, i, 10, i, 0, 60); /* 20 bytes each */
    block_cache_plan(&c);
    cr_assert(block_cache_note(&c, 2, 100));
    cr_assert(block_cache_note(&c, 1, 200));
    cr_assert(block_cache_note(&c, 2, 300));
    cr_assert_not(block_cache_note(&c, 4, 400));
    cr_assert(block_cache_has_room(&c, 500, 60), "nobody is known to need block 3");
    add(&c, 4, 10, 150, 0, 60);
    cr_assert_null(block_cache_find(&c, 3));
    cr_assert(block_cache_has_room(&c, 160, 60));
    cr_assert_not(block_cache_has_room(&c, 201, 60));
    add(&c, 5, 10, 160, 1, 60);
    cr_assert(block_cache_find(&c, 1), "block 1 is being read");
    cr_assert_null(block_cache_find(&c, 4));
    add(&c, 6, 1000, 500, 1, 60);
    cr_assert_eq(c.count, 2, "a large block takes the room of all but the one that is being read");
    block_cache_release(&c);
    cr_assert_eq(c.bytes, 0);
    assert_no_leaks();
}

Test(block_cache, blocks_that_nobody_is_known_to_need_take_little_room)
{
    struct block_cache c = {0};
    for (uint64_t i = 1; i <= 5; i++) add(&c, i, 10, i, 0, 1000);
    block_cache_plan(&c);
    block_cache_note(&c, 2, 7);
    struct block b = {.number = 9};
    block_cache_add(&c, &b, 100, 2, 1000, 20);
    cr_assert_eq(c.count, 3);
    cr_assert(block_cache_find(&c, 2));
    cr_assert(block_cache_find(&c, 9));
    block_cache_release(&c);
    assert_no_leaks();
}

/* If the cache had room for only one of two large blocks, a reader that needs lines of both in turn would read a block
 * for each line. */
Test(block_cache, two_blocks_that_are_needed_have_room_in_any_case)
{
    struct block_cache c = {0};
    add(&c, 1, 10, 1, 0, 25);
    add(&c, 2, 10, 2, 2, 25);
    cr_assert(block_cache_find(&c, 1) && block_cache_find(&c, 2));
    add(&c, 3, 10, 0, 3, 25);
    cr_assert(block_cache_find(&c, 1) && block_cache_find(&c, 3) && !block_cache_find(&c, 2));
    block_cache_plan(&c);
    add(&c, 4, 10, 5, 4, 25);
    cr_assert_eq(c.count, 1, "nobody is known to need the other blocks");
    block_cache_release(&c);
    assert_no_leaks();
}
