/* When the scheduler runs. Work that one run does not finish is done in later steps of the loop, so that other parts of
 * the loop get their turns. */
#include "coordinator/timing/scheduler_timing.h"

#include <criterion/criterion.h>

#include "unit/leaks.h"

enum { JOBS = 40 };

struct stage {
    uv_loop_t loop;
    struct scheduler_timing timing;
    struct turn_step step; /* counts the turns of the loop */
    unsigned runs, runs_of_turn, most_runs_of_turn, turns, finished;
};

static uint64_t drop(void *ctx, struct sched_job *job, uint64_t max_items, uint64_t *first)
{
    *first = 0;
    return max_items;
}

static void settle_error(void *ctx, struct sched_job *job, uint64_t first, uint64_t count,
                         const struct sched_failure *why)
{
}

static void finished(void *ctx, struct sched_job *job, const struct sched_outcome *outcome)
{
    ((struct stage *)ctx)->finished++;
}

static void before_run(void *data)
{
    struct stage *s = data;
    s->runs++;
    if (++s->runs_of_turn > s->most_runs_of_turn) s->most_runs_of_turn = s->runs_of_turn;
}

static void count_turn(void *data)
{
    struct stage *s = data;
    s->turns++;
    s->runs_of_turn = 0;
}

/* Makes JOBS jobs. Each run of the scheduler can end only one of these jobs. */
static void stage_init(struct stage *s, struct sched_job **jobs)
{
    static const struct scheduler_ops ops = {.drop = drop, .settle_error = settle_error, .job_finished = finished};
    struct scheduler_config config;
    struct sched_job_params params;
    *s = (struct stage){0};
    uv_loop_init(&s->loop);
    scheduler_config_init(&config);
    config.max_ops_per_run = 1;
    s->timing =
        (struct scheduler_timing){.scheduler = scheduler_new(&config, &ops, s), .before_run = before_run, .data = s};
    scheduler_timing_start(&s->timing, &s->loop);
    turn_add(&s->loop, &s->step, TURN_BEFORE_SLEEP_LOG, count_turn, s);
    turn_keep_loop(&s->step, true);
    sched_job_params_init(&params);
    for (int i = 0; i < JOBS; i++) {
        jobs[i] = sched_job_add(s->timing.scheduler, &params, now_ns());
        sched_job_offer(jobs[i], 1, 8);
    }
    scheduler_timing_run(&s->timing);
}

static void stage_over(struct stage *s)
{
    scheduler_timing_stop(&s->timing);
    turn_remove(&s->step);
    uv_run(&s->loop, UV_RUN_DEFAULT);
    cr_assert_eq(uv_loop_close(&s->loop), 0);
    scheduler_free(s->timing.scheduler);
    assert_no_leaks();
}

static void cancel_all(struct sched_job **jobs)
{
    for (int i = 0; i < JOBS; i++) sched_job_cancel(jobs[i], SCHED_CANCELLED, "the test is over");
}

Test(scheduler_timing, what_a_run_leaves_is_done_in_later_turns)
{
    struct stage s;
    struct sched_job *jobs[JOBS];
    stage_init(&s, jobs);
    cancel_all(jobs);
    s.runs = s.turns = s.runs_of_turn = s.most_runs_of_turn = 0;
    scheduler_timing_want(&s.timing);
    while (s.finished < JOBS) uv_run(&s.loop, UV_RUN_NOWAIT);
    cr_assert_geq(s.runs, JOBS);
    cr_assert_leq(s.most_runs_of_turn, 4, "the scheduler ran %u times in one turn", s.most_runs_of_turn);
    cr_assert_geq(s.turns, JOBS / 4);
    stage_over(&s);
}

Test(scheduler_timing, at_the_end_of_the_program_everything_is_done_at_once)
{
    struct stage s;
    struct sched_job *jobs[JOBS];
    stage_init(&s, jobs);
    cancel_all(jobs);
    scheduler_timing_finish(&s.timing);
    cr_assert_eq(s.finished, JOBS);
    stage_over(&s);
}
