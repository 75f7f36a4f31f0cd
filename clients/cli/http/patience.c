#include "cli/http/patience.h"

#define WAIT_MIN_MS UINT64_C(50)
#define WAIT_MAX_MS UINT64_C(2000)
#define ASKED_MAX_S 10.0

bool patience_has(struct patience *p, double asked_s, uint64_t now, uint64_t *wait_ms)
{
    if (p->tries == 0) p->since_ns = now;
    if ((double)(now - p->since_ns) >= p->limit_s * (double)NS_PER_S) return false;
    *wait_ms = WAIT_MIN_MS << (p->tries < 6 ? p->tries : 6);
    if (*wait_ms > WAIT_MAX_MS) *wait_ms = WAIT_MAX_MS;
    if (asked_s > ASKED_MAX_S) asked_s = ASKED_MAX_S;
    if (asked_s * 1000 > (double)*wait_ms) *wait_ms = (uint64_t)(asked_s * 1000);
    p->tries++;
    return true;
}

void patience_renew(struct patience *p)
{
    p->tries = 0;
    p->since_ns = 0;
}
