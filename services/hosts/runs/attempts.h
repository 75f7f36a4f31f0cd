/*
 * Counts the failed runs of each item, in a file that all host processes of a run share. The file has two bytes for
 * each item and is sparse: only items that have failed take space. An item runs in one process at a time, so no lock is
 * needed.
 */
#ifndef FANTAIL_HOSTS_RUNS_ATTEMPTS_H
#define FANTAIL_HOSTS_RUNS_ATTEMPTS_H

#include "common/base/base.h"

/* Opens the file "<path of the gate>.attempts". Creates the file if it does not exist. Returns a descriptor. On failure
 * returns -1 and sets errno. */
MUST_CHECK int attempts_open(const char *gate);
/* Returns how many runs of the item have failed. */
unsigned attempts_failed(int fd, uint64_t index);
/* Counts one more failed run of the item. */
void attempts_note_failure(int fd, uint64_t index);

#endif
