/* Endpoints that fail, are full, drain, refuse the token, appear or disappear. */
#include "unit/coordinator/sched/scheduler_harness.h"

static struct sched_task_stats stats_of(const struct shell *sh, const char *task)
{
    struct sched_task_stats stats;
    cr_assert(sched_task_stats(sh->s, task, &stats));
    return stats;
}

Test(scheduler_endpoints, a_full_worker_gets_a_smaller_window_and_a_pause)
{
    struct shell sh;
    shell_init(&sh);
    struct sched_endpoint *e = worker(&sh, 16);
    struct sched_job_params p = params();
    p.chunk_size = 1;
    p.task = "a";
    job_with(&sh, &p, 1000);
    run(&sh);
    unsigned before = sh.out_n;
    end(&sh, sh.out[before - 1], SCHED_END_BUSY);
    run(&sh);
    cr_assert_eq(stats_of(&sh, "a").full, 1);
    cr_assert_eq(sched_endpoint_state(e), ENDPOINT_OPEN);
    cr_assert_eq(sh.out_n, before - 1);
    complete(&sh, sh.out[0], 1);
    run(&sh);
    cr_assert_eq(stats_of(&sh, "a").full, 0);
    for (unsigned i = 0; i < 6; i++) complete(&sh, sh.out[0], 0);
    run(&sh);
    cr_assert_leq(sh.out_n, before * 3 / 4);
    shell_over(&sh);
}

/* Runs jobs of one item each, one job after another. Returns how many of these jobs were sent to the endpoint. */
static unsigned jobs_at(struct shell *sh, const struct sched_endpoint *e, unsigned jobs)
{
    unsigned n = 0;
    for (unsigned i = 0; i < jobs; i++) {
        job_of(sh, 1);
        run(sh);
        cr_assert_eq(sh->out_n, 1);
        n += sh->out[0]->endpoint == e;
        complete(sh, sh->out[0], 1);
        run(sh);
    }
    return n;
}

Test(scheduler_endpoints, small_jobs_go_to_the_idle_worker_that_has_answered_last)
{
    struct shell sh;
    shell_init(&sh);
    for (unsigned i = 0; i < 100; i++) worker(&sh, 2);
    job_of(&sh, 1);
    run(&sh);
    const struct sched_endpoint *first = sh.out[0]->endpoint;
    cr_assert_eq(stats_of(&sh, "").idle, 0);
    complete(&sh, sh.out[0], 1);
    run(&sh);
    cr_assert_eq(stats_of(&sh, "").idle, 1);
    cr_assert_geq(jobs_at(&sh, first, 8), 7, "the worker that has answered is not preferred");
    cr_assert_lt(jobs_at(&sh, first, 500), 400, "only one worker is ever used");
    shell_over(&sh);
}

/* Runs a job of two chunks, each with one item. Returns whether the slow worker got one of the chunks. */
static bool slow_gets_one(struct shell *sh, const struct sched_endpoint *slow)
{
    struct sched_job_params p;
    sched_job_params_init(&p);
    p.chunk_size = 1;
    job_with(sh, &p, 2);
    run(sh);
    cr_assert_eq(sh->out_n, 2);
    struct sched_attempt *a = sh->out[0], *b = sh->out[1];
    bool has_one = a->endpoint == slow || b->endpoint == slow;
    struct sched_attempt *last = a->endpoint == slow ? a : b;
    run_at(sh, sh->now + 15 * MS);
    complete(sh, last == a ? b : a, 1);
    run_at(sh, sh->now + (has_one ? 185 : 0) * MS);
    complete(sh, last, 1);
    run(sh);
    return has_one;
}

/* A worker that has just answered is preferred. A slow worker answers last, but must not be preferred for this
 * reason. */
Test(scheduler_endpoints, a_slow_worker_is_not_preferred)
{
    struct shell sh;
    unsigned n = 0;
    shell_init(&sh);
    const struct sched_endpoint *slow = worker(&sh, 1);
    for (unsigned i = 0; i < 3; i++) worker(&sh, 1);
    for (unsigned i = 0; i < 100; i++) n += slow_gets_one(&sh, slow);
    cr_assert_lt(n, 10, "the slow worker was in %u of 100 jobs", n);
    shell_over(&sh);
}

Test(scheduler_endpoints, a_worker_whose_last_answer_was_an_error_is_not_preferred)
{
    struct shell sh;
    shell_init(&sh);
    for (unsigned i = 0; i < 100; i++) worker(&sh, 2);
    job_of(&sh, 1);
    run(&sh);
    struct sched_attempt *a = sh.out[0];
    const struct sched_endpoint *bad = a->endpoint;
    cr_assert_eq(sched_attempt_item_error(a, ITEM_TASK_ERROR, sh.now).verdict, SCHED_ITEM_FINAL);
    end(&sh, a, SCHED_END_COMPLETE);
    run(&sh);
    cr_assert_leq(jobs_at(&sh, bad, 20), 2);
    shell_over(&sh);
}

