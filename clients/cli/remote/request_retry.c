#include "cli/remote/request_retry.h"

#include "cli/http/retry_wait.h"

bool request_retry_allowed(struct request_retry *p, double asked_s, uint64_t now, uint64_t *wait_ms)
{
    if (p->tries == 0) p->since_ns = now;
    if ((double)(now - p->since_ns) >= p->limit_s * (double)NS_PER_S) return false;
    uint64_t wait_ns = retry_wait_ns(p->tries++), asked_ns = retry_wait_asked_ns(asked_s);
    *wait_ms = (asked_ns > wait_ns ? asked_ns : wait_ns) / NS_PER_MS;
    return true;
}

void request_retry_reset(struct request_retry *p)
{
    p->tries = 0;
    p->since_ns = 0;
}
