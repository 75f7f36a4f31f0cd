#include "cli/reconnect/outage.h"

#include "cli/http/retry_wait.h"

/* While `accepted` is false, a lost job is tried again at most EARLY_TRIES times, and the run waits at most EARLY_NS
 * for a list of tasks. The limits are low, because the URL may be wrong. */
#define EARLY_TRIES 5
#define EARLY_NS    (3 * NS_PER_S)
/* A job without new answers may just have items that take a long time. While coordinators accept the jobs of a run, the
 * run gives up only after one job has lost its connection this many times in a row, without a new answer. */
#define CUTS_MIN 5
/* If the service is full, the run tries again for at least this long. */
#define FULL_NS (60 * NS_PER_S)

void outage_init(struct outage *o, double limit_s, uint64_t seed)
{
    *o = (struct outage){.limit_ns = (uint64_t)(limit_s * 1e9), .random = {seed}};
}

void outage_note_accepted(struct outage *o)
{
    o->accepted = true;
    o->away_ns = 0;
}

void outage_note_answer(struct outage *o)
{
    o->began_ns = o->away_ns = 0;
    o->said = false;
}

uint64_t outage_patience_ns(const struct outage *o)
{
    return o->accepted || o->limit_ns < EARLY_NS ? o->limit_ns : EARLY_NS;
}

uint64_t outage_backoff_ns(struct outage *o, unsigned failures)
{
    uint64_t most = retry_wait_ns(failures);
    return most - (uint64_t)(random_unit(&o->random) * 0.5 * (double)most);
}

static uint64_t wait_ns(struct outage *o, unsigned failures, double retry_after_s)
{
    if (retry_after_s < 0) return outage_backoff_ns(o, failures);
    return retry_wait_asked_ns(retry_after_s) + outage_backoff_ns(o, 0);
}

/* Call it while `accepted` is false. Returns whether the job may be tried again. */
static bool may_try_early(enum outage_cause cause, const struct outage_tries *tries)
{
    return tries->failures <= (cause == OUTAGE_UNREACHED && tries->failures == 1 ? 0 : EARLY_TRIES);
}

bool outage_note_failure(struct outage *o, enum outage_cause cause, struct outage_tries *tries, double retry_after_s,
                         uint64_t now, uint64_t *retry_ns)
{
    uint64_t limit = o->limit_ns;
    if (cause == OUTAGE_FULL && limit < FULL_NS) limit = FULL_NS;
    if (!o->began_ns) o->began_ns = now;
    if (!o->away_ns) o->away_ns = now;
    tries->failures++;
    tries->cuts += cause == OUTAGE_CUT;
    if (!o->accepted && cause != OUTAGE_FULL && !may_try_early(cause, tries)) return false;
    if (now - o->away_ns >= limit) return false;
    if (now - o->began_ns >= limit && tries->cuts >= CUTS_MIN) return false;
    uint64_t wait = wait_ns(o, tries->failures - 1, retry_after_s), left = o->away_ns + limit - now;
    *retry_ns = now + (wait < left ? wait : left); /* so the last try is at the end of the limit */
    return true;
}
