/* Memory that a program needs only while it starts. */
#ifndef FANTAIL_COMMON_BASE_START_MEMORY_H
#define FANTAIL_COMMON_BASE_START_MEMORY_H

/* Removes the code of the program and its libraries from this process's memory. Code that is called again comes back
 * from the page cache, 64 KiB with each fault. Call it when everything has started. By then, most of the code in memory
 * was needed only to initialise libraries, above all TLS, and will not run again. */
void start_memory_release(void);

#endif
