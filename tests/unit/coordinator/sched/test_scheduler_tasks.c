#include "common/base/limits.h"
#include "unit/coordinator/sched/scheduler_harness.h"

/* Jobs of several tasks, and workers that do not have all of these tasks. */

static struct sched_job *job_of_task(struct shell *sh, const char *task, uint64_t items)
{
    struct sched_job_params p;
    sched_job_params_init(&p);
    p.task = task;
    p.chunk_size = 1;
    return job_with(sh, &p, items);
}

static void has(struct shell *sh, struct sched_endpoint *e, const char *first, const char *second)
{
    struct sched_endpoint_task tasks[2] = {{first, 4}, {second, 2}};
    sched_endpoint_set_tasks(sh->s, e, tasks, second ? 2 : 1, sh->now);
}

static unsigned out_at(const struct shell *sh, const struct sched_job *job, const struct sched_endpoint *e)
{
    unsigned n = 0;
    for (unsigned i = 0; i < sh->out_n; i++) n += sh->out[i]->chunk->job == job && (!e || sh->out[i]->endpoint == e);
    return n;
}

Test(scheduler_tasks, a_job_goes_only_where_its_task_is)
{
    struct shell sh;
    shell_init(&sh);
    struct sched_endpoint *a = worker(&sh, 4), *b = worker(&sh, 4), *both = worker(&sh, 4);
    has(&sh, a, "a", NULL);
    has(&sh, b, "b", NULL);
    has(&sh, both, "a", "b");
    struct sched_job *of_a = job_of_task(&sh, "a", 100), *of_b = job_of_task(&sh, "b", 100);
    struct sched_job *of_two = job_of_task(&sh, "a,b", 100);
    run(&sh);
    cr_assert(out_at(&sh, of_a, a) > 0 && out_at(&sh, of_a, both) > 0 && out_at(&sh, of_a, b) == 0);
    cr_assert(out_at(&sh, of_b, b) > 0 && out_at(&sh, of_b, both) > 0 && out_at(&sh, of_b, a) == 0);
    cr_assert_gt(out_at(&sh, of_two, both), 0);
    cr_assert_eq(out_at(&sh, of_two, both), out_at(&sh, of_two, NULL));
    sched_job_cancel(of_a, SCHED_CANCELLED, "enough");
    sched_job_cancel(of_b, SCHED_CANCELLED, "enough");
    sched_job_cancel(of_two, SCHED_CANCELLED, "enough");
    run(&sh);
    shell_over(&sh);
}

/* Runs a job of one item to its end. Returns the endpoint to which the item was sent. */
static const struct sched_endpoint *run_one(struct shell *sh, const char *task)
{
    unsigned before = sh->out_n;
    job_of_task(sh, task, 1);
    run(sh);
    cr_assert_eq(sh->out_n, before + 1);
    struct sched_attempt *a = sh->out[before];
    const struct sched_endpoint *e = a->endpoint;
    complete(sh, a, 1);
    run(sh);
    return e;
}

Test(scheduler_tasks, a_worker_that_runs_another_task_is_not_preferred)
{
    struct shell sh;
    shell_init(&sh);
    struct sched_endpoint *both = worker(&sh, 4);
    has(&sh, both, "a", "b");
    cr_assert_eq(run_one(&sh, "b"), both);
    for (unsigned i = 0; i < 99; i++) has(&sh, worker(&sh, 4), "b", NULL);
    cr_assert_eq(run_one(&sh, "b"), both, "the worker that has answered is not preferred");
    struct sched_job *of_a = job_of_task(&sh, "a", 1);
    run(&sh);
    cr_assert_eq(out_at(&sh, of_a, both), 1);
    for (unsigned i = 0; i < 5; i++) cr_assert_neq(run_one(&sh, "b"), both);
    complete(&sh, sh.out[0], 1);
    run(&sh);
    shell_over(&sh);
}

/* The tasks of a worker may share its slots. */
Test(scheduler_tasks, a_worker_whose_slots_other_tasks_use_gets_a_chunk_only_if_no_other_worker_fits)
{
    struct shell sh;
    shell_init(&sh);
    struct sched_endpoint *busy[3];
    for (unsigned i = 0; i < 3; i++) has(&sh, busy[i] = worker(&sh, 4), "a", "b");
    struct sched_job *of_a = job_of_task(&sh, "a", 12);
    run(&sh);
    for (unsigned i = 0; i < 3; i++) cr_assert_eq(out_at(&sh, of_a, busy[i]), 4);
    struct sched_endpoint *idle = worker(&sh, 4);
    has(&sh, idle, "a", "b");
    for (unsigned i = 0; i < 50; i++) cr_assert_eq(run_one(&sh, "b"), idle);
    struct sched_job *of_b = job_of_task(&sh, "b", 20);
    run(&sh);
    cr_assert_gt(out_at(&sh, of_b, idle), 0);
    for (unsigned i = 0; i < 3; i++) cr_assert_gt(out_at(&sh, of_b, busy[i]), 0, "the worker gets nothing at all");
    sched_job_cancel(of_a, SCHED_CANCELLED, "enough");
    sched_job_cancel(of_b, SCHED_CANCELLED, "enough");
    run(&sh);
    shell_over(&sh);
}

