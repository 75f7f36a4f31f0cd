/*
 * Temporary directories of programs that may be killed. The owner keeps its directory locked (flock) while it lives,
 * and the kernel gives up the lock however it ends. So a directory without a lock belongs to no living process, and the
 * next program that looks removes it.
 *
 * The directory is made before it is locked. A sweeper that comes in between removes it; then its owner makes another.
 */
#ifndef FANTAIL_COMMON_FILES_LOCKED_DIR_H
#define FANTAIL_COMMON_FILES_LOCKED_DIR_H

#include "common/base/base.h"

struct locked_dir {
    char *path; /* NULL: there is none */
    int lock_fd;
};

/* Makes and locks <base>/<prefix>XXXXXX for this user only. False with errno, and *d is empty. */
MUST_CHECK bool locked_dir_make(struct locked_dir *d, const char *base, const char *prefix);
/* Removes it with its contents, and gives up the lock. An empty one is fine. */
void locked_dir_remove(struct locked_dir *d);
/* Removes the directories of this user in `base` whose names begin with `prefix`, and that are not locked, nor have a
 * locked directory in them. */
void locked_dirs_sweep(const char *base, const char *prefix);

/* $TMPDIR, or /tmp. */
const char *temporary_base(void);
/* Removes a directory with its contents, but nothing on other file systems. What cannot be removed stays. */
void remove_tree(const char *path);

#endif
