/*
 * Looking for the next event before sleeping. A processor that sleeps takes tens of microseconds to be woken, which is
 * most of what a small request waits for; so when events have come quickly lately, the loop first looks for the next
 * one for a while, and gives the processor away between two looks. That is worth it only while nobody else has long
 * work to do: who gives its processor away to such a one gets it back late, so that is followed by a rest.
 *
 * busy_poll_* is the thinking, and pure. busy_poller is a part of an event loop and does the looking.
 */
#ifndef FANTAIL_COMMON_SERVICE_BUSY_POLL_H
#define FANTAIL_COMMON_SERVICE_BUSY_POLL_H

#include "common/loop/turn.h"

struct busy_poll {
    uint64_t limit_ns;      /* looks for no longer; 0: never looks */
    unsigned score;         /* a wait that looking would have ended adds one, another takes BUSY_POLL_PRICE */
    uint64_t rest_until_ns; /* does not look before */
    uint64_t rest_ns;       /* the last rest, less what was found since has made up for */
};

/* The score that it takes to look, and what is more than enough. */
#define BUSY_POLL_SCORE      8
#define BUSY_POLL_SCORE_MOST 16
#define BUSY_POLL_PRICE      3

/* For how long to look before sleeping; 0: not at all. */
uint64_t busy_poll_budget(const struct busy_poll *b, uint64_t now_ns);
/* The loop waited so long for an event: looked for so long, or slept, which counts the time of being woken. */
void busy_poll_looked(struct busy_poll *b, uint64_t waited_ns);
void busy_poll_slept(struct busy_poll *b, uint64_t waited_ns);
/* Between two looks the processor was given away for so long. False: somebody has long work to do, so sleep now. */
MUST_CHECK bool busy_poll_given_away(struct busy_poll *b, uint64_t away_ns, uint64_t now_ns);

struct busy_poller {
    struct busy_poll thinking;
    uv_loop_t *loop;
    struct turn_step before_sleep, after_poll;
    uint64_t slept_from_ns; /* 0: it does not sleep */
    uint64_t *found, *in_vain, *given_up;
};

/* limit_us: -1 is 100, or 0 where processor time is metered. Polls as the last step of a turn (turn.h). */
void busy_poller_start(struct busy_poller *p, uv_loop_t *loop, int64_t limit_us);
/* Fine when it was not started. */
void busy_poller_stop(struct busy_poller *p);

#endif
