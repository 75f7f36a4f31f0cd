/* Attempts that end early: which items are sent again, where, when and how often. */
#include "unit/coordinator/sched/scheduler_harness.h"

/* Starts a job of one chunk on two workers. Returns the attempt that was sent to one of the workers. */
static struct sched_attempt *one_chunk(struct shell *sh, struct sched_job_params *p, uint32_t items)
{
    shell_init(sh);
    worker(sh, 4);
    worker(sh, 4);
    p->chunk_size = items;
    job_with(sh, p, items);
    run(sh);
    cr_assert_eq(sh->out_n, 1);
    return sh->out[0];
}

Test(scheduler_faults, only_the_unanswered_suffix_is_sent_again_and_elsewhere)
{
    struct shell sh;
    struct sched_job_params p = params();
    struct sched_attempt *a = one_chunk(&sh, &p, 10);
    struct sched_endpoint *first = a->endpoint;
    answer(&sh, a, 4, 1);
    end(&sh, a, SCHED_END_LOST);
    run(&sh);
    until_sent(&sh);
    cr_assert_eq(sh.out[0]->from, 4);
    cr_assert_eq(sh.out[0]->to, 10);
    cr_assert_neq(sh.out[0]->endpoint, first);
    complete_all(&sh);
    cr_assert_eq(sh.outcome.counts.succeeded, 10);
    cr_assert_eq(sh.outcome.counts.retried, 6);
    shell_over(&sh);
}

Test(scheduler_faults, hand_backs_go_elsewhere_at_once_and_cost_nothing)
{
    static const enum sched_end free_ends[] = {SCHED_END_DRAINING,    SCHED_END_NOT_CONNECTED, SCHED_END_BUSY,
                                               SCHED_END_UNAVAILABLE, SCHED_END_REFUSED,       SCHED_END_OLD_TOKEN};
    for (size_t i = 0; i < ARRAY_SIZE(free_ends); i++) {
        struct shell sh;
        struct sched_job_params p = params();
        struct sched_attempt *a = one_chunk(&sh, &p, 10);
        struct sched_endpoint *first = a->endpoint;
        end(&sh, a, free_ends[i]);
        run(&sh);
        cr_assert_eq(sh.out_n, 1, "%s", sched_end_name(free_ends[i]));
        cr_assert_neq(sh.out[0]->endpoint, first);
        complete_all(&sh);
        cr_assert_eq(sh.outcome.counts.retried, 0);
        cr_assert_eq(sched_stats(sh.s).attempts_retry, 0);
        shell_over(&sh);
    }
}

Test(scheduler_faults, retries_wait_with_full_jitter_up_to_the_longest_delay)
{
    struct sched_job_params p = params();
    p.retry = (struct sched_retry){.max_attempts = 10,
                                   .interval_s = 0.1,
                                   .backoff_rate = 10,
                                   .max_delay_s = 0.5,
                                   .full_jitter = true,
                                   .on = SCHED_RETRY_ON(ITEM_WORKER_LOST)};
    p.hedge_enabled = false;
    uint64_t longest = 0;
    for (unsigned i = 0; i < 3; i++) {
        struct shell sh;
        struct sched_attempt *a = one_chunk(&sh, &p, 2);
        for (unsigned failures = 0; failures < 3; failures++) {
            uint64_t failed = sh.now;
            end(&sh, a, SCHED_END_BAD_STATUS);
            run(&sh);
            until_sent(&sh);
            longest = sh.now - failed > longest ? sh.now - failed : longest;
            cr_assert_leq(sh.now - failed, 500 * MS);
            a = sh.out[0];
        }
        shell_over(&sh);
    }
    cr_assert_gt(longest, 50 * MS);
}

