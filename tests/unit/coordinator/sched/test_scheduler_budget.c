/* The retry budget: its limits, and the cause in the error of an item. */
#include "unit/coordinator/sched/scheduler_harness.h"

Test(scheduler_budget, an_item_that_waited_for_the_retry_budget_until_the_deadline_says_so)
{
    struct shell sh;
    shell_init(&sh);
    for (unsigned i = 0; i < 8; i++) worker(&sh, 8);
    struct sched_job_params p = params();
    p.chunk_size = 1;
    p.retry.max_attempts = 100;
    p.retry.interval_s = 0;
    p.deadline_ns = sh.now + 2 * NS_PER_S;
    job_with(&sh, &p, 60);
    run(&sh);
    for (unsigned turn = 0; turn < 10000 && sh.finished == 0; turn++) {
        if (sh.out_n > 0)
            end(&sh, sh.out[0], SCHED_END_BAD_STATUS);
        else
            sh.now = sh.next > sh.now ? sh.next : sh.now + 1;
        run(&sh);
    }
    cr_assert_eq(sh.outcome.status, SCHED_TIMED_OUT);
    cr_assert_gt(sh.budget_errors, 0);
    cr_assert_leq(sh.budget_errors, sh.errors[ITEM_DEADLINE_EXCEEDED]);
    shell_over(&sh);
}

Test(scheduler_budget, when_everything_answers_503_requests_stay_within_the_budget)
{
    struct shell sh;
    shell_init(&sh);
    for (unsigned i = 0; i < 4; i++) worker(&sh, 4);
    job_of(&sh, 100000);
    run(&sh);
    for (unsigned turn = 0; turn < 100000 && sh.finished == 0; turn++) {
        if (sh.out_n > 0)
            end(&sh, sh.out[0], SCHED_END_UNAVAILABLE);
        else
            sh.now = sh.next > sh.now ? sh.next : sh.now + 1;
        run(&sh);
        if (!sh.probed) continue;
        sched_endpoint_probed(sh.s, sh.probed, false, sh.now);
        sh.probed = NULL;
    }
    cr_assert_eq(sh.finished, 1);
    cr_assert_leq(sh.sends, 1.2 * (double)sched_stats(sh.s).attempts_first + 3);
    shell_over(&sh);
}

/* The budget protects the fleet from failures of its workers. Retries that a job asks for are limited only by
 * max_attempts. */
Test(scheduler_budget, errors_that_the_job_wants_tried_again_are_tried_max_attempts_times_each)
{
    struct shell sh;
    shell_init(&sh);
    worker(&sh, 8);
    worker(&sh, 8);
    struct sched_job_params p = params();
    p.chunk_size = 1;
    p.retry.on = SCHED_RETRY_ON(ITEM_TASK_ERROR);
    p.retry.max_attempts = 10;
    p.retry.backoff_rate = 1;
    job_with(&sh, &p, 100);
    unsigned final = 0;
    for (unsigned turn = 0; turn < 20000 && sh.finished == 0; turn++) {
        run(&sh);
        if (sh.out_n == 0) {
            if (sh.finished == 0) sh.now = sh.next;
            continue;
        }
        struct sched_attempt *a = sh.out[0];
        struct sched_item_verdict v = sched_attempt_item_error(a, ITEM_TASK_ERROR, sh.now);
        cr_assert_eq(v.verdict == SCHED_ITEM_FINAL, v.attempts == 10);
        final += v.verdict == SCHED_ITEM_FINAL;
        end(&sh, a, SCHED_END_COMPLETE);
    }
    cr_assert_eq(sh.finished, 1);
    cr_assert_eq(final, 100);
    cr_assert_eq(sh.sends, 1000);
    cr_assert_lt(sh.now, 1000 * MS + 5 * NS_PER_S, "with one retry in 100 ms, the test would take 90 s");
    shell_over(&sh);
}
