/* How many processors this process may keep busy, by its control group's quota and its affinity; at least 1. */
#ifndef FANTAIL_COMMON_BASE_CPU_H
#define FANTAIL_COMMON_BASE_CPU_H

#include "common/base/base.h"

unsigned cpu_quota(void);
/* Returns whether a control group limits our processor time. If so, the time spent on polling is not available for
 * work. */
bool cpu_is_metered(void);

#endif
