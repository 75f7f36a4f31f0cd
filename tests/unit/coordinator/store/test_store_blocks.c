/* The blocks of a job. A block is added only once, even if the call is repeated, and is read back unchanged. */
#include "unit/coordinator/store/power_vfs.h"
#include "unit/coordinator/store/store_harness.h"

/* Repeats the ADD_BLOCK call, as after a lost reply, and returns the number of the block. */
static uint64_t add_again(struct shop *s, struct store_call *c, uint64_t after)
{
    c->again = true;
    c->after = after;
    cr_assert_eq(shop_run(s, c), STORE_OK, "%s", c->error);
    uint64_t number = c->block.number;
    store_call_free(c);
    return number;
}

STORE_TEST(store_blocks, a_block_that_is_added_again_is_there_once)
{
    const char *id = shop_id(1);
    shop_submit(s, id, 0);
    uint64_t fence = shop_claim(s, NULL);
    struct store_call *c = shop_block(s, id, fence, BLOCK_SENT, 0, 2, "");
    cr_assert_eq(shop_run(s, c), STORE_OK);
    uint64_t first = c->block.number;
    store_call_free(c);
    cr_assert_eq(add_again(s, shop_block(s, id, fence, BLOCK_SENT, 0, 2, ""), first - 1), first);
    cr_assert_gt(add_again(s, shop_block(s, id, fence, BLOCK_SENT, 0, 2, ""), first), first,
                 "the equal block is older than `after`");
    cr_assert_gt(add_again(s, shop_block(s, id, fence, BLOCK_SENT, 0, 1, ""), 0), first,
                 "a block with other ranges is a new block");
    cr_assert_gt(add_again(s, shop_block(s, id, fence, BLOCK_UNSENT, 0, 2, ""), 0), first,
                 "a block of another kind is a new block");
    c = shop_block(s, id, fence + 1, BLOCK_SENT, 0, 2, "");
    c->again = true;
    cr_assert_eq(shop_run(s, c), STORE_FENCED);
    store_call_free(c);
}

STORE_TEST(store_blocks, blocks_come_back_as_they_were)
{
    shop_ok(s, shop_new_job(s, shop_id(1), NULL));
    struct store_call *c = shop_block(s, shop_id(1), 0, BLOCK_ITEMS, 7, 1, "7\n");
    c->block.ranges = xrealloc(c->block.ranges, 3 * sizeof *c->block.ranges);
    c->block.ranges[1] = (struct block_range){0, 3, false};
    c->block.ranges[2] = (struct block_range){100, 1, false};
    c->block.range_count = 3;
    buf_add_str(&c->block.lines, "0\n1\n2\n100\n");
    shop_ok(s, c);
    shop_ok(s, shop_block(s, shop_id(1), 0, BLOCK_ITEMS, 3, 1, "3\n"));

    c = shop_ranges(s, shop_id(1), 0);
    cr_assert_eq(c->block_count, 2);
    cr_assert_not(c->more);
    const struct block *b = &c->blocks[0];
    cr_assert_eq(b->range_count, 3);
    cr_assert_eq(b->ranges[0].first, 7);
    cr_assert_eq(b->ranges[1].first, 0);
    cr_assert_eq(b->ranges[1].n, 3);
    cr_assert_eq(b->ranges[2].first, 100);
    cr_assert_eq(b->lines.len, 0);
    struct store_call *lines = shop_call(s, STORE_READ_BLOCK, shop_id(1));
    lines->block.number = b->number;
    cr_assert_eq(shop_run(s, lines), STORE_OK);
    cr_assert_str_eq(buf_cstr(&lines->block.lines), "7\n0\n1\n2\n100\n");
    cr_assert_eq(shop_run(s, lines), STORE_OK, "the block can be read again");
    cr_assert_eq(lines->block.lines.len, 12);
    lines->block.number = 99;
    cr_assert_eq(shop_run(s, lines), STORE_NOT_FOUND);
    store_call_free(lines);
    lines = shop_call(s, STORE_READ_BLOCK, shop_id(2));
    lines->block.number = b->number;
    cr_assert_eq(shop_run(s, lines), STORE_NOT_FOUND, "the block belongs to another job");
    store_call_free(lines);
    uint64_t first = b->number;
    store_call_free(c);
    c = shop_ranges(s, shop_id(1), first);
    cr_assert_eq(c->block_count, 1);
    cr_assert_gt(c->blocks[0].number, first);
    store_call_free(c);
}

