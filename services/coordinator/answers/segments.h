/*
 * Segments of answer lines. In input order, a segment has the lines of consecutive items. Segments are ordered by first
 * index in a treap (a binary search tree balanced by random priorities), so finding one of n segments costs O(log n).
 * In completion order, a segment has the lines of several runs of items. Private to the collector.
 */
#ifndef FANTAIL_COORDINATOR_ANSWERS_SEGMENTS_H
#define FANTAIL_COORDINATOR_ANSWERS_SEGMENTS_H

#include "common/base/base.h"

/* A run of consecutive items. */
struct record {
    uint64_t first, n;
    size_t len; /* the length of its lines in bytes */
};

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
    /* has_records: `bytes` has records. In completion order, each segment has records, except a segment with `repeated`
     * set and a segment that has one large run. */
    bool has_records, tail_is_open; /* more lines may join the last record */
    size_t tail;                    /* where the last record begins */
    struct record now;              /* the unread part of the record that is being read; now.n is 0: none */
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

/*
 * Records. In completion order, the answers of many chunks arrive interleaved. So a segment has the lines of many runs
 * of items, one run after the other. The lines of each run follow a header with the indexes of the items and the length
 * of the lines. If each run had a segment of its own, the segment would need more memory than the lines of the run, and
 * would be too small to be written to the disk.
 */
/* Returns whether the lines of items first .. first + n - 1 can be appended to the last record. If so, adds the items
 * to the header of that record; the caller then appends the lines. */
bool records_extend(struct segment *seg, uint64_t first, uint64_t n, size_t len);
/* Call it when the first gone_bytes of seg->bytes have been removed, and before gone_bytes is set to 0. */
void records_shift(struct segment *seg);
/* Returns the run that is read next. */
struct record records_next(struct segment *seg);
/* Call it when n items with `len` bytes have been read. Returns whether the segment has been read completely. */
bool records_consume(struct segment *seg, uint64_t n, size_t len);

#endif
