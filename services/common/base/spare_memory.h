/*
 * Gives freed memory back to the kernel. A service keeps freed memory for a while, because the next job needs it again.
 *
 * The kernel needs about 10 ms to take back 60 MiB. In a service, a large block is therefore given back in slices, one
 * in each turn of the loop. The waiting blocks are on a global list, because the heap is global too.
 */
#ifndef FANTAIL_COMMON_BASE_SPARE_MEMORY_H
#define FANTAIL_COMMON_BASE_SPARE_MEMORY_H

#include "common/base/base.h"

/* A block of at least this size has a memory mapping of its own, so realloc() moves its pages and does not copy them.
 * Smaller blocks stay on the heap, where an allocation seldom causes page faults. Buffers of a MiB for items and
 * answers are allocated and freed all the time. */
#define SPARE_MEMORY_LARGE_BYTES ((size_t)4 << 20)
/* Bytes that one spare_memory_step() gives back to the kernel. A step takes about 0.4 ms. */
#define SPARE_MEMORY_STEP_BYTES ((size_t)2 << 20)

/* Call it once at the start of a service. After this call, the service must call spare_memory_step(). */
void spare_memory_start(void);
/* Frees all waiting blocks. After this call, spare_memory_free() frees a block immediately. */
void spare_memory_stop(void);

/* Frees a block from malloc(). After spare_memory_start(), a large block waits for spare_memory_step(). NULL is
 * fine. */
void spare_memory_free(void *block);
/* Returns whether a block waits for spare_memory_step(). */
bool spare_memory_waits(void);
/* Gives the next slice back to the kernel. Call it once in each turn of the loop while spare_memory_waits() returns
 * true. */
void spare_memory_step(void);
/* Frees all waiting blocks now. Call it when memory is short. */
void spare_memory_free_waiting(void);

/* Gives free pages of the heap back to the kernel, if more than keep_bytes of the heap are free. Without this call, a
 * process keeps the largest heap that it ever needed, because a few small blocks at the end of the heap keep malloc()
 * from giving the rest back. Do not call it often: it takes about 10 ms for 200 MiB. */
void spare_memory_return(size_t keep_bytes);

/* Decides when a service returns free heap memory to the kernel. While the service works, it returns memory now and
 * then, and keeps some for the next work. When the service has been idle for a while, it returns almost all free
 * memory. A zeroed plan has nothing to return. */
struct spare_memory_plan {
    bool is_due;          /* work has ended since the idle service last returned memory */
    uint64_t freed_ns;    /* when work last ended */
    uint64_t returned_ns; /* when memory was last returned */
};
#define SPARE_MEMORY_GAP_NS (5 * NS_PER_S) /* the time between two returns, and how long a service must be idle */
/* Call it when a piece of work has ended. */
void spare_memory_work_ended(struct spare_memory_plan *p, uint64_t now_ns);
/* Gives memory back to the kernel if this is due, and then returns true. Call it at least once a second while
 * p->is_due. `idle`: there is no work now. */
bool spare_memory_tick(struct spare_memory_plan *p, bool idle, uint64_t now_ns);

#endif
