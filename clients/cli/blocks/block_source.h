/*
 * The blocks of a run, which come from a file or from a stream. A file that can seek and can be opened again is cut in
 * place (block_file.h), even if it is standard input. The bytes of any other input are kept in memory (block_stream.h).
 * A file is read as a stream if a block must have a given number of records, or whole groups of them.
 */
#ifndef FANTAIL_CLI_BLOCKS_BLOCK_SOURCE_H
#define FANTAIL_CLI_BLOCKS_BLOCK_SOURCE_H

#include "cli/blocks/block_file.h"
#include "cli/blocks/block_stream.h"

#define BLOCK_WAITING_BYTES (512u << 20) /* maximum size of the blocks that are read ahead; 2 blocks may be larger */

/* What the options say. */
struct block_plan {
    struct record_ends ends;
    int64_t size;     /* of a block; below 0: each command gets -size blocks of the file */
    uint64_t records; /* of a block; 0: as many as fit */
    uint64_t group;   /* a block has whole groups of this number of records; 0: records have no groups */
    unsigned slots;   /* how many commands may run at once */
    struct block_header header;
    bool part; /* the input must be a file */
};

struct block_source {
    bool is_file;
    struct block_file file;
    struct block_stream stream;
};

/* Borrows the descriptor. On failure returns false with a sentence in *why, which is static or in *s. */
MUST_CHECK bool block_source_init(struct block_source *s, int fd, const struct block_plan *p, const char **why);
void block_source_release(struct block_source *s);
enum block_step block_source_next(struct block_source *s, struct input_block *b);
/* Returns whether there is a place for the next block. If so, block_source_next() can go on when the input has bytes.
 */
bool block_source_has_place(const struct block_source *s);
/* Frees the memory of the block at this offset. Call it when the block has its answer. */
void block_source_free(struct block_source *s, uint64_t offset);
/* Returns the offset in the input at which the next block begins. */
uint64_t block_source_bytes(const struct block_source *s);
/* Returns what is wrong with the input; NULL: nothing. */
const char *block_source_fault(const struct block_source *s);
/* Appends the path under which other processes of this user find the blocks. With a file, this is the path of the file.
 * With a stream, it is the path of a folder in which each block is a file, named by the number of its descriptor. */
void block_source_add_path(const struct block_source *s, struct buf *path);
/* Appends the place of the header in the file, OFFSET:BYTES. Appends nothing if the blocks have no header, or already
 * begin with it. */
void block_source_add_header(const struct block_source *s, struct buf *place);

#endif
