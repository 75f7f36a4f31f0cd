/*
 * Gives a command a block of a file as its stdin. If the block is a whole file, the file itself is the stdin. If the
 * block is a part of a file, this module moves the bytes of the block through a pipe. splice() passes on the pages of
 * the file without copying them. Between two calls of block_feed_step(), the caller polls.
 *
 * A command that reads as fast as it can would wake this process for each page that it has read. So this module waits
 * for a short time before it fills the pipe again. It adapts this time (block_feed.c), so that the pipe seldom becomes
 * empty.
 */
#ifndef FANTAIL_HOSTS_RUNS_BLOCK_FEED_H
#define FANTAIL_HOSTS_RUNS_BLOCK_FEED_H

#include "common/base/base.h"

/* A block, as an item names it. */
struct feed_block {
    const char *path; /* of the file; borrowed */
    uint64_t offset, bytes;
    uint64_t header_at, header_bytes; /* a part of the file that comes before the block; 0 bytes: none */
    bool whole;                       /* the file has only this block */
};

enum block_feed_state {
    FEED_CLOSED,  /* everything was moved, or the command has closed its stdin, or there is nothing to move */
    FEED_PAUSING, /* until due_ns */
    FEED_WAITING, /* for room in the pipe */
    FEED_FAILED,
    FEED_STATE_COUNT
};

struct block_feed {
    enum block_feed_state state;
    int from, to;                /* the file, and the pipe */
    uint64_t at, left;           /* offset of the next byte in the file; bytes of this part that were not moved yet */
    uint64_t next_at, next_left; /* the part that is fed after this part */
    size_t room;                 /* the capacity of the pipe */
    uint64_t due_ns, pause_ns;
    int error; /* in FEED_FAILED: errno; 0: the size of the file has changed */
};

/* Opens the block. `pipes` is the largest number of pipes that may exist at the same time; it limits the capacity of
 * each pipe. Returns a descriptor for the stdin of the command. The caller closes this descriptor. On failure returns
 * -1, and f->error is set. */
MUST_CHECK int block_feed_open(struct block_feed *f, const struct feed_block *b, unsigned pipes);
void block_feed_close(struct block_feed *f);
/* Returns the descriptor to poll for room; -1: none. */
int block_feed_poll_fd(const struct block_feed *f);
/* Moves bytes if the pause is over. `has_room`: the polled descriptor is ready; then the next pause begins. Returns
 * false if the rest of the block cannot be moved. */
MUST_CHECK bool block_feed_step(struct block_feed *f, bool has_room, uint64_t now);

#endif
