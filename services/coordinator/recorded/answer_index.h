/*
 * Finds the block of the store that has the answer of an item. The ranges of the job's blocks (STORE_READ_RANGES) are
 * added in any order. The index works for millions of ranges: a lookup takes O(log^2 n), and adding a range takes O(log
 * n) on average. Pure. Owner: the struct that embeds it.
 *
 * The ranges are in a few sorted arrays, each at least twice as long as the next one. The ranges of a new block become
 * a new array. Arrays of similar length are merged. The idea is from J. L. Bentley and J. B. Saxe, "Decomposable
 * searching problems", 1980.
 *
 * The number of ranges in the index may be limited. If the index has too many ranges, it forgets the answers of the
 * items with the highest indexes. `horizon` is the first item whose answer the index may have forgotten. To read on
 * from `horizon`, call answer_index_clear() and add all blocks again.
 *
 * In the store, each item has one answer. But the index of a reader may still have an answer that a redrive has removed
 * from the store. So if two blocks have an answer of the same item, the answer of the later block is used.
 */
#ifndef FANTAIL_COORDINATOR_RECORDED_ANSWER_INDEX_H
#define FANTAIL_COORDINATOR_RECORDED_ANSWER_INDEX_H

#include "coordinator/store/store.h"

enum { INDEX_RUNS_MAX = 64 };

/* Consecutive items whose answers are consecutive lines of one block. */
struct answer_span {
    uint64_t first, n;
    uint64_t block;   /* number of the block */
    uint64_t line;    /* the line of the block with the answer of the first item; the first line is 0 */
    bool is_error;    /* the block has errors */
    bool is_repeated; /* the line `line` is the answer of all n items */
};

/* Spans that do not overlap, in the order of their items. The spans before the position `from` are no longer needed. */
struct index_run {
    struct answer_span *spans;
    size_t from, n;
};

struct answer_index {
    uint64_t horizon; /* UINT64_MAX: nothing was forgotten */

    /* Private. */
    size_t max_spans; /* 0: no limit */
    uint64_t floor;   /* answers of items below this are not kept */
    struct index_run runs[INDEX_RUNS_MAX];
    size_t run_count;
};

/* `max_spans` 0: no limit. */
void answer_index_init(struct answer_index *ix, size_t max_spans);
/* Releasing a zeroed index is fine. */
void answer_index_release(struct answer_index *ix);
/* Forgets everything. After this call, the index keeps only the answers of item `floor` and later items. */
void answer_index_clear(struct answer_index *ix, uint64_t floor);
/* Adds the ranges of a block. Blocks without answers are ignored. If the ranges of the block overlap or exceed 2^64,
 * the block is damaged, and the function adds nothing and returns false. */
MUST_CHECK bool answer_index_add(struct answer_index *ix, const struct block *b);
/* Frees the spans of items below `index`. Items below `index` must no longer be looked up. */
void answer_index_drop_below(struct answer_index *ix, uint64_t index);
/* Finds the first item at or after `index` whose answer is known, and sets *span to a span that begins with this item.
 * Returns false if there is no such item. */
MUST_CHECK bool answer_index_find(const struct answer_index *ix, uint64_t index, struct answer_span *span);
/* Returns how many spans are in memory. */
size_t answer_index_spans(const struct answer_index *ix);

#endif
