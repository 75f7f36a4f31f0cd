/*
 * Segments: answer lines of consecutive items. They are ordered by first index in a treap (a binary search tree
 * balanced by random priorities), so finding one of n segments costs O(log n). Private to the collector.
 */
#ifndef FANTAIL_COORDINATOR_ANSWERS_SEGMENTS_H
#define FANTAIL_COORDINATOR_ANSWERS_SEGMENTS_H

#include "common/base/base.h"

struct segment {
    struct segment *left, *right; /* children in the tree */
    struct segment *next;         /* completion order: the next segment in the queue */
    uint32_t priority;
    bool repeated; /* one line is the answer of each of the n items */
    bool spilled;  /* its bytes are in the spill, at `offset` */
    bool mapped;   /* `bytes` are mapped from the spill */
    uint64_t first, n;
    char *bytes; /* NULL while spilled */
    size_t len, alloc;
    uint64_t gone_items; /* how many items at the front were consumed */
    size_t gone_bytes;
    uint64_t offset;
};

/* A tree of segments. A zeroed tree is empty. The tree does not own the segments. */
struct segments {
    struct segment *root;
    size_t n;
    uint32_t random;
};

void segments_put(struct segments *t, struct segment *seg);
void segments_take(struct segments *t, struct segment *seg);
/* Returns the segment with the smallest `first`; NULL when the tree is empty. */
struct segment *segments_first(const struct segments *t);
struct segment *segments_last(const struct segments *t);
/* Returns the segment with the largest `first` that is at most index; NULL when there is none. */
struct segment *segments_at_or_before(const struct segments *t, uint64_t index);
/* Returns the segment with the smallest `first` that is above index; NULL when there is none. */
struct segment *segments_after(const struct segments *t, uint64_t index);

#endif
