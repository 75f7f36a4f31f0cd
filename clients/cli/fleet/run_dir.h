/*
 * The temporary directory of one run, in $TMPDIR or /tmp, for this user only. The directory is locked while the run
 * lives. So a directory without a lock belongs to a killed run, and the next run removes it.
 */
#ifndef FANTAIL_CLI_FLEET_RUN_DIR_H
#define FANTAIL_CLI_FLEET_RUN_DIR_H

#include "common/files/locked_dir.h"

/* "fantail-map-XXXXXX" holds the files of a private fleet. "fantail-fleet-XXXXXX" holds the sockets of a fleet. */
enum run_dir_kind { RUN_DIR_MAP, RUN_DIR_FLEET, RUN_DIR_KIND_COUNT };

/* Creates a directory whose path has at most max_len bytes. If a path in $TMPDIR would be longer, creates the directory
 * in /tmp. On failure it returns false and writes a sentence to err. The caller removes the directory with
 * locked_dir_remove(). */
MUST_CHECK bool run_dir_make(struct locked_dir *d, enum run_dir_kind kind, size_t max_len, char *err, size_t err_size);
/* Removes the directories that killed runs left in the parent directory of d. */
void run_dirs_sweep(const struct locked_dir *d);

#endif
