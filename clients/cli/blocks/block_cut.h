/*
 * Cuts a stream into blocks at ends of records (record_ends.h), while its bytes come. A block is as long as possible,
 * but at most `max` bytes. If its first record is longer than that, the block is this record. The last block ends with
 * the stream. So the blocks depend only on the bytes of the stream. Pure.
 */
#ifndef FANTAIL_CLI_BLOCKS_BLOCK_CUT_H
#define FANTAIL_CLI_BLOCKS_BLOCK_CUT_H

#include "cli/blocks/record_ends.h"

struct block_cut {
    struct record_ends ends;
    size_t max;  /* above 0 */
    size_t from; /* if the first record is longer than max: no cut is before this place; else 0 */
};

/* The data begins where the block begins. Returns the length of the block; 0: more bytes are needed. `ended`: the
 * stream has no bytes after the data. */
size_t block_cut_find(struct block_cut *c, const char *data, size_t len, bool ended);
/* Returns up to how many bytes of the stream the caller should read before it calls block_cut_find() again. */
size_t block_cut_wants(const struct block_cut *c, size_t len);

#endif
