/* Heap memory that was freed, but not returned to the kernel. */
#ifndef FANTAIL_COMMON_BASE_SPARE_MEMORY_H
#define FANTAIL_COMMON_BASE_SPARE_MEMORY_H

/* Returns free pages of the heap to the kernel, if there are many. Without this call, a process keeps as much memory as
 * it has ever needed, because a few small blocks at the end of the heap are enough to keep all of it. Takes about 10 ms
 * for 200 MiB, so do not call it often. */
void spare_memory_return(void);

#endif
