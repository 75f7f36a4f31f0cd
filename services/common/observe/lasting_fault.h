/*
 * Decides which failures of a lasting fault are logged: the first one, and then at most one every LASTING_FAULT_LOG_S
 * seconds. So a call that fails again and again does not fill the log. A zeroed struct is a fault that has not begun.
 * Pure.
 */
#ifndef FANTAIL_COMMON_OBSERVE_LASTING_FAULT_H
#define FANTAIL_COMMON_OBSERVE_LASTING_FAULT_H

#include "common/base/base.h"

enum { LASTING_FAULT_LOG_S = 60 };

struct lasting_fault {
    uint64_t since_ns; /* the first failure; 0: there is no fault */
    uint64_t said_ns;  /* the last failure that was logged */
};

/* Call it for each failure. Returns whether to log this failure. */
static inline bool lasting_fault_seen(struct lasting_fault *f, uint64_t now_ns)
{
    bool first = f->since_ns == 0;
    if (first) f->since_ns = now_ns;
    if (!first && now_ns - f->said_ns < LASTING_FAULT_LOG_S * NS_PER_S) return false;
    f->said_ns = now_ns;
    return true;
}

/* Call it for each success, which ends the fault. Returns how long the fault has lasted; 0: there was no fault. */
static inline uint64_t lasting_fault_ended(struct lasting_fault *f, uint64_t now_ns)
{
    uint64_t lasted_ns = f->since_ns ? now_ns - f->since_ns + (now_ns == f->since_ns) : 0;
    *f = (struct lasting_fault){0};
    return lasted_ns;
}

#endif
