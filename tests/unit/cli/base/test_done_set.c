/* The set of items that an earlier run has finished. */
#include <criterion/criterion.h>

#include "cli/base/done_set.h"

Test(done_set, it_has_what_was_added)
{
    struct done_set s = {0};
    cr_assert_not(done_set_has(&s, 0));
    static const uint64_t some[] = {5, 0, 64, 63, 1000000, 5};
    for (size_t i = 0; i < ARRAY_SIZE(some); i++) cr_assert(done_set_add(&s, some[i]));
    for (size_t i = 0; i < ARRAY_SIZE(some); i++) cr_assert(done_set_has(&s, some[i]));
    static const uint64_t others[] = {1, 4, 6, 62, 65, 999999, 1000001, UINT64_MAX};
    for (size_t i = 0; i < ARRAY_SIZE(others); i++) cr_assert_not(done_set_has(&s, others[i]));
    cr_assert_eq(s.count, 5);
    cr_assert_not(done_set_add(&s, DONE_SET_MAX));
    done_set_release(&s);
}

Test(done_set, the_indexes_that_are_left_are_found_by_their_number_in_any_order)
{
    struct done_set s = {0};
    struct done_place at = {0};
    cr_assert_eq(done_set_nth_left(&s, 7, &at), 7); /* nothing is done */
    for (uint64_t i = 0; i < 1000; i++)
        if (i % 3 == 0 || (i >= 128 && i < 256)) cr_assert(done_set_add(&s, i));
    uint64_t left[2000], count = 0;
    for (uint64_t i = 0; count < ARRAY_SIZE(left); i++)
        if (!done_set_has(&s, i)) left[count++] = i;
    for (uint64_t n = 0; n < count; n++) cr_assert_eq(done_set_nth_left(&s, n, &at), left[n]);
    for (uint64_t n = count; n-- > 0;) cr_assert_eq(done_set_nth_left(&s, n, &at), left[n]);
    for (uint64_t n = 0; n < count; n++) {
        uint64_t any = n * 7919 % count;
        cr_assert_eq(done_set_nth_left(&s, any, &at), left[any]);
    }
    done_set_release(&s);
}
