#include <criterion/criterion.h>

#include "common/observe/lasting_fault.h"

Test(lasting_fault, the_first_failure_is_logged_and_then_one_in_a_minute)
{
    struct lasting_fault o = {0};
    unsigned logged = 0;
    uint64_t now = 1;
    for (unsigned i = 0; i < 300; i++, now += 2 * NS_PER_S) logged += lasting_fault_seen(&o, now);
    cr_assert_eq(logged, 10, "in ten minutes");
}

Test(lasting_fault, the_end_is_told_once_with_the_time_since_the_first_failure)
{
    struct lasting_fault o = {0};
    cr_assert_eq(lasting_fault_ended(&o, 5 * NS_PER_S), 0, "there was no fault");
    cr_assert(lasting_fault_seen(&o, 7 * NS_PER_S));
    cr_assert_not(lasting_fault_seen(&o, 9 * NS_PER_S));
    cr_assert_eq(lasting_fault_ended(&o, 10 * NS_PER_S), 3 * NS_PER_S);
    cr_assert_eq(lasting_fault_ended(&o, 11 * NS_PER_S), 0);
    cr_assert(lasting_fault_seen(&o, 12 * NS_PER_S), "the next fault is logged at once");
    cr_assert_gt(lasting_fault_ended(&o, 12 * NS_PER_S), 0, "a fault that ends at once counts as a fault");
}
