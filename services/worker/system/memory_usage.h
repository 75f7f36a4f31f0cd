/*
 * Reads the memory of processes from /proc and from the control group. Knows nothing about tasks.
 */
#ifndef FANTAIL_WORKER_SYSTEM_MEMORY_USAGE_H
#define FANTAIL_WORKER_SYSTEM_MEMORY_USAGE_H

#include <sys/types.h>

#include "common/base/base.h"

/* Returns the bytes of memory of a process and its descendants, without pages backed by files; 0: unknown. */
uint64_t memory_usage_of_tree(pid_t pid);
/* Returns the number of processes of our control group that the kernel's out-of-memory killer has killed so far; 0:
 * none, or unknown. */
uint64_t memory_usage_oom_kills(void);

#endif
