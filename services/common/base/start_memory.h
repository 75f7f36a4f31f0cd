/* The memory that only the start of a program needed. */
#ifndef FANTAIL_COMMON_BASE_START_MEMORY_H
#define FANTAIL_COMMON_BASE_START_MEMORY_H

/* Takes the code of the program and its libraries out of this process's memory; what is called again comes back from
 * the page cache by itself, a fault for 64 KiB. To be called once everything has started: most of what is resident by
 * then is code that will not run again (libraries making themselves ready, TLS above all). */
void start_memory_release(void);

#endif
