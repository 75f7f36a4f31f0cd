/*
 * When to ask for protection from scale-in, and when to give it back. On as soon as there is work, renewed long before
 * it runs out, off after a while without work, so that a pause between two chunks changes nothing. One request at a
 * time, at least PROTECTION_PACE_NS apart; failures are retried later and later. A pure module: events and the time go
 * in, requests come out.
 *
 * A request whose answer was lost may have been carried out: it counts as protection that must be given back, but not
 * as protection that work can rely on.
 */
#ifndef FANTAIL_WORKER_ECS_PROTECTION_H
#define FANTAIL_WORKER_ECS_PROTECTION_H

#include "common/base/base.h"

#define PROTECTION_PACE_NS      (1 * NS_PER_S)
#define PROTECTION_RETRY_NS     (1 * NS_PER_S) /* after the first failure; doubles */
#define PROTECTION_RETRY_MAX_NS (60 * NS_PER_S)

enum protection_request { PROTECTION_NONE, PROTECTION_ON, PROTECTION_OFF };

enum protection_answer {
    PROTECTION_DONE,
    PROTECTION_REFUSED, /* it was certainly not carried out */
    PROTECTION_UNKNOWN, /* no answer: perhaps it was */
};

struct protection {
    uint64_t lasts_ns; /* of one request */
    uint64_t idle_ns;  /* without work for so long: off */
    uint64_t random;   /* spreads the retries of a fleet */
    bool working, leaving;
    enum protection_request asking; /* under way */
    uint64_t asked_ns, idle_since_ns;
    uint64_t certain_until_ns;  /* protected until then; 0: not */
    uint64_t possible_until_ns; /* and perhaps until then */
    uint64_t retry_ns;
    unsigned failures; /* in a row */
};

void protection_init(struct protection *p, uint64_t lasts_ns, uint64_t idle_ns, uint64_t random);
/* There is work now, or none. */
void protection_work(struct protection *p, bool working, uint64_t now_ns);
/* The worker leaves: what is protected is given back at once, tried once, and nothing is protected any more. */
void protection_leave(struct protection *p);

/* The request to send now, which protection_answered() must follow. With NONE *next_ns is when to ask again, UINT64_MAX
 * when only an event can bring one. */
MUST_CHECK enum protection_request protection_next(struct protection *p, uint64_t now_ns, uint64_t *next_ns);
void protection_answered(struct protection *p, enum protection_answer answer, uint64_t now_ns);

bool protection_certain(const struct protection *p, uint64_t now_ns);

#endif
