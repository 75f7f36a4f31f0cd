/* No run of the scheduler takes long. If a run cannot finish all work, the next runs do the rest, and the scheduler
 * asks the shell to make these runs immediately. */
#include "unit/coordinator/sched/scheduler_harness.h"

enum { OPS = 50 };

static bool shell_is_ready = true;

static bool may_send(void *ctx)
{
    return shell_is_ready;
}

static void init_with(struct shell *sh, unsigned ops)
{
    struct scheduler_ops with_may_send = shell_ops;
    struct scheduler_config config;
    *sh = (struct shell){.now = 1000 * MS};
    scheduler_config_init(&config);
    config.max_ops_per_run = ops;
    with_may_send.may_send = may_send;
    shell_is_ready = true;
    sh->s = scheduler_new(&config, &with_may_send, sh);
}

/* Adds workers with enough slots for 2,000 chunks of one item, and a job that fills them. Returns the job. */
static struct sched_job *fill(struct shell *sh, uint64_t items)
{
    struct sched_job_params p = params();
    p.chunk_size = 1;
    p.hedge_enabled = false;
    for (int i = 0; i < 100; i++) worker(sh, 20);
    return job_with(sh, &p, items);
}

Test(scheduler_slices, many_attempts_are_sent_in_several_runs)
{
    struct shell sh;
    init_with(&sh, OPS);
    struct sched_job *job = fill(&sh, 500);
    unsigned runs = 0;
    do {
        unsigned before = sh.sends;
        run(&sh);
        cr_assert_leq(sh.sends - before, OPS);
        if (sh.out_n > 0) complete(&sh, sh.out[0], 0); /* its first answer ends the limit for chunks that still grow */
        runs++;
        cr_assert_lt(runs, 1000);
    } while (sh.next <= sh.now);
    cr_assert_geq(runs, 500 / OPS / 2);
    sched_job_cancel(job, SCHED_CANCELLED, "the test is over");
    shell_over(&sh);
}

Test(scheduler_slices, nothing_is_sent_while_the_shell_has_enough_calls_to_begin)
{
    struct shell sh;
    init_with(&sh, 0);
    fill(&sh, 10);
    shell_is_ready = false;
    run(&sh);
    cr_assert_eq(sh.sends, 0);
    cr_assert_leq(sh.next, sh.now, "the scheduler must ask again");
    shell_is_ready = true;
    run(&sh);
    cr_assert_eq(sh.sends, 10);
    cr_assert_gt(sh.next, sh.now);
    shell_over(&sh);
}

/* Runs the scheduler until it has sent `n` attempts. */
static void fill_to(struct shell *sh, unsigned n)
{
    for (unsigned turn = 0; sh->out_n < n; turn++) {
        cr_assert_lt(turn, 20000, "%u attempts are out", sh->out_n);
        run_at(sh, sh->next > sh->now && sh->next < sh->now + MS ? sh->next : sh->now + MS);
    }
}

/* Runs the scheduler until it has sent an attempt of the job. Returns this attempt. */
static struct sched_attempt *until_sent_of(struct shell *sh, const struct sched_job *job)
{
    for (;;) {
        run(sh);
        for (unsigned i = 0; i < sh->out_n; i++)
            if (sh->out[i]->chunk->job == job) return sh->out[i];
        cr_assert_leq(sh->next, sh->now, "the job is never sent");
    }
}

Test(scheduler_slices, the_end_of_a_job_with_many_attempts_takes_several_runs_and_delays_no_other_job)
{
    struct shell sh;
    init_with(&sh, OPS);
    struct sched_job *big = fill(&sh, 100000);
    fill_to(&sh, 1000);
    struct sched_job *small = job_of(&sh, 1);
    struct sched_attempt *its_attempt = until_sent_of(&sh, small);
    sched_job_cancel(big, SCHED_CANCELLED, "the client disconnected");
    complete(&sh, its_attempt, 0);
    unsigned sent = sh.sends, runs = 0;
    while (sh.finished < 2) {
        unsigned cuts = sh.cuts;
        run(&sh);
        runs++;
        cr_assert_leq(sh.cuts - cuts, 2 * OPS);
        cr_assert_eq(sh.sends, sent, "an ended job sends nothing");
        if (runs == 3) cr_assert_eq(sh.finished, 1, "the small job must not wait for the big job");
        if (sh.finished < 2) cr_assert_leq(sh.next, sh.now);
        if (runs == 2) answer(&sh, sh.out[sh.out_n - 1], 1, 0); /* this answer comes too late, and is dropped */
        cr_assert_lt(runs, 1000);
    }
    cr_assert_geq(runs, 1000 / (2 * OPS));
    cr_assert_eq(sh.out_n, 0);
    cr_assert_eq(sh.errors[ITEM_CANCELLED] + sched_stats(sh.s).items_succeeded, 100000 + 1);
    shell_over(&sh);
}