Test(scheduler_tasks, many_chunks_of_one_task_take_no_room_from_another)
{
    struct shell sh;
    shell_init(&sh);
    struct sched_endpoint *e = worker(&sh, 4);
    struct sched_endpoint_task tasks[] = {{"wide", 100}, {"other", 8}};
    sched_endpoint_set_tasks(sh.s, e, tasks, 2, sh.now);
    struct sched_job *wide = job_of_task(&sh, "wide", 500);
    run(&sh);
    unsigned most = out_at(&sh, wide, NULL);
    cr_assert(most > 0 && most <= LIMIT_WORKER_CHUNKS, "%u", most);
    struct sched_job *other = job_of_task(&sh, "other", 8);
    run(&sh);
    cr_assert_eq(out_at(&sh, other, NULL), 8, "%u", out_at(&sh, other, NULL));
    sched_job_cancel(wide, SCHED_CANCELLED, "enough");
    sched_job_cancel(other, SCHED_CANCELLED, "enough");
    run(&sh);
    shell_over(&sh);
}

/* A worker limits the chunks of each task separately, so a 429 is about one task. */
Test(scheduler_tasks, a_worker_that_is_full_of_one_task_still_gets_another)
{
    struct shell sh;
    shell_init(&sh);
    struct sched_endpoint *e = worker(&sh, 4);
    struct sched_job *full = job_of_task(&sh, "full", 100);
    run(&sh);
    while (sh.out_n > 0) {
        struct sched_attempt *a = sh.out[0];
        shell_take(&sh, a);
        sched_attempt_ended(a, SCHED_END_BUSY, 60000, sh.now);
    }
    run(&sh);
    cr_assert_eq(out_at(&sh, full, e), 0);
    struct sched_job *other = job_of_task(&sh, "other", 4);
    run(&sh);
    cr_assert_eq(out_at(&sh, other, e), 4, "%u", out_at(&sh, other, e));
    for (unsigned i = 0; i < 4; i++) complete(&sh, sh.out[0], 0);
    run(&sh);
    cr_assert_eq(sh.finished, 1);
    cr_assert_eq(out_at(&sh, full, e), 0, "an answer to another task ends no pause");
    struct sched_task_stats stats;
    cr_assert(sched_task_stats(sh.s, "full", &stats) && stats.full == 1);
    until_sent(&sh);
    cr_assert_gt(out_at(&sh, full, e), 0);
    sched_job_cancel(full, SCHED_CANCELLED, "enough");
    run(&sh);
    shell_over(&sh);
}

Test(scheduler_tasks, a_worker_that_is_full_of_a_task_is_known_to_work)
{
    struct shell sh;
    shell_init(&sh);
    worker(&sh, 4);
    struct sched_job *job = job_of_task(&sh, "full", 1);
    for (uint64_t until = sh.now + 120 * NS_PER_S; sh.now < until;) {
        run(&sh);
        if (sh.out_n > 0)
            end(&sh, sh.out[0], SCHED_END_BUSY);
        else
            run_on(&sh, 1);
    }
    cr_assert_eq(sh.finished, 0, "the job waits for room, and not for a worker");
    cr_assert_eq(sh.waiting, SCHED_NOT_WAITING);
    sched_job_cancel(job, SCHED_CANCELLED, "enough");
    run(&sh);
    shell_over(&sh);
}

Test(scheduler_tasks, a_job_does_not_wait_for_the_items_of_another_task)
{
    struct shell sh;
    shell_init(&sh);
    worker(&sh, 2);
    struct sched_job *slow = job_of_task(&sh, "slow", 100);
    run(&sh);
    unsigned busy = out_at(&sh, slow, NULL);
    cr_assert_gt(busy, 0);
    struct sched_job *quick = job_of_task(&sh, "quick", 2);
    run(&sh);
    cr_assert_eq(out_at(&sh, slow, NULL), busy, "the lane of the slow task was full");
    cr_assert_eq(out_at(&sh, quick, NULL), 2);
    sched_job_cancel(slow, SCHED_CANCELLED, "enough");
    sched_job_cancel(quick, SCHED_CANCELLED, "enough");
    run(&sh);
    shell_over(&sh);
}

