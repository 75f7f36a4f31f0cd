/* The index of answers: lookups, overlaps, limits, and random worlds. Each random world is compared with a model, which
 * is an array of all items. */
#include <criterion/criterion.h>

#include "common/base/random.h"
#include "coordinator/recorded/answer_index.h"
#include "unit/leaks.h"

static struct block block_of(uint64_t number, enum block_kind kind, struct block_range *ranges, size_t n)
{
    return (struct block){.number = number, .kind = kind, .ranges = ranges, .range_count = n};
}

static void add(struct answer_index *ix, uint64_t number, enum block_kind kind, struct block_range *ranges, size_t n)
{
    struct block b = block_of(number, kind, ranges, n);
    cr_assert(answer_index_add(ix, &b));
}

#define ADD(ix, number, kind, ...)                                                                                     \
    add(ix, number, kind, (struct block_range[]){__VA_ARGS__},                                                         \
        sizeof((struct block_range[]){__VA_ARGS__}) / sizeof(struct block_range))

static void assert_finds(const struct answer_index *ix, uint64_t index, struct answer_span want)
{
    struct answer_span got;
    cr_assert(answer_index_find(ix, index, &got));
    cr_assert_eq(got.first, want.first);
    cr_assert_eq(got.n, want.n, "%zu items and not %zu", (size_t)got.n, (size_t)want.n);
    cr_assert_eq(got.block, want.block);
    cr_assert_eq(got.line, want.line);
    cr_assert_eq(got.is_error, want.is_error);
    cr_assert_eq(got.is_repeated, want.is_repeated);
}

Test(answer_index, it_says_which_lines_of_which_block_have_an_answer)
{
    struct answer_index ix;
    answer_index_init(&ix, 0);
    ADD(&ix, 4, BLOCK_VALUES, {20, 10}, {0, 5});
    ADD(&ix, 9, BLOCK_ERRORS, {5, 3, true}, {12, 1});
    ADD(&ix, 11, BLOCK_ITEMS, {8, 100});
    assert_finds(&ix, 0, (struct answer_span){.first = 0, .n = 5, .block = 4, .line = 10});
    assert_finds(&ix, 3, (struct answer_span){.first = 3, .n = 2, .block = 4, .line = 13});
    assert_finds(&ix, 6, (struct answer_span){.first = 6, .n = 2, .block = 9, .is_error = true, .is_repeated = true});
    assert_finds(&ix, 8, (struct answer_span){.first = 12, .n = 1, .block = 9, .line = 1, .is_error = true});
    assert_finds(&ix, 29, (struct answer_span){.first = 29, .n = 1, .block = 4, .line = 9});
    struct answer_span none;
    cr_assert_not(answer_index_find(&ix, 30, &none));
    answer_index_release(&ix);
    assert_no_leaks();
}

Test(answer_index, answers_that_follow_each_other_in_a_block_are_one_span)
{
    struct answer_index ix;
    answer_index_init(&ix, 0);
    ADD(&ix, 1, BLOCK_VALUES, {0, 1}, {1, 1}, {2, 1}, {4, 1});
    cr_assert_eq(answer_index_spans(&ix), 2);
    assert_finds(&ix, 0, (struct answer_span){.n = 3, .block = 1});
    answer_index_release(&ix);
}

Test(answer_index, the_later_block_counts_when_two_have_an_answer)
{
    for (unsigned turn = 0; turn < 2; turn++) {
        struct answer_index ix;
        answer_index_init(&ix, 0);
        if (turn) ADD(&ix, 7, BLOCK_VALUES, {4, 2});
        ADD(&ix, 3, BLOCK_ERRORS, {0, 10});
        if (!turn) ADD(&ix, 7, BLOCK_VALUES, {4, 2});
        assert_finds(&ix, 0, (struct answer_span){.n = 4, .block = 3, .is_error = true});
        assert_finds(&ix, 4, (struct answer_span){.first = 4, .n = 2, .block = 7});
        assert_finds(&ix, 6, (struct answer_span){.first = 6, .n = 4, .block = 3, .line = 6, .is_error = true});
        answer_index_release(&ix);
    }
}

Test(answer_index, a_damaged_block_is_refused)
{
    struct answer_index ix;
    struct block_range overlap[] = {{0, 5}, {4, 1}}, huge[] = {{UINT64_MAX, 2}};
    struct block bad[] = {block_of(1, BLOCK_VALUES, overlap, 2), block_of(2, BLOCK_VALUES, huge, 1)};
    answer_index_init(&ix, 0);
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) cr_assert_not(answer_index_add(&ix, &bad[i]));
    cr_assert_eq(answer_index_spans(&ix), 0);
    answer_index_release(&ix);
    assert_no_leaks();
}

Test(answer_index, a_limited_index_forgets_the_highest_items_and_says_so)
{
    struct answer_index ix;
    struct answer_span span;
    answer_index_init(&ix, 100);
    for (uint64_t i = 0; i < 1000; i++) ADD(&ix, i + 1, BLOCK_VALUES, {(i * 7 % 1000) * 2, 1});
    cr_assert_leq(answer_index_spans(&ix), 100);
    cr_assert_lt(ix.horizon, 2000);
    for (uint64_t i = 0; i < ix.horizon; i += 2) {
        cr_assert(answer_index_find(&ix, i, &span));
        cr_assert_eq(span.first, i);
    }
    uint64_t floor = ix.horizon;
    answer_index_clear(&ix, floor);
    for (uint64_t i = 0; i < 1000; i++) ADD(&ix, i + 1, BLOCK_VALUES, {(i * 7 % 1000) * 2, 1});
    cr_assert(answer_index_find(&ix, 0, &span));
    cr_assert_eq(span.first, floor);
    cr_assert_gt(ix.horizon, floor);
    answer_index_release(&ix);
    assert_no_leaks();
}