Test(scheduler_endpoints, the_slots_of_a_worker_that_does_not_answer_are_not_counted)
{
    struct shell sh;
    shell_init(&sh);
    struct sched_endpoint *dead = worker(&sh, 4), *alive = worker(&sh, 3);
    job_of(&sh, 1);
    sched_endpoint_reached(sh.s, dead, false, sh.now);
    cr_assert_eq(sched_stats(sh.s).slots, 3);
    sched_endpoint_reached(sh.s, alive, false, sh.now);
    cr_assert_eq(sched_stats(sh.s).slots, 0);
    sched_endpoint_reached(sh.s, alive, true, sh.now);
    cr_assert_eq(sched_stats(sh.s).slots, 3);
    sched_endpoint_remove(sh.s, dead);
    cr_assert_eq(sched_stats(sh.s).slots, 3);
    sched_endpoint_reached(sh.s, alive, false, sh.now);
    run(&sh);
    cr_assert_eq(sh.out_n, 1, "the worker still gets chunks, because it may be back");
    complete(&sh, sh.out[0], 1);
    run(&sh);
    cr_assert_eq(sched_stats(sh.s).slots, 3, "an answer shows that the worker is there");
    shell_over(&sh);
}

Test(scheduler_endpoints, a_busy_worker_is_counted_until_its_attempts_end)
{
    struct shell sh;
    shell_init(&sh);
    struct sched_endpoint *e = worker(&sh, 4);
    job_of(&sh, 1);
    run(&sh);
    sched_endpoint_reached(sh.s, e, false, sh.now);
    cr_assert_eq(sched_stats(sh.s).slots, 4);
    complete(&sh, sh.out[0], 1);
    run(&sh);
    shell_over(&sh);
}

Test(scheduler_endpoints, a_new_worker_at_a_paused_endpoint_is_probed_at_once)
{
    struct shell sh;
    shell_init(&sh);
    struct sched_endpoint *e = worker(&sh, 4);
    run(&sh);
    sched_endpoint_probe_now(sh.s, e, sh.now);
    cr_assert_eq(sh.probes, 0, "a healthy endpoint is not probed");
    sched_endpoint_drain(sh.s, e, sh.now);
    cr_assert_eq(sched_endpoint_state(e), ENDPOINT_DRAINING);
    sched_endpoint_probe_now(sh.s, e, sh.now);
    cr_assert_eq(sh.probes, 1);
    sched_endpoint_probe_now(sh.s, e, sh.now);
    cr_assert_eq(sh.probes, 1, "a probe is already running");
    sched_endpoint_probed(sh.s, e, true, sh.now);
    cr_assert_eq(sched_endpoint_state(e), ENDPOINT_PROBATION);
    shell_over(&sh);
}

Test(scheduler_endpoints, a_full_worker_on_probation_is_trusted_after_its_next_answer)
{
    struct shell sh;
    shell_init(&sh);
    struct sched_endpoint *e = worker(&sh, 4);
    struct sched_job_params p = params();
    p.chunk_size = 1;
    job_with(&sh, &p, 3);
    sched_endpoint_drain(sh.s, e, sh.now);
    run(&sh);
    while (sh.probes < 1) run_on(&sh, 1);
    sched_endpoint_probed(sh.s, e, true, sh.now);
    run(&sh);
    cr_assert_eq(sched_endpoint_state(e), ENDPOINT_PROBATION);
    end(&sh, sh.out[0], SCHED_END_BUSY);
    run(&sh);
    cr_assert_eq(sched_endpoint_state(e), ENDPOINT_PROBATION);
    until_sent(&sh);
    cr_assert_eq(sh.out_n, 1);
    complete(&sh, sh.out[0], 1);
    cr_assert_eq(sched_endpoint_state(e), ENDPOINT_OPEN);
    run(&sh);
    complete_all(&sh);
    cr_assert_eq(sh.outcome.status, SCHED_SUCCEEDED);
    shell_over(&sh);
}

