/* How long the CLI waits before it tries again. */
#include <criterion/criterion.h>

#include "cli/http/retry_wait.h"

Test(retry_wait, waits_double_up_to_two_seconds)
{
    static const uint64_t wanted_ms[] = {50, 100, 200, 400, 800, 1600, 2000, 2000};
    for (unsigned i = 0; i < ARRAY_SIZE(wanted_ms); i++) cr_assert_eq(retry_wait_ns(i), wanted_ms[i] * NS_PER_MS);
    cr_assert_eq(retry_wait_ns(UINT32_MAX), 2 * NS_PER_S);
}

Test(retry_wait, a_service_may_ask_for_at_most_ten_seconds)
{
    cr_assert_eq(retry_wait_asked_ns(-1), 0);
    cr_assert_eq(retry_wait_asked_ns(0), 0);
    cr_assert_eq(retry_wait_asked_ns(1.5), 1500 * NS_PER_MS);
    cr_assert_eq(retry_wait_asked_ns(10), 10 * NS_PER_S);
    cr_assert_eq(retry_wait_asked_ns(1e300), 10 * NS_PER_S);
}
