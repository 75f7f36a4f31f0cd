/*
 * The items of one job that are already split but not yet cut into chunks, as lines in input order. The upload fills
 * the spool, and the scheduler's cuts empty it. The size of the spool decides when the upload is paused. Pure: no I/O.
 */
#ifndef FANTAIL_COORDINATOR_ITEMS_SPOOL_H
#define FANTAIL_COORDINATOR_ITEMS_SPOOL_H

#include "common/base/buf.h"

struct spool_block;

struct spool {
    struct spool_block *head, *tail;
    uint64_t items; /* lines held */
    uint64_t bytes; /* the size of these lines, including newlines */
};

/* Releasing a zeroed spool is fine. */
void spool_release(struct spool *s);
/* Takes ownership of the memory of `lines`, and leaves `lines` empty. `lines` must have `items` whole lines, each with
 * its newline. */
void spool_take(struct spool *s, struct buf *lines, uint64_t items);
/* Moves the next items into `out`, which must be empty. The function moves at most max_items, and at most max_bytes
 * unless the first item alone is larger. Returns how many items it moved; 0 when the spool is empty. */
uint64_t spool_cut(struct spool *s, uint64_t max_items, size_t max_bytes, struct buf *out);
/* Frees the next items, at most max_items. Returns how many items it freed; 0 when the spool is empty. */
uint64_t spool_drop(struct spool *s, uint64_t max_items);

#endif