Test(scheduler_endpoints, a_worker_that_answers_500_is_ejected_but_never_more_than_half_of_them)
{
    struct shell sh;
    shell_init(&sh);
    struct sched_endpoint *workers[3];
    for (unsigned i = 0; i < 3; i++) workers[i] = worker(&sh, 4);
    struct sched_job_params p = params();
    p.chunk_size = 1;
    p.retry.max_attempts = 100;
    job_with(&sh, &p, 1000);
    run(&sh);
    for (unsigned turn = 0; turn < 300 && sh.finished == 0; turn++) {
        if (sh.out_n > 0 && sh.out[0]->endpoint != workers[2])
            end(&sh, sh.out[0], SCHED_END_BAD_STATUS);
        else if (sh.out_n > 0)
            complete(&sh, sh.out[0], 1);
        else
            sh.now = sh.next;
        sh.now += MS;
        run(&sh);
        cr_assert_leq(sched_stats(sh.s).endpoints[ENDPOINT_EJECTED], 1);
    }
    cr_assert_eq(sched_stats(sh.s).endpoints[ENDPOINT_EJECTED], 1);
    shell_over(&sh);
}

Test(scheduler_endpoints, a_failed_worker_is_asked_whether_it_is_ready_before_it_gets_more)
{
    struct shell sh;
    shell_init(&sh);
    struct sched_endpoint *e = worker(&sh, 4);
    job_of(&sh, 1);
    run(&sh);
    end(&sh, sh.out[0], SCHED_END_UNAVAILABLE);
    run(&sh);
    while (sh.probes < 1) run_on(&sh, 1);
    cr_assert_eq(sh.probed, e);
    cr_assert_eq(sh.out_n, 0);
    sched_endpoint_probed(sh.s, e, false, sh.now);
    run(&sh);
    cr_assert_eq(sh.out_n, 0);
    while (sh.probes < 2) run_on(&sh, 1);
    sched_endpoint_probed(sh.s, e, true, sh.now);
    run(&sh);
    cr_assert_eq(sh.out_n, 1);
    complete_all(&sh);
    cr_assert_eq(sh.outcome.status, SCHED_SUCCEEDED);
    shell_over(&sh);
}

Test(scheduler_endpoints, a_worker_that_refuses_our_token_gets_nothing_until_it_takes_it)
{
    struct shell sh;
    shell_init(&sh);
    struct sched_endpoint *e = worker(&sh, 4);
    job_of(&sh, 1);
    run(&sh);
    end(&sh, sh.out[0], SCHED_END_REFUSED);
    run(&sh);
    cr_assert(sched_endpoint_rejects_token(e));
    for (unsigned i = 1; i <= 20; i++) {
        while (sh.probes < i) run_on(&sh, 1);
        sched_endpoint_probed(sh.s, e, false, sh.now);
        run(&sh);
    }
    cr_assert_eq(sh.sends, 1, "the endpoint gets only probes");
    cr_assert(sched_endpoint_rejects_token(e));
    cr_assert_eq(sh.waiting, SCHED_WAITING_TOKEN_REFUSED);
    while (sh.probes < 21) run_on(&sh, 1);
    sched_endpoint_probed(sh.s, e, true, sh.now);
    cr_assert(!sched_endpoint_rejects_token(e));
    run(&sh);
    complete_all(&sh);
    cr_assert_eq(sh.outcome.status, SCHED_SUCCEEDED);
    cr_assert_eq(sh.outcome.counts.retried, 0);
    shell_over(&sh);
}

Test(scheduler_endpoints, a_job_that_only_token_refusals_met_ends_and_says_so)
{
    struct shell sh;
    shell_init(&sh);
    for (unsigned i = 0; i < 3; i++) worker(&sh, 4);
    job_of(&sh, 1000);
    run(&sh);
    for (unsigned turn = 0; turn < 100000 && sh.finished == 0; turn++) {
        if (sh.out_n > 0)
            end(&sh, sh.out[0], SCHED_END_REFUSED);
        else
            sh.now = sh.next > sh.now ? sh.next : sh.now + 1;
        run(&sh);
        if (!sh.probed) continue;
        sched_endpoint_probed(sh.s, sh.probed, false, sh.now);
        sh.probed = NULL;
    }
    cr_assert_eq(sh.finished, 1);
    cr_assert(sh.outcome.no_workers);
    cr_assert_str_eq(sh.outcome.reason, "the workers refuse the coordinator's token");
    cr_assert_eq(sh.errors[ITEM_WORKER_LOST], 1000);
    cr_assert_leq(sh.sends, 20);
    shell_over(&sh);
}

