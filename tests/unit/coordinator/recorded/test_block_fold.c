#include "coordinator/recorded/block_fold.h"

#include <criterion/criterion.h>

#include "common/base/memory_room.h"
#include "common/base/random.h"
#include "unit/leaks.h"

enum { BLOCKS = 40, ITEMS = 400 };

/* Blocks as a store has them: each block has the answers of some ranges, in any order. */
struct shelf {
    struct block blocks[BLOCKS];
    size_t count;
    unsigned reads;
};

static void add_range(struct block *b, uint64_t first, uint64_t n)
{
    b->ranges = xrealloc(b->ranges, (b->range_count + 1) * sizeof *b->ranges);
    b->ranges[b->range_count++] = (struct block_range){.first = first, .n = n};
}

static struct block *add_block(struct shelf *s, enum block_kind kind)
{
    struct block *b = &s->blocks[s->count++];
    *b = (struct block){.number = s->count, .kind = kind};
    return b;
}

static void shelf_release(struct shelf *s)
{
    for (size_t i = 0; i < s->count; i++) block_release(&s->blocks[i]);
}

static void answer(struct block *b, uint64_t first, uint64_t n, const char *format)
{
    add_range(b, first, n);
    for (uint64_t i = first; i < first + n; i++) {
        buf_add_str(&b->lines, "{\"value\":");
        buf_add_str(&b->lines, format);
        buf_add_u64(&b->lines, i);
        buf_add_str(&b->lines, *format ? "\"}\n" : "}\n");
    }
}

static void give_ranges(struct shelf *s, struct block_fold *f)
{
    for (size_t i = 0; i < s->count; i++) cr_assert(block_fold_add_ranges(f, &s->blocks[i]));
    block_fold_has_ranges(f);
}

static void give_block(struct shelf *s, struct block_fold *f)
{
    const struct block *from = &s->blocks[f->wanted - 1];
    struct block copy = {.number = from->number, .kind = from->kind};
    buf_add(&copy.lines, from->lines.data, from->lines.len);
    block_fold_add(f, &copy);
    block_release(&copy);
    s->reads++;
}

/* Folds everything. Returns whether there is a result. */
static bool fold(struct shelf *s, struct block_fold *f, size_t budget)
{
    for (;;) switch (block_fold_step(f, budget)) {
        case BLOCK_FOLD_RANGES: give_ranges(s, f); break;
        case BLOCK_FOLD_BLOCK: give_block(s, f); break;
        case BLOCK_FOLD_MORE: break;
        case BLOCK_FOLD_DONE: return true;
        case BLOCK_FOLD_FAILED: return false;
        }
}

static void expect(struct shelf *s, enum job_reduce kind, size_t max_spans, size_t budget, const char *wanted)
{
    struct block_fold f;
    block_fold_init(&f, kind, max_spans, 100000);
    cr_assert(fold(s, &f, budget), "%s", f.error);
    struct json_slice result = block_fold_result(&f);
    cr_assert_eq(result.len, strlen(wanted), "%.*s", (int)result.len, result.data);
    cr_assert_eq(memcmp(result.data, wanted, result.len), 0, "%.*s", (int)result.len, result.data);
    block_fold_release(&f);
}

/* Spreads ranges of values over the blocks, and leaves gaps and errors between them. */
static void spread(struct shelf *s, unsigned seed, struct buf *wanted)
{
    struct random_source r = {seed};
    for (unsigned i = 0; i < BLOCKS - 1; i++) add_block(s, BLOCK_VALUES);
    struct block *errors = add_block(s, BLOCK_ERRORS);
    buf_add_char(wanted, '"');
    for (uint64_t at = 0; at < ITEMS;) {
        uint64_t n = 1 + random_below(&r, 6);
        unsigned kind = random_below(&r, 10);
        if (kind == 0) add_range(errors, at, n);
        if (kind > 1) {
            answer(&s->blocks[random_below(&r, BLOCKS - 1)], at, n, "\"i");
            for (uint64_t i = at; i < at + n; i++) buf_addf(wanted, "i%d", (int)i);
        }
        at += n;
    }
    buf_add_char(wanted, '"');
}

