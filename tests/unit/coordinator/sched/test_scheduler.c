/* Jobs are sent to workers, share the workers, and end. */
#include "unit/coordinator/sched/scheduler_harness.h"

Test(scheduler, one_item_is_sent_in_the_run_that_follows_its_offer)
{
    struct shell sh;
    shell_init(&sh);
    worker(&sh, 2);
    job_of(&sh, 1);
    run(&sh);
    cr_assert_eq(sh.sends, 1);
    complete(&sh, sh.out[0], 1);
    run(&sh);
    cr_assert_eq(sh.finished, 1);
    cr_assert_eq(sh.outcome.status, SCHED_SUCCEEDED);
    cr_assert_eq(sh.outcome.counts.succeeded, 1);
    shell_over(&sh);
}

Test(scheduler, a_job_without_items_succeeds)
{
    struct shell sh;
    shell_init(&sh);
    job_of(&sh, 0);
    run(&sh);
    cr_assert_eq(sh.finished, 1);
    cr_assert_eq(sh.outcome.status, SCHED_SUCCEEDED);
    shell_over(&sh);
}

Test(scheduler, nothing_is_due_when_there_is_nothing_to_do)
{
    struct shell sh;
    shell_init(&sh);
    worker(&sh, 2);
    run(&sh);
    cr_assert_eq(sh.next, SCHED_NEVER);
    shell_over(&sh);
}

Test(scheduler, no_more_than_max_concurrency_items_are_in_flight)
{
    struct shell sh;
    shell_init(&sh);
    worker(&sh, 64);
    struct sched_job_params p;
    sched_job_params_init(&p);
    p.max_concurrency = 3;
    struct sched_job *job = job_with(&sh, &p, 100);
    run(&sh);
    cr_assert_eq(sh.cut_items, 3);
    sched_job_set_max_concurrency(job, 5);
    run(&sh);
    cr_assert_eq(sh.cut_items, 5);
    complete_all(&sh);
    cr_assert_eq(sh.outcome.counts.succeeded, 100);
    shell_over(&sh);
}

Test(scheduler, equal_workers_are_given_equal_shares)
{
    struct shell sh;
    shell_init(&sh);
    struct sched_endpoint *workers[4];
    unsigned given[4] = {0};
    for (unsigned i = 0; i < 4; i++) workers[i] = worker(&sh, 4);
    job_of(&sh, 1000);
    run(&sh);
    while (sh.finished == 0) {
        for (unsigned i = 0; i < 4; i++) given[i] += sh.out[0]->endpoint == workers[i] ? items_of(sh.out[0]) : 0;
        complete(&sh, sh.out[0], 1);
        run(&sh);
    }
    for (unsigned i = 0; i < 4; i++) cr_assert_leq(given[i], 300);
    shell_over(&sh);
}

Test(scheduler, a_balancer_has_the_slots_of_the_workers_heard_from_lately)
{
    struct shell sh;
    shell_init(&sh);
    sched_endpoint_add(sh.s, NULL, true, 0, sh.now);
    struct sched_job *job = job_of(&sh, 1000);
    run(&sh);
    struct sched_attempt *a = sh.out[0];
    for (uint64_t id = 1; id <= 5; id++) sched_attempt_learned(a, id, 8, sh.now);
    cr_assert_eq(sched_stats(sh.s).slots, 40);
    sched_attempt_learned(a, 3, 16, sh.now);
    cr_assert_eq(sched_stats(sh.s).slots, 48);
    sh.now += 60 * NS_PER_S;
    sched_attempt_learned(a, 2, 8, sh.now);
    sched_attempt_learned(a, 6, 4, sh.now);
    cr_assert_eq(sched_stats(sh.s).slots, 12);
    sched_job_cancel(job, SCHED_CANCELLED, "enough");
    run(&sh);
    shell_over(&sh);
}

Test(scheduler, a_small_job_is_not_stuck_behind_a_big_one)
{
    struct shell sh;
    shell_init(&sh);
    worker(&sh, 2);
    job_of(&sh, 1000000);
    run(&sh);
    for (unsigned i = 0; i < 50; i++) {
        complete(&sh, sh.out[0], 10);
        run(&sh);
    }
    unsigned before = sh.sends;
    struct sched_job *small = job_of(&sh, 1);
    run(&sh);
    cr_assert_gt(sh.sends, before);
    cr_assert_eq(sh.out[sh.out_n - 1]->chunk->job, small);
    shell_over(&sh);
}

static unsigned out_of(const struct shell *sh, const struct sched_job *job)
{
    unsigned n = 0;
    for (unsigned i = 0; i < sh->out_n; i++) n += sh->out[i]->chunk->job == job;
    return n;
}

Test(scheduler, ten_quick_items_beside_a_million_need_two_rounds)
{
    struct shell sh;
    shell_init(&sh);
    worker(&sh, 1);
    worker(&sh, 1);
    job_of(&sh, 10000000);
    run(&sh);
    for (unsigned i = 0; i < 100; i++) {
        sh.now += 100 * NS_PER_US;
        complete(&sh, sh.out[0], 0);
        run(&sh);
    }
    struct sched_job *small = job_of(&sh, 10);
    run(&sh);
    cr_assert_geq(out_of(&sh, small), 1);
    sh.now += 2 * MS;
    complete_job(&sh, small);
    unsigned before = sh.out_n;
    run(&sh);
    cr_assert_gt(sh.out_n, before);
    cr_assert_eq(sh.out[before]->chunk->job, small, "the big job was served first");
    complete_job(&sh, small);
    run(&sh);
    cr_assert_eq(sh.finished, 1);
    shell_over(&sh);
}