Test(scheduler_faults, a_chunk_that_lost_two_workers_is_halved_until_one_item_is_named)
{
    struct shell sh;
    struct sched_job_params p = params();
    p.hedge_enabled = false;
    one_chunk(&sh, &p, 8);
    unsigned losses = 0;
    /* Item 5 kills every worker that runs it. */
    for (unsigned turn = 0; turn < 1000 && sh.finished == 0; turn++) {
        if (sh.out_n > 0) {
            struct sched_attempt *a = sh.out[0];
            bool poisoned = a->chunk->first + a->from <= 5 && 5 < a->chunk->first + a->to;
            losses += poisoned;
            if (poisoned)
                end(&sh, a, SCHED_END_LOST);
            else
                complete(&sh, a, 1);
        } else {
            sh.now = sh.next;
        }
        run(&sh);
        if (sh.probed) {
            struct sched_endpoint *e = sh.probed;
            sh.probed = NULL;
            sched_endpoint_probed(sh.s, e, true, sh.now);
            run(&sh);
        }
    }
    cr_assert_eq(sh.outcome.status, SCHED_PARTIAL);
    cr_assert_eq(sh.outcome.counts.succeeded, 7);
    cr_assert_eq(sh.errors[ITEM_WORKER_LOST], 1);
    cr_assert_eq(sh.last_error_first, 5);
    cr_assert_lt(losses, 3 + 3);
    shell_over(&sh);
}

Test(scheduler_faults, what_must_not_run_twice_is_not_sent_again_once_delivered)
{
    struct shell sh;
    struct sched_job_params p = params();
    p.idempotent = false;
    struct sched_attempt *a = one_chunk(&sh, &p, 10);
    answer(&sh, a, 3, 1);
    end(&sh, a, SCHED_END_LOST);
    run(&sh);
    cr_assert_eq(sh.finished, 1);
    cr_assert_eq(sh.errors[ITEM_WORKER_LOST], 7);
    cr_assert_eq(sh.sends, 1);
    shell_over(&sh);
}

Test(scheduler_faults, what_must_not_run_twice_may_be_sent_again_when_it_was_not_delivered)
{
    struct shell sh;
    struct sched_job_params p = params();
    p.idempotent = false;
    end(&sh, one_chunk(&sh, &p, 10), SCHED_END_NOT_CONNECTED);
    run(&sh);
    complete_all(&sh);
    cr_assert_eq(sh.outcome.counts.succeeded, 10);
    shell_over(&sh);
}

/* Cancels a job of 100 items when one of its chunks has been handed back and others are in flight. Returns how many
 * items may have run. */
static uint64_t sent_when_cancelled(bool idempotent, uint32_t *in_flight)
{
    struct shell sh;
    struct sched_job_params p = params();
    p.idempotent = idempotent;
    p.chunk_size = 10;
    p.max_concurrency = 30;
    shell_init(&sh);
    worker(&sh, 64);
    struct sched_job *job = job_with(&sh, &p, 100);
    run(&sh);
    cr_assert_eq(sh.out_n, 3);
    answer(&sh, sh.out[0], 4, 1);
    end(&sh, sh.out[2], SCHED_END_BUSY);
    *in_flight = 6 + 10;
    sched_job_cancel(job, SCHED_CANCELLED, "asked to");
    run(&sh);
    cr_assert_eq(sh.errors[ITEM_CANCELLED], 96);
    uint64_t sent = sh.sent_errors;
    shell_over(&sh);
    return sent;
}

Test(scheduler_faults, a_cancelled_item_is_known_to_have_been_sent_or_not)
{
    uint32_t in_flight;
    cr_assert_eq(sent_when_cancelled(false, &in_flight), in_flight);
    cr_assert_eq(sent_when_cancelled(true, &in_flight), in_flight + 10, "a chunk that was handed back may have run");
}

Test(scheduler_faults, a_crashed_item_is_tried_alone_on_another_worker)
{
    struct shell sh;
    struct sched_job_params p = params();
    struct sched_attempt *a = one_chunk(&sh, &p, 10);
    struct sched_endpoint *first = a->endpoint;
    answer(&sh, a, 3, 1);
    struct sched_item_verdict v = sched_attempt_item_error(a, ITEM_CRASHED, sh.now);
    cr_assert_eq(v.verdict, SCHED_ITEM_RETRIED);
    cr_assert_eq(v.index, 3);
    complete(&sh, a, 1);
    run(&sh);
    until_sent(&sh);
    a = sh.out[0];
    cr_assert_eq(a->chunk->first, 3);
    cr_assert_eq(a->chunk->count, 1);
    cr_assert_neq(a->endpoint, first);
    complete_all(&sh);
    cr_assert_eq(sh.outcome.status, SCHED_SUCCEEDED);
    shell_over(&sh);
}

