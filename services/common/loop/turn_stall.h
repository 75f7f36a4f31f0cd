/*
 * Detects an event loop that runs without progress. If a descriptor stays ready, and nothing reads or writes it, it
 * wakes the loop again and again. If a step stays awake without work, it keeps the loop from sleeping. A loop that runs
 * without progress uses a whole processor.
 *
 * A turn is stalled if the loop did not sleep before the turn, no timer expired, and nothing was done in the turn
 * (progress.h). A turn is counted in fantail_loop_stalled_turns_total if it and the STALL_TURNS - 1 turns before it
 * were stalled. A turn that a timer began and in which nothing was done is ignored: it is not stalled, and does not end
 * a series of stalled turns. When a turn is counted, a log line names the step that keeps the loop awake, or the
 * descriptors that are ready. At most one log line about stalled turns is written in STALL_LOG_S seconds. Owner: the
 * service.
 */
#ifndef FANTAIL_COMMON_LOOP_TURN_STALL_H
#define FANTAIL_COMMON_LOOP_TURN_STALL_H

#include "common/loop/turn.h"

#define STALL_TURNS 256
#define STALL_LOG_S 60

/* Why a turn began. */
enum turn_cause {
    TURN_AFTER_SLEEP, /* the loop slept for a while */
    TURN_BY_TIMER,
    TURN_AT_ONCE, /* a descriptor was ready, or a step was awake */
};

/* Decides whether turns are stalled. Pure. */
struct stall {
    uint64_t turns;    /* stalled turns in a row */
    uint64_t progress; /* progress_count at the end of the last turn */
};

/* Returns why a turn began. timeout_ms: how long the loop would have slept; -1: until an event. `awake`: a step was
 * awake. slept_ns: how long the loop slept. */
enum turn_cause stall_cause(int timeout_ms, bool awake, uint64_t slept_ns);
/* Call it at the end of each turn. Returns whether this turn and the STALL_TURNS - 1 turns before it were stalled. */
bool stall_ended_turn(struct stall *s, enum turn_cause cause, uint64_t progress);

struct turn_stall {
    uv_loop_t *loop;
    struct turn_step worked, sleeps;
    struct stall state;
    bool measures; /* the three members below are set */
    int timeout_ms;
    bool awake;
    uint64_t slept_ns;    /* total time that the loop had slept before this turn */
    uint64_t log_from_ns; /* no log line before this time */
    uint64_t *stalled;
};

void turn_stall_start(struct turn_stall *t, uv_loop_t *loop);
/* Does nothing if t was not started. */
void turn_stall_stop(struct turn_stall *t);

#endif
