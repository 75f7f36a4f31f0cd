/*
 * Sets how many files, sockets and pipes this process may have open (RLIMIT_NOFILE). Systems give a process a low soft
 * limit, often 1024, because programs that use select(2) break if they have more descriptors. A service does not use
 * select(2), so it raises the soft limit to the hard limit. For the programs that the service starts, it restores the
 * old soft limit.
 */
#ifndef FANTAIL_COMMON_FILES_OPEN_FILES_H
#define FANTAIL_COMMON_FILES_OPEN_FILES_H

#include "common/base/base.h"

/* Raises the soft limit to the hard limit. Returns the soft limit after the attempt; 0: unknown. */
uint64_t open_files_raise(void);
/* Raises the limit. If the limit is still lower than OPEN_FILES_LEAST, returns false, with a sentence in err. Call this
 * function before any other code opens a file or a socket. */
#define OPEN_FILES_LEAST 80
MUST_CHECK bool open_files_suffice(char *err, size_t err_size);
/* Restores the soft limit that this process had before open_files_raise(). This function does nothing but make system
 * calls, so it may be called between vfork() and execve(). */
void open_files_restore(void);
/* Returns how many connections a server may have, if it wants `wanted` connections and may have `limit` open files. A
 * part of the limit is left for other descriptors, such as temporary files and the connections to workers. */
unsigned open_files_connections(uint64_t limit, unsigned wanted);

#endif
