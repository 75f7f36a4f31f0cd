/*
 * A log of bytes. Bytes can only be appended, but can be read at any offset. The bytes up to a cap are in memory, and
 * all further bytes are in a temporary file. So the size of a log is limited only by the disk.
 */
#ifndef FANTAIL_COORDINATOR_SPILL_BYTE_LOG_H
#define FANTAIL_COORDINATOR_SPILL_BYTE_LOG_H

#include <sys/types.h>

#include "common/base/buf.h"
#include "coordinator/spill/spill_file.h"

struct byte_log {
    size_t memory_cap;
    struct buf head; /* the first bytes, at most memory_cap */
    struct spill_file file;
    uint64_t file_bytes;
};

void byte_log_init(struct byte_log *l, struct spill_dir *dir, size_t memory_cap);
/* Releasing a zeroed log is fine. */
void byte_log_release(struct byte_log *l);
/* Returns false when the bytes cannot be written; l->file.error says why. After a failure, the log must not be used any
 * more. */
MUST_CHECK bool byte_log_append(struct byte_log *l, const void *data, size_t len);
uint64_t byte_log_length(const struct byte_log *l);
/* Removes all bytes from the log. */
void byte_log_clear(struct byte_log *l);
/* Reads up to cap bytes at `offset`. Reads fewer bytes only at the end of the log. Returns how many bytes were read, or
 * -1 on failure. */
MUST_CHECK ssize_t byte_log_read(struct byte_log *l, uint64_t offset, void *dst, size_t cap);

#endif
