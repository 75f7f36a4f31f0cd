/* Computes how many processors this process may keep busy: at least 1, limited by its control group's quota and its
 * affinity. */
#ifndef FANTAIL_COMMON_BASE_CPU_QUOTA_H
#define FANTAIL_COMMON_BASE_CPU_QUOTA_H

#include "common/base/base.h"

unsigned cpu_quota(void);
/* Returns whether a control group limits our processor time. If so, polling uses up time that work could use. */
bool cpu_is_metered(void);

#endif
