/* max_rate limits how many items of a job are sent per second. */
#include "unit/coordinator/sched/scheduler_harness.h"

#define SECOND (1000 * MS)

static struct sched_job_params rate_params(double max_rate)
{
    struct sched_job_params p = params();
    p.max_rate = max_rate;
    p.hedge_enabled = false;
    return p;
}

/* Moves the clock to `until`, and answers each attempt as soon as it is sent. */
static void serve_until(struct shell *sh, uint64_t until)
{
    while (sh->now < until && sh->finished == 0) {
        while (sh->out_n > 0) complete(sh, sh->out[0], 0);
        run(sh);
        if (sh->out_n == 0) run_at(sh, sh->next < until ? sh->next : until);
    }
}

static void sends_per_second(double max_rate, unsigned seconds, uint64_t least, uint64_t most, unsigned most_sends)
{
    struct shell sh;
    shell_init(&sh);
    for (unsigned i = 0; i < 4; i++) worker(&sh, 16);
    struct sched_job_params p = rate_params(max_rate);
    job_with(&sh, &p, 10 * 1000 * 1000);
    run(&sh);
    serve_until(&sh, sh.now + seconds * (uint64_t)SECOND);
    cr_expect(sh.cut_items >= least && sh.cut_items <= most, "%g per second: %llu items in %u s", max_rate,
              (unsigned long long)sh.cut_items, seconds);
    cr_expect_leq(sh.sends, most_sends, "%g per second: %u chunks in %u s", max_rate, sh.sends, seconds);
    shell_over(&sh);
}

Test(scheduler_rate, as_many_items_are_sent_as_the_rate_allows)
{
    sends_per_second(0.25, 40, 10, 11, 11);
    sends_per_second(1, 10, 10, 11, 11);
    sends_per_second(7, 10, 70, 71, 71);
    sends_per_second(1000, 10, 9900, 10101, 510);
    sends_per_second(100000, 10, 990000, 1010001, 510);
}

Test(scheduler_rate, no_second_has_more_items_than_the_rate_and_a_tenth)
{
    struct shell sh;
    uint64_t before[200] = {0}; /* the items sent in each 10 ms */
    shell_init(&sh);
    worker(&sh, 64);
    struct sched_job_params p = rate_params(200);
    job_with(&sh, &p, 100000);
    run(&sh);
    serve_until(&sh, sh.now + SECOND / 2);
    run_at(&sh,
           sh.now + 5 * (uint64_t)SECOND); /* nothing is sent meanwhile, and the rest does not follow in one burst */
    uint64_t start = sh.now;
    for (unsigned i = 0; i < ARRAY_SIZE(before); i++) {
        uint64_t sent = sh.cut_items;
        serve_until(&sh, start + (i + 1) * 10 * (uint64_t)MS);
        before[i] = sh.cut_items - sent;
    }
    for (unsigned i = 0; i + 100 <= ARRAY_SIZE(before); i++) {
        uint64_t sum = 0;
        for (unsigned n = 0; n < 100; n++) sum += before[i + n];
        cr_expect_leq(sum, 200 + 200 / 10 + 1, "the second from %u0 ms on: %llu", i, (unsigned long long)sum);
    }
    shell_over(&sh);
}

Test(scheduler_rate, an_item_that_is_sent_again_counts_again)
{
    struct shell sh;
    shell_init(&sh);
    worker(&sh, 8);
    struct sched_job_params p = rate_params(2);
    p.retry.max_attempts = 3;
    p.retry.interval_s = 0;
    p.retry.on |= SCHED_RETRY_ON(ITEM_TASK_ERROR);
    job_with(&sh, &p, 1);
    run(&sh);
    cr_assert_eq(sh.sends, 1);
    for (unsigned attempt = 1; attempt < 3; attempt++) {
        uint64_t sent_ns = sh.now;
        struct sched_item_verdict v = sched_attempt_item_error(sh.out[0], ITEM_TASK_ERROR, sh.now);
        cr_assert_eq(v.verdict, SCHED_ITEM_RETRIED);
        end(&sh, sh.out[0], SCHED_END_COMPLETE);
        run(&sh);
        until_sent(&sh);
        cr_expect_geq(sh.now, sent_ns + SECOND / 2 - MS, "attempt %u is sent after %llu ms", attempt,
                      (unsigned long long)((sh.now - sent_ns) / MS));
    }
    complete(&sh, sh.out[0], 0);
    run(&sh);
    cr_assert_eq(sh.outcome.status, SCHED_SUCCEEDED);
    shell_over(&sh);
}

Test(scheduler_rate, a_chunk_that_is_larger_than_the_bucket_is_sent_again_whole)
{
    struct shell sh;
    shell_init(&sh);
    worker(&sh, 64);
    worker(&sh, 64);
    struct sched_job_params p = rate_params(10000);
    p.chunk_size = 50;
    struct sched_job *job = job_with(&sh, &p, 50);
    run(&sh);
    until_sent(&sh);
    cr_assert_gt(items_of(sh.out[0]), 1);
    sched_job_set_max_rate(job, 1);
    end(&sh, sh.out[0], SCHED_END_DRAINING);
    run(&sh);
    complete_all(&sh);
    cr_assert_eq(sh.finished, 1);
    cr_assert_eq(sh.outcome.counts.succeeded, 50);
    shell_over(&sh);
}

Test(scheduler_rate, the_rate_of_a_running_job_can_be_changed)
{
    struct shell sh;
    shell_init(&sh);
    worker(&sh, 16);
    struct sched_job_params p = rate_params(1);
    struct sched_job *job = job_with(&sh, &p, 1000);
    run(&sh);
    serve_until(&sh, sh.now + 3 * (uint64_t)SECOND);
    cr_assert_leq(sh.cut_items, 4);
    cr_expect_geq(sched_job_eta_ns(job), 990 * (uint64_t)SECOND);
    cr_expect_leq(sched_job_demand_slots(job), 1);
    sched_job_set_max_rate(job, 100);
    serve_until(&sh, sh.now + 2 * (uint64_t)SECOND);
    cr_expect(sh.cut_items >= 190 && sh.cut_items <= 215, "%llu", (unsigned long long)sh.cut_items);
    sched_job_set_max_rate(job, 0);
    complete_all(&sh);
    cr_assert_eq(sh.outcome.counts.succeeded, 1000);
    shell_over(&sh);
}

Test(scheduler_rate, a_job_with_a_rate_does_not_hold_back_other_jobs)
{
    struct shell sh;
    shell_init(&sh);
    worker(&sh, 4);
    struct sched_job_params p = rate_params(1);
    struct sched_job *slow = job_with(&sh, &p, 100);
    job_of(&sh, 5000);
    run(&sh);
    serve_until(&sh, sh.now + 3 * (uint64_t)SECOND);
    cr_assert_eq(sh.finished, 1);
    cr_assert_eq(sh.outcome.counts.succeeded, 5000);
    cr_assert_leq(sched_job_counts(slow).succeeded, 4);
    shell_over(&sh);
}
