/*
 * Decides when to request protection from scale-in, and when to release it. Protection is requested as soon as there is
 * work, and renewed long before it expires. The protection is released only after some time without work, so that a
 * pause between two chunks does not matter. There is at most one request at a time. Two requests begin at least
 * PROTECTION_PACE_NS apart, except when the worker ends. A failed request is retried, after longer and longer pauses. A
 * pure module: its arguments are events and the time, and its results are requests.
 *
 * A request without an answer may or may not have been carried out. After an unanswered request for protection, the
 * protection must still be released, but that request does not make the worker count as protected.
 */
#ifndef FANTAIL_WORKER_ECS_PROTECTION_H
#define FANTAIL_WORKER_ECS_PROTECTION_H

#include "common/base/base.h"

#define PROTECTION_PACE_NS      (1 * NS_PER_S)
#define PROTECTION_RETRY_NS     (1 * NS_PER_S) /* pause after the first failure; doubles with each failure */
#define PROTECTION_RETRY_MAX_NS (60 * NS_PER_S)

enum protection_request { PROTECTION_NONE, PROTECTION_ON, PROTECTION_OFF };

enum protection_answer {
    PROTECTION_DONE,
    PROTECTION_REFUSED, /* the request was not carried out */
    PROTECTION_UNKNOWN, /* no answer came, so the request may have been carried out */
};

struct protection {
    uint64_t lasts_ns; /* how long one request protects */
    uint64_t idle_ns;  /* protection is released after this time without work */
    uint64_t random;   /* state of the jitter, which keeps the workers of a fleet from retrying at the same time */
    bool working, leaving;
    enum protection_request asking; /* the request that has no answer yet */
    uint64_t asked_ns, idle_since_ns;
    uint64_t certain_until_ns;  /* the worker is certainly protected until this time; 0: not protected */
    uint64_t possible_until_ns; /* the worker may be protected until this time */
    uint64_t retry_ns;
    unsigned failures; /* failures in a row */
};

void protection_init(struct protection *p, uint64_t lasts_ns, uint64_t idle_ns, uint64_t random);
/* Call it when work begins or ends. */
void protection_work(struct protection *p, bool working, uint64_t now_ns);
/* Call it when the worker ends. The protection is released immediately, with only one attempt, and is not requested
 * again. */
void protection_leave(struct protection *p);

/* Returns the request to send now. When the request has ended, call protection_answered() with its result. If this
 * function returns PROTECTION_NONE, call it again at *next_ns; UINT64_MAX: only after the next event. */
MUST_CHECK enum protection_request protection_next(struct protection *p, uint64_t now_ns, uint64_t *next_ns);
void protection_answered(struct protection *p, enum protection_answer answer, uint64_t now_ns);

bool protection_certain(const struct protection *p, uint64_t now_ns);

#endif
