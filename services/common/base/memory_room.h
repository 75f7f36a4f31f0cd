/*
 * Tells whether there is memory for a large block. A small allocation never returns NULL (base.h): if memory runs out,
 * the program ends, and the work of all jobs is lost. So a service calls memory_has_room() before it allocates a large
 * block for one job, for example for a part of a long item. If this function returns false, the job ends with an error,
 * and other jobs continue.
 *
 * The answer considers only the limits that make an allocation fail (ulimit -v, ulimit -d). It does not consider a
 * container's memory limit: the kernel kills a process that exceeds that limit.
 */
#ifndef FANTAIL_COMMON_BASE_MEMORY_ROOM_H
#define FANTAIL_COMMON_BASE_MEMORY_ROOM_H

#include "common/base/base.h"

/* Bytes that must stay free for small allocations after a large one. */
#define MEMORY_RESERVE_BYTES ((size_t)16 << 20)
/* memory_has_room() always returns true for an allocation smaller than this. */
#define MEMORY_SMALL_BYTES ((size_t)64 << 10)

/* Returns whether `bytes` can be allocated now while leaving the reserve free. The call takes about a microsecond. */
MUST_CHECK bool memory_has_room(size_t bytes);

/* Returns whether `bytes` can be allocated. By default this function asks the kernel; a test sets another function. */
extern bool (*memory_probe)(size_t bytes);

#endif
