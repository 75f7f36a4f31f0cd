/*
 * Records which items of a batch have no answer yet, for a job whose answers come in the order of completion. After the
 * connection has been cut, removes the lines of the answered items from the batch, so that the rest is the body of the
 * next attempt. Pure.
 */
#ifndef FANTAIL_CLI_ITEMS_UNANSWERED_H
#define FANTAIL_CLI_ITEMS_UNANSWERED_H

#include "cli/items/batch.h"

struct unanswered {
    uint64_t count;   /* items of the running attempt */
    uint64_t *noted;  /* one bit for each of these items; set: the item has an answer */
    size_t alloc;     /* 64-bit words at `noted` */
    uint32_t *places; /* for each item of the batch, its index before any item was removed; NULL: unchanged */
    size_t place_count;
};

void unanswered_release(struct unanswered *u);
/* Forgets the answers to the previous batch, because a new batch begins. */
void unanswered_clear(struct unanswered *u);
/* Begins an attempt with `count` items, of which none has an answer yet. */
void unanswered_begin(struct unanswered *u, uint64_t count);
/* Marks an item of the attempt as answered. Returns false, and changes nothing, if the item already has an answer, or
 * if the attempt has no item with this index. */
MUST_CHECK bool unanswered_note(struct unanswered *u, uint64_t index);
bool unanswered_has(const struct unanswered *u, uint64_t index);
/* The first item of the attempt is item `base` of the batch. Removes the items before `base`, and the answered items of
 * the attempt. Returns how many items were removed. */
uint64_t unanswered_keep_rest(struct unanswered *u, struct batch *b, bool skip_blank, uint64_t base);
/* Returns the index that item `index` of the batch had before any item was removed. */
uint64_t unanswered_place(const struct unanswered *u, uint64_t index);

#endif
