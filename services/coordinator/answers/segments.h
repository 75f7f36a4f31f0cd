/*
 * Segments: answer lines of consecutive items, ordered by first index in a treap (a binary search tree balanced by
 * random priorities), so finding one of n costs O(log n). Private to the collector.
 */
#ifndef FANTAIL_COORDINATOR_ANSWERS_SEGMENTS_H
#define FANTAIL_COORDINATOR_ANSWERS_SEGMENTS_H

#include "common/base/base.h"

struct segment {
    struct segment *left, *right; /* in the tree */
    struct segment *next;         /* in the queue of completion order */
    uint32_t priority;
    bool repeated; /* one line is the answer of each of the n items */
    bool spilled;  /* its bytes are in the spill, at `offset` */
    uint64_t first, n;
    char *bytes; /* NULL while spilled */
    size_t len, alloc;
    uint64_t gone_items; /* consumed, from its front on */
    size_t gone_bytes;
    uint64_t offset;
};

/* Zeroed: empty. It does not own the segments. */
struct segments {
    struct segment *root;
    size_t n;
    uint32_t random;
};

void segments_put(struct segments *t, struct segment *seg);
void segments_take(struct segments *t, struct segment *seg);
/* NULL when there is none. */
struct segment *segments_first(const struct segments *t);
struct segment *segments_last(const struct segments *t);
struct segment *segments_at_or_before(const struct segments *t, uint64_t index); /* largest first <= index */
struct segment *segments_after(const struct segments *t, uint64_t index);        /* smallest first > index */

#endif
