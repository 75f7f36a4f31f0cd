/*
 * An append-only run of bytes with random reads, held in memory up to a cap and beyond it in a spill file, so that what
 * a job holds back is bounded by the disk and not by the memory.
 */
#ifndef FANTAIL_COORDINATOR_ANSWERS_SPILL_LOG_H
#define FANTAIL_COORDINATOR_ANSWERS_SPILL_LOG_H

#include <sys/types.h>

#include "common/base/buf.h"
#include "coordinator/answers/spill_file.h"

struct tape {
    size_t memory_cap;
    struct buf head; /* the first bytes, never more than memory_cap */
    struct spill_file file;
    uint64_t file_bytes;
};

void tape_init(struct tape *t, const char *dir, size_t memory_cap);
/* Releasing a zeroed tape is fine. */
void tape_release(struct tape *t);
/* False when the disk refused (t->file.error says why); the tape is then of no more use. */
MUST_CHECK bool tape_append(struct tape *t, const void *data, size_t len);
uint64_t tape_length(const struct tape *t);
/* Reads up to cap bytes at `offset`; fewer only at the end. -1 when the disk failed. */
MUST_CHECK ssize_t tape_read(struct tape *t, uint64_t offset, void *dst, size_t cap);

#endif
