/* How many items are in a chunk, and how many chunks are in flight. */
#include "unit/coordinator/sched/scheduler_harness.h"

static void answer_all(struct shell *sh, struct sched_attempt *a)
{
    complete(sh, a, 0);
}

/* Answers each item of the attempt with an error of its task. */
static void fail_all(struct shell *sh, struct sched_attempt *a)
{
    while (a->received < items_of(a))
        cr_assert_eq(sched_attempt_item_error(a, ITEM_TASK_ERROR, sh->now).verdict, SCHED_ITEM_FINAL);
    end(sh, a, SCHED_END_COMPLETE);
}

static void expect_quick_growth(void (*respond)(struct shell *sh, struct sched_attempt *a))
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
        respond(&sh, sh.out[0]);
        run(&sh);
        for (unsigned i = 0; i < sh.out_n; i++) largest = items_of(sh.out[i]) > largest ? items_of(sh.out[i]) : largest;
    }
    cr_assert_geq(largest, 16000);
    shell_over(&sh);
}

Test(scheduler_chunks, chunks_begin_with_one_item_and_reach_thousands_in_a_few_answers)
{
    expect_quick_growth(answer_all);
}

Test(scheduler_chunks, chunks_of_items_that_all_fail_grow_too)
{
    expect_quick_growth(fail_all);
}

Test(scheduler_chunks, long_items_go_one_by_one_and_do_not_pile_up)
{
    struct shell sh;
    shell_init(&sh);
    worker(&sh, 8);
    job_of(&sh, 10000);
    run(&sh);
    for (unsigned i = 0; i < 100; i++) {
        complete(&sh, sh.out[0], 125); /* each item takes a second on one of eight slots */
        run(&sh);
    }
    for (unsigned i = 0; i < sh.out_n; i++) cr_assert_eq(items_of(sh.out[i]), 1);
    cr_assert_geq(sh.out_n, 8);
    cr_assert_leq(sh.out_n, 10);
    shell_over(&sh);
}

Test(scheduler_chunks, a_fixed_chunk_size_is_kept_and_waits_until_it_is_full)
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

Test(scheduler_chunks, chunks_keep_to_their_bytes)
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

Test(scheduler_chunks, what_is_less_than_a_request_is_worth_is_not_split)
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

Test(scheduler_chunks, one_run_cuts_so_much_and_the_next_follows_at_once)
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

/* Starts a job on many workers with one slot each. While chunks are small, 32 chunks may be in flight. */
static struct sched_job *start_crowd(struct shell *sh)
{
    shell_init(sh);
    for (unsigned i = 0; i < 200; i++) worker(sh, 1);
    struct sched_job *job = job_of(sh, 1000000);
    run(sh);
    cr_assert_eq(sh->out_n, 32);
    return job;
}

static void end_crowd(struct shell *sh, struct sched_job *job)
{
    sched_job_cancel(job, SCHED_CANCELLED, "the test is over");
    run(sh);
    while (sh->out_n > 0) end(sh, sh->out[0], SCHED_END_LOST);
    run(sh);
    shell_over(sh);
}

Test(scheduler_chunks, while_chunks_grow_no_more_of_them_are_in_flight)
{
    struct shell sh;
    struct sched_job *job = start_crowd(&sh);
    struct sched_attempt *quick = sh.out[0];
    answer(&sh, quick, items_of(quick), 0);
    sched_attempt_cost(quick, items_of(quick), 100, 0);
    end(&sh, quick, SCHED_END_COMPLETE);
    run(&sh);
    for (uint64_t end = sh.now + 3 * MS; sh.now < end; run_at(&sh, sh.now + MS)) cr_assert_eq(sh.out_n, 32);
    run_at(&sh, sh.now + 2 * MS);
    cr_assert_gt(sh.out_n, 32, "no more answers come, so the items may be long");
    end_crowd(&sh, job);
}

/* The first item of a chunk takes a long time if the process was asleep just before it. */
Test(scheduler_chunks, items_of_small_chunks_are_not_taken_for_long_ones)
{
    struct shell sh;
    struct sched_job *job = start_crowd(&sh);
    struct sched_attempt *slow = sh.out[0];
    sh.now += MS;
    sched_attempt_cost(slow, 1, 900000, 0);
    complete(&sh, slow, 0);
    run(&sh);
    cr_assert_eq(sh.out_n, 32, "%zu chunks in flight", (size_t)sh.out_n);
    end_crowd(&sh, job);
}

Test(scheduler_chunks, on_a_crowded_machine_the_number_of_small_chunks_grows_slowly)
{
    struct shell sh;
    struct sched_job *job = start_crowd(&sh);
    struct sched_attempt *late = sh.out[0];
    sh.now += 40 * MS;
    sched_attempt_cost(late, 1, 100, 0);
    complete(&sh, late, 0);
    run(&sh);
    for (uint64_t end = sh.now + 30 * MS; sh.now < end; run_at(&sh, sh.now + MS)) cr_assert_eq(sh.out_n, 32);
    run_at(&sh, sh.now + 20 * MS);
    cr_assert_gt(sh.out_n, 32, "the items may be long all the same");
    end_crowd(&sh, job);
}

/* Returns how many items a chunk has after chunks have grown. Each worker has eight slots, and reports that an item
 * takes item_ns. */
static uint32_t grown_chunk(unsigned workers, uint64_t item_ns)
{
    struct shell sh;
    shell_init(&sh);
    for (unsigned i = 0; i < workers; i++) worker(&sh, 8);
    job_of(&sh, 100000000);
    run(&sh);
    for (unsigned i = 0; i < 20 * workers + 30; i++) {
        struct sched_attempt *first = sh.out[0];
        uint64_t items = items_of(first);
        sh.now += items * item_ns / 8 / workers;
        sched_attempt_cost(first, (uint32_t)items, items * item_ns, 0);
        complete(&sh, first, 0);
        run(&sh);
    }
    uint32_t last = items_of(sh.out[sh.out_n - 1]);
    shell_over(&sh);
    return last;
}

/* The window of a worker has 8 running items, and waiting items with 40 ms of work for each slot. With items of 10 ms,
 * these are 40 items together. */
Test(scheduler_chunks, in_a_large_fleet_three_chunks_of_long_items_fill_a_window)
{
    uint32_t small = grown_chunk(1, 10 * MS), large = grown_chunk(100, 10 * MS);
    cr_assert(small >= 9 && small <= 10, "%u", small);
    cr_assert(large >= 12 && large <= 14, "%u", large);
}

/* The job has 10 s of work for 2,000 slots, which is 5 ms for each slot. With 2.5 ms of work in each chunk, there would
 * be 4,000 chunks, and small chunks at the end would add more. The coordinator needs 50 us for each chunk, which is 200
 * ms for 4,000 chunks. */
Test(scheduler_chunks, a_job_with_little_work_uses_some_of_the_slots)
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
