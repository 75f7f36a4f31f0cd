/*
 * Reduces the recorded values of a job, in the order of its items, to one value. The fold says which blocks of the
 * store it needs, and holds only a few blocks, however large the job is. The fold uses the reducers of synchronous jobs
 * (reduce.h), so durable and synchronous jobs get the same results. Pure. Owner: the struct that embeds it.
 *
 *     for (;;) switch (block_fold_step(&f, budget)) {
 *     case BLOCK_FOLD_RANGES: read the ranges of all blocks, block_fold_add_ranges() for each, block_fold_has_ranges()
 *     case BLOCK_FOLD_BLOCK:  read the block f.wanted, and block_fold_add()
 *     case BLOCK_FOLD_MORE:   call block_fold_step() again later: the budget is used up, or memory is short
 *     case BLOCK_FOLD_DONE:   the result is block_fold_result()
 *     case BLOCK_FOLD_FAILED: f.error says why
 *     }
 */
#ifndef FANTAIL_COORDINATOR_RECORDED_BLOCK_FOLD_H
#define FANTAIL_COORDINATOR_RECORDED_BLOCK_FOLD_H

#include "coordinator/answers/reduce.h"
#include "coordinator/recorded/answer_index.h"
#include "coordinator/recorded/block_cache.h"

enum block_fold_state { BLOCK_FOLD_RANGES, BLOCK_FOLD_BLOCK, BLOCK_FOLD_MORE, BLOCK_FOLD_DONE, BLOCK_FOLD_FAILED };

struct block_fold {
    uint64_t wanted; /* number of the block that is needed */
    char error[160];

    /* Private. */
    struct reduction reduction;
    struct answer_index index;
    struct block_cache cache;
    bool has_ranges;   /* all ranges were added; the index keeps the ranges that fit */
    uint64_t position; /* the item whose value is folded next */
    unsigned spans;    /* number of spans that were folded so far */
};

/* `max_spans` is the highest number of spans in the index (0: no limit). `max_bytes` limits the size of the result. */
void block_fold_init(struct block_fold *f, enum job_reduce kind, size_t max_spans, size_t max_bytes);
/* Releasing a zeroed fold is fine. */
void block_fold_release(struct block_fold *f);
/* Returns false if the ranges of the block overlap or exceed 2^64. */
MUST_CHECK bool block_fold_add_ranges(struct block_fold *f, const struct block *b);
/* Call it when the ranges of all blocks have been added. */
void block_fold_has_ranges(struct block_fold *f);
/* Adds a block and takes ownership of its lines. */
void block_fold_add(struct block_fold *f, struct block *b);
/* Folds about `budget` bytes. `budget` must be more than 64, the cost of a line. */
MUST_CHECK enum block_fold_state block_fold_step(struct block_fold *f, size_t budget);
/* The result is borrowed. */
struct json_slice block_fold_result(struct block_fold *f);

#endif
