/*
 * The worker's directory for temporary directories of its processes. It holds a lock on it while it lives, so that a
 * later worker can tell and remove what a killed one left behind.
 */
#ifndef FANTAIL_WORKER_SYSTEM_SCRATCH_H
#define FANTAIL_WORKER_SYSTEM_SCRATCH_H

#include "common/base/base.h"

/* NULL when there is no writable place; *lock_fd keeps the lock. */
MUST_CHECK char *scratch_make(int *lock_fd);
void scratch_remove(const char *path, int lock_fd);

#endif
