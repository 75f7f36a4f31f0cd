/*
 * Measures how long each turn of an event loop takes, for the histogram fantail_loop_turn_seconds. A turn lasts from
 * the end of a sleep until the loop is about to poll or sleep again. During a turn, no other request is answered, not
 * even a liveness probe. The busy poll is not part of a turn: an event ends it immediately, so no request waits for it.
 * Owner: the service.
 */
#ifndef FANTAIL_COMMON_LOOP_TURN_TIME_H
#define FANTAIL_COMMON_LOOP_TURN_TIME_H

#include "common/loop/turn.h"
#include "common/observe/metrics.h"

struct turn_time {
    uv_loop_t *loop;
    struct turn_step worked, sleeps;
    struct metric_histogram *seconds;
    uint64_t begin_ns; /* when the sleep before this turn began; 0: no turn yet */
    uint64_t slept_ns; /* total time that the loop had slept until begin_ns */
};

void turn_time_start(struct turn_time *t, uv_loop_t *loop);
/* Does nothing if t was not started. */
void turn_time_stop(struct turn_time *t);

#endif
