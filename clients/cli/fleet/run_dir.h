/*
 * The temporary directory of one run, in $TMPDIR or /tmp, for this user only. It is locked while the run lives. So a
 * directory without a lock belongs to a run that was killed, and can be removed.
 */
#ifndef FANTAIL_CLI_FLEET_RUN_DIR_H
#define FANTAIL_CLI_FLEET_RUN_DIR_H

#include "common/base/base.h"

/* "fantail-map-XXXXXX" has the files of a private fleet, "fantail-fleet-XXXXXX" the sockets of a fleet. */
enum run_dir_kind { RUN_DIR_MAP, RUN_DIR_FLEET };

struct run_dir {
    char path[4096]; /* "": there is none */
    int lock_fd;     /* -1: none */
};

/* Makes a directory whose path has at most max_len bytes: in /tmp if $TMPDIR is too long for that. False, with a
 * sentence in err, on failure. */
MUST_CHECK bool run_dir_make(struct run_dir *d, enum run_dir_kind kind, size_t max_len, char *err, size_t err_size);
/* Removes it with its contents, and the directories of killed runs next to it. A zeroed one is fine. */
void run_dir_remove(struct run_dir *d);

#endif
