/* The retry table of docs/protocol.md, row by row: which failures count as attempts of an item, which do not, and what
 * limits the retries. */
#include "unit/coordinator/sched/scheduler_harness.h"

enum { ATTEMPTS = 3, MANY = 12 };

static struct sched_job_params params_of(uint32_t on)
{
    struct sched_job_params p;
    sched_job_params_init(&p);
    p.chunk_size = 1;
    p.hedge_enabled = false;
    p.retry.max_attempts = ATTEMPTS;
    p.retry.on = on;
    return p;
}

/* Ends every attempt at a job's only item with this error, until the job has ended. */
static void fail_item(enum item_error error, uint32_t on, unsigned sends)
{
    struct shell sh;
    shell_init(&sh);
    worker(&sh, 2);
    worker(&sh, 2);
    struct sched_job_params p = params_of(on);
    job_with(&sh, &p, 1);
    for (unsigned turn = 0; turn < 1000 && sh.finished == 0; turn++) {
        run(&sh);
        if (sh.out_n == 0) {
            if (sh.finished == 0) sh.now = sh.next;
            continue;
        }
        struct sched_attempt *a = sh.out[0];
        struct sched_item_verdict v = sched_attempt_item_error(a, error, sh.now);
        cr_assert_eq(v.attempts, sh.sends, "%s: each attempt is charged", item_error_name(error));
        end(&sh, a, SCHED_END_COMPLETE);
    }
    cr_assert_eq(sh.sends, sends, "%s: sent %u times", item_error_name(error), sh.sends);
    cr_assert_eq(sh.outcome.counts.retried, sends - 1);
    cr_assert_eq(sh.outcome.counts.failed, 1);
    cr_assert_eq(sched_stats(sh.s).budget_exhausted, 0, "%s takes nothing from the budget", item_error_name(error));
    shell_over(&sh);
}

Test(retry_table, an_error_of_the_item_is_charged_and_bounded_by_max_attempts)
{
    static const enum item_error errors[] = {ITEM_TASK_ERROR, ITEM_CRASHED,    ITEM_START_TIMED_OUT,
                                             ITEM_TIMED_OUT,  ITEM_BAD_OUTPUT, ITEM_OUT_OF_MEMORY};
    for (size_t i = 0; i < ARRAY_SIZE(errors); i++) {
        fail_item(errors[i], SCHED_RETRY_ON(errors[i]), ATTEMPTS);
        fail_item(errors[i], 0, 1);
    }
}

/* Ends every attempt at a job's only item as `how` says, until the job has ended or MANY attempts have been made. */
static void fail_attempts(struct shell *sh, enum sched_end how, bool balancer, uint32_t on)
{
    shell_init(sh);
    for (unsigned i = 0; i < 4; i++) sched_endpoint_add(sh->s, NULL, balancer, 2, sh->now);
    struct sched_job_params p = params_of(on);
    job_with(sh, &p, 1);
    run(sh);
    for (unsigned turn = 0; turn < 100000 && sh->finished == 0 && sh->sends < MANY; turn++) {
        if (sh->out_n > 0)
            end(sh, sh->out[0], how);
        else
            sh->now = sh->next > sh->now ? sh->next : sh->now + MS;
        if (sh->probed) sched_endpoint_probed(sh->s, sh->probed, true, sh->now);
        sh->probed = NULL;
        run(sh);
    }
}

static void expect_charged(enum sched_end how, bool balancer)
{
    struct shell sh;
    fail_attempts(&sh, how, balancer, SCHED_RETRY_ON(ITEM_WORKER_LOST));
    cr_assert_eq(sh.errors[ITEM_WORKER_LOST], 1, "%s", sched_end_name(how));
    cr_assert_eq(sh.last_error_attempts, ATTEMPTS, "%s: %u", sched_end_name(how), sh.last_error_attempts);
    cr_assert_eq(sh.sends, ATTEMPTS, "%s: sent %u times", sched_end_name(how), sh.sends);
    shell_over(&sh);
    fail_attempts(&sh, how, balancer, 0);
    cr_assert_eq(sh.errors[ITEM_WORKER_LOST], 1);
    cr_assert_eq(sh.sends, 1, "%s: not in retry.on", sched_end_name(how));
    shell_over(&sh);
}

