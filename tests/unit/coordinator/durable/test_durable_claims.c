/* Several coordinators share pending jobs: each claims the jobs that its workers can run. */
#include "unit/coordinator/durable/durable_harness.h"

enum { REPLICAS = 2 };

struct group {
    struct fake_store *store;
    struct replica replicas[REPLICAS];
};

static void group_pass(struct group *g, uint64_t ms)
{
    for (uint64_t i = 0; i < ms; i += 10) {
        for (unsigned k = 0; k < REPLICAS; k++) replica_turn(&g->replicas[k]);
        fake_store_run(g->store);
        fake_clock_pass(10);
        g->store->now_ms += 10;
    }
}

/* Moves the clock, and answers the items that replica number `who` has sent. */
static void group_work(struct group *g, unsigned who, uint64_t ms)
{
    for (uint64_t i = 0; i < ms; i += 10) {
        stage_answer_all(&g->replicas[who].stage);
        group_pass(g, 10);
    }
}

/* Gives the coordinator a worker with the task echo. */
static void add_worker(struct group *g, unsigned who, unsigned slots)
{
    replica_describe(&g->replicas[who], HARNESS_TASKS);
    stage_add_slots(&g->replicas[who].stage, slots);
}

/* Starts coordinators whose workers have these numbers of slots; 0: no worker. Returns when each coordinator has told
 * the store which tasks and slots its workers have. */
static void group_start(struct group *g, unsigned first, unsigned second)
{
    const unsigned slots[REPLICAS] = {first, second};
    fake_clock_start();
    g->store = fake_store_new(NULL);
    for (unsigned k = 0; k < REPLICAS; k++) {
        replica_start_with(&g->replicas[k], &g->store->store, NULL);
        if (slots[k]) add_worker(g, k, slots[k]);
    }
    group_pass(g, 2500);
}

static void group_over(struct group *g)
{
    for (unsigned k = 0; k < REPLICAS; k++) durable_drain(&g->replicas[k].durable);
    group_pass(g, 4000);
    for (unsigned k = 0; k < REPLICAS; k++) replica_stop(&g->replicas[k]);
    fake_store_free(g->store);
    fake_clock_ns = 0;
    metrics_release();
    fake_client_release();
    assert_no_leaks();
}

static struct fake_job *submit(struct group *g, unsigned who, const char *id, uint64_t items)
{
    struct fake_job *j = harness_add_plain(g->store, id, items, 100);
    durable_claim_soon(&g->replicas[who].durable);
    return j;
}

static bool runs_at(const struct group *g, unsigned who, const struct fake_job *j)
{
    return j->job.state == STORED_RUNNING && j->holder == g->replicas[who].durable.holder;
}

Test(durable_claims, a_coordinator_without_workers_leaves_jobs_to_one_that_has_them)
{
    struct group g;
    group_start(&g, 0, 2);
    struct fake_job *j = submit(&g, 0, "a", 10);
    group_pass(&g, 2500);
    cr_assert(runs_at(&g, 1, j));
    cr_assert_eq(j->job.fence, 1, "the coordinator without workers has not claimed it before");
    group_work(&g, 1, 1000);
    harness_expect_end(j, STORED_SUCCEEDED, 10);
    group_over(&g);
}

Test(durable_claims, a_job_that_waits_goes_to_a_coordinator_that_gets_workers)
{
    struct group g;
    group_start(&g, 0, 0);
    struct fake_job *j = submit(&g, 0, "a", 10);
    group_pass(&g, 2500);
    cr_assert(runs_at(&g, 0, j), "without workers anywhere, the job waits at a coordinator, where a client sees why");
    cr_assert_eq(replica_run(&g.replicas[0])->job->waiting, SCHED_WAITING_NO_WORKERS);
    add_worker(&g, 1, 2);
    group_pass(&g, 6000);
    cr_assert(runs_at(&g, 1, j));
    group_work(&g, 1, 1000);
    harness_expect_end(j, STORED_SUCCEEDED, 10);
    group_over(&g);
}

Test(durable_claims, without_workers_anywhere_a_job_fails_after_its_time)
{
    struct group g;
    group_start(&g, 0, 0);
    struct fake_job *j = submit(&g, 0, "a", 10);
    group_pass(&g, 55000);
    cr_assert(runs_at(&g, 0, j));
    group_pass(&g, 10000);
    harness_expect_end(j, STORED_FAILED, 0);
    cr_assert_str_eq(j->job.reason, sched_cause_no_workers);
    cr_assert_str_eq(j->job.errors, "{\"worker_lost\":10}", "also the items that were not offered yet");
    group_over(&g);
}

Test(durable_claims, a_job_does_not_fail_while_the_coordinator_that_can_run_it_is_busy)
{
    struct group g;
    group_start(&g, 0, 1);
    struct fake_job *first = submit(&g, 1, "a", 5);
    group_pass(&g, 2500);
    cr_assert(runs_at(&g, 1, first));
    struct fake_job *second = submit(&g, 0, "b", 5);
    group_pass(&g, 90000);
    cr_assert(runs_at(&g, 1, second));
    group_work(&g, 1, 2000);
    harness_expect_end(second, STORED_SUCCEEDED, 5);
    group_over(&g);
}

