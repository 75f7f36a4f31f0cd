#include "coordinator/recorded/range_sort.h"

#include <criterion/criterion.h>

#include "common/base/random.h"
#include "unit/leaks.h"

/* Sorts one copy of the list in slices and another copy all at once, and compares the two copies. Returns the number of
 * slices. */
static unsigned expect_sorted(const struct range_list *l, size_t most)
{
    struct range_list slices = {0}, once = {0};
    struct range_sort sort;
    unsigned steps = 1;
    for (size_t i = 0; i < l->count; i++) {
        range_list_add(&slices, l->ranges[i].first, l->ranges[i].n);
        range_list_add(&once, l->ranges[i].first, l->ranges[i].n);
    }
    range_list_sort(&once);
    range_sort_begin(&sort, &slices);
    while (!range_sort_step(&sort, most)) steps++;
    cr_assert_null(sort.list);
    cr_assert_eq(slices.count, once.count);
    for (size_t i = 0; i < once.count; i++) {
        cr_assert_eq(slices.ranges[i].first, once.ranges[i].first);
        cr_assert_eq(slices.ranges[i].n, once.ranges[i].n);
    }
    range_list_add(&slices, UINT64_MAX / 2, 1); /* the list can grow again */
    range_list_release(&slices);
    range_list_release(&once);
    return steps;
}

Test(range_sort, lists_of_any_length_are_sorted_in_slices_of_any_size)
{
    static const size_t counts[] = {0, 1, 2, 511, 512, 513, 1024, 1025, 1537, 5000};
    struct random_source random = {7};
    for (size_t c = 0; c < ARRAY_SIZE(counts); c++)
        for (int repeats = 0; repeats < 3; repeats++) {
            struct range_list l = {0};
            uint64_t most = repeats == 2 ? 3 * counts[c] + 1 : UINT64_C(1) << 40;
            for (size_t i = 0; i < counts[c]; i++)
                range_list_add(&l, random_u64(&random) % most, 1 + random_u64(&random) % 3);
            expect_sorted(&l, 1);
            expect_sorted(&l, 1000);
            expect_sorted(&l, SIZE_MAX);
            range_list_release(&l);
        }
    assert_no_leaks();
}

Test(range_sort, many_ranges_take_several_slices)
{
    struct range_list l = {0};
    struct random_source random = {3};
    for (int i = 0; i < 100000; i++) range_list_add(&l, random_u64(&random) % 10000000, 1);
    cr_assert_geq(expect_sorted(&l, 10000), 50);
    range_list_release(&l);
    assert_no_leaks();
}

Test(range_sort, it_can_be_given_up)
{
    struct range_list l = {0};
    struct range_sort sort = {0};
    range_sort_release(&sort);
    for (uint64_t i = 0; i < 5000; i++) range_list_add(&l, (i * 7919) % 10007, 1);
    range_sort_begin(&sort, &l);
    while (!sort.merged || sort.begin == 0) cr_assert_not(range_sort_step(&sort, 100));
    range_sort_release(&sort);
    range_list_release(&l);
    assert_no_leaks();
}
