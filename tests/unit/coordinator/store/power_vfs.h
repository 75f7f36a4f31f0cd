/*
 * A file system for SQLite that can fail, and that can show the files after a power cut. This file system passes each
 * operation on to the real file system. For each file, it records the synced content and the writes since the last
 * sync. After a power cut, a file has its synced content. Each write since the last sync may be complete, missing, or
 * partly there.
 *
 * A process has only one such file system. The callback of power_vfs_watch() runs on the thread that uses the file.
 */
#ifndef FANTAIL_TEST_POWER_VFS_H
#define FANTAIL_TEST_POWER_VFS_H

#include "common/base/base.h"

/* All connections that are opened from now on use this file system. */
void power_vfs_install(void);
/* Makes the real file system the default again, and forgets everything. No file may be open. */
void power_vfs_remove(void);
/* Forgets the files and the counts. No file may be open. */
void power_vfs_forget(void);

struct power_vfs_counts {
    unsigned writes, syncs, truncations, deletions;
};
struct power_vfs_counts power_vfs_counts(void);

/* Calls `before` before each write, sync, truncation and deletion, with the number of the operation, counted from 0. If
 * `before` is NULL, no function is called any more. */
void power_vfs_watch(void (*before)(unsigned number, void *data), void *data);
/* Writes the files to `folder` as they would be after a power cut now. Only the callback of power_vfs_watch() may call
 * this function. */
void power_vfs_cut(const char *folder, unsigned seed);

/* Counts the operations from now on, and makes operation `number` fail with `rc`. If `for_good` is set, all later
 * operations fail too. */
void power_vfs_fail(unsigned number, int rc, bool for_good);
/* Lets operations succeed again. Returns whether any operation failed. */
bool power_vfs_mend(void);

#endif
