/*
 * Temporary directories of one run, gone with it: below $TMPDIR or /tmp, for this user only, and locked while the run
 * lives, so that those of runs that were killed are known for what they are.
 */
#ifndef FANTAIL_CLI_FLEET_RUN_DIR_H
#define FANTAIL_CLI_FLEET_RUN_DIR_H

#include "common/base/base.h"

/* "fantail-map-XXXXXX" holds what a private fleet writes, "fantail-fleet-XXXXXX" the sockets of a fleet. */
enum run_dir_kind { RUN_DIR_MAP, RUN_DIR_FLEET };

struct run_dir {
    char path[4096]; /* "" before it was made */
    int lock_fd;     /* -1: none */
};

/* Makes one whose path has at most max_len bytes, below /tmp where $TMPDIR's is too long for that. False with a
 * sentence in err. */
MUST_CHECK bool run_dir_make(struct run_dir *d, enum run_dir_kind kind, size_t max_len, char *err, size_t err_size);
/* Removes it and all in it, and those of runs that were killed before they could. A zeroed one is fine. */
void run_dir_remove(struct run_dir *d);

#endif
