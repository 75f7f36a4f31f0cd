/*
 * The last blocks of answers that a reader has read. Answers that are neighbours in the job may be in different blocks,
 * so a reader goes back and forth between a few blocks. The cache also finds lines in a block. Pure. Owner: the struct
 * that embeds it.
 */
#ifndef FANTAIL_COORDINATOR_RESULTS_BLOCK_CACHE_H
#define FANTAIL_COORDINATOR_RESULTS_BLOCK_CACHE_H

#include "coordinator/store/store.h"

enum { BLOCK_CACHE_BLOCKS = 8 };

struct cached_block {
    uint64_t number;
    struct buf lines;
    size_t *marks; /* where every 64th line begins */
    size_t mark_count;
    uint64_t line_count;
    uint64_t used_at; /* value of the cache's clock when it was last used */
};

/* A zeroed cache is empty. */
struct block_cache {
    struct cached_block blocks[BLOCK_CACHE_BLOCKS];
    size_t count;
    size_t bytes;   /* of all lines */
    uint64_t clock; /* counts uses */
};

/* Releasing a zeroed cache is fine. An empty cache can be filled again. */
void block_cache_release(struct block_cache *c);
/* Returns the block; NULL when it is not here. It is borrowed until a block is added. */
struct cached_block *block_cache_find(struct block_cache *c, uint64_t number);
/* Adds a block, and takes its lines. Drops the blocks that were not used for the longest time until the cache has room
 * within `cap`, but never the block `keep`. */
void block_cache_add(struct block_cache *c, struct block *b, uint64_t keep, size_t cap);
/* Finds the bytes of n lines: from *from up to *to. Returns false when the block does not have these lines. */
MUST_CHECK bool cached_block_lines(const struct cached_block *b, uint64_t line, uint64_t n, size_t *from, size_t *to);

#endif