Test(scheduler_faults, an_item_error_is_final_after_max_attempts_or_when_not_to_be_retried)
{
    struct shell sh;
    struct sched_job_params p = params();
    p.retry.max_attempts = 2;
    struct sched_attempt *a = one_chunk(&sh, &p, 2);
    cr_assert_eq(sched_attempt_item_error(a, ITEM_TASK_ERROR, sh.now).verdict, SCHED_ITEM_FINAL);
    cr_assert_eq(sched_attempt_item_error(a, ITEM_CRASHED, sh.now).verdict, SCHED_ITEM_RETRIED);
    end(&sh, a, SCHED_END_COMPLETE);
    run(&sh);
    until_sent(&sh);
    struct sched_item_verdict v = sched_attempt_item_error(sh.out[0], ITEM_CRASHED, sh.now);
    cr_assert_eq(v.verdict, SCHED_ITEM_FINAL);
    cr_assert_eq(v.attempts, 2);
    end(&sh, sh.out[0], SCHED_END_COMPLETE);
    run(&sh);
    cr_assert_eq(sh.outcome.status, SCHED_PARTIAL);
    cr_assert_eq(sh.outcome.counts.failed, 2);
    shell_over(&sh);
}

Test(scheduler_faults, too_few_answers_are_a_failure)
{
    struct shell sh;
    struct sched_job_params p = params();
    struct sched_attempt *a = one_chunk(&sh, &p, 10);
    answer(&sh, a, 9, 1);
    end(&sh, a, SCHED_END_COMPLETE);
    run(&sh);
    cr_assert_eq(sh.finished, 0);
    cr_assert_eq(sched_stats(sh.s).attempts_ended[SCHED_END_PROTOCOL], 1);
    complete_all(&sh);
    cr_assert_eq(sh.outcome.counts.succeeded, 10);
    shell_over(&sh);
}

Test(scheduler_faults, passing_the_tolerance_ends_the_job)
{
    struct shell sh;
    struct sched_job_params p = params();
    p.tolerated_failure_count = 1;
    struct sched_attempt *a = one_chunk(&sh, &p, 10);
    for (int i = 0; i < 2; i++)
        cr_assert_eq(sched_attempt_item_error(a, ITEM_TASK_ERROR, sh.now).verdict, SCHED_ITEM_FINAL);
    run(&sh);
    cr_assert_eq(sh.outcome.status, SCHED_FAILED);
    cr_assert_eq(sh.outcome.counts.cancelled, 8);
    cr_assert_eq(sh.cuts, 1);
    shell_over(&sh);
}

/* Makes items crash at `bad` and succeed at other endpoints, until the job has finished, or until no attempt is in
 * flight and no timer is set. */
static void play(struct shell *sh, const struct sched_endpoint *bad)
{
    while (sh->finished == 0 && (sh->out_n > 0 || sh->next != SCHED_NEVER)) {
        if (sh->out_n == 0) {
            run_on(sh, 1);
            continue;
        }
        struct sched_attempt *a = sh->out[0];
        if (a->endpoint == bad) {
            cr_assert_eq(sched_attempt_item_error(a, ITEM_CRASHED, sh->now).verdict, SCHED_ITEM_RETRIED);
            end(sh, a, SCHED_END_COMPLETE);
        } else {
            complete(sh, a, 1);
        }
        run(sh);
    }
}

/* The scheduler keeps a worker free for an item that must run alone. Other items are to be sent before this item, and
 * must not go to the only other worker, because they crashed there. */
Test(scheduler_faults, a_worker_that_is_kept_free_is_not_kept_free_for_ever)
{
    struct shell sh;
    struct sched_job_params p = params();
    p.retry.max_attempts = 2;
    p.retry.interval_s = 0;
    p.chunk_size = 1;
    p.hedge_enabled = false;
    shell_init(&sh);
    struct sched_endpoint *first = worker(&sh, 20);
    worker(&sh, 20);
    job_with(&sh, &p, 200);
    run(&sh);
    unsigned n = 0;
    while (sh.out[n]->endpoint != first) n++;
    end(&sh, sh.out[n], SCHED_END_LOST);
    while (sh.probes == 0) run_on(&sh, 1);
    sched_endpoint_probed(sh.s, first, true, sh.now);
    run(&sh);
    play(&sh, first);
    cr_assert_eq(sh.finished, 1, "%u attempts are out, and nothing is due", sh.out_n);
    cr_assert_eq(sh.outcome.counts.succeeded, 200);
    shell_over(&sh);
}
