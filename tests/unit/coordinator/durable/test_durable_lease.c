/* The lease of a durable job: renewal, expiry, and calls that are fenced because another coordinator has the lease. */
#include "unit/coordinator/durable/durable_harness.h"

/* Lets another coordinator take over the job. */
static void take_over(struct fake_store *s, struct fake_job *j)
{
    j->job.fence++;
    j->lease_end_ms = s->now_ms + 15000;
}

Test(durable_lease, the_lease_is_renewed_and_not_asked_for_all_the_time)
{
    struct bench b;
    struct fake_job *j = bench_start_job(&b, 0, HARNESS_PLAIN, 10, 10);
    bench_pass(&b, 20000);
    cr_assert_eq(j->job.fence, 1);
    unsigned renewed = b.store->calls[STORE_RENEW];
    cr_assert(renewed >= 10 && renewed <= 14, "renewed %u times", renewed);
    fake_store_fail(b.store, STORE_RENEW, STORE_AWAY, 1000);
    bench_pass(&b, 7000);
    cr_assert_leq(b.store->calls[STORE_RENEW] - renewed, 20, "renewed %u times", b.store->calls[STORE_RENEW]);
    fake_store_fail(b.store, STORE_RENEW, STORE_AWAY, 0);
    bench_pass(&b, 20000);
    cr_assert_eq(j->job.fence, 1);
    bench_over(&b);
}

/* After this coordinator's lease has expired, another coordinator may be running the job. */
Test(durable_lease, nothing_new_is_sent_after_the_lease_has_ended)
{
    struct bench b;
    struct fake_job *j = bench_start_job(&b, 2, HARNESS_WITH("{\"chunk_size\":1,\"max_concurrency\":2}"), 200, 50);
    bench_pass(&b, 100);
    struct durable_run *r = replica_run(&b.replica);
    cr_assert_not(r->job->paused);
    b.store->away = true;
    bench_pass(&b, 9000);
    cr_assert_not(r->has_lapsed);
    bench_pass(&b, 3000);
    cr_assert(r->has_lapsed);
    cr_assert(r->job->paused);
    b.store->away = false;
    bench_work(&b, 12000);
    harness_expect_end(j, STORED_SUCCEEDED, 200);
    bench_over(&b);
}

Test(durable_lease, a_fenced_block_stops_the_job)
{
    struct bench b;
    struct fake_job *j = bench_start_job(&b, 2, HARNESS_PLAIN, 100, 10);
    bench_pass(&b, 100);
    cr_assert_eq(j->job.state, STORED_RUNNING);
    stage_answer(&b.replica.stage, 1);
    take_over(b.store, j);
    size_t blocks = j->block_count;
    unsigned calls = b.store->calls[STORE_ADD_BLOCK], changes = b.replica.changes;
    bench_pass(&b, 1000);
    cr_assert_eq(b.store->calls[STORE_ADD_BLOCK], calls + 1);
    cr_assert_eq(b.store->calls[STORE_END], 0);
    cr_assert_eq(b.replica.stage.out_n, 0, "items of the fenced job still run");
    cr_assert_eq(b.replica.stage.jobs.count, 0);
    cr_assert(durable_is_idle(&b.replica.durable));
    cr_assert_eq(j->block_count, blocks, "a block was written after the take-over");
    cr_assert_eq(j->job.counts.succeeded + j->job.counts.cancelled, 0);
    cr_assert_eq(*b.replica.durable.metrics.fenced, 1);
    cr_assert_gt(b.replica.changes, changes);
    bench_over(&b);
}

Test(durable_lease, a_fenced_renewal_stops_the_job)
{
    struct bench b;
    struct fake_job *j = bench_start_job(&b, 2, HARNESS_PLAIN, 100, 10);
    bench_pass(&b, 100);
    take_over(b.store, j);
    bench_pass(&b, 6000);
    cr_assert_eq(b.replica.stage.out_n, 0);
    cr_assert(durable_is_idle(&b.replica.durable));
    cr_assert_gt(b.replica.stage.cut_offs, 0);
    bench_over(&b);
}

