/*
 * The blocks of answers that a reader holds. Workers answer several chunks at the same time, so neighbours in the job
 * may be in different blocks, and a reader goes through the same blocks once for each of these chunks. If not all of
 * them fit, the block that is needed last is dropped first. (The idea: L. A. Belady, "A study of replacement algorithms
 * for a virtual-storage computer", 1966. It needs to know the future, which is in the index of the answers.) The cache
 * also finds lines in a block. Pure. Owner: the struct that embeds it.
 */
#ifndef FANTAIL_COORDINATOR_RESULTS_BLOCK_CACHE_H
#define FANTAIL_COORDINATOR_RESULTS_BLOCK_CACHE_H

#include "coordinator/store/store.h"

enum { BLOCK_CACHE_BLOCKS = 64 };

struct cached_block {
    uint64_t number;
    struct buf lines;
    size_t *marks; /* where every 64th line begins */
    size_t mark_count;
    uint64_t line_count;
    uint64_t next_item; /* the next item whose answer is read from it; UINT64_MAX: none that is known */
};

/* A zeroed cache is empty. */
struct block_cache {
    struct cached_block blocks[BLOCK_CACHE_BLOCKS];
    size_t count;
    size_t bytes; /* of all lines */
};

/* Releasing a zeroed cache is fine. An empty cache can be filled again. */
void block_cache_release(struct block_cache *c);
/* Returns the block; NULL when it is not here. It is borrowed until a block is added. */
struct cached_block *block_cache_find(struct block_cache *c, uint64_t number);
/* Forgets which items are read next from the blocks. */
void block_cache_plan(struct block_cache *c);
/* The block's answers from `item` on are read next. Call it after block_cache_plan(), with growing items. Returns false
 * when the block is not here. */
bool block_cache_note(struct block_cache *c, uint64_t number, uint64_t item);
/* Returns whether a block of the usual size that is needed for `item` can be added without dropping one that is needed
 * earlier. */
bool block_cache_has_room(const struct block_cache *c, uint64_t item, size_t cap);
/* Adds a block whose first answer that is needed is that of `item`, and takes its lines. Drops the blocks that are
 * needed last until the cache has room within `cap`, but never the block `keep`. The block that is needed next stays in
 * any case, so that answers can come in turn from two blocks of any size. Blocks of which no next item is known may
 * take `spare` bytes. */
void block_cache_add(struct block_cache *c, struct block *b, uint64_t item, uint64_t keep, size_t cap, size_t spare);
/* Finds the bytes of n lines: from *from up to *to. Returns false when the block does not have these lines. */
MUST_CHECK bool cached_block_lines(const struct cached_block *b, uint64_t line, uint64_t n, size_t *from, size_t *to);

#endif
