/*
 * Memory of processes, as /proc and the control group report it. Knows nothing of tasks.
 */
#ifndef FANTAIL_WORKER_SYSTEM_MEMORY_H
#define FANTAIL_WORKER_SYSTEM_MEMORY_H

#include <sys/types.h>

#include "common/base/base.h"

/* Bytes that a process and its descendants use and do not share with a file; 0 when /proc does not say. */
uint64_t memory_of_tree(pid_t pid);
/* How many processes of our control group the kernel has killed for lack of memory so far; 0 when it is not known. */
uint64_t memory_oom_kills(void);

#endif
