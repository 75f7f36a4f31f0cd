/*
 * Cuts a file into blocks by the rule of block_cut.h, or into at most a given number of blocks. In the second case,
 * each block ends with the record in which its share of the file ends. Does not read the whole file: searches for the
 * end of a record only near the place where a block should end.
 */
#ifndef FANTAIL_CLI_BLOCKS_BLOCK_FILE_H
#define FANTAIL_CLI_BLOCKS_BLOCK_FILE_H

#include "cli/blocks/input_block.h"
#include "cli/blocks/block_cut.h"
#include "cli/blocks/block_header.h"
#include "common/base/buf.h"

struct block_file {
    int fd; /* borrowed */
    struct record_ends ends;
    uint64_t at, size; /* the next block begins at `at`; the file ends at `size` */
    uint64_t max;      /* length of a block, unless `shares` is set */
    uint64_t shares;   /* the rest of the file is cut into at most this many blocks of similar length; 0: no limit */
    struct block_header head;       /* how long the header is, for block_file_take_header() */
    uint64_t header_at, header_len; /* of the header that each block begins with */
    struct buf window;              /* the bytes that are searched */
    char fault[BLOCK_FAULT_SIZE];
};

/* Cuts the file from its current offset up to its present end, and sets the offset to this end. Returns false, and
 * leaves the offset as it is, if the descriptor is not that of a file or a block device whose size says where it ends.
 * Such a descriptor can only be read as a stream. */
MUST_CHECK bool block_file_init(struct block_file *f, int fd, const struct record_ends *ends);
/* Reads the header at the present place of the file (f->head says how long it is). Each block then begins with the
 * header. Returns false after a fault. */
MUST_CHECK bool block_file_take_header(struct block_file *f);
void block_file_release(struct block_file *f);
enum block_step block_file_next(struct block_file *f, struct input_block *b);

#endif