Test(scheduler_tasks, a_worker_that_lacks_the_task_costs_no_attempt)
{
    struct shell sh;
    shell_init(&sh);
    struct sched_endpoint *without = worker(&sh, 4);
    struct sched_job *job = job_of_task(&sh, "t", 8);
    run(&sh);
    cr_assert_gt(sh.out_n, 0);
    while (sh.out_n > 0) end(&sh, sh.out[0], SCHED_END_TASK_UNKNOWN);
    run(&sh);
    cr_assert_eq(sh.out_n, 0, "a worker without the task gets no more chunks");
    struct sched_endpoint *with = worker(&sh, 4);
    run(&sh);
    cr_assert_eq(out_at(&sh, job, with), sh.out_n);
    cr_assert_gt(sh.out_n, 0);
    has(&sh, without, "t", NULL);
    run(&sh);
    cr_assert_gt(out_at(&sh, job, without), 0, "the worker now has the task");
    complete_all(&sh);
    cr_assert_eq(sh.outcome.status, SCHED_SUCCEEDED);
    cr_assert_eq(sh.outcome.counts.retried, 0);
    shell_over(&sh);
}

Test(scheduler_tasks, a_job_whose_task_no_worker_has_waits_says_so_and_gives_up)
{
    struct shell sh;
    shell_init(&sh);
    has(&sh, worker(&sh, 4), "other", NULL);
    job_of_task(&sh, "t", 3);
    run(&sh);
    run_on(&sh, 1);
    cr_assert_eq(sh.sends, 0);
    cr_assert_eq(sh.waiting, SCHED_WAITING_NO_TASK);
    while (sh.finished == 0) run_on(&sh, 1);
    cr_assert_eq(sh.outcome.status, SCHED_FAILED);
    cr_assert_str_eq(sh.outcome.reason, sched_cause_no_task);
    cr_assert_eq(sh.errors[ITEM_WORKER_LOST], 3);
    shell_over(&sh);
}

/* Ends each attempt without an answer: as refused at the endpoint `rejecting`, and as not connected elsewhere. Stops
 * when the job reports that it is waiting. */
static void until_it_waits(struct shell *sh, const struct sched_endpoint *rejecting)
{
    for (unsigned turns = 0; sh->waiting == SCHED_NOT_WAITING; turns++) {
        cr_assert_lt(turns, 1000, "the job does not wait");
        while (sh->out_n > 0)
            end(sh, sh->out[0], sh->out[0]->endpoint == rejecting ? SCHED_END_REFUSED : SCHED_END_NOT_CONNECTED);
        run_on(sh, 1);
    }
}

Test(scheduler_tasks, a_job_waits_for_another_reason_when_the_only_worker_with_its_task_has_left)
{
    struct shell sh;
    shell_init(&sh);
    struct sched_endpoint *with = worker(&sh, 4);
    has(&sh, with, "t", NULL);
    has(&sh, worker(&sh, 4), "other", NULL);
    struct sched_job *job = job_of_task(&sh, "t", 3);
    run(&sh);
    until_it_waits(&sh, NULL);
    cr_assert_eq(sh.waiting, SCHED_WAITING_NO_WORKERS);
    sched_endpoint_remove(sh.s, with);
    run(&sh);
    cr_assert_eq(sh.waiting, SCHED_WAITING_NO_TASK);
    sched_job_cancel(job, SCHED_CANCELLED, "enough");
    run(&sh);
    shell_over(&sh);
}

Test(scheduler_tasks, a_job_waits_for_another_reason_when_the_worker_that_rejects_the_token_has_left)
{
    struct shell sh;
    shell_init(&sh);
    struct sched_endpoint *rejecting = worker(&sh, 4);
    worker(&sh, 4);
    struct sched_job *job = job_of_task(&sh, "t", 30);
    run(&sh);
    until_it_waits(&sh, rejecting);
    cr_assert_eq(sh.waiting, SCHED_WAITING_TOKEN_REFUSED);
    sched_endpoint_remove(sh.s, rejecting);
    run(&sh);
    cr_assert_eq(sh.waiting, SCHED_WAITING_NO_WORKERS);
    sched_job_cancel(job, SCHED_CANCELLED, "enough");
    run(&sh);
    shell_over(&sh);
}

Test(scheduler_tasks, demand_is_counted_for_each_task)
{
    struct shell sh;
    struct sched_task_stats stats;
    shell_init(&sh);
    has(&sh, worker(&sh, 4), "a", "b");
    struct sched_job *a = job_of_task(&sh, "a", 30), *b = job_of_task(&sh, "b", 7);
    run(&sh);
    cr_assert(sched_task_stats(sh.s, "a", &stats));
    cr_assert(stats.queued_items + stats.in_flight_items == 30 && stats.demand_slots == 30 && stats.slots == 4);
    cr_assert(sched_task_stats(sh.s, "b", &stats));
    cr_assert(stats.queued_items + stats.in_flight_items == 7 && stats.demand_slots == 7 && stats.slots == 2);
    cr_assert_eq(sched_stats(sh.s).demand_slots, 37);
    cr_assert(!sched_task_stats(sh.s, "c", &stats));
    sched_job_cancel(a, SCHED_CANCELLED, "enough");
    sched_job_cancel(b, SCHED_CANCELLED, "enough");
    run(&sh);
    cr_assert(sched_task_stats(sh.s, "a", &stats) && stats.jobs == 0 && stats.demand_slots == 0);
    shell_over(&sh);
}
