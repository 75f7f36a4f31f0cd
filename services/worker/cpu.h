/* How many processors this process may keep busy: its control group's quota and its affinity, at least 1. */
#ifndef FANTAIL_WORKER_CPU_H
#define FANTAIL_WORKER_CPU_H

unsigned cpu_quota(void);

#endif
