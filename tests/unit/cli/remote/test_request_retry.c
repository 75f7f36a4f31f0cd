/* How many times a request is retried, and for how long. */
#include <criterion/criterion.h>

#include "cli/remote/request_retry.h"

Test(request_retry, waits_grow_up_to_two_seconds_until_the_limit)
{
    struct request_retry p = {.limit_s = 10};
    uint64_t now = NS_PER_S, wait_ms, total_ms = 0, last_ms = 0;
    while (request_retry_allowed(&p, -1, now, &wait_ms)) {
        cr_assert(wait_ms >= last_ms && wait_ms >= 50 && wait_ms <= 2000);
        last_ms = wait_ms;
        total_ms += wait_ms;
        now += wait_ms * NS_PER_MS;
    }
    cr_assert_eq(last_ms, 2000);
    cr_assert(total_ms >= 10000 && total_ms < 12000);
}

Test(request_retry, progress_renews_it)
{
    struct request_retry p = {.limit_s = 1};
    uint64_t wait_ms;
    cr_assert(request_retry_allowed(&p, -1, NS_PER_S, &wait_ms));
    cr_assert(!request_retry_allowed(&p, -1, 2 * NS_PER_S, &wait_ms));
    request_retry_reset(&p);
    cr_assert(request_retry_allowed(&p, -1, 9 * NS_PER_S, &wait_ms));
    cr_assert_eq(wait_ms, 50);
}

Test(request_retry, the_service_can_ask_for_a_longer_wait_but_not_for_a_very_long_one)
{
    struct request_retry p = {.limit_s = 100};
    uint64_t wait_ms;
    cr_assert(request_retry_allowed(&p, 3, NS_PER_S, &wait_ms));
    cr_assert_eq(wait_ms, 3000);
    cr_assert(request_retry_allowed(&p, 1e9, NS_PER_S, &wait_ms));
    cr_assert_eq(wait_ms, 10000);
    cr_assert(request_retry_allowed(&p, 0, NS_PER_S, &wait_ms));
    cr_assert_eq(wait_ms, 200);
}

Test(request_retry, without_a_limit_nothing_is_tried_again)
{
    struct request_retry p = {.limit_s = 0};
    uint64_t wait_ms;
    cr_assert(!request_retry_allowed(&p, -1, NS_PER_S, &wait_ms));
}