Test(scheduler_endpoints, a_worker_that_failed_otherwise_since_no_longer_counts_as_refusing)
{
    struct shell sh;
    shell_init(&sh);
    struct sched_endpoint *e = worker(&sh, 4);
    job_of(&sh, 1);
    run(&sh);
    end(&sh, sh.out[0], SCHED_END_REFUSED);
    run(&sh);
    while (sh.probes < 1) run_on(&sh, 1);
    sched_endpoint_probed(sh.s, e, true, sh.now);
    run(&sh);
    until_sent(&sh);
    sh.now += MS;
    end(&sh, sh.out[0], SCHED_END_NOT_CONNECTED);
    run(&sh);
    cr_assert(!sched_endpoint_rejects_token(e));
    sched_endpoint_remove(sh.s, e);
    for (unsigned turns = 0; sh.finished == 0 && turns < 1000; turns++) run_on(&sh, 1);
    cr_assert_eq(sh.finished, 1);
    cr_assert_str_eq(sh.outcome.reason, "no worker could be reached");
    shell_over(&sh);
}

Test(scheduler_endpoints, an_endpoint_can_be_removed_while_it_works)
{
    struct shell sh;
    shell_init(&sh);
    struct sched_endpoint *e = worker(&sh, 4);
    job_of(&sh, 3);
    run(&sh);
    sched_endpoint_remove(sh.s, e);
    cr_assert_null(sh.out[0]->endpoint);
    run(&sh);
    while (sh.out_n > 0) complete(&sh, sh.out[0], 1);
    run(&sh);
    worker(&sh, 4);
    run(&sh);
    complete_all(&sh);
    cr_assert_eq(sh.outcome.counts.succeeded, 3);
    shell_over(&sh);
}

Test(scheduler_endpoints, without_workers_a_job_waits_says_so_and_gives_up)
{
    struct shell sh;
    shell_init(&sh);
    job_of(&sh, 5);
    run(&sh);
    cr_assert_eq(sched_stats(sh.s).demand_slots, 5);
    run_on(&sh, 1);
    cr_assert_eq(sh.waiting, SCHED_WAITING_NO_WORKERS);
    cr_assert_eq(sh.finished, 0);
    run_on(&sh, 3);
    cr_assert_eq(sh.finished, 1);
    cr_assert(sh.outcome.no_workers);
    cr_assert_eq(sh.outcome.status, SCHED_FAILED);
    cr_assert_eq(sh.errors[ITEM_WORKER_LOST], 5);
    shell_over(&sh);
}

Test(scheduler_endpoints, a_job_that_waited_goes_on_when_a_worker_comes)
{
    struct shell sh;
    shell_init(&sh);
    job_of(&sh, 5);
    run(&sh);
    run_on(&sh, 1);
    cr_assert_eq(sh.waits, 1);
    sh.now += 10 * NS_PER_S;
    worker(&sh, 4);
    run(&sh);
    cr_assert_eq(sh.waiting, SCHED_NOT_WAITING);
    complete_all(&sh);
    cr_assert_eq(sh.outcome.status, SCHED_SUCCEEDED);
    shell_over(&sh);
}

Test(scheduler_endpoints, a_draining_worker_that_still_answers_is_asked_before_it_gets_more)
{
    struct shell sh;
    shell_init(&sh);
    struct sched_endpoint *e = worker(&sh, 16);
    struct sched_job_params p = params();
    p.chunk_size = 1;
    job_with(&sh, &p, 1000);
    run(&sh);
    sched_endpoint_drain(sh.s, e, sh.now);
    cr_assert_eq(sched_endpoint_state(e), ENDPOINT_DRAINING);
    complete(&sh, sh.out[0], 1);
    cr_assert_eq(sched_endpoint_state(e), ENDPOINT_DRAINING);
    run_on(&sh, 1);
    cr_assert_eq(sched_endpoint_state(e), ENDPOINT_PROBING);
    sched_endpoint_probed(sh.s, e, false, sh.now);
    cr_assert_eq(sched_endpoint_state(e), ENDPOINT_DRAINING);
    run_on(&sh, 3);
    sched_endpoint_probed(sh.s, e, true, sh.now);
    cr_assert_eq(sched_endpoint_state(e), ENDPOINT_PROBATION);
    shell_over(&sh);
}

Test(scheduler_endpoints, a_task_that_a_removed_worker_lacks_is_free_to_go_elsewhere)
{
    struct shell sh;
    struct sched_job_params p = params();
    p.retry.max_attempts = 1;
    shell_init(&sh);
    struct sched_endpoint *e = worker(&sh, 4);
    job_with(&sh, &p, 1);
    run(&sh);
    worker(&sh, 4);
    sched_endpoint_remove(sh.s, e);
    end(&sh, sh.out[0], SCHED_END_TASK_UNKNOWN);
    complete_all(&sh);
    cr_assert_eq(sh.outcome.status, SCHED_SUCCEEDED);
    cr_assert_eq(sh.outcome.counts.retried, 0);
    shell_over(&sh);
}
