/*
 * The control group (version 2) of this process, and the groups above it. Inside a container, the root is the
 * container's own group.
 */
#ifndef FANTAIL_COMMON_MACHINE_CONTROL_GROUP_H
#define FANTAIL_COMMON_MACHINE_CONTROL_GROUP_H

#include "common/base/base.h"

#define CONTROL_GROUP_ROOT "/sys/fs/cgroup"    /* the folder of the root group */
#define CONTROL_GROUP_SELF "/proc/self/cgroup" /* names the group of this process */

struct control_group {
    char path[1024]; /* below the folder of the root group, such as "/kubepods/pod1"; "": the root */
};

/* Reads the group from `self`, usually CONTROL_GROUP_SELF. If `self` names no group, sets the root. */
void control_group_read(struct control_group *g, const char *self);
/* Moves to the group above. Returns false if g is the root. */
bool control_group_rise(struct control_group *g);

#endif
