/*
 * The blocks of answers that a reader holds. Workers answer several chunks at the same time, so one block has answers
 * of several chunks. A reader that reads in the order of the items needs this block again for each of these chunks. If
 * not all blocks fit, the cache first drops the block whose next use is the furthest in the future. The idea is from L.
 * A. Belady, "A study of replacement algorithms for a virtual-storage computer", 1966. Belady's algorithm must know the
 * future reads; here, the index of the answers shows them. The cache also finds lines in a block. Pure. Owner: the
 * struct that embeds it.
 */
#ifndef FANTAIL_COORDINATOR_RECORDED_BLOCK_CACHE_H
#define FANTAIL_COORDINATOR_RECORDED_BLOCK_CACHE_H

#include "coordinator/store/store.h"

enum { BLOCK_CACHE_BLOCKS = 64 };

struct cached_block {
    uint64_t number;
    struct buf lines;
    size_t *marks; /* where every 64th line begins */
    size_t mark_count;
    uint64_t line_count;
    uint64_t next_item; /* the next item whose answer is read from this block; UINT64_MAX: none is known */
};

/* A zeroed cache is empty. */
struct block_cache {
    struct cached_block blocks[BLOCK_CACHE_BLOCKS];
    size_t count;
    size_t bytes; /* bytes of the lines of all blocks */
};

/* Releasing a zeroed cache is fine. A released cache is empty and can be filled again. */
void block_cache_release(struct block_cache *c);
/* Returns the block, or NULL if it is not in the cache. The block is borrowed until another block is added. */
struct cached_block *block_cache_find(struct block_cache *c, uint64_t number);
/* Forgets which items are read next from the blocks. */
void block_cache_plan(struct block_cache *c);
/* Notes that the answer of `item` will be read from the block. If several items are noted for a block after
 * block_cache_plan(), only the lowest is kept. Returns false if the block is not in the cache. */
bool block_cache_note(struct block_cache *c, uint64_t number, uint64_t item);
/* Returns whether a block of average size that is needed for `item` would fit in the cache without dropping a block
 * that is needed sooner. */
bool block_cache_has_room(const struct block_cache *c, uint64_t item, size_t cap);
/* Adds a block and takes ownership of its lines. `item` is the first item whose answer is needed from the block. Drops
 * the block that will be needed last, and repeats this until all blocks fit within `cap`. Never drops the block `keep`
 * or the block that is needed next, so that answers can be read alternately from two blocks of any size. Blocks without
 * a known next item may take at most `spare` bytes. */
void block_cache_add(struct block_cache *c, struct block *b, uint64_t item, uint64_t keep, size_t cap, size_t spare);
/* Finds the bytes of n lines from `line` on: they begin at *from and end before *to. Returns false if the block does
 * not have these lines. */
MUST_CHECK bool cached_block_lines(const struct cached_block *b, uint64_t line, uint64_t n, size_t *from, size_t *to);

#endif
