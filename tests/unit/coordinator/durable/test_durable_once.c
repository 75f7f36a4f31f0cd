/* Jobs whose items must not run twice. In some tests, the coordinator learns this only after the job was accepted. In
 * other tests, the coordinator drains. */
#include "coordinator/sched/sched_stats.h"
#include "unit/coordinator/durable/durable_harness.h"

#define TASKS_ONCE    "{\"tasks\":[{\"name\":\"echo\",\"idempotent\":false}]}"
#define HARNESS_RANGE HARNESS_OPTIONS("{\"range\":{\"start\":0,\"stop\":1000}}", "false", "null")

/* Starts a bench whose job was accepted before any worker had described its task. */
static struct fake_job *start_unknown(struct bench *b, unsigned slots, bool generated)
{
    bench_start_with(b, slots, NULL);
    return generated ? harness_add_job(b->store, "a", HARNESS_RANGE, 1000)
                     : harness_add_items(b->store, "a", HARNESS_PLAIN, 1000, 100);
}

static uint64_t recorded_as_sent(const struct fake_job *j)
{
    struct recorded *all = harness_read(j);
    uint64_t sent = all->sent;
    recorded_release(all);
    return sent;
}

Test(durable_once, a_job_waits_with_its_whole_demand_until_its_task_is_described)
{
    for (unsigned generated = 0; generated < 2; generated++) {
        struct bench b;
        struct sched_task_stats stats;
        start_unknown(&b, 0, generated);
        bench_pass(&b, 2000);
        cr_assert(sched_task_stats(b.replica.stage.turn.scheduler, "echo", &stats));
        cr_assert_eq(stats.demand_slots, 1000, "%d", (int)stats.demand_slots);
        cr_assert_eq(replica_run(&b.replica)->job->waiting, SCHED_WAITING_NO_WORKERS);
        bench_over(&b);
    }
}

Test(durable_once, items_are_recorded_as_sent_if_the_task_turns_out_to_forbid_a_second_run)
{
    for (unsigned generated = 0; generated < 2; generated++) {
        struct bench b;
        struct fake_job *j = start_unknown(&b, 2, generated);
        bench_pass(&b, 2000);
        cr_assert_eq(b.replica.stage.out_n, 0, "items were sent before the task was described");
        replica_describe(&b.replica, TASKS_ONCE);
        bench_work(&b, 5000);
        harness_expect_end(j, STORED_SUCCEEDED, 1000);
        cr_assert_eq(recorded_as_sent(j), 1000);
        bench_over(&b);
    }
}

Test(durable_once, nothing_is_recorded_as_sent_if_the_task_allows_a_second_run)
{
    for (unsigned generated = 0; generated < 2; generated++) {
        struct bench b;
        struct fake_job *j = start_unknown(&b, 2, generated);
        bench_pass(&b, 2000);
        replica_describe(&b.replica, HARNESS_TASKS);
        bench_work(&b, 5000);
        harness_expect_end(j, STORED_SUCCEEDED, 1000);
        cr_assert_eq(recorded_as_sent(j), 0);
        bench_over(&b);
    }
}

Test(durable_once, a_task_that_forbids_a_second_run_by_now_is_believed)
{
    struct bench b;
    bench_start_with(&b, 2, TASKS_ONCE);
    struct fake_job *j = harness_add_plain(b.store, "a", 100, 50);
    bench_work(&b, 2000);
    harness_expect_end(j, STORED_SUCCEEDED, 100);
    cr_assert_eq(recorded_as_sent(j), 100);
    bench_over(&b);
}

/* An endpoint counts as usable until an attempt has failed. In this test nothing is sent, so no attempt can fail. */
Test(durable_once, a_job_says_that_it_waits_for_a_worker_that_describes_its_task)
{
    struct bench b;
    struct fake_job *j = start_unknown(&b, 2, false);
    bench_work(&b, 3000);
    cr_assert_eq(replica_run(&b.replica)->job->waiting, SCHED_WAITING_NO_WORKERS);
    replica_describe(&b.replica, HARNESS_TASKS);
    bench_pass(&b, 500);
    cr_assert_eq(replica_run(&b.replica)->job->waiting, SCHED_NOT_WAITING);
    bench_work(&b, 4000);
    harness_expect_end(j, STORED_SUCCEEDED, 1000);
    bench_over(&b);
}

Test(durable_once, a_job_whose_task_nobody_describes_fails_after_its_time)
{
    struct bench b;
    struct fake_job *j = start_unknown(&b, 2, false);
    bench_work(&b, 59000);
    cr_assert_eq(j->job.state, STORED_RUNNING);
    bench_work(&b, 5000);
    harness_expect_end(j, STORED_FAILED, 0);
    cr_assert_eq(recorded_as_sent(j), 0);
    bench_over(&b);
}

Test(durable_once, a_job_that_is_cancelled_before_its_task_is_described_ends)
{
    struct bench b;
    struct fake_job *j = start_unknown(&b, 0, false);
    bench_pass(&b, 500);
    durable_cancel(&b.replica.durable, "a");
    bench_pass(&b, 1000);
    harness_expect_end(j, STORED_CANCELLED, 0);
    bench_over(&b);
}

/* Drains. */

Test(durable_once, a_drain_waits_for_the_items_in_flight)
{
    struct bench b;
    struct fake_job *j = bench_start_job(&b, 2, HARNESS_UNSURE, 100, 100);
    bench_pass(&b, 100);
    cr_assert_gt(b.replica.stage.out_n, 0);
    durable_drain(&b.replica.durable);
    bench_pass(&b, 20000);
    cr_assert_eq(j->job.state, STORED_RUNNING, "the items in flight were given up");
    bench_work(&b, 1000);
    cr_assert(durable_is_idle(&b.replica.durable));
    cr_assert_eq(j->job.state, STORED_PENDING);
    cr_assert_gt(j->job.counts.succeeded, 0);
    b.replica.durable.draining = false;
    bench_work(&b, 5000);
    harness_expect_end(j, STORED_SUCCEEDED, 100);
    bench_over(&b);
}

Test(durable_once, a_drain_sends_no_items_that_a_worker_hands_back)
{
    struct bench b;
    struct fake_job *j = bench_start_job(&b, 2, HARNESS_UNSURE, 100, 100);
    bench_pass(&b, 100);
    durable_drain(&b.replica.durable);
    stage_add_slots(&b.replica.stage, 2); /* another worker could run the items that are handed back */
    while (b.replica.stage.out_n > 0) {
        struct sched_attempt *a = b.replica.stage.out[0];
        stage_forget(&b.replica.stage, a);
        sched_attempt_ended(a, SCHED_END_DRAINING, 0, now_ns());
    }
    bench_pass(&b, 1000);
    cr_assert_eq(b.replica.stage.out_n, 0);
    cr_assert(durable_is_idle(&b.replica.durable));
    cr_assert_eq(recorded_as_sent(j), 0, "items that did not run are not recorded as sent");
    b.replica.durable.draining = false;
    bench_work(&b, 5000);
    harness_expect_end(j, STORED_SUCCEEDED, 100);
    bench_over(&b);
}
