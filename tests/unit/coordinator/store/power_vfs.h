/*
 * A file system for SQLite that can fail, and that can show what a power cut would leave. It passes everything on to
 * the real one, and remembers for each file what was synced, and what was written since. After a power cut a file has
 * what was synced; of the writes since then each one may be there, or be missing, or be there in part.
 *
 * One for the process. The callback runs on the thread that uses the file.
 */
#ifndef FANTAIL_TEST_POWER_VFS_H
#define FANTAIL_TEST_POWER_VFS_H

#include "common/base/base.h"

/* Makes it the file system of all connections that are opened from now on. */
void power_vfs_install(void);
/* Makes the real one the default again, and forgets everything. No file may be open. */
void power_vfs_remove(void);
/* Forgets the files and the counts. No file may be open. */
void power_vfs_forget(void);

struct power_vfs_counts {
    unsigned writes, syncs, truncations, deletions;
};
struct power_vfs_counts power_vfs_counts(void);

/* Calls `before` before each write, sync, truncation and deletion, with its number from 0 on. NULL: no longer. */
void power_vfs_watch(void (*before)(unsigned number, void *data), void *data);
/* Only for the callback: writes the files to `folder` as they would be after a power cut now. */
void power_vfs_cut(const char *folder, unsigned seed);

/* The operation with this number from now on fails with `rc`, and all later ones too if `for_good`. */
void power_vfs_fail(unsigned number, int rc, bool for_good);
/* Ends the failing. Returns whether anything failed. */
bool power_vfs_mend(void);

#endif
