/*
 * The directory of the temporary files, and the limit on the total size of these files. When a large file is closed,
 * its space is freed in steps, because freeing all of it in one step would block the loop for too long. Owner: jobs.h.
 */
#ifndef FANTAIL_COORDINATOR_SPILL_SPILL_DIR_H
#define FANTAIL_COORDINATOR_SPILL_SPILL_DIR_H

#include "common/base/base.h"

struct spill_rest;

struct spill_dir {
    const char *path;    /* borrowed */
    uint64_t max_bytes;  /* total limit for all files; 0: no limit */
    uint64_t used_bytes; /* bytes of all files, including files that are being removed */

    /* Private. */
    struct spill_rest *rests; /* files that are being removed */
};

/* Checks that temporary files can be made in the directory `path`. Returns 0 if files can be made, otherwise the errno
 * that says why not. */
MUST_CHECK int spill_dir_check(const char *path);
/* Closes all files that are still being removed. The space of each file is freed in one step. */
void spill_dir_release(struct spill_dir *d);
/* Reserves bytes for a file. If all files together would exceed the limit, reserves nothing and returns false. */
MUST_CHECK bool spill_dir_take(struct spill_dir *d, uint64_t bytes);
/* Takes ownership of a file, and removes it. The bytes of the file must have been reserved with spill_dir_take(). */
void spill_dir_remove(struct spill_dir *d, int fd, uint64_t bytes);
/* Does one step of removing files. Returns whether there is more to remove. */
bool spill_dir_step(struct spill_dir *d);

#endif
