/*
 * The memory limit of our control group (version 2), and what the kernel ends when the limit is reached. Reads files
 * only when it is called.
 */
#ifndef FANTAIL_WORKER_SYSTEM_MEMORY_GROUP_H
#define FANTAIL_WORKER_SYSTEM_MEMORY_GROUP_H

#include "common/base/base.h"

struct memory_group {
    uint64_t limit_bytes; /* the smallest limit of the group and the groups above it; 0: none */
    bool ends_together;   /* at this limit, the kernel ends all processes of the group (memory.oom.group) */
};

/* `root` is the folder of the control groups, usually CONTROL_GROUP_ROOT. `self` is the file that names our group,
 * usually CONTROL_GROUP_SELF. */
struct memory_group memory_group_read(const char *root, const char *self);

#endif