Test(durable_lease, nothing_is_written_after_a_fence_while_a_call_waits_to_be_started_again)
{
    struct bench b;
    struct fake_job *j = bench_start_job(&b, 2, HARNESS_PLAIN, 100, 10);
    bench_pass(&b, 100);
    fake_store_fail(b.store, STORE_ADD_BLOCK, STORE_AWAY, 1);
    stage_answer(&b.replica.stage, 1);
    bench_pass(&b, 300);
    take_over(b.store, j);
    fake_store_fail(b.store, STORE_ADD_BLOCK, STORE_AWAY, 1000);
    bench_pass(&b, 6000);
    cr_assert(durable_is_idle(&b.replica.durable));
    bench_over(&b);
}

Test(durable_lease, a_job_that_is_fenced_while_it_loads_is_dropped)
{
    struct bench b;
    struct fake_job *j = bench_start_job(&b, 2, HARNESS_PLAIN, 100, 10);
    fake_store_fail(b.store, STORE_READ_RANGES, STORE_AWAY, 1000);
    bench_pass(&b, 100);
    take_over(b.store, j);
    bench_pass(&b, 6000);
    cr_assert(durable_is_idle(&b.replica.durable));
    bench_over(&b);
}

/* If the store is slow or the process was stopped, the lease can expire while the coordinator still runs the job. */
Test(durable_lease, a_run_keeps_its_job_when_its_own_coordinator_claims_it_again)
{
    struct bench b;
    struct fake_job *j = bench_start_job(&b, 2, HARNESS_UNSURE, 200, 10);
    bench_pass(&b, 100);
    fake_store_fail(b.store, STORE_RENEW, STORE_AWAY, 1000);
    fake_store_fail(b.store, STORE_ADD_BLOCK, STORE_AWAY, 1000);
    stage_answer(&b.replica.stage, 1);
    bench_pass(&b, 15000);
    cr_assert_eq(j->job.fence, 2);
    cr_assert_eq(b.replica.durable.runs.n, 1);
    cr_assert(replica_run(&b.replica)->has_lapsed == false, "the new lease counts");
    fake_store_fail(b.store, STORE_RENEW, STORE_AWAY, 0);
    fake_store_fail(b.store, STORE_ADD_BLOCK, STORE_AWAY, 0);
    bench_work(&b, 8000);
    harness_expect_end(j, STORED_SUCCEEDED, 200);
    cr_assert_eq(j->job.fence, 2);
    cr_assert_eq(*b.replica.durable.metrics.take_overs, 0);
    cr_assert_eq(*b.replica.durable.metrics.fenced, 0);
    bench_over(&b);
}

Test(durable_lease, a_cancellation_is_seen_when_a_job_is_claimed_again)
{
    struct bench b;
    struct fake_job *j = bench_start_job(&b, 2, HARNESS_PLAIN, 100, 10);
    bench_pass(&b, 100);
    fake_store_fail(b.store, STORE_RENEW, STORE_AWAY, 1000);
    j->job.cancel_wanted = true;
    bench_pass(&b, 20000);
    cr_assert_eq(j->job.state, STORED_CANCELLED);
    bench_over(&b);
}

Test(durable_lease, a_job_that_another_coordinator_had_in_between_is_run_anew)
{
    struct bench b;
    struct fake_job *j = bench_start_job(&b, 2, HARNESS_PLAIN, 100, 10);
    bench_pass(&b, 100);
    fake_store_fail(b.store, STORE_RENEW, STORE_AWAY, 1000);
    take_over(b.store, j);
    bench_pass(&b, 18000);
    cr_assert_eq(j->job.fence, 3);
    cr_assert_eq(*b.replica.durable.metrics.fenced, 1);
    fake_store_fail(b.store, STORE_RENEW, STORE_AWAY, 0);
    bench_work(&b, 6000);
    harness_expect_end(j, STORED_SUCCEEDED, 100);
    bench_over(&b);
}
