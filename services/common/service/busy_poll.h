/*
 * Polls for the next event before the loop sleeps. A sleeping processor takes tens of microseconds to wake up, which is
 * most of the latency of a small request. So when events have come quickly lately, the loop polls for a while first,
 * and yields the processor between two polls. This pays only while no other process has long work to do. Such a process
 * would keep the processor that we yielded to it. So if another process keeps the processor for long, polling pauses
 * for a while.
 *
 * The busy_poll_* functions decide, and are pure. The busy_poller_* functions poll, as steps of an event loop.
 */
#ifndef FANTAIL_COMMON_SERVICE_BUSY_POLL_H
#define FANTAIL_COMMON_SERVICE_BUSY_POLL_H

#include "common/loop/turn.h"

struct busy_poll {
    uint64_t limit_ns; /* the longest poll; 0: never polls */
    unsigned score; /* rises by 1 for a wait that a poll would have ended, falls by BUSY_POLL_PRICE for a longer one */
    uint64_t pause_until_ns; /* no polling before this time */
    uint64_t pause_ns;       /* the length of the last pause; shrinks with every poll that found an event */
};

/* The score that is needed to poll, and the highest score. */
#define BUSY_POLL_SCORE      8
#define BUSY_POLL_SCORE_MOST 16
#define BUSY_POLL_PRICE      3

/* How long to poll before sleeping; 0: not at all. */
uint64_t busy_poll_budget(const struct busy_poll *b, uint64_t now_ns);
/* Call it when the loop has waited this long for an event. If the loop slept instead of polling, waited_ns includes the
 * time to wake up. */
void busy_poll_polled(struct busy_poll *b, uint64_t waited_ns);
void busy_poll_slept(struct busy_poll *b, uint64_t waited_ns);
/* Call it when another process had the processor for away_ns between two polls. Returns false if that process has long
 * work to do; the loop should then sleep. */
MUST_CHECK bool busy_poll_yielded(struct busy_poll *b, uint64_t away_ns, uint64_t now_ns);

struct busy_poller {
    struct busy_poll state;
    uv_loop_t *loop;
    struct turn_step before_sleep, after_poll;
    uint64_t slept_from_ns; /* 0: the loop did not sleep */
    uint64_t *found, *in_vain, *given_up;
};

/* limit_us: -1 chooses the default: 100, or 0 where processor time is limited. The poller polls in the last step of a
 * turn (turn.h). */
void busy_poller_start(struct busy_poller *p, uv_loop_t *loop, int64_t limit_us);
/* Does nothing when p was not started. */
void busy_poller_stop(struct busy_poller *p);

#endif
