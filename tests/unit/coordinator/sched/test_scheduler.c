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

Test(scheduler, chunks_begin_with_one_item_and_reach_thousands_in_a_few_answers)
{
    struct shell sh;
    shell_init(&sh);
    worker(&sh, 2);
    job_of(&sh, 1000000);
    run(&sh);
    cr_assert_eq(items_of(sh.out[0]), 1);
    uint32_t largest = 0;
    for (unsigned answers = 0; answers < 25; answers++) {
        sh.now += 100 * NS_PER_US;
        complete(&sh, sh.out[0], 0);
        run(&sh);
        for (unsigned i = 0; i < sh.out_n; i++) largest = items_of(sh.out[i]) > largest ? items_of(sh.out[i]) : largest;
    }
    cr_assert_geq(largest, 16000);
    shell_over(&sh);
}

Test(scheduler, long_items_go_one_by_one_and_do_not_pile_up)
{
    struct shell sh;
    shell_init(&sh);
    worker(&sh, 8);
    job_of(&sh, 10000);
    run(&sh);
    for (unsigned i = 0; i < 100; i++) {
        complete(&sh, sh.out[0], 125); /* eight slots, one second per item */
        run(&sh);
    }
    for (unsigned i = 0; i < sh.out_n; i++) cr_assert_eq(items_of(sh.out[i]), 1);
    cr_assert_geq(sh.out_n, 8);
    cr_assert_leq(sh.out_n, 10);
    shell_over(&sh);
}

Test(scheduler, a_fixed_chunk_size_is_kept_and_waits_until_it_is_full)
{
    struct shell sh;
    shell_init(&sh);
    worker(&sh, 4);
    worker(&sh, 4);
    struct sched_job_params p;
    sched_job_params_init(&p);
    p.chunk_size = 10;
    struct sched_job *job = sched_job_add(sh.s, &p, sh.now);
    sched_job_offer(job, 15, 15 * ITEM_BYTES);
    run(&sh);
    cr_assert_eq(sh.sends, 1);
    cr_assert_eq(items_of(sh.out[0]), 10);
    sched_job_no_more_items(job);
    run(&sh);
    cr_assert_eq(sh.sends, 2);
    cr_assert_eq(items_of(sh.out[1]), 5);
    shell_over(&sh);
}

