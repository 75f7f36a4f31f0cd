/* Second attempts for items that are late, and for what a silent worker holds. */
#include "unit/coordinator/sched/scheduler_harness.h"

Test(scheduler_hedging, a_late_item_is_sent_twice_the_first_answer_wins_and_the_loser_is_cut)
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
Test(scheduler_hedging, an_item_whose_process_is_starting_is_late_only_once_its_worker_no_longer_says_so)
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
Test(scheduler_hedging, what_a_silent_worker_holds_is_sent_again_though_the_only_other_one_has_become_slow)
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

Test(scheduler_hedging, many_small_jobs_do_not_hedge_most_of_their_items)
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
