/* How many further tries are made, and for how long. */
#include <criterion/criterion.h>

#include "cli/remote/job_retry.h"

Test(job_retry, waits_grow_up_to_two_seconds_until_the_limit)
{
    struct job_retry p = {.limit_s = 10};
    uint64_t now = NS_PER_S, wait_ms, total_ms = 0, last_ms = 0;
    while (job_retry_allowed(&p, -1, now, &wait_ms)) {
        cr_assert(wait_ms >= last_ms && wait_ms >= 50 && wait_ms <= 2000);
        last_ms = wait_ms;
        total_ms += wait_ms;
        now += wait_ms * NS_PER_MS;
    }
    cr_assert_eq(last_ms, 2000);
    cr_assert(total_ms >= 10000 && total_ms < 12000);
}

Test(job_retry, progress_renews_it)
{
    struct job_retry p = {.limit_s = 1};
    uint64_t wait_ms;
    cr_assert(job_retry_allowed(&p, -1, NS_PER_S, &wait_ms));
    cr_assert(!job_retry_allowed(&p, -1, 2 * NS_PER_S, &wait_ms));
    job_retry_reset(&p);
    cr_assert(job_retry_allowed(&p, -1, 9 * NS_PER_S, &wait_ms));
    cr_assert_eq(wait_ms, 50);
}

Test(job_retry, the_service_can_ask_for_a_longer_wait_but_not_for_a_very_long_one)
{
    struct job_retry p = {.limit_s = 100};
    uint64_t wait_ms;
    cr_assert(job_retry_allowed(&p, 3, NS_PER_S, &wait_ms));
    cr_assert_eq(wait_ms, 3000);
    cr_assert(job_retry_allowed(&p, 1e9, NS_PER_S, &wait_ms));
    cr_assert_eq(wait_ms, 10000);
    cr_assert(job_retry_allowed(&p, 0, NS_PER_S, &wait_ms));
    cr_assert_eq(wait_ms, 200);
}

Test(job_retry, without_a_limit_nothing_is_tried_again)
{
    struct job_retry p = {.limit_s = 0};
    uint64_t wait_ms;
    cr_assert(!job_retry_allowed(&p, -1, NS_PER_S, &wait_ms));
}
