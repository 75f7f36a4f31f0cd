#include "coordinator/recorded/range_list.h"

#include <criterion/criterion.h>

#include "common/base/buf.h"
#include "unit/leaks.h"

/* Compares the list with a text such as "0+3 7+1". */
static void expect(const struct range_list *l, const char *text)
{
    struct buf got = {0};
    for (size_t i = 0; i < l->count; i++)
        buf_addf(&got, "%s%llu+%llu", i ? " " : "", (unsigned long long)l->ranges[i].first,
                 (unsigned long long)l->ranges[i].n);
    cr_assert_str_eq(buf_cstr(&got), text);
    buf_release(&got);
}

Test(range_list, ranges_that_continue_the_last_one_are_joined)
{
    struct range_list l = {0};
    range_list_add(&l, 5, 0);
    expect(&l, "");
    range_list_add(&l, 5, 2);
    range_list_add(&l, 7, 1);
    range_list_add(&l, 0, 2);
    expect(&l, "5+3 0+2");
    cr_assert_eq(range_list_total(&l), 5);
    range_list_release(&l);
    assert_no_leaks();
}

Test(range_list, sorting_joins_what_touches_and_what_overlaps)
{
    struct range_list l = {0};
    range_list_sort(&l);
    expect(&l, "");
    range_list_add(&l, 20, 5);
    range_list_add(&l, 0, 10);
    range_list_add(&l, 3, 2);
    range_list_add(&l, 22, 8);
    range_list_add(&l, 10, 1);
    range_list_sort(&l);
    expect(&l, "0+11 20+10");
    range_list_sort(&l);
    expect(&l, "0+11 20+10");
    range_list_release(&l);
    assert_no_leaks();
}

Test(range_list, merging_keeps_the_order_and_joins)
{
    struct range_list l = {0}, more = {0};
    range_list_merge(&l, &more);
    expect(&l, "");
    range_list_add(&more, 3, 2);
    range_list_add(&more, 9, 1);
    range_list_merge(&l, &more);
    expect(&l, "3+2 9+1");
    range_list_release(&more);
    range_list_add(&more, 0, 1);
    range_list_add(&more, 5, 1);
    range_list_add(&more, 20, 1);
    range_list_merge(&l, &more);
    expect(&l, "0+1 3+3 9+1 20+1");
    range_list_release(&more);
    range_list_release(&l);
    assert_no_leaks();
}

static void expect_gaps(const struct range_list *l, uint64_t total, const char *text)
{
    struct range_list gaps = {0};
    range_list_gaps(l, total, &gaps);
    expect(&gaps, text);
    range_list_release(&gaps);
}

Test(range_list, gaps_are_what_is_not_in_the_list)
{
    struct range_list l = {0};
    expect_gaps(&l, 0, "");
    expect_gaps(&l, 4, "0+4");
    range_list_add(&l, 0, 2);
    range_list_add(&l, 5, 1);
    range_list_add(&l, 8, 4);
    expect_gaps(&l, 20, "2+3 6+2 12+8");
    expect_gaps(&l, 10, "2+3 6+2");
    expect_gaps(&l, 7, "2+3 6+1");
    expect_gaps(&l, 2, "");
    range_list_release(&l);
    assert_no_leaks();
}

Test(range_list, a_range_is_removed)
{
    struct range_list l = {0};
    range_list_add(&l, 0, 10);
    range_list_add(&l, 20, 10);
    range_list_remove(&l, 40, 5);
    expect(&l, "0+10 20+10");
    range_list_remove(&l, 3, 2);
    expect(&l, "0+3 5+5 20+10");
    range_list_remove(&l, 8, 15);
    expect(&l, "0+3 5+3 23+7");
    range_list_remove(&l, 5, 3);
    range_list_remove(&l, 29, 9);
    expect(&l, "0+3 23+6");
    range_list_remove(&l, 0, 100);
    expect(&l, "");
    range_list_release(&l);
    assert_no_leaks();
}

static struct range_list random_list(unsigned *seed, bool *in, uint64_t total)
{
    struct range_list l = {0};
    for (int i = rand_r(seed) % 8; i > 0; i--) {
        uint64_t first = (unsigned)rand_r(seed) % total, n = (unsigned)rand_r(seed) % 6;
        range_list_add(&l, first, n);
        for (uint64_t k = first; k < first + n && k < total; k++) in[k] = true;
    }
    range_list_sort(&l);
    return l;
}

static void expect_bits(const struct range_list *l, const bool *in, uint64_t total)
{
    bool got[64] = {0};
    for (size_t i = 0; i < l->count; i++)
        for (uint64_t k = 0; k < l->ranges[i].n; k++)
            if (l->ranges[i].first + k < total) got[l->ranges[i].first + k] = true;
    cr_assert_arr_eq(got, in, total);
}

Test(range_list, random_lists_agree_with_sets_of_bits)
{
    enum { TOTAL = 40 };
    unsigned seed = 1;
    for (int round = 0; round < 2000; round++) {
        bool in_a[64] = {0}, in_b[64] = {0}, gap[64] = {0}, both[64] = {0};
        struct range_list a = random_list(&seed, in_a, TOTAL), b = random_list(&seed, in_b, TOTAL), gaps = {0}, x = {0};
        for (int k = 0; k < TOTAL; k++) gap[k] = !in_a[k];
        for (int k = 0; k < TOTAL; k++) both[k] = in_a[k] && in_b[k];
        expect_bits(&a, in_a, TOTAL);
        range_list_gaps(&a, TOTAL, &gaps);
        expect_bits(&gaps, gap, TOTAL);
        range_list_intersect(&a, &b, &x);
        expect_bits(&x, both, TOTAL);
        range_list_release(&a);
        range_list_release(&b);
        range_list_release(&gaps);
        range_list_release(&x);
    }
    assert_no_leaks();
}
