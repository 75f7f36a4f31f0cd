/* Releases the memory that a program needs only while it starts. */
#ifndef FANTAIL_COMMON_BASE_START_MEMORY_H
#define FANTAIL_COMMON_BASE_START_MEMORY_H

/* Removes the code of the program and its libraries from this process's memory. If removed code is called again, a page
 * fault reads 64 KiB of it from the page cache. Call this function when everything has started. Most of the code that
 * the start brought into memory was needed only to initialise libraries, above all TLS, and will not run again. */
void start_memory_release(void);

#endif
