/*
 * Cuts a stream into blocks at ends of records (record_ends.h), as the bytes arrive. A block is as long as possible,
 * but at most `max` bytes. If its first record is longer than that, the block is this record. The last block ends with
 * the stream. So the blocks do not depend on how many bytes arrive at a time.
 *
 * With `records`, a block has exactly this number of records, whatever its length. With `group`, this number of records
 * form a group, and a block has as many whole groups as fit, but at least one. In both cases, the last block has the
 * remaining records. Pure.
 */
#ifndef FANTAIL_CLI_BLOCKS_BLOCK_CUT_H
#define FANTAIL_CLI_BLOCKS_BLOCK_CUT_H

#include "cli/blocks/record_ends.h"

struct block_cut {
    struct record_ends ends;
    size_t max;       /* above 0 */
    uint64_t records; /* 0: no number is given */
    uint64_t group;   /* 0: records have no groups */
    size_t group_end; /* with `group`: the end of the last whole group of this block; 0: none was found yet */
    uint64_t counted; /* with `records` or `group`: the records of this block before `from` */
    size_t from;      /* the next cut is at this place or later; 0: not known */
};

/* The data begins where the block begins. Returns the length of the block; 0: more bytes are needed. `ended`: the
 * stream has no bytes after the data. */
size_t block_cut_find(struct block_cut *c, const char *data, size_t len, bool ended);
/* Returns the length, above `len`, up to which the caller should read data for this block. The caller may call
 * block_cut_find() earlier. */
size_t block_cut_wants(const struct block_cut *c, size_t len);

#endif
