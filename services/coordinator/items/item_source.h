/*
 * The interface that supplies the items of a phase, in index order. The indexes within a cut are consecutive. Between
 * two cuts there may be a gap, for items that no longer need work. Pure: no I/O.
 */
#ifndef FANTAIL_COORDINATOR_ITEMS_ITEM_SOURCE_H
#define FANTAIL_COORDINATOR_ITEMS_ITEM_SOURCE_H

#include "coordinator/items/jobspec.h"
#include "coordinator/items/spool.h"

struct item_source_ops {
    /* Moves the next items into `lines`, one line for each item. `lines` must be empty. Moves at most max_items, and at
     * most max_bytes unless the first item alone is larger. Returns how many items it moved; 0 when there are none.
     * Sets *first to the index of the first item. */
    uint64_t (*cut)(void *source, uint64_t max_items, size_t max_bytes, uint64_t *first, struct buf *lines);
    /* Skips the next items, at most max_items. Returns how many items it skipped. Sets *first to the index of the first
     * skipped item. */
    uint64_t (*drop)(void *source, uint64_t max_items, uint64_t *first);
    /* Returns the approximate size of an item in bytes: the average, or an upper limit. 0: not known. */
    uint64_t (*item_bytes)(const void *source);
};

/* A handle that borrows the source. The handle may be copied freely. */
struct item_source {
    const struct item_source_ops *ops;
    void *source;
};

static inline uint64_t item_source_cut(const struct item_source *s, uint64_t max_items, size_t max_bytes,
                                       uint64_t *first, struct buf *lines)
{
    return s->ops->cut(s->source, max_items, max_bytes, first, lines);
}

static inline uint64_t item_source_drop(const struct item_source *s, uint64_t max_items, uint64_t *first)
{
    return s->ops->drop(s->source, max_items, first);
}

static inline uint64_t item_source_item_bytes(const struct item_source *s)
{
    return s->ops->item_bytes(s->source);
}

/* The items of a range or of spans. The items are generated when they are cut. All members but `spec` must be zeroed;
 * `spec` is borrowed. */
struct generated_items {
    const struct jobspec *spec;
    uint64_t next; /* index of the next item */
};
struct item_source generated_items_source(struct generated_items *g);

/* Items that were put in a spool. Their indexes are counted from 0. All members but `spool` must be zeroed; `spool` is
 * borrowed. */
struct spooled_items {
    struct spool *spool;
    uint64_t next;
};
struct item_source spooled_items_source(struct spooled_items *s);

#endif
