/* Memory of the heap that was freed, but that the process still has. */
#ifndef FANTAIL_COMMON_BASE_SPARE_MEMORY_H
#define FANTAIL_COMMON_BASE_SPARE_MEMORY_H

/* Gives free pages of the heap back to the kernel, if there are many. Otherwise a process keeps the most that it has
 * ever needed, because a few small blocks hold the end of the heap. Takes about 10 ms for 200 MiB, so do not call it
 * often. */
void spare_memory_return(void);

#endif
