#include "cli/http/retry_wait.h"

#define WAIT_MIN_NS   (50 * NS_PER_MS)
#define WAIT_MAX_NS   (2 * NS_PER_S)
#define ASKED_MAX_S   10
#define DOUBLINGS_MAX 6

uint64_t retry_wait_ns(unsigned failures)
{
    uint64_t wait = WAIT_MIN_NS << (failures < DOUBLINGS_MAX ? failures : DOUBLINGS_MAX);
    return wait < WAIT_MAX_NS ? wait : WAIT_MAX_NS;
}

uint64_t retry_wait_asked_ns(double retry_after_s)
{
    if (retry_after_s >= ASKED_MAX_S) return ASKED_MAX_S * NS_PER_S;
    return retry_after_s > 0 ? (uint64_t)(retry_after_s * (double)NS_PER_S) : 0;
}
