/*
 * Makes temporary directories for programs that may be killed. The owner keeps its directory locked (flock) while it
 * runs. The kernel releases the lock when the owner ends, even if it was killed. So a directory without a lock belongs
 * to no running process, and the next program that calls locked_dirs_sweep() removes it.
 *
 * The owner first makes the directory and then locks it. If another program's locked_dirs_sweep() removes the directory
 * before it is locked, the owner makes another directory.
 */
#ifndef FANTAIL_COMMON_FILES_LOCKED_DIR_H
#define FANTAIL_COMMON_FILES_LOCKED_DIR_H

#include "common/base/base.h"

struct locked_dir {
    char *path; /* NULL: there is no directory */
    int lock_fd;
};

/* Makes and locks <base>/<prefix>XXXXXX for this user only. On failure it sets errno, leaves *d empty, and returns
 * false. */
MUST_CHECK bool locked_dir_make(struct locked_dir *d, const char *base, const char *prefix);
/* Removes the directory with its contents, and releases the lock. An empty *d is fine. */
void locked_dir_remove(struct locked_dir *d);
/* Removes the directories of this user in `base` whose names begin with `prefix`. Keeps a directory that is locked or
 * contains a locked directory. */
void locked_dirs_sweep(const char *base, const char *prefix);

/* Returns $TMPDIR, or /tmp. The path is absolute, because programs that run in other folders use it. The path is
 * borrowed until the next call. */
const char *temporary_base(void);

#endif