Test(scheduler, jobs_share_by_priority)
{
    struct shell sh;
    shell_init(&sh);
    worker(&sh, 4);
    struct sched_job_params p;
    sched_job_params_init(&p);
    p.chunk_size = 1;
    p.priority = 1;
    struct sched_job *low = job_with(&sh, &p, 100000);
    p.priority = 9;
    struct sched_job *high = job_with(&sh, &p, 100000);
    run(&sh);
    for (unsigned i = 0; i < 4000; i++) {
        complete(&sh, sh.out[0], 1);
        run(&sh);
    }
    double share = (double)sched_job_counts(high).succeeded / (double)sched_job_counts(low).succeeded;
    cr_assert_gt(share, 6);
    cr_assert_lt(share, 12);
    shell_over(&sh);
}

Test(scheduler, the_gauges_add_up)
{
    struct shell sh;
    shell_init(&sh);
    worker(&sh, 4);
    job_of(&sh, 1000);
    run(&sh);
    struct sched_stats stats = sched_stats(sh.s);
    cr_assert_eq(stats.queued_items + stats.in_flight_items, 1000);
    cr_assert_eq(stats.in_flight_chunks, sh.out_n);
    cr_assert_eq(stats.slots, 4);
    cr_assert_eq(stats.demand_slots, 1000);
    complete_all(&sh);
    stats = sched_stats(sh.s);
    cr_assert_eq(stats.queued_items + stats.in_flight_items + stats.in_flight_chunks + stats.demand_slots, 0);
    cr_assert_eq(stats.items_succeeded, 1000);
    shell_over(&sh);
}

Test(scheduler, cancelling_cuts_what_runs_and_settles_the_rest)
{
    struct shell sh;
    shell_init(&sh);
    worker(&sh, 4);
    struct sched_job *job = job_of(&sh, 1000);
    run(&sh);
    complete(&sh, sh.out[0], 1);
    sched_job_cancel(job, SCHED_CANCELLED, "asked to");
    run(&sh);
    cr_assert_eq(sh.finished, 1);
    cr_assert_eq(sh.out_n, 0);
    cr_assert_eq(sh.outcome.status, SCHED_CANCELLED);
    cr_assert_eq(sh.errors[ITEM_CANCELLED], 999);
    cr_assert_eq(sh.outcome.counts.cancelled, 999);
    shell_over(&sh);
}

Test(scheduler, items_keep_their_indexes_where_some_are_missing)
{
    struct shell sh;
    shell_init(&sh);
    sh.run_items = 4;
    worker(&sh, 64);
    struct sched_job_params p;
    sched_job_params_init(&p);
    p.chunk_size = 3;
    p.max_concurrency = 7;
    struct sched_job *job = job_with(&sh, &p, 10);
    run(&sh);
    cr_assert_eq(sh.out_n, 3, "two chunks of 3 items and 1 item before the gap, one chunk of 3 items after the gap");
    cr_assert_eq(sh.out[1]->chunk->first, 3);
    cr_assert_eq(items_of(sh.out[1]), 1);
    cr_assert_eq(sh.out[2]->chunk->first, 4 + RUN_GAP);
    struct sched_accept accept = sched_attempt_answered(sh.out[2], 2, sh.now);
    cr_assert_eq(sched_chunk_index(sh.out[2]->chunk, accept.at), 4 + RUN_GAP);
    sched_job_cancel(job, SCHED_CANCELLED, "enough");
    run(&sh);
    cr_assert_eq(sh.finished, 1);
    cr_assert_eq(sh.errors[ITEM_CANCELLED], 8);
    cr_assert_eq(sh.last_error_first, 8 + 2 * RUN_GAP, "all other items are settled run by run");
    cr_assert_eq(sh.outcome.counts.cancelled, 8);
    shell_over(&sh);
}

Test(scheduler, a_job_ends_at_its_deadline)
{
    struct shell sh;
    shell_init(&sh);
    worker(&sh, 4);
    struct sched_job_params p;
    sched_job_params_init(&p);
    p.deadline_ns = sh.now + 50 * MS;
    job_with(&sh, &p, 10);
    run(&sh);
    cr_assert_leq(sh.next, p.deadline_ns);
    run_at(&sh, p.deadline_ns);
    cr_assert_eq(sh.outcome.status, SCHED_TIMED_OUT);
    cr_assert_eq(sh.errors[ITEM_DEADLINE_EXCEEDED], 10);
    cr_assert_eq(sh.out_n, 0);
    shell_over(&sh);
}

Test(scheduler, answers_of_an_attempt_that_is_to_be_cut_are_dropped)
{
    struct shell sh;
    shell_init(&sh);
    worker(&sh, 4);
    struct sched_job *job = job_of(&sh, 10);
    run(&sh);
    struct sched_attempt *a = sh.out[0];
    sched_job_cancel(job, SCHED_CANCELLED, "asked to");
    struct sched_accept accept = sched_attempt_answered(a, 1, sh.now);
    cr_assert_eq(accept.keep, 0);
    cr_assert_eq(accept.drop, 1);
    end(&sh, a, SCHED_END_COMPLETE);
    run(&sh);
    cr_assert_eq(sh.errors[ITEM_CANCELLED], 10);
    shell_over(&sh);
}

Test(scheduler, a_worker_that_does_not_end_its_answer_does_not_hold_the_job)
{
    struct shell sh;
    shell_init(&sh);
    worker(&sh, 4);
    job_of(&sh, 1);
    run(&sh);
    answer(&sh, sh.out[0], 1, 1);
    run(&sh);
    cr_assert_eq(sh.finished, 0);
    run_on(&sh, 3);
    cr_assert_eq(sh.cuts, 1);
    cr_assert_eq(sh.outcome.status, SCHED_SUCCEEDED);
    shell_over(&sh);
}
