/* Durable jobs whose unanswered items are in very many ranges, as after a redrive. */
#include "unit/coordinator/durable/durable_harness.h"

enum { RANGES = 20000, READY_MOST = 4 * 1024 * 1024 / 256 };

/* Adds a job with a range of items. Every second item has an answer. */
static struct fake_job *add_job_of_many_ranges(struct bench *b)
{
    struct fake_job *j = harness_add_job(
        b->store, "a", HARNESS_OPTIONS("{\"range\":{\"start\":0,\"stop\":40000}}", "false", "null"), 2 * RANGES);
    struct block answered = {.kind = BLOCK_VALUES, .range_count = RANGES};
    answered.ranges = xcalloc(RANGES, sizeof *answered.ranges);
    /* Answers are recorded in the order in which they complete, so the ranges of a block may be in any order. */
    for (uint64_t i = 0; i < RANGES; i++) answered.ranges[i] = (struct block_range){2 * (i * 7919 % RANGES), 1, false};
    for (uint64_t i = 0; i < RANGES; i++) buf_add_str(&answered.lines, "{\"value\":1}\n");
    fake_store_add_block(b->store, j, &answered);
    j->job.counts.succeeded = RANGES;
    return j;
}

static size_t ready_ranges(struct bench *b)
{
    return stored_items_ranges(&replica_run(&b->replica)->items);
}

Test(durable_ranges, the_scheduler_gets_only_some_of_many_ranges_at_a_time)
{
    struct bench b;
    bench_start(&b, 4);
    struct fake_job *j = add_job_of_many_ranges(&b);
    bench_pass(&b, 200);
    size_t most = ready_ranges(&b);
    cr_assert_gt(most, READY_MOST / 2);
    while (j->job.state == STORED_RUNNING && b.replica.durable.runs.n > 0) {
        size_t now = ready_ranges(&b);
        most = now > most ? now : most;
        stage_answer_all(&b.replica.stage);
        bench_pass(&b, 10);
    }
    cr_assert_leq(most, READY_MOST);
    cr_assert_eq(j->job.state, STORED_SUCCEEDED);
    cr_assert_eq(j->job.counts.succeeded, 2 * RANGES);
    bench_over(&b);
}

Test(durable_ranges, a_small_job_may_have_more_ranges_than_the_memory_for_items_takes)
{
    struct bench b;
    enum { COUNT = 600 };
    bench_start(&b, 4);
    b.store->gives_whole = true;
    b.replica.stage.jobs.item_memory.most = 1;
    struct fake_job *j = harness_add_job(
        b.store, "a", HARNESS_OPTIONS("{\"range\":{\"start\":0,\"stop\":600}}", "false", "null"), COUNT);
    struct block answered = {.kind = BLOCK_VALUES, .range_count = COUNT / 2};
    answered.ranges = xcalloc(COUNT / 2, sizeof *answered.ranges);
    for (uint64_t i = 0; i < COUNT / 2; i++) answered.ranges[i] = (struct block_range){2 * i, 1, false};
    for (uint64_t i = 0; i < COUNT / 2; i++) buf_add_str(&answered.lines, "{\"value\":1}\n");
    fake_store_add_block(b.store, j, &answered);
    j->job.counts.succeeded = COUNT / 2;
    bench_work(&b, 8000);
    harness_expect_end(j, STORED_SUCCEEDED, COUNT);
    bench_over(&b);
}

Test(durable_ranges, a_cancelled_job_of_many_ranges_gets_all_its_errors)
{
    struct bench b;
    bench_start(&b, 4);
    struct fake_job *j = add_job_of_many_ranges(&b);
    bench_pass(&b, 200);
    durable_cancel(&b.replica.durable, "a");
    bench_pass(&b, 2000);
    cr_assert_eq(j->job.state, STORED_CANCELLED);
    cr_assert_eq(j->job.counts.succeeded + j->job.counts.cancelled, 2 * RANGES);
    bench_over(&b);
}

Test(durable_ranges, a_job_can_be_handed_back_while_its_ranges_are_sorted)
{
    struct bench b;
    bench_start(&b, 4);
    struct fake_job *j = add_job_of_many_ranges(&b);
    while (b.replica.durable.runs.n == 0 || !replica_run(&b.replica)->sort.list) {
        cr_assert_neq(j->job.state, STORED_SUCCEEDED);
        fake_store_run(b.store);
        uv_run(&b.replica.stage.loop, UV_RUN_NOWAIT);
        if (b.replica.durable.runs.n > 0 && replica_run(&b.replica)->state != RUN_LOADING) break;
        fake_clock_pass(10);
    }
    cr_assert_eq(replica_run(&b.replica)->state, RUN_LOADING, "sorting takes several turns");
    durable_drain(&b.replica.durable);
    bench_pass(&b, 100);
    cr_assert_eq(j->job.state, STORED_PENDING);
    cr_assert_eq(b.replica.durable.runs.n, 0);
    bench_over(&b);
}
