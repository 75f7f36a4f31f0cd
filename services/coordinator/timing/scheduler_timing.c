#include "coordinator/timing/scheduler_timing.h"

static void on_timer(uv_timer_t *timer)
{
    scheduler_timing_run(timer->data);
}

/* The scheduler runs before the server's step, so that the answers of workers reach clients in this turn. The scheduler
 * runs again after the server's step, for the jobs that arrived in the server's step, and once more before the loop
 * sleeps. */
static void run_if_wanted(void *data)
{
    struct scheduler_timing *t = data;
    if (t->wanted) scheduler_timing_run(t);
}

void scheduler_timing_start(struct scheduler_timing *t, uv_loop_t *loop)
{
    uv_timer_init(loop, &t->timer);
    t->timer.data = t;
    turn_add(loop, &t->before_sleep, TURN_BEFORE_SLEEP_SCHEDULER, run_if_wanted, t);
    turn_add(loop, &t->after_poll, TURN_AFTER_POLL_SCHEDULER, run_if_wanted, t);
    turn_add(loop, &t->after_server, TURN_AFTER_POLL_SCHEDULER_AGAIN, run_if_wanted, t);
}

void scheduler_timing_stop(struct scheduler_timing *t)
{
    t->wanted = false;
    turn_remove(&t->after_poll);
    turn_remove(&t->after_server);
    turn_remove(&t->before_sleep);
    uv_close((uv_handle_t *)&t->timer, NULL);
}

/* Before the loop sleeps, the server's step may read the next request of a persistent connection. The server's step
 * comes after the scheduler's step, so the loop must make another turn before it sleeps. */
void scheduler_timing_want(struct scheduler_timing *t)
{
    t->wanted = true;
    turn_stay_awake(&t->before_sleep, true);
}

/* An op may itself cause an event, for example if a send fails. So if an event has occurred during a run, the scheduler
 * runs a second time. After the second run, other parts of the loop have their turns, even if the scheduler has more to
 * do. */
enum { RUNS_IN_A_ROW = 2 };

/* If a run has left work for the next run, the scheduler runs again at its next step. A timer of 0 ms would not work.
 * libuv first fires all timers that are due, even those that were started meanwhile, and only then does its other
 * work. */
void scheduler_timing_run(struct scheduler_timing *t)
{
    uint64_t deadline, now;
    int runs = 0;
    do {
        t->wanted = false;
        t->before_run(t->data);
        now = now_ns();
        deadline = scheduler_run(t->scheduler, now);
    } while (t->wanted && ++runs < RUNS_IN_A_ROW);
    t->wanted = t->wanted || deadline <= now;
    turn_stay_awake(&t->before_sleep, t->wanted);
    if (t->wanted || deadline == SCHED_NEVER) {
        uv_timer_stop(&t->timer);
        return;
    }
    uv_update_time(t->timer.loop);
    uv_timer_start(&t->timer, on_timer, (deadline - now + NS_PER_MS - 1) / NS_PER_MS, 0);
}

void scheduler_timing_finish(struct scheduler_timing *t)
{
    do scheduler_timing_run(t);
    while (t->wanted);
}
