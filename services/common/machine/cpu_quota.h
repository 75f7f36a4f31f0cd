/* Computes how many processors this process may keep busy. The number is limited by the quota of the process's control
 * group and by the process's CPU affinity, and is at least 1. */
#ifndef FANTAIL_COMMON_MACHINE_CPU_QUOTA_H
#define FANTAIL_COMMON_MACHINE_CPU_QUOTA_H

#include "common/base/base.h"

unsigned cpu_quota(void);
/* Returns whether a control group limits our processor time. If our processor time is limited, polling uses up time
 * that work could use. */
bool cpu_is_metered(void);

#endif
