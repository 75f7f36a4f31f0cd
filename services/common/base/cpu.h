/* How many processors this process may keep busy: its control group's quota and its affinity, at least 1. */
#ifndef FANTAIL_COMMON_BASE_CPU_H
#define FANTAIL_COMMON_BASE_CPU_H

#include "common/base/base.h"

unsigned cpu_quota(void);
/* Whether a control group meters our processor time: what is used for nothing is then missed later. */
bool cpu_is_metered(void);

#endif
