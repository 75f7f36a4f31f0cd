/*
 * Temporary directories: one for the worker, and in it one for each of its processes. The worker holds a lock on its
 * own while it lives, so that a later worker can recognise and remove one whose worker was killed.
 */
#ifndef FANTAIL_WORKER_SYSTEM_SCRATCH_H
#define FANTAIL_WORKER_SYSTEM_SCRATCH_H

#include <uv.h>

#include "common/base/base.h"

/* The worker's directory; NULL when no place is writable. *lock_fd keeps the lock. The caller frees the path. */
MUST_CHECK char *scratch_make(int *lock_fd);
void scratch_remove(const char *path, int lock_fd);

/* A process's directory in the worker's, named by the process's token. NULL when it cannot be made, or base is NULL. */
MUST_CHECK char *scratch_make_inner(const char *base, uint64_t token);
/* Removes it; what a task left in it is removed on another thread. Takes the path, which may be NULL. */
void scratch_remove_inner(uv_loop_t *loop, char *path);

#endif