Test(scheduler, chunks_keep_to_their_bytes)
{
    struct shell sh;
    shell_init(&sh);
    worker(&sh, 4);
    struct sched_job_params p;
    sched_job_params_init(&p);
    p.chunk_size = 100;
    p.max_chunk_bytes = 10 * ITEM_BYTES;
    job_with(&sh, &p, 1000);
    run(&sh);
    for (unsigned i = 0; i < sh.out_n; i++) cr_assert_eq(items_of(sh.out[i]), 10);
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

/* Answers all sent attempts of the job at once. */
static void complete_job(struct shell *sh, const struct sched_job *job)
{
    for (unsigned i = 0; i < sh->out_n;) {
        if (sh->out[i]->chunk->job == job)
            complete(sh, sh->out[i], 0);
        else
            i++;
    }
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

Test(scheduler, what_is_less_than_a_request_is_worth_is_not_split)
{
    struct shell sh;
    shell_init(&sh);
    worker(&sh, 2);
    struct sched_job *job = job_of(&sh, 10);
    run(&sh);
    sh.now += 100 * NS_PER_US;
    complete_job(&sh, job);
    unsigned first = sh.sends;
    run(&sh);
    cr_assert_lt(first, 10);
    cr_assert_eq(sh.sends - first, 1);
    shell_over(&sh);
}

Test(scheduler, one_run_cuts_so_much_and_the_next_follows_at_once)
{
    struct shell sh;
    shell_init(&sh);
    for (int i = 0; i < 8; i++) worker(&sh, 4);
    struct sched_job_params p;
    sched_job_params_init(&p);
    p.chunk_size = 32 * 1024;
    job_with(&sh, &p, 10000000);
    run(&sh);
    cr_assert_eq(sh.sends, 1);
    cr_assert_eq(sh.next, sh.now);
    for (unsigned runs = 1; sh.next == sh.now; runs++) {
        cr_assert_eq(sh.sends, runs);
        run(&sh);
    }
    cr_assert_geq(sh.sends, 8);
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
    cr_assert_eq(sh.out_n, 3, "3 items and 1 up to the gap, then 3 behind it");
    cr_assert_eq(sh.out[1]->chunk->first, 3);
    cr_assert_eq(items_of(sh.out[1]), 1);
    cr_assert_eq(sh.out[2]->chunk->first, 4 + RUN_GAP);
    struct sched_accept accept = sched_attempt_answered(sh.out[2], 2, sh.now);
    cr_assert_eq(accept.first, 4 + RUN_GAP);
    sched_job_cancel(job, SCHED_CANCELLED, "enough");
    run(&sh);
    cr_assert_eq(sh.finished, 1);
    cr_assert_eq(sh.errors[ITEM_CANCELLED], 8);
    cr_assert_eq(sh.last_error_first, 8 + 2 * RUN_GAP, "the rest is settled run by run");
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

/* 32 chunks may be in flight while chunks are small. */
Test(scheduler, while_chunks_grow_no_more_of_them_are_in_flight)
{
    struct shell sh;
    shell_init(&sh);
    for (unsigned i = 0; i < 200; i++) worker(&sh, 1);
    struct sched_job *job = job_of(&sh, 1000000);
    run(&sh);
    cr_assert_eq(sh.out_n, 32);
    struct sched_attempt *quick = sh.out[0];
    answer(&sh, quick, items_of(quick), 0);
    sched_attempt_cost(quick, items_of(quick), 100, 0);
    end(&sh, quick, SCHED_END_COMPLETE);
    run(&sh);
    for (uint64_t end = sh.now + 3 * MS; sh.now < end; run_at(&sh, sh.now + MS)) cr_assert_eq(sh.out_n, 32);
    run_at(&sh, sh.now + 2 * MS);
    cr_assert_gt(sh.out_n, 32, "nothing is answered any more, so the items may be long");
    sched_job_cancel(job, SCHED_CANCELLED, "the test is over");
    run(&sh);
    while (sh.out_n > 0) end(&sh, sh.out[0], SCHED_END_LOST);
    run(&sh);
    shell_over(&sh);
}

/* If a process has slept, its first item takes long. */
Test(scheduler, items_of_small_chunks_are_not_taken_for_long_ones)
{
    struct shell sh;
    shell_init(&sh);
    for (unsigned i = 0; i < 200; i++) worker(&sh, 1);
    struct sched_job *job = job_of(&sh, 1000000);
    run(&sh);
    cr_assert_eq(sh.out_n, 32);
    struct sched_attempt *slow = sh.out[0];
    sh.now += MS;
    sched_attempt_cost(slow, 1, 900000, 0);
    complete(&sh, slow, 0);
    run(&sh);
    cr_assert_eq(sh.out_n, 32, "%zu chunks in flight", (size_t)sh.out_n);
    sched_job_cancel(job, SCHED_CANCELLED, "the test is over");
    run(&sh);
    while (sh.out_n > 0) end(&sh, sh.out[0], SCHED_END_LOST);
    run(&sh);
    shell_over(&sh);
}

Test(scheduler, on_a_crowded_machine_the_number_of_small_chunks_grows_slowly)
{
    struct shell sh;
    shell_init(&sh);
    for (unsigned i = 0; i < 200; i++) worker(&sh, 1);
    struct sched_job *job = job_of(&sh, 1000000);
    run(&sh);
    struct sched_attempt *late = sh.out[0];
    sh.now += 40 * MS;
    sched_attempt_cost(late, 1, 100, 0);
    complete(&sh, late, 0);
    run(&sh);
    for (uint64_t end = sh.now + 30 * MS; sh.now < end; run_at(&sh, sh.now + MS)) cr_assert_eq(sh.out_n, 32);
    run_at(&sh, sh.now + 20 * MS);
    cr_assert_gt(sh.out_n, 32, "the items may be long all the same");
    sched_job_cancel(job, SCHED_CANCELLED, "the test is over");
    run(&sh);
    while (sh.out_n > 0) end(&sh, sh.out[0], SCHED_END_LOST);
    run(&sh);
    shell_over(&sh);
}

/* 10 s of work for 2,000 slots is 5 ms for each. Half of that in each chunk would be 4,000 chunks, and more at the end.
 * The coordinator needs 50 us for each, which is 200 ms. */
Test(scheduler, a_job_with_little_work_uses_some_of_the_slots)
{
    struct shell sh;
    shell_init(&sh);
    for (unsigned i = 0; i < 1000; i++) worker(&sh, 2);
    job_of(&sh, 100000);
    for (run(&sh); sh.finished == 0;) {
        sh.now += 100 * NS_PER_US;
        struct sched_attempt *first = sh.out[0];
        sched_attempt_cost(first, items_of(first), 100000 * (uint64_t)items_of(first), 50000);
        complete(&sh, first, 0);
        run(&sh);
    }
    cr_assert_lt(sh.sends, 2500, "%u chunks", (unsigned)sh.sends);
    shell_over(&sh);
}
