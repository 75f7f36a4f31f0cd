/*
 * The directory of the temporary files, and how many bytes these may have together. The space of a large file that is
 * closed is given back in steps, because the file system needs long for all of it at once. Owner: jobs.h.
 */
#ifndef FANTAIL_COORDINATOR_SPILL_SPILL_DIR_H
#define FANTAIL_COORDINATOR_SPILL_SPILL_DIR_H

#include "common/base/base.h"

struct spill_rest;

struct spill_dir {
    const char *path;    /* borrowed */
    uint64_t max_bytes;  /* of all files together; 0: no limit */
    uint64_t used_bytes; /* of all files, also of those that are being removed */

    /* Private. */
    struct spill_rest *rests; /* files that are being removed */
};

/* Closes the files that are still being removed, at once. */
void spill_dir_release(struct spill_dir *d);
/* Returns false if the files would then have too many bytes. */
MUST_CHECK bool spill_dir_take(struct spill_dir *d, uint64_t bytes);
/* Takes a file of this many bytes, which were taken with spill_dir_take(), to remove it. */
void spill_dir_remove(struct spill_dir *d, int fd, uint64_t bytes);
/* Removes one more step. Returns whether something is left to remove. */
bool spill_dir_step(struct spill_dir *d);

#endif
