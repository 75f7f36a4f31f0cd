/*
 * Temporary directories: one for the worker, and inside it one for each process. The worker keeps its directory locked
 * while it runs. So a later worker can recognise the directory of a killed worker, and remove it.
 */
#ifndef FANTAIL_WORKER_SYSTEM_SCRATCH_H
#define FANTAIL_WORKER_SYSTEM_SCRATCH_H

#include <uv.h>

#include "common/files/locked_dir.h"

/* Creates the worker's own directory, in the directory `given` or, if that is NULL, in $TMPDIR. If $TMPDIR is not set,
 * or is so long that no socket could be made in the directory, uses /tmp. If `given` is NULL, first removes the
 * directories that killed workers have left in the same place. On failure, *d is empty. */
void scratch_make(struct locked_dir *d, const char *given);

/* Makes a directory for a process in `base`. The name of the directory is the token of the process. Returns the path of
 * the directory; NULL if the directory cannot be made, or if `base` is NULL. */
MUST_CHECK char *scratch_make_inner(const char *base, uint64_t token);
/* Removes the directory. If the directory is not empty, another thread removes it. Takes ownership of the path, which
 * may be NULL. */
void scratch_remove_inner(uv_loop_t *loop, char *path);

#endif