Test(scheduler_slices, many_jobs_that_end_together_end_in_several_runs)
{
    enum { JOBS = 600 };
    struct shell sh;
    init_with(&sh, OPS);
    struct sched_job_params p = params();
    p.deadline_ns = sh.now + 10 * MS;
    for (int i = 0; i < JOBS; i++) job_with(&sh, &p, 1);
    run(&sh);
    sh.now += 20 * MS;
    for (unsigned runs = 0; sh.finished < JOBS; runs++) {
        unsigned before = sh.finished;
        run(&sh);
        cr_assert_leq(sh.finished - before, OPS);
        if (sh.finished < JOBS) cr_assert_leq(sh.next, sh.now);
        cr_assert_lt(runs, 1000);
    }
    cr_assert_eq(sh.errors[ITEM_DEADLINE_EXCEEDED], JOBS);
    shell_over(&sh);
}

Test(scheduler_slices, many_jobs_that_begin_to_wait_are_told_in_several_runs)
{
    enum { JOBS = 600 };
    struct shell sh;
    init_with(&sh, OPS);
    for (int i = 0; i < JOBS; i++) job_of(&sh, 1);
    run(&sh);
    sh.now += 1000 * MS;
    for (unsigned runs = 0; sh.waits < JOBS; runs++) {
        unsigned before = sh.waits;
        run(&sh);
        cr_assert_leq(sh.waits - before, 2 * OPS);
        if (sh.waits < JOBS) cr_assert_leq(sh.next, sh.now);
        cr_assert_lt(runs, 1000);
    }
    shell_over(&sh);
}

static void run_until_quiet(struct shell *sh)
{
    for (unsigned runs = 0;; runs++) {
        run(sh);
        if (sh->next > sh->now) return;
        cr_assert_lt(runs, 1000);
    }
}

/* The only worker becomes full and has room again, many times. */
Test(scheduler_slices, a_429_of_the_only_worker_is_nothing_to_all_its_jobs)
{
    enum { JOBS = 600 };
    struct shell sh;
    init_with(&sh, 10);
    worker(&sh, 1);
    for (int i = 0; i < JOBS; i++) job_of(&sh, 1);
    run_until_quiet(&sh);
    complete(&sh, sh.out[0], 1);
    run_until_quiet(&sh);
    cr_assert_gt(sh.out_n, 0);
    end(&sh, sh.out[0], SCHED_END_BUSY);
    run(&sh);
    cr_assert_gt(sh.next, sh.now, "the scheduler has to update all jobs");
    sh.now = sh.next;
    run(&sh);
    cr_assert_gt(sh.next, sh.now, "the scheduler has to update all jobs");
    shell_over(&sh);
}

/* Changes so many jobs that one run cannot update all of them. None of these jobs has anything to send. */
static void change_many_jobs(struct shell *sh, struct sched_job **jobs, unsigned n)
{
    for (unsigned i = 0; i < n; i++) sched_job_pause(jobs[i], true);
}

enum { PAUSED_JOBS = 50 };

static void add_paused_jobs(struct shell *sh, struct sched_job **jobs)
{
    for (unsigned i = 0; i < PAUSED_JOBS; i++) {
        jobs[i] = job_of(sh, 1);
        sched_job_pause(jobs[i], true);
    }
    run_until_quiet(sh);
}

Test(scheduler_slices, a_job_is_sent_even_if_many_jobs_have_changed_before)
{
    for (unsigned before = 0; before < PAUSED_JOBS; before++) {
        struct shell sh;
        struct sched_job *paused[PAUSED_JOBS];
        init_with(&sh, 1);
        worker(&sh, 4);
        add_paused_jobs(&sh, paused);
        change_many_jobs(&sh, paused, before);
        job_of(&sh, 1);
        run_until_quiet(&sh);
        cr_assert_eq(sh.sends, 1, "after %u other jobs", before);
        shell_over(&sh);
    }
}

Test(scheduler_slices, a_job_on_hold_sends_nothing_even_if_many_jobs_have_changed_before)
{
    struct shell sh;
    struct sched_job *paused[PAUSED_JOBS];
    init_with(&sh, 1);
    add_paused_jobs(&sh, paused);
    struct sched_job *job = job_of(&sh, 4);
    run_until_quiet(&sh);
    change_many_jobs(&sh, paused, PAUSED_JOBS);
    worker(&sh, 4);
    sched_job_hold(job);
    run_until_quiet(&sh);
    cr_assert_eq(sh.sends, 0);
    shell_over(&sh);
}

Test(scheduler_slices, items_that_must_not_run_twice_are_not_hedged_even_if_many_jobs_have_changed_before)
{
    struct shell sh;
    struct sched_job *paused[PAUSED_JOBS];
    init_with(&sh, 1);
    add_paused_jobs(&sh, paused);
    worker(&sh, 4);
    worker(&sh, 4);
    struct sched_job *job = job_of(&sh, 1);
    run_until_quiet(&sh);
    cr_assert_eq(sh.sends, 1);
    sh.now += 10000 * MS;
    change_many_jobs(&sh, paused, PAUSED_JOBS);
    sched_job_set_idempotency(job, false, false);
    run_until_quiet(&sh);
    cr_assert_eq(sh.sends, 1);
    shell_over(&sh);
}
