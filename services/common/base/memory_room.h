/*
 * Whether there is memory for something large. Small allocations cannot fail (base.h): without memory the program ends,
 * and everybody's work is lost. So before a service allocates something large for one job, such as a part of a long
 * item, it calls memory_has_room(). If that returns false, the job ends with an error, and other jobs continue.
 *
 * Only limits that make an allocation fail are considered (ulimit -v, ulimit -d). A container's memory limit is not
 * considered: the kernel kills a process that exceeds it.
 */
#ifndef FANTAIL_COMMON_BASE_MEMORY_ROOM_H
#define FANTAIL_COMMON_BASE_MEMORY_ROOM_H

#include "common/base/base.h"

/* Bytes that must stay free for small allocations after a large one. */
#define MEMORY_RESERVE_BYTES ((size_t)16 << 20)
/* An allocation smaller than this is not large, and there is always room for it. */
#define MEMORY_SMALL_BYTES ((size_t)64 << 10)

/* Returns whether `bytes` can be allocated now, with the reserve left after them. It takes about a microsecond. */
MUST_CHECK bool memory_has_room(size_t bytes);

/* Returns whether `bytes` can be allocated. By default it asks the kernel; a test sets another function. */
extern bool (*memory_probe)(size_t bytes);

#endif
