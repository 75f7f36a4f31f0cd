/* The set of items that an earlier run has finished. */
#include <criterion/criterion.h>

#include "cli/items/done_set.h"

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