Test(block_fold, values_are_folded_in_the_order_of_their_items)
{
    for (unsigned seed = 1; seed < 40; seed++) {
        struct shelf s = {0};
        struct buf wanted = {0};
        spread(&s, seed, &wanted);
        expect(&s, REDUCE_CONCAT, 0, SIZE_MAX, buf_cstr(&wanted));
        expect(&s, REDUCE_CONCAT, 0, 80, buf_cstr(&wanted));
        expect(&s, REDUCE_CONCAT, 10, 100, buf_cstr(&wanted)); /* the index forgets ranges again and again */
        shelf_release(&s);
        buf_release(&wanted);
    }
    assert_no_leaks();
}

Test(block_fold, each_block_is_read_once_if_all_fit)
{
    struct shelf s = {0};
    struct buf wanted = {0};
    spread(&s, 7, &wanted);
    expect(&s, REDUCE_CONCAT, 0, 1000, buf_cstr(&wanted));
    cr_assert_leq(s.reads, BLOCKS - 1);
    shelf_release(&s);
    buf_release(&wanted);
}

static bool has_no_memory(size_t bytes)
{
    return false;
}

Test(block_fold, it_waits_while_there_is_no_memory_for_the_result)
{
    enum { LEN = 100000 };
    bool (*kernel)(size_t) = memory_probe;
    struct shelf s = {0};
    struct block_fold f;
    struct block *b = add_block(&s, BLOCK_VALUES);
    add_range(b, 0, 1);
    buf_add_str(&b->lines, "{\"value\":\"");
    for (unsigned i = 0; i < LEN; i++) buf_add_char(&b->lines, 'x');
    buf_add_str(&b->lines, "\"}\n");
    block_fold_init(&f, REDUCE_CONCAT, 0, 2 * LEN);
    cr_assert_eq(block_fold_step(&f, SIZE_MAX), BLOCK_FOLD_RANGES);
    give_ranges(&s, &f);
    cr_assert_eq(block_fold_step(&f, SIZE_MAX), BLOCK_FOLD_BLOCK);
    give_block(&s, &f);
    memory_probe = has_no_memory;
    for (unsigned i = 0; i < 3; i++) cr_assert_eq(block_fold_step(&f, SIZE_MAX), BLOCK_FOLD_MORE);
    memory_probe = kernel;
    cr_assert(fold(&s, &f, SIZE_MAX));
    cr_assert_eq(block_fold_result(&f).len, LEN + 2);
    block_fold_release(&f);
    shelf_release(&s);
    assert_no_leaks();
}

Test(block_fold, a_job_without_values_has_a_result)
{
    struct shelf s = {0};
    expect(&s, REDUCE_SUM, 0, 100, "0");
    expect(&s, REDUCE_MIN, 0, 100, "null");
    add_range(add_block(&s, BLOCK_ERRORS), 0, 5);
    expect(&s, REDUCE_COUNT, 0, 100, "0");
    shelf_release(&s);
    assert_no_leaks();
}

static void expect_failure(struct shelf *s, enum job_reduce kind, size_t max_bytes, const char *why)
{
    struct block_fold f;
    block_fold_init(&f, kind, 0, max_bytes);
    cr_assert_not(fold(s, &f, 100));
    cr_assert(strstr(f.error, why), "%s", f.error);
    block_fold_release(&f);
    shelf_release(s);
    assert_no_leaks();
}

Test(block_fold, a_value_that_does_not_fit_is_named)
{
    struct shelf s = {0};
    struct block *b = add_block(&s, BLOCK_VALUES);
    answer(b, 0, 3, "");
    answer(b, 3, 1, "\"x");
    expect_failure(&s, REDUCE_SUM, 1000, "the value of item 4 (index 3)");
}

Test(block_fold, a_result_that_is_too_large_is_none)
{
    struct shelf s = {0};
    answer(add_block(&s, BLOCK_VALUES), 0, 100, "\"item");
    expect_failure(&s, REDUCE_CONCAT, 100, "the result would exceed its limit of 100 bytes");
}

Test(block_fold, a_damaged_block_is_noticed)
{
    struct shelf s = {0};
    struct block *b = add_block(&s, BLOCK_VALUES);
    answer(b, 0, 3, "");
    b->ranges[0].n = 4;
    expect_failure(&s, REDUCE_SUM, 1000, "fewer lines");
}
