/*
 * The items of a durable job, as the source of its phase. The source has only items without a recorded answer. The
 * items are made ready in index order, and then cut in that order. The lines of a range or of spans are generated when
 * they are cut. Other lines are read from the store before they are made ready. Pure: the owner reads the store.
 */
#ifndef FANTAIL_COORDINATOR_DURABLE_STORED_ITEMS_H
#define FANTAIL_COORDINATOR_DURABLE_STORED_ITEMS_H

#include "coordinator/recorded/range_list.h"
#include "coordinator/items/item_source.h"

/* A zeroed struct has no items. */
struct stored_items {
    const struct jobspec *generated; /* generates the lines; NULL: they are in `spool`; borrowed */
    struct spool spool;              /* the lines of the ready items */
    uint64_t left;                   /* how many ready items have not been cut or dropped; read only */

    /* Private. */
    struct range_list ready;
    size_t at;      /* the ready range that is cut next */
    uint64_t taken; /* how many items of that range were already cut or dropped */
};

/* Releasing a zeroed or released source is fine. */
void stored_items_release(struct stored_items *s);
/* Makes items first .. first + n - 1 ready. The lines of these items are generated. */
void stored_items_ready(struct stored_items *s, uint64_t first, uint64_t n);
/* Makes items first .. first + n - 1 ready. The lines of these items are in `lines`. Takes ownership of the memory of
 * `lines`, and leaves `lines` empty. */
void stored_items_ready_lines(struct stored_items *s, uint64_t first, uint64_t n, struct buf *lines);
/* Returns how many ranges are ready. */
size_t stored_items_ranges(const struct stored_items *s);
struct item_source stored_items_source(struct stored_items *s);

#endif
