#include "unit/coordinator/sched/scheduler_harness.h"

/* A job in one chunk, sent to one of two workers. */
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

static struct sched_job_params params(void)
{
    struct sched_job_params p;
    sched_job_params_init(&p);
    return p;
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

Test(scheduler_faults, a_late_item_is_sent_twice_the_first_answer_wins_and_the_loser_is_cut)
{
    struct shell sh;
    shell_init(&sh);
    worker(&sh, 4);
    worker(&sh, 4);
    struct sched_job_params p = params();
    p.chunk_size = 1;
    job_with(&sh, &p, 100);
    run(&sh);
    struct sched_attempt *late = sh.out[0];
    while (sh.out_n > 1 && !sh.out[1]->is_hedge) {
        complete(&sh, sh.out[1], 2);
        run(&sh);
    }
    cr_assert_eq(sh.out[0], late);
    for (unsigned i = 0; i < 50 && sh.out_n < 2; i++) run_on(&sh, 1);
    cr_assert_eq(sh.out_n, 2);
    cr_assert(sh.out[1]->is_hedge);
    cr_assert_neq(sh.out[1]->endpoint, late->endpoint);
    complete(&sh, sh.out[1], 1);
    struct sched_accept accept = sched_attempt_answered(late, 1, sh.now); /* in the same turn, as a duplicate */
    cr_assert_eq(accept.keep, 0);
    run(&sh);
    cr_assert_eq(sh.cuts, 1);
    cr_assert_eq(sh.outcome.status, SCHED_SUCCEEDED);
    cr_assert_eq(sh.outcome.counts.hedged, 1);
    shell_over(&sh);
}

/* Loading takes longer than items, so a worker that loads seems dead. */
Test(scheduler_faults, an_item_whose_process_is_starting_is_late_only_once_its_worker_no_longer_says_so)
{
    struct shell sh;
    shell_init(&sh);
    worker(&sh, 4);
    worker(&sh, 4);
    struct sched_job_params p = params();
    p.chunk_size = 1;
    job_with(&sh, &p, 100);
    run(&sh);
    struct sched_attempt *late = sh.out[0];
    while (sh.out_n > 1) {
        sched_attempt_starting(late, sh.now);
        complete(&sh, sh.out[1], 2);
        run(&sh);
    }
    for (uint64_t from = sh.now; sh.now < from + 100 * NS_PER_S; run_at(&sh, sh.now + NS_PER_S)) {
        sched_attempt_starting(late, sh.now);
        cr_assert_eq(sh.out_n, 1);
        cr_assert_eq(sh.cuts, 0);
    }
    for (unsigned i = 0; i < 50000 && sh.out_n < 2; i++) run_on(&sh, 1);
    cr_assert_eq(sh.out_n, 2);
    cr_assert(sh.out[1]->is_hedge);
    complete(&sh, late, 1);
    run(&sh);
    cr_assert_eq(sh.outcome.status, SCHED_SUCCEEDED);
    cr_assert_eq(sh.outcome.counts.retried, 0);
    shell_over(&sh);
}

/* The first sent attempt that is not at this worker. */
static struct sched_attempt *sent_elsewhere(struct shell *sh, const struct sched_endpoint *e)
{
    for (unsigned i = 0; i < sh->out_n; i++)
        if (sh->out[i]->endpoint != e) return sh->out[i];
    return NULL;
}

/* As on a machine that becomes busy: a worker that seems slow is still better than one that is silent. */
Test(scheduler_faults, what_a_silent_worker_holds_is_sent_again_though_the_only_other_one_has_become_slow)
{
    struct shell sh;
    shell_init(&sh);
    struct sched_endpoint *silent = worker(&sh, 2);
    worker(&sh, 2);
    struct sched_job_params p = params();
    p.chunk_size = 1;
    job_with(&sh, &p, 300);
    run(&sh);
    uint64_t begun = sh.now;
    for (unsigned done = 0; sh.finished == 0;) {
        struct sched_attempt *a = sent_elsewhere(&sh, silent);
        if (a) {
            complete(&sh, a, done++ < 200 ? 1 : 10);
            run(&sh);
        } else {
            run_on(&sh, 1);
        }
        cr_assert_lt(sh.now - begun, 20 * NS_PER_S, "%u items are still held", sh.out_n);
    }
    cr_assert_eq(sh.outcome.status, SCHED_SUCCEEDED);
    /* Every item that was sent again is in one of the counts. */
    cr_assert_gt(sh.outcome.counts.retried, 0);
    cr_assert_eq(sh.sends, 300 + sh.outcome.counts.retried + sh.outcome.counts.hedged);
    shell_over(&sh);
}

Test(scheduler_faults, a_full_worker_gets_a_smaller_window_and_a_pause)
{
    struct shell sh;
    shell_init(&sh);
    struct sched_endpoint *e = worker(&sh, 16);
    struct sched_job_params p = params();
    p.chunk_size = 1;
    job_with(&sh, &p, 1000);
    run(&sh);
    unsigned before = sh.out_n;
    end(&sh, sh.out[before - 1], SCHED_END_BUSY);
    run(&sh);
    cr_assert_eq(sched_endpoint_state(e), ENDPOINT_FULL);
    cr_assert_eq(sh.out_n, before - 1);
    complete(&sh, sh.out[0], 1);
    run(&sh);
    cr_assert_eq(sched_endpoint_state(e), ENDPOINT_OPEN);
    for (unsigned i = 0; i < 6; i++) complete(&sh, sh.out[0], 0);
    run(&sh);
    cr_assert_leq(sh.out_n, before * 3 / 4);
    shell_over(&sh);
}

Test(scheduler_faults, a_worker_that_answers_500_is_ejected_but_never_more_than_half_of_them)
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

Test(scheduler_faults, a_failed_worker_is_asked_whether_it_is_ready_before_it_gets_more)
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

Test(scheduler_faults, a_worker_that_refuses_our_token_gets_nothing_until_it_takes_it)
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
    cr_assert_eq(sh.sends, 1, "only probes went there");
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

Test(scheduler_faults, a_job_that_only_token_refusals_met_ends_and_says_so)
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

Test(scheduler_faults, a_worker_that_failed_otherwise_since_no_longer_counts_as_refusing)
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

Test(scheduler_faults, an_endpoint_can_be_removed_while_it_works)
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

Test(scheduler_faults, without_workers_a_job_waits_says_so_and_gives_up)
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

Test(scheduler_faults, a_job_that_waited_goes_on_when_a_worker_comes)
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

Test(scheduler_faults, an_item_that_waited_for_the_retry_budget_until_the_deadline_says_so)
{
    struct shell sh;
    shell_init(&sh);
    for (unsigned i = 0; i < 8; i++) worker(&sh, 8);
    struct sched_job_params p = params();
    p.chunk_size = 1;
    p.retry.max_attempts = 100;
    p.retry.interval_s = 0;
    p.deadline_ns = sh.now + 2 * NS_PER_S;
    job_with(&sh, &p, 60);
    run(&sh);
    for (unsigned turn = 0; turn < 10000 && sh.finished == 0; turn++) {
        if (sh.out_n > 0)
            end(&sh, sh.out[0], SCHED_END_BAD_STATUS);
        else
            sh.now = sh.next > sh.now ? sh.next : sh.now + 1;
        run(&sh);
    }
    cr_assert_eq(sh.outcome.status, SCHED_TIMED_OUT);
    cr_assert_gt(sh.budget_errors, 0);
    cr_assert_leq(sh.budget_errors, sh.errors[ITEM_DEADLINE_EXCEEDED]);
    shell_over(&sh);
}

Test(scheduler_faults, when_everything_answers_503_requests_stay_within_the_budget)
{
    struct shell sh;
    shell_init(&sh);
    for (unsigned i = 0; i < 4; i++) worker(&sh, 4);
    job_of(&sh, 100000);
    run(&sh);
    for (unsigned turn = 0; turn < 100000 && sh.finished == 0; turn++) {
        if (sh.out_n > 0)
            end(&sh, sh.out[0], SCHED_END_UNAVAILABLE);
        else
            sh.now = sh.next > sh.now ? sh.next : sh.now + 1;
        run(&sh);
        if (!sh.probed) continue;
        sched_endpoint_probed(sh.s, sh.probed, false, sh.now);
        sh.probed = NULL;
    }
    cr_assert_eq(sh.finished, 1);
    cr_assert_leq(sh.sends, 1.2 * (double)sched_stats(sh.s).attempts_first + 3);
    shell_over(&sh);
}

Test(scheduler_faults, a_draining_worker_that_still_answers_is_asked_before_it_gets_more)
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

/* The budget protects the fleet from failures of its workers. Retries that a job asks for are limited by max_attempts.
 * */
Test(scheduler_faults, errors_that_the_job_wants_tried_again_are_tried_max_attempts_times_each)
{
    struct shell sh;
    shell_init(&sh);
    worker(&sh, 8);
    worker(&sh, 8);
    struct sched_job_params p = params();
    p.chunk_size = 1;
    p.retry.on = SCHED_RETRY_ON(ITEM_TASK_ERROR);
    p.retry.max_attempts = 10;
    p.retry.backoff_rate = 1;
    job_with(&sh, &p, 100);
    unsigned final = 0;
    for (unsigned turn = 0; turn < 20000 && sh.finished == 0; turn++) {
        run(&sh);
        if (sh.out_n == 0) {
            if (sh.finished == 0) sh.now = sh.next;
            continue;
        }
        struct sched_attempt *a = sh.out[0];
        struct sched_item_verdict v = sched_attempt_item_error(a, ITEM_TASK_ERROR, sh.now);
        cr_assert_eq(v.verdict == SCHED_ITEM_FINAL, v.attempts == 10);
        final += v.verdict == SCHED_ITEM_FINAL;
        end(&sh, a, SCHED_END_COMPLETE);
    }
    cr_assert_eq(sh.finished, 1);
    cr_assert_eq(final, 100);
    cr_assert_eq(sh.sends, 1000);
    cr_assert_lt(sh.now, 1000 * MS + 5 * NS_PER_S, "a trickle of one in 100 ms would take 90 s");
    shell_over(&sh);
}

Test(scheduler_faults, many_small_jobs_do_not_hedge_most_of_their_items)
{
    struct shell sh;
    shell_init(&sh);
    worker(&sh, 4);
    worker(&sh, 4);
    for (unsigned i = 0; i < 300; i++) {
        job_of(&sh, 1);
        run(&sh);
        sh.now += 500 * MS; /* late, but not yet treated as dead */
        run(&sh);
        while (sh.out_n > 0) complete(&sh, sh.out[0], 0);
        run(&sh);
    }
    cr_assert_eq(sh.finished, 300);
    cr_assert_gt(sh.hedged, 0);
    cr_assert_leq(sh.hedged, 10 + 300 * 5 / 100);
    shell_over(&sh);
}