Test(durable_claims, a_busy_coordinator_leaves_jobs_to_one_with_slots_left)
{
    struct group g;
    group_start(&g, 1, 1);
    struct fake_job *first = submit(&g, 0, "a", 100);
    group_pass(&g, 2500);
    cr_assert(runs_at(&g, 0, first));
    struct fake_job *second = submit(&g, 0, "b", 100);
    group_pass(&g, 2500);
    cr_assert(runs_at(&g, 1, second));
    struct fake_job *third = submit(&g, 0, "c", 100);
    group_pass(&g, 2500);
    cr_assert_eq(third->job.state, STORED_RUNNING, "if all are busy, jobs share the slots");
    for (unsigned i = 0; i < 300; i++) {
        group_work(&g, 0, 10);
        group_work(&g, 1, 10);
    }
    harness_expect_end(third, STORED_SUCCEEDED, 100);
    group_over(&g);
}

Test(durable_claims, idle_jobs_of_a_busy_coordinator_go_to_one_that_gets_slots)
{
    struct group g;
    group_start(&g, 1, 0);
    for (unsigned i = 0; i < 4; i++) {
        char id[] = {(char)('a' + i), '\0'};
        submit(&g, 0, id, 1);
        group_pass(&g, 100);
    }
    for (unsigned i = 0; i < 4; i++) cr_assert(runs_at(&g, 0, g.store->jobs[i]));
    add_worker(&g, 1, 2);
    group_work(&g, 1, 10000);
    unsigned ended = 0;
    for (unsigned i = 0; i < 4; i++) ended += g.store->jobs[i]->job.state == STORED_SUCCEEDED;
    cr_assert_geq(ended, 2, "only %u jobs have ended at the coordinator that answers", ended);
    group_work(&g, 0, 2000);
    for (unsigned i = 0; i < 4; i++) harness_expect_end(g.store->jobs[i], STORED_SUCCEEDED, 1);
    group_over(&g);
}

/* While an item waits to be sent again, nothing is in flight. The job still stays at this coordinator, because this
 * coordinator has no other job. */
Test(durable_claims, a_job_stays_if_it_is_the_only_one)
{
    struct group g;
    group_start(&g, 1, 1);
    struct fake_job *j = harness_add_items(
        g.store, "a", HARNESS_WITH("{\"retry\":{\"interval_s\":20,\"max_delay_s\":20,\"jitter\":\"none\"}}"), 1, 1);
    durable_claim_soon(&g.replicas[0].durable);
    group_pass(&g, 100);
    cr_assert(runs_at(&g, 0, j));
    struct sched_attempt *a = g.replicas[0].stage.out[0];
    cr_assert_eq(sched_attempt_item_error(a, ITEM_CRASHED, now_ns()).verdict, SCHED_ITEM_RETRIED);
    stage_complete(&g.replicas[0].stage, a);
    group_pass(&g, 10000);
    cr_assert_eq(j->job.fence, 1);
    group_work(&g, 0, 15000);
    harness_expect_end(j, STORED_SUCCEEDED, 1);
    group_over(&g);
}

Test(durable_claims, a_drained_coordinator_keeps_no_jobs_from_others)
{
    struct group g;
    group_start(&g, 1, 1);
    struct fake_job *first = submit(&g, 1, "a", 100);
    group_pass(&g, 100);
    cr_assert(runs_at(&g, 1, first));
    durable_drain(&g.replicas[0].durable);
    group_pass(&g, 100);
    struct fake_job *second = submit(&g, 1, "b", 100);
    group_pass(&g, 100);
    cr_assert(runs_at(&g, 1, second), "the drained coordinator had slots left");
    group_work(&g, 1, 3000);
    harness_expect_end(second, STORED_SUCCEEDED, 100);
    group_over(&g);
}

/* One coordinator. */

static struct fake_job *add_absent(struct bench *b, unsigned n)
{
    char id[16];
    snprintf(id, sizeof id, "absent-%03u", n);
    struct fake_job *j = harness_add_items(
        b->store, id, "{\"query\":{\"task\":\"absent\"},\"options\":null,\"have_items\":true,\"idempotent\":null}", 2,
        2);
    free(j->job.task);
    j->job.task = xstrdup("absent");
    return j;
}

Test(durable_claims, jobs_of_an_absent_task_take_only_a_part_of_the_room)
{
    struct bench b;
    bench_start(&b, 2);
    for (unsigned i = 0; i < 300; i++) add_absent(&b, i);
    struct fake_job *j = harness_add_plain(b.store, "z", 10, 10);
    bench_work(&b, 3000);
    harness_expect_end(j, STORED_SUCCEEDED, 10);
    size_t waiting = b.replica.durable.runs.n;
    cr_assert(waiting >= 32 && waiting <= 80, "%zu jobs wait here", waiting);
    cr_assert_eq(b.store->jobs[299]->job.state, STORED_PENDING);
    cr_assert_eq(replica_run(&b.replica)->job->waiting, SCHED_NOT_WAITING);
    bench_over(&b);
}

Test(durable_claims, durable_jobs_leave_room_for_synchronous_jobs)
{
    static const unsigned most[][2] = {{1, 1}, {2, 1}, {3, 2}, {5, 3}, {10, 5}};
    for (size_t k = 0; k < ARRAY_SIZE(most); k++) {
        struct bench b;
        bench_start(&b, 2);
        b.replica.stage.config.max_jobs = most[k][0];
        for (unsigned i = 0; i < 20; i++) {
            char id[16];
            snprintf(id, sizeof id, "job-%03u", i);
            harness_add_plain(b.store, id, 3, 2);
        }
        bench_pass(&b, 4000);
        cr_assert_eq(b.replica.stage.jobs.count, most[k][1], "%u of %u", b.replica.stage.jobs.count, most[k][0]);
        bench_work(&b, 4000);
        for (size_t i = 0; i < 20; i++) harness_expect_end(b.store->jobs[i], STORED_SUCCEEDED, 3);
        bench_over(&b);
    }
}
