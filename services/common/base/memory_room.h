/*
 * Tells whether there is memory for a large block. A small allocation never returns NULL (base.h): if memory runs out,
 * the program ends, and the work of all jobs is lost. So a service calls memory_has_room() before it allocates a large
 * block for one job, for example for a part of a long item. If this function returns false, the job ends with an error,
 * and other jobs continue.
 *
 * Any thread may call memory_has_room_in_thread(). Only the thread of the event loop may call the other functions.
 *
 * The answer considers only the limits that make an allocation fail (ulimit -v, ulimit -d, and the kernel's
 * vm.overcommit_memory = 2, which is read once). Without such a limit there is always room. A container's memory limit
 * is not considered, because no allocation fails when this limit is exceeded: the kernel kills the process instead.
 */
#ifndef FANTAIL_COMMON_BASE_MEMORY_ROOM_H
#define FANTAIL_COMMON_BASE_MEMORY_ROOM_H

#include "common/base/base.h"

/* Bytes that must stay free for small allocations after a large one. */
#define MEMORY_RESERVE_BYTES ((size_t)16 << 20)
/* For an allocation of fewer bytes than this constant, memory_has_room() always returns true. */
#define MEMORY_SMALL_BYTES ((size_t)64 << 10)

/* Returns whether `bytes` can be allocated now while leaving the reserve free. The call takes about a microsecond. */
MUST_CHECK bool memory_has_room(size_t bytes);
/* Like memory_has_room(), but any thread may call this function, and it does not free the blocks that wait to be given
 * back to the kernel. */
MUST_CHECK bool memory_has_room_in_thread(size_t bytes);
/* Returns whether at least half of the reserve is free. Use it for small blocks whose number a peer controls, for
 * example for the memory of a connection. If this function returns false, the service must refuse the next block of
 * this kind, so that small allocations for its present work still succeed. */
MUST_CHECK bool memory_has_reserve(void);
/* Returns about how many blocks of `bytes` bytes fit in half of the memory that is free now. Returns at least `least`,
 * but never more than `wanted`. */
unsigned memory_blocks_that_fit(unsigned wanted, unsigned least, size_t bytes);

/* Returns whether `bytes` can be allocated. By default this function asks the kernel; a test sets another function. */
extern bool (*memory_probe)(size_t bytes);

#endif