Test(retry_table, a_worker_that_fails_is_charged_and_bounded_by_max_attempts)
{
    expect_charged(SCHED_END_LOST, false);
    expect_charged(SCHED_END_SILENT, false);
    expect_charged(SCHED_END_BAD_STATUS, false);
    expect_charged(SCHED_END_PROTOCOL, false);
    expect_charged(SCHED_END_TASK_UNKNOWN, true);
}

Test(retry_table, a_worker_without_memory_for_the_items_is_charged_and_named)
{
    static const uint32_t on[] = {SCHED_RETRY_ON(ITEM_WORKER_LOST), SCHED_RETRY_ON(ITEM_OUT_OF_MEMORY), 0};
    for (size_t i = 0; i < ARRAY_SIZE(on); i++) {
        struct shell sh;
        fail_attempts(&sh, SCHED_END_NO_MEMORY, false, on[i]);
        cr_assert_eq(sh.errors[ITEM_OUT_OF_MEMORY], 1);
        cr_assert_eq(sh.errors[ITEM_WORKER_LOST], 0);
        cr_assert_eq(sh.sends, on[i] ? ATTEMPTS : 1, "sent %u times", sh.sends);
        shell_over(&sh);
    }
}

Test(retry_table, a_hand_back_is_free_and_not_bounded_by_max_attempts)
{
    static const enum sched_end ends[] = {SCHED_END_DRAINING, SCHED_END_DEADLINE,    SCHED_END_NOT_CONNECTED,
                                          SCHED_END_BUSY,     SCHED_END_UNAVAILABLE, SCHED_END_REFUSED};
    for (size_t i = 0; i < ARRAY_SIZE(ends); i++) {
        struct shell sh;
        fail_attempts(&sh, ends[i], false, 0);
        cr_assert_gt(sh.sends, ATTEMPTS, "%s: sent %u times", sched_end_name(ends[i]), sh.sends);
        /* The job may give up only if no worker has taken items for a long time. */
        cr_assert(sh.sends == MANY || sh.now >= 60 * NS_PER_S, "%s: %u sends, %.3f s", sched_end_name(ends[i]),
                  sh.sends, (double)sh.now / 1e9);
        cr_assert_eq(sh.last_error_attempts, 0, "%s: charged", sched_end_name(ends[i]));
        complete_all(&sh);
        cr_assert_eq(sh.outcome.counts.retried, 0);
        shell_over(&sh);
    }
}

Test(retry_table, a_worker_without_the_task_is_free_and_gets_no_more_of_it)
{
    struct shell sh;
    fail_attempts(&sh, SCHED_END_TASK_UNKNOWN, false, 0);
    cr_assert_eq(sh.sends, 4, "the item is sent once to each worker");
    cr_assert_eq(sh.outcome.reason, sched_cause_no_task);
    cr_assert_eq(sh.outcome.counts.retried, 0);
    shell_over(&sh);
}

Test(retry_table, a_retry_for_a_lost_worker_waits_for_the_budget_but_is_made)
{
    struct shell sh;
    shell_init(&sh);
    for (unsigned i = 0; i < 8; i++) worker(&sh, 8);
    struct sched_job_params p = params_of(SCHED_RETRY_ON(ITEM_WORKER_LOST));
    job_with(&sh, &p, 64);
    run(&sh);
    for (unsigned turn = 0; turn < 100000 && sh.finished == 0; turn++) {
        if (sh.out_n > 0 && sh.out[0]->chunk->charged == 0)
            end(&sh, sh.out[0], SCHED_END_BAD_STATUS);
        else if (sh.out_n > 0)
            complete(&sh, sh.out[0], 1);
        else
            sh.now = sh.next > sh.now ? sh.next : sh.now + MS;
        if (sh.probed) sched_endpoint_probed(sh.s, sh.probed, true, sh.now);
        sh.probed = NULL;
        run(&sh);
    }
    cr_assert_gt(sched_stats(sh.s).budget_exhausted, 0);
    cr_assert_eq(sh.outcome.status, SCHED_SUCCEEDED, "the budget delays retries and ends none");
    cr_assert_eq(sh.outcome.counts.retried, 64);
    shell_over(&sh);
}
