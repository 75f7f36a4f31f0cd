/* Second attempts for late items, and for the items of a silent worker. */
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
    /* This answer comes in the same turn, and is a duplicate. */
    struct sched_accept accept = sched_attempt_answered(late, 1, sh.now);
    cr_assert_eq(accept.keep, 0);
    run(&sh);
    cr_assert_eq(sh.cuts, 1);
    cr_assert_eq(sh.outcome.status, SCHED_SUCCEEDED);
    cr_assert_eq(sh.outcome.counts.hedged, 1);
    shell_over(&sh);
}

/* A process takes longer to load than to run an item. A worker that reports loading processes must not be treated as
 * dead. */
Test(scheduler_hedging, items_are_not_late_while_processes_are_starting_on_every_worker)
{
    struct shell sh;
    shell_init(&sh);
    worker(&sh, 4);
    worker(&sh, 4);
    struct sched_job_params p = params();
    p.chunk_size = 1;
    job_with(&sh, &p, 8);
    run(&sh);
    cr_assert_eq(sh.out_n, 8);
    for (uint64_t from = sh.now; sh.now < from + 100 * NS_PER_S; run_at(&sh, sh.now + NS_PER_S)) {
        for (unsigned i = 0; i < 8; i++) sched_attempt_starting(sh.out[i], sh.now);
        cr_assert_eq(sh.out_n, 8);
        cr_assert_eq(sh.cuts, 0);
    }
    while (sh.out_n > 0) complete(&sh, sh.out[0], 1);
    run(&sh);
    cr_assert_eq(sh.outcome.status, SCHED_SUCCEEDED);
    cr_assert_eq(sh.outcome.counts.retried + sh.outcome.counts.hedged, 0);
    shell_over(&sh);
}

/* Returns the first sent attempt that is not at this worker. */
static struct sched_attempt *sent_elsewhere(struct shell *sh, const struct sched_endpoint *e)
{
    for (unsigned i = 0; i < sh->out_n; i++)
        if (sh->out[i]->endpoint != e) return sh->out[i];
    return NULL;
}

/* Runs a job of many items of 10 ms on two workers, one of which never answers an item. The answers of a stream keep
 * the order of the items. Because later answers wait for earlier items, no item may stay at the silent worker for long,
 * even while the job has more items to send. Returns how many items the silent worker got. */
static unsigned run_beside(struct shell *sh, struct sched_endpoint *stuck, bool says_starting)
{
    unsigned sent = 0;
    uint64_t last_ns = 0;
    while (sh->finished == 0) {
        for (unsigned i = 0; i < sh->out_n; i++) {
            struct sched_attempt *a = sh->out[i];
            if (a->endpoint != stuck) continue;
            cr_assert_lt(sh->now - a->started_ns, 3 * NS_PER_S, "an item is still held");
            if (says_starting) sched_attempt_starting(a, sh->now);
            sent += a->started_ns > last_ns;
        }
        last_ns = sh->now;
        struct sched_attempt *a = sent_elsewhere(sh, stuck);
        if (a) complete(sh, a, 10);
        if (!a) sh->now += 10 * MS;
        run(sh);
    }
    return sent;
}

Test(scheduler_hedging, what_waits_for_processes_to_start_goes_to_a_worker_whose_processes_run)
{
    struct shell sh;
    shell_init(&sh);
    struct sched_endpoint *starting = worker(&sh, 2);
    worker(&sh, 2);
    struct sched_job_params p = params();
    p.chunk_size = 1;
    job_with(&sh, &p, 3000);
    run(&sh);
    cr_assert_lt(run_beside(&sh, starting, true), 30);
    cr_assert_eq(sh.outcome.status, SCHED_SUCCEEDED);
    cr_assert_gt(sh.outcome.counts.hedged, 0);
    cr_assert_eq(sh.outcome.counts.retried, 0);
    shell_over(&sh);
}

Test(scheduler_hedging, what_a_silent_worker_holds_is_sent_again_while_the_job_has_more_to_send)
{
    struct shell sh;
    shell_init(&sh);
    struct sched_endpoint *silent = worker(&sh, 2);
    worker(&sh, 2);
    struct sched_job_params p = params();
    p.chunk_size = 1;
    job_with(&sh, &p, 3000);
    run(&sh);
    cr_assert_lt(run_beside(&sh, silent, false), 30);
    cr_assert_eq(sh.outcome.status, SCHED_SUCCEEDED);
    cr_assert_gt(sh.outcome.counts.retried, 0);
    shell_over(&sh);
}

/* A worker that answers again gets items immediately. */
Test(scheduler_hedging, a_worker_whose_processes_have_started_is_used_again)
{
    struct shell sh;
    shell_init(&sh);
    struct sched_endpoint *starting = worker(&sh, 2);
    worker(&sh, 2);
    struct sched_job_params p = params();
    p.chunk_size = 1;
    job_with(&sh, &p, 5000);
    run(&sh);
    uint64_t begun = sh.now;
    unsigned answered = 0;
    while (sh.finished == 0) {
        bool loads = sh.now < begun + 5 * NS_PER_S;
        struct sched_attempt *a = loads ? sent_elsewhere(&sh, starting) : sh.out[0];
        for (unsigned i = 0; i < sh.out_n && loads; i++)
            if (sh.out[i]->endpoint == starting) sched_attempt_starting(sh.out[i], sh.now);
        answered += a && a->endpoint == starting;
        if (a) complete(&sh, a, 5);
        if (!a) sh.now += 5 * MS;
        run(&sh);
    }
    cr_assert_gt(answered, 1000);
    shell_over(&sh);
}

