/*
 * When the scheduler runs: once in each step of a loop turn that follows events, however many came, and at the instant
 * that it asked for. Owner: the coordinator; job and dispatch say that they gave the scheduler an event.
 */
#ifndef FANTAIL_COORDINATOR_TURN_SCHEDULER_TURN_H
#define FANTAIL_COORDINATOR_TURN_SCHEDULER_TURN_H

#include <uv.h>

#include "common/loop/turn.h"
#include "coordinator/sched/scheduler.h"

struct scheduler_turn {
    struct scheduler *scheduler; /* set it before the first event */
    /* Called before each run; may give events to the scheduler, which must not get them inside its own ops. */
    void (*before_run)(void *data);
    void *data;

    /* Private. */
    struct turn_step after_poll, after_server, before_sleep;
    uv_timer_t timer;
    bool wanted;
};

/* before_run and data are set already. */
void scheduler_turn_start(struct scheduler_turn *t, uv_loop_t *loop);
/* Nothing runs any more, unless scheduler_turn_run() is called. The loop must run on until the timer is closed. */
void scheduler_turn_stop(struct scheduler_turn *t);

/* The scheduler got an event: its actions are wanted before the loop sleeps. */
void scheduler_turn_want(struct scheduler_turn *t);
/* Runs it now, where the end of the turn would be too late. */
void scheduler_turn_run(struct scheduler_turn *t);

#endif
