/* Each answer and each end of a durable job is counted exactly once in the metrics, even if several coordinators run
 * the job one after another. */
#include "unit/coordinator/durable/durable_harness.h"

static void expect_items(const struct bench *b, uint64_t succeeded, uint64_t failed, uint64_t cancelled)
{
    const struct jobs_metrics *m = &b->replica.stage.jobs.metrics;
    cr_assert_eq(*m->items_succeeded, succeeded, "%d values are counted", (int)*m->items_succeeded);
    cr_assert_eq(*m->items_failed, failed, "%d failed items are counted", (int)*m->items_failed);
    cr_assert_eq(*m->items_cancelled, cancelled, "%d cancelled items are counted", (int)*m->items_cancelled);
}

static uint64_t ends(const struct bench *b, enum sched_status status)
{
    return *b->replica.stage.jobs.metrics.jobs[status];
}

/* Returns the sum of the durations of all jobs that have ended. */
static double durations_s(void)
{
    static const char name[] = "fantail_job_duration_seconds_sum ";
    struct buf text = {0};
    cr_assert(metrics_render(&text));
    const char *at = strstr(buf_cstr(&text), name);
    cr_assert(at);
    double sum = strtod(at + sizeof name - 1, NULL);
    buf_release(&text);
    return sum;
}

static uint64_t all_ends(const struct bench *b)
{
    uint64_t n = 0;
    for (unsigned i = 0; i < SCHED_STATUS_COUNT; i++) n += ends(b, (enum sched_status)i);
    return n;
}

Test(durable_metrics, a_job_that_was_handed_back_counts_once)
{
    struct bench b;
    struct fake_job *j = bench_start_job(&b, 2, HARNESS_WITH("{\"chunk_size\":1}"), 100, 10);
    bench_pass(&b, 100);
    durable_drain(&b.replica.durable);
    bench_work(&b, 500);
    cr_assert_eq(j->job.state, STORED_PENDING);
    uint64_t before = j->job.counts.succeeded;
    cr_assert_gt(before, 0);
    expect_items(&b, before, 0, 0);
    cr_assert_eq(all_ends(&b), 0, "a job that is handed back has not ended");
    b.replica.durable.draining = false;
    bench_work(&b, 5000);
    harness_expect_end(j, STORED_SUCCEEDED, 100);
    expect_items(&b, 100, 0, 0);
    cr_assert_eq(ends(&b, SCHED_SUCCEEDED), 1);
    cr_assert_eq(all_ends(&b), 1);
    bench_over(&b);
}

Test(durable_metrics, answers_of_another_coordinator_do_not_count)
{
    struct bench b;
    struct fake_job *j = bench_start_job(&b, 2, HARNESS_PLAIN, 100, 30);
    fake_store_add_lines(b.store, j, BLOCK_VALUES, 0, 60, "{\"value\":%u}");
    fake_store_add_lines(b.store, j, BLOCK_ERRORS, 60, 10, "{\"error\":{\"name\":\"task_error\"}}");
    bench_work(&b, 4000);
    harness_expect_end(j, STORED_PARTIAL, 90);
    expect_items(&b, 30, 0, 0);
    cr_assert_eq(ends(&b, SCHED_PARTIAL), 1);
    bench_over(&b);
}

Test(durable_metrics, a_job_that_another_coordinator_took_over_has_not_ended_here)
{
    struct bench b;
    struct fake_job *j = bench_start_job(&b, 2, HARNESS_PLAIN, 100, 10);
    bench_pass(&b, 100);
    j->job.fence++;
    j->lease_end_ms = b.store->now_ms + 1000000;
    bench_pass(&b, 3000);
    cr_assert_eq(*b.replica.durable.metrics.fenced, 1);
    expect_items(&b, 0, 0, 0);
    cr_assert_eq(all_ends(&b), 0);
    bench_over(&b);
}

Test(durable_metrics, a_redriven_job_ends_twice_and_its_values_count_once)
{
    struct bench b;
    struct fake_job *j = bench_start_job(&b, 1, HARNESS_PLAIN, 10, 10);
    bench_pass(&b, 100);
    stage_answer_of(b.replica.stage.out[0], 1);
    durable_cancel(&b.replica.durable, "a");
    bench_pass(&b, 1000);
    cr_assert_eq(j->job.state, STORED_CANCELLED);
    expect_items(&b, 1, 0, 9);
    store_start(&b.store->store, fake_store_call(STORE_REDRIVE, "a"));
    bench_work(&b, 4000);
    harness_expect_end(j, STORED_SUCCEEDED, 10);
    expect_items(&b, 10, 0, 9);
    cr_assert_eq(ends(&b, SCHED_CANCELLED), 1);
    cr_assert_eq(ends(&b, SCHED_SUCCEEDED), 1);
    bench_over(&b);
}

Test(durable_metrics, a_job_that_cannot_run_at_all_counts)
{
    struct bench b;
    bench_start_job(&b, 2, "{\"query\":{\"unheard_of\":\"1\"}}", 20, 5);
    bench_work(&b, 3000);
    expect_items(&b, 0, 0, 20);
    cr_assert_eq(ends(&b, SCHED_FAILED), 1);
    bench_over(&b);
}

Test(durable_metrics, a_job_that_was_cancelled_while_it_was_pending_counts)
{
    struct bench b;
    bench_start(&b, 1);
    bench_pass(&b, 100);
    struct fake_job *j = fake_store_add_job(b.store, "a", STORED_CANCELLED, 7);
    j->job.counts.cancelled = 7;
    durable_was_cancelled(&b.replica.durable, &j->job);
    expect_items(&b, 0, 0, 7);
    cr_assert_eq(ends(&b, SCHED_CANCELLED), 1);
    bench_over(&b);
}

Test(durable_metrics, the_duration_of_a_pending_job_that_was_cancelled_counts_no_earlier_run)
{
    struct bench b;
    bench_start(&b, 1);
    struct fake_job *j = fake_store_add_job(b.store, "a", STORED_CANCELLED, 7);
    j->job.ended_ms = j->job.created_ms + 5000;
    j->job.started_ms = 0;
    durable_was_cancelled(&b.replica.durable, &j->job);
    cr_assert_float_eq(durations_s(), 5, 1e-6);
    j->job.redrives = 1;
    durable_was_cancelled(&b.replica.durable, &j->job);
    cr_assert_float_eq(durations_s(), 5, 1e-6, "no coordinator has claimed the job since the redrive");
    j->job.started_ms = j->job.created_ms + 3000;
    durable_was_cancelled(&b.replica.durable, &j->job);
    cr_assert_float_eq(durations_s(), 7, 1e-6, "the job was claimed and handed back");
    bench_over(&b);
}