/* A worker that only seems slow, because its machine is busy, is still better than a silent worker. */
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
    /* Every item that was sent again counts as retried or as hedged. */
    cr_assert_gt(sh.outcome.counts.retried, 0);
    cr_assert_eq(sh.sends, 300 + sh.outcome.counts.retried + sh.outcome.counts.hedged);
    shell_over(&sh);
}

static void run_small_jobs(struct shell *sh, unsigned n)
{
    unsigned finished = sh->finished;
    for (unsigned i = 0; i < n; i++) {
        job_of(sh, 1);
        run(sh);
        sh->now += 500 * MS; /* late, but not yet treated as dead */
        run(sh);
        while (sh->out_n > 0) complete(sh, sh->out[0], 0);
        run(sh);
    }
    cr_assert_eq(sh->finished, finished + n);
}

Test(scheduler_hedging, many_small_jobs_do_not_hedge_most_of_their_items)
{
    struct shell sh;
    shell_init(&sh);
    worker(&sh, 4);
    worker(&sh, 4);
    run_small_jobs(&sh, 300);
    cr_assert_gt(sh.hedged, 0);
    cr_assert_leq(sh.hedged, 10 + 300 * 5 / 100);
    shell_over(&sh);
}

Test(scheduler_hedging, a_large_job_leaves_no_hedges_to_the_small_jobs_after_it)
{
    struct shell sh;
    shell_init(&sh);
    worker(&sh, 4);
    worker(&sh, 4);
    job_of(&sh, 2000000);
    complete_all(&sh);
    cr_assert_eq(sh.finished, 1);
    uint64_t hedged = sh.hedged;
    run_small_jobs(&sh, 300);
    cr_assert_leq(sh.hedged, hedged + 10 + 300 * 5 / 100);
    shell_over(&sh);
}

/* Sends a chunk of two items to two workers, and waits until the scheduler has given up the second attempt. The next
 * run will cut off the second attempt. Returns the first attempt. */
static struct sched_attempt *with_a_second_attempt_given_up(struct shell *sh)
{
    struct sched_job_params p = params();
    p.chunk_size = 2;
    p.hedge_max_extra_percent = 100;
    job_with(sh, &p, 100);
    run(sh);
    struct sched_attempt *first = sh->out[0];
    while (sh->out_n > 1 && !sh->out[1]->is_hedge) {
        complete(sh, sh->out[1], 2);
        run(sh);
    }
    for (unsigned i = 0; i < 1000 && (sh->out_n < 2 || !sh->out[1]->dead); i++) run_on(sh, 1);
    cr_assert_eq(sh->out_n, 2);
    cr_assert(sh->out[1]->dead);
    return first;
}

/* If the second attempt did not go on, the chunk would have no attempt, and its job would never end. */
Test(scheduler_hedging, a_second_attempt_that_was_given_up_goes_on_if_the_first_one_ends_before_it_is_cut_off)
{
    const enum sched_end ends[] = {SCHED_END_LOST, SCHED_END_DRAINING, SCHED_END_BAD_STATUS};
    for (unsigned i = 0; i < 2 * ARRAY_SIZE(ends); i++) {
        struct shell sh;
        shell_init(&sh);
        worker(&sh, 4);
        worker(&sh, 4);
        struct sched_attempt *first = with_a_second_attempt_given_up(&sh), *second = sh.out[1];
        if (i % 2) cr_assert_eq(sched_attempt_answered(second, 1, sh.now).keep, 1);
        end(&sh, first, ends[i / 2]);
        run(&sh);
        cr_assert_eq(sh.cuts, 0);
        complete(&sh, second, 1);
        run(&sh);
        cr_assert_eq(sh.outcome.status, SCHED_SUCCEEDED);
        cr_assert_eq(sh.outcome.counts.succeeded, 100);
        shell_over(&sh);
    }
}

/* Runs a job until one of its items is at two workers, and all other items are answered. Returns the first attempt. */
static struct sched_attempt *with_one_item_sent_twice(struct shell *sh)
{
    struct sched_job_params p = params();
    p.chunk_size = 1;
    job_with(sh, &p, 100);
    run(sh);
    struct sched_attempt *first = sh->out[0];
    while (sh->out_n > 1) {
        complete(sh, sh->out[1], 0);
        if (sh->sends < 100) run(sh);
    }
    for (unsigned i = 0; i < 50 && sh->out_n < 2; i++) run_on(sh, 1);
    cr_assert_eq(sh->out_n, 2);
    cr_assert(sh->out[1]->is_hedge);
    return first;
}

Test(scheduler_hedging, a_second_attempt_that_is_late_too_is_replaced)
{
    struct shell sh;
    shell_init(&sh);
    for (int i = 0; i < 3; i++) worker(&sh, 4);
    with_one_item_sent_twice(&sh);
    for (unsigned i = 0; i < 50 && sh.sends < 102; i++) run_on(&sh, 1);
    cr_assert_eq(sh.cuts, 1);
    cr_assert_eq(sh.sends, 102);
    complete(&sh, sh.out[1], 1);
    run(&sh);
    cr_assert_eq(sh.outcome.status, SCHED_SUCCEEDED);
    shell_over(&sh);
}

Test(scheduler_hedging, a_second_attempt_that_a_worker_refuses_is_sent_to_another_worker)
{
    struct shell sh;
    shell_init(&sh);
    for (int i = 0; i < 3; i++) worker(&sh, 4);
    with_one_item_sent_twice(&sh);
    end(&sh, sh.out[1], SCHED_END_BUSY);
    run(&sh);
    for (unsigned i = 0; i < 50 && sh.sends < 102; i++) run_on(&sh, 1);
    cr_assert_eq(sh.sends, 102);
    complete(&sh, sh.out[1], 1);
    run(&sh);
    cr_assert_eq(sh.outcome.status, SCHED_SUCCEEDED);
    shell_over(&sh);
}
