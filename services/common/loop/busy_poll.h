/*
 * Polls for the next event before the loop sleeps. A sleeping processor takes tens of microseconds to wake up, which is
 * most of the latency of a small request. So if recent events came soon after the loop began to wait, the loop polls
 * for a while before it sleeps, and yields the processor between two polls. Polling helps only while no other process
 * has long work to do, because a process with long work keeps the processor after a yield. So if a yield lasts long,
 * polling pauses for a while.
 *
 * The busy_poll_* functions decide whether to poll, and are pure. The busy_poller_* functions do the polling, as steps
 * of an event loop.
 */
#ifndef FANTAIL_COMMON_LOOP_BUSY_POLL_H
#define FANTAIL_COMMON_LOOP_BUSY_POLL_H

#include "common/loop/turn.h"

struct busy_poll {
    uint64_t limit_ns; /* the longest poll; 0: never polls */
    /* The score rises by 1 when an event has come so soon that a poll could find it, and falls by BUSY_POLL_PRICE when
     * an event has come later. */
    unsigned score;
    uint64_t pause_until_ns; /* no polling before this time */
    uint64_t pause_ns;       /* the length of the last pause; gets shorter with every poll that finds an event */
};

/* The lowest score at which the loop polls, and the highest possible score. */
#define BUSY_POLL_SCORE      8
#define BUSY_POLL_SCORE_MOST 16
#define BUSY_POLL_PRICE      3

/* Returns how long to poll before sleeping; 0: do not poll. */
uint64_t busy_poll_budget(const struct busy_poll *b, uint64_t now_ns);
/* When an event has come, call busy_poll_polled() if the loop polled for it, or busy_poll_slept() if the loop slept.
 * waited_ns is how long the loop waited. For a sleep, it includes the time to wake up. */
void busy_poll_polled(struct busy_poll *b, uint64_t waited_ns);
void busy_poll_slept(struct busy_poll *b, uint64_t waited_ns);
/* Call it after each yield between two polls. The yield lasted away_ns. If another process seems to have long work to
 * do, returns false: the loop should now sleep. */
MUST_CHECK bool busy_poll_yielded(struct busy_poll *b, uint64_t away_ns, uint64_t now_ns);

struct busy_poller {
    struct busy_poll state;
    uv_loop_t *loop;
    struct turn_step before_sleep, after_poll;
    uint64_t slept_from_ns; /* 0: the loop did not sleep */
    uint64_t *found, *in_vain, *given_up;
};

/* If limit_us is -1, uses the default: 100, or 0 if the processor time of this process is limited. In a turn, the
 * poller polls after all steps that do work (turn.h). */
void busy_poller_start(struct busy_poller *p, uv_loop_t *loop, int64_t limit_us);
/* Does nothing if p was not started. */
void busy_poller_stop(struct busy_poller *p);

#endif
