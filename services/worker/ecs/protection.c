#include "worker/ecs/protection.h"

void protection_init(struct protection *p, uint64_t lasts_ns, uint64_t idle_ns, uint64_t random)
{
    *p = (struct protection){.lasts_ns = lasts_ns, .idle_ns = idle_ns, .random = random};
}

void protection_work(struct protection *p, bool working, uint64_t now_ns)
{
    if (p->working && !working) p->idle_since_ns = now_ns;
    p->working = working;
}

void protection_leave(struct protection *p)
{
    p->leaving = true;
}

static uint64_t later(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

/* Returns the request that should be made, and sets *from_ns to the earliest time for this request. */
static enum protection_request wanted(const struct protection *p, uint64_t now_ns, uint64_t *from_ns)
{
    *from_ns = 0;
    if (p->working && !p->leaving) {
        /* The protection is renewed after a third of its duration. The other two thirds are left for retries. */
        if (protection_certain(p, now_ns)) *from_ns = p->certain_until_ns - p->lasts_ns + p->lasts_ns / 3;
        return PROTECTION_ON;
    }
    if (p->possible_until_ns <= now_ns) return PROTECTION_NONE;
    if (!p->leaving) *from_ns = p->idle_since_ns + p->idle_ns;
    return PROTECTION_OFF;
}

enum protection_request protection_next(struct protection *p, uint64_t now_ns, uint64_t *next_ns)
{
    *next_ns = UINT64_MAX;
    if (p->asking != PROTECTION_NONE) return PROTECTION_NONE;
    uint64_t from_ns;
    enum protection_request request = wanted(p, now_ns, &from_ns);
    if (request == PROTECTION_NONE) return request;
    if (!p->leaving) {
        from_ns = later(from_ns, p->retry_ns);
        if (p->asked_ns) from_ns = later(from_ns, p->asked_ns + PROTECTION_PACE_NS);
    }
    if (from_ns > now_ns) {
        *next_ns = from_ns;
        return PROTECTION_NONE;
    }
    p->asking = request;
    p->asked_ns = now_ns;
    return request;
}

/* Returns a random time between half of a limit and the whole limit. The limit doubles with each failure. */
static uint64_t retry_delay(struct protection *p)
{
    uint64_t most = PROTECTION_RETRY_NS;
    for (unsigned i = 1; i < p->failures && most < PROTECTION_RETRY_MAX_NS; i++) most *= 2;
    if (most > PROTECTION_RETRY_MAX_NS) most = PROTECTION_RETRY_MAX_NS;
    p->random = p->random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return most / 2 + (p->random >> 33) % (most / 2 + 1);
}

void protection_answered(struct protection *p, enum protection_answer answer, uint64_t now_ns)
{
    bool on = p->asking == PROTECTION_ON;
    p->asking = PROTECTION_NONE;
    if (answer == PROTECTION_DONE) {
        p->failures = 0;
        p->retry_ns = 0;
        /* After a request for protection: the protection began between the request and the answer. So it lasts until
         * some time between two instants: lasts_ns after the request, and lasts_ns after the answer. */
        p->certain_until_ns = on ? p->asked_ns + p->lasts_ns : 0;
        p->possible_until_ns = on ? now_ns + p->lasts_ns : 0;
        return;
    }
    p->failures++;
    p->retry_ns = now_ns + retry_delay(p);
    if (answer == PROTECTION_UNKNOWN) {
        if (on) p->possible_until_ns = now_ns + p->lasts_ns;
        /* The request had no answer, so the agent may have released the protection. */
        if (!on) p->certain_until_ns = 0;
    }
    if (!on && p->leaving) p->possible_until_ns = 0;
}

bool protection_certain(const struct protection *p, uint64_t now_ns)
{
    return p->certain_until_ns > now_ns;
}