Test(answer_index, what_was_read_takes_no_more_memory)
{
    struct answer_index ix;
    answer_index_init(&ix, 0);
    for (uint64_t i = 0; i < 1000; i++) ADD(&ix, i + 1, BLOCK_VALUES, {i * 10, 10});
    answer_index_drop_below(&ix, 5005);
    cr_assert_eq(answer_index_spans(&ix), 500);
    assert_finds(&ix, 5005, (struct answer_span){.first = 5005, .n = 5, .block = 501, .line = 5});
    ADD(&ix, 2000, BLOCK_VALUES, {0, 100});
    cr_assert_eq(answer_index_spans(&ix), 500);
    answer_index_drop_below(&ix, 10000);
    cr_assert_eq(ix.run_count, 0);
    answer_index_release(&ix);
    assert_no_leaks();
}

/* If the time to add a range grew in proportion to the number of ranges, this test would exceed its time limit. */
Test(answer_index, many_ranges_in_a_bad_order)
{
    enum { N = 300000, STEP = 618037 };
    struct answer_index ix;
    struct answer_span span;
    answer_index_init(&ix, 0);
    for (uint64_t i = 0; i < N; i++) ADD(&ix, i + 1, BLOCK_VALUES, {i * STEP % N, 1});
    for (uint64_t at = 0; at < N; at++) {
        cr_assert(answer_index_find(&ix, at, &span));
        if (span.first != at || span.block < 1) cr_assert_fail("item %zu", (size_t)at);
    }
    answer_index_release(&ix);
}

/* Random worlds. */

enum { ITEMS = 400 };

struct model {
    struct answer_span of[ITEMS]; /* the answer of each item; n is 0 if the item has no answer */
};

static void put(struct model *m, const struct answer_span *s)
{
    for (uint64_t k = 0; k < s->n; k++) {
        struct answer_span *at = &m->of[s->first + k];
        if (at->n && at->block > s->block) continue;
        *at = *s;
        at->first = s->first + k;
        at->n = 1;
        at->line = s->is_repeated ? s->line : s->line + k;
        at->is_repeated = false;
    }
}

/* Makes a block of ranges without overlaps, in any order, and adds the block to the index and to the model. */
static void add_random_block(struct random_source *rng, struct answer_index *ix, struct model *m, uint64_t number)
{
    struct block_range ranges[ITEMS];
    size_t n = 0;
    bool errors = random_below(rng, 3) == 0;
    for (uint64_t at = random_below(rng, ITEMS); at < ITEMS && n < 12; at += random_below(rng, 30)) {
        uint32_t most = (uint32_t)(ITEMS - at);
        ranges[n] =
            (struct block_range){at, 1 + random_below(rng, most < 20 ? most : 20), errors && random_below(rng, 2)};
        at += ranges[n++].n;
    }
    for (size_t i = n; i > 1; i--) {
        size_t other = random_below(rng, (uint32_t)i);
        struct block_range r = ranges[i - 1];
        ranges[i - 1] = ranges[other];
        ranges[other] = r;
    }
    add(ix, number, errors ? BLOCK_ERRORS : BLOCK_VALUES, ranges, n);
    uint64_t line = 0;
    for (size_t i = 0; i < n; i++) {
        bool repeated = ranges[i].repeated && ranges[i].n > 1;
        put(m, &(struct answer_span){.first = ranges[i].first,
                                     .n = ranges[i].n,
                                     .block = number,
                                     .line = line,
                                     .is_error = errors,
                                     .is_repeated = repeated});
        line += repeated ? 1 : ranges[i].n;
    }
}

static void compare(const struct answer_index *ix, const struct model *m, uint64_t from)
{
    struct answer_span span;
    uint64_t end = ix->horizon < ITEMS ? ix->horizon : ITEMS;
    for (uint64_t at = from; at < end;) {
        uint64_t next = at;
        while (next < end && !m->of[next].n) next++;
        bool found = answer_index_find(ix, at, &span);
        cr_assert_eq(found, next < end, "item %zu", (size_t)at);
        if (!found) return;
        cr_assert_eq(span.first, next);
        cr_assert_gt(span.n, 0);
        for (uint64_t k = 0; k < span.n; k++) {
            const struct answer_span *want = &m->of[span.first + k];
            cr_assert_eq(span.block, want->block, "item %zu", (size_t)(span.first + k));
            cr_assert_eq(span.line + (span.is_repeated ? 0 : k), want->line);
            cr_assert_eq(span.is_error, want->is_error);
        }
        at = span.first + span.n;
    }
}

Test(answer_index, random_worlds_agree_with_an_array)
{
    for (uint64_t seed = 1; seed <= 600; seed++) {
        struct random_source rng;
        struct answer_index ix;
        struct model m = {0};
        uint64_t floor = 0;
        rng = (struct random_source){seed};
        answer_index_init(&ix, random_below(&rng, 2) ? 20 + random_below(&rng, 60) : 0);
        for (uint64_t number = 1; number < 25; number++) {
            add_random_block(&rng, &ix, &m, number);
            if (random_below(&rng, 10) == 0) answer_index_drop_below(&ix, floor += random_below(&rng, 40));
            if (floor < ITEMS) compare(&ix, &m, floor);
        }
        answer_index_release(&ix);
    }
    assert_no_leaks();
}
