/*
 * Cuts a stream into blocks (block_cut.h). Each block is in a file in memory (memfd), which becomes the standard input
 * of a command. A block stays in its file until block_stream_free(), so that a command can get it again. There are at
 * most `places_max` files, which are used again for later blocks. While all of them have blocks, the stream is not
 * read.
 */
#ifndef FANTAIL_CLI_BLOCKS_BLOCK_STREAM_H
#define FANTAIL_CLI_BLOCKS_BLOCK_STREAM_H

#include "cli/blocks/input_block.h"
#include "cli/blocks/block_cut.h"
#include "cli/blocks/block_header.h"
#include "common/base/buf.h"

#define BLOCK_STREAM_BYTES (1u << 30) /* the largest --block of a stream */
#define BLOCK_RECORD_BYTES (2u << 30) /* the largest record, which may be longer than a block */

enum block_place_state { PLACE_FREE, PLACE_FILLING, PLACE_FULL, PLACE_STATE_COUNT };

struct block_place {
    enum block_place_state state;
    int fd;
    char *data; /* the mapped file */
    size_t len, room;
    uint64_t offset; /* of the block in the stream */
};

struct block_stream {
    int fd; /* borrowed */
    struct block_cut cut;
    struct block_place *places;
    unsigned count, places_max;
    struct block_place *filling; /* NULL: none */
    struct buf rest;             /* bytes after the last block, until there is a place for them */
    struct block_header head;    /* how long the header of the stream is */
    struct buf header;           /* each block begins with these bytes; empty: none, or not read yet */
    bool needs_bytes;            /* the next block needs bytes that were not read yet */
    bool ended;
    uint64_t offset; /* of the next block */
    char fault[BLOCK_FAULT_SIZE];
};

/* The caller must have set s->fd, s->cut, s->places_max and s->head. */
void block_stream_init(struct block_stream *s);
void block_stream_release(struct block_stream *s);
/* Returns BLOCK_MORE if no place is free, or if the bytes of the next block are not complete. Calls read() at most
 * once, and only if needs_bytes is set. While needs_bytes is set, call this function only when the stream is readable.
 */
enum block_step block_stream_next(struct block_stream *s, struct input_block *b);
/* Returns whether there is a place for the next block. If so, block_stream_next() can go on when the stream has bytes.
 */
bool block_stream_has_place(const struct block_stream *s);
/* Frees the place of the block at this offset. Does nothing if there is no such block. */
void block_stream_free(struct block_stream *s, uint64_t offset);

#endif
