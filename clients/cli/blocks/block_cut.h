/*
 * Cuts a stream into blocks at ends of records (record_ends.h), as the bytes arrive. A block is as long as possible,
 * but at most `max` bytes. If its first record is longer than that, the block is this record. The last block ends with
 * the stream. So the blocks do not depend on how many bytes arrive at a time.
 *
 * With `records`, a block has this number of records instead, whatever its length. With `group` instead, a block has as
 * many groups of this number of records as fit, and at least one; the last block has what remains. Pure.
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
    size_t from;      /* in a long record, and with `records`: the next cut is at this place or later; otherwise 0 */
};

/* The data begins where the block begins. Returns the length of the block; 0: more bytes are needed. `ended`: the
 * stream has no bytes after the data. */
size_t block_cut_find(struct block_cut *c, const char *data, size_t len, bool ended);
/* Returns the length, above `len`, up to which the caller should read data for this block. The caller may call
 * block_cut_find() earlier. */
size_t block_cut_wants(const struct block_cut *c, size_t len);

#endif
