#include "cli/http/patience.h"

#include "cli/http/retry_wait.h"

bool patience_has(struct patience *p, double asked_s, uint64_t now, uint64_t *wait_ms)
{
    if (p->tries == 0) p->since_ns = now;
    if ((double)(now - p->since_ns) >= p->limit_s * (double)NS_PER_S) return false;
    uint64_t wait_ns = retry_wait_ns(p->tries++), asked_ns = retry_wait_asked_ns(asked_s);
    *wait_ms = (asked_ns > wait_ns ? asked_ns : wait_ns) / NS_PER_MS;
    return true;
}

void patience_renew(struct patience *p)
{
    p->tries = 0;
    p->since_ns = 0;
}
