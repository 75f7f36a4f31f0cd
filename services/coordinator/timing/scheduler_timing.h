/*
 * Decides when the scheduler runs. After one or more events, the scheduler runs once, at the next of its steps in a
 * turn of the loop (turn.h). The scheduler also runs at the time that the last scheduler_run() returned. If a run has
 * left work for the next run, the next run is at the scheduler's next step, after other parts of the loop. Owner: the
 * coordinator. The folders job and dispatch call scheduler_timing_want() after an event.
 */
#ifndef FANTAIL_COORDINATOR_TIMING_SCHEDULER_TIMING_H
#define FANTAIL_COORDINATOR_TIMING_SCHEDULER_TIMING_H

#include <uv.h>

#include "common/loop/turn.h"
#include "coordinator/sched/scheduler.h"

struct scheduler_timing {
    struct scheduler *scheduler; /* set it before the first event */
    /* Called before each run. before_run() may report events that occurred while the scheduler called its ops. */
    void (*before_run)(void *data);
    void *data;

    /* Private. */
    struct turn_step after_poll, after_server, before_sleep;
    uv_timer_t timer;
    bool wanted;
};

/* Set `before_run` and `data` before this call. */
void scheduler_timing_start(struct scheduler_timing *t, uv_loop_t *loop);
/* After this call, the scheduler runs only when scheduler_timing_run() is called. The loop must keep running until the
 * timer is closed. */
void scheduler_timing_stop(struct scheduler_timing *t);

/* Call it after an event of the scheduler. The scheduler will act on the event before the loop sleeps. */
void scheduler_timing_want(struct scheduler_timing *t);
/* Runs the scheduler now. Call it only if the scheduler's next step in the turn would be too late. Work that takes a
 * long time is done in later steps of the loop. */
void scheduler_timing_run(struct scheduler_timing *t);
/* Runs the scheduler until it has nothing left to do now. The function is for the end of the program, when all jobs
 * have been cancelled. */
void scheduler_timing_finish(struct scheduler_timing *t);

#endif