STORE_TEST(store_blocks, ranges_are_read_in_pages)
{
    shop_ok(s, shop_new_job(s, shop_id(1), NULL));
    unsigned n = STORE_RANGES_BLOCKS + 3;
    struct store_call **blocks = xcalloc(n, sizeof(void *));
    for (unsigned i = 0; i < n; i++) blocks[i] = shop_block(s, shop_id(1), 0, BLOCK_ITEMS, i, 1, "1\n");
    for (unsigned i = 0; i < n; i++) store_start(s->store, blocks[i]);
    unsigned wanted = s->done + n;
    while (s->done < wanted) uv_run(&s->loop, UV_RUN_ONCE);
    for (unsigned i = 0; i < n; i++) {
        cr_assert_eq(blocks[i]->status, STORE_OK);
        if (i > 0)
            cr_assert_gt(blocks[i]->block.number, blocks[i - 1]->block.number,
                         "blocks are numbered in the order of the calls");
    }
    for (unsigned i = 0; i < n; i++) store_call_free(blocks[i]);
    free(blocks);
    struct store_call *c = shop_ranges(s, shop_id(1), 0);
    cr_assert_eq(c->block_count, STORE_RANGES_BLOCKS);
    cr_assert(c->more);
    uint64_t last = c->blocks[STORE_RANGES_BLOCKS - 1].number;
    store_call_free(c);
    c = shop_ranges(s, shop_id(1), last);
    cr_assert_eq(c->block_count, 3);
    cr_assert_eq(c->blocks[2].ranges[0].first, n - 1);
    cr_assert_not(c->more);
    store_call_free(c);
}

static struct store_call *end_with_block(struct shop *s, const char *id, uint64_t fence)
{
    struct store_call *c = shop_ending(s, id, fence, STORED_SUCCEEDED, (struct stored_counts){.succeeded = 2});
    c->block.kind = BLOCK_VALUES;
    c->block.ranges = xcalloc(1, sizeof *c->block.ranges);
    c->block.ranges[0] = (struct block_range){0, 2, false};
    c->block.range_count = 1;
    buf_add_str(&c->block.lines, "{\"value\":1}\n{\"value\":4}\n");
    return c;
}

Test(store_blocks, the_last_block_is_added_with_the_end_or_not_at_all)
{
    enum { ROUNDS = 6 };
    struct shop s;
    unsigned differ = 0;
    shop_init(&s);
    power_vfs_install();
    shop_open(&s);
    for (unsigned i = 1; i <= ROUNDS; i++) {
        shop_submit(&s, shop_id(i), 0);
        uint64_t fence = shop_claim(&s, NULL);
        struct store_call *c = end_with_block(&s, shop_id(i), fence + 1);
        cr_assert_eq(shop_run(&s, c), STORE_FENCED);
        store_call_free(c);
        c = shop_ranges(&s, shop_id(i), 0);
        cr_assert_eq(c->block_count, 1, "there is only the block of items");
        store_call_free(c);
        unsigned before = power_vfs_counts().syncs;
        shop_ok(&s, end_with_block(&s, shop_id(i), fence));
        differ += power_vfs_counts().syncs - before != 1;
        c = shop_ranges(&s, shop_id(i), 0);
        cr_assert_eq(c->block_count, 2);
        cr_assert_eq(c->blocks[1].kind, BLOCK_VALUES);
        store_call_free(c);
        cr_assert_eq(shop_state(&s, shop_id(i)), STORED_SUCCEEDED);
    }
    cr_assert_leq(differ, SHOP_COMMITS_THAT_DIFFER);
    shop_release(&s);
    power_vfs_remove();
    assert_no_leaks();
}
