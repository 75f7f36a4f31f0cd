/*
 * Gives a command a block of a file as its stdin. If the block is a whole file, the file itself is the stdin. If the
 * block is a part of a file, this module moves its bytes through a pipe: splice() passes pages of the file on and
 * copies nothing. The caller polls in between.
 *
 * A command that reads as fast as it can would wake this process for each page that it has read. So this module waits
 * for a part of a millisecond before it fills the pipe again, and adapts this time so that the pipe is never empty.
 */
#ifndef FANTAIL_HOSTS_RUNS_BLOCK_FEED_H
#define FANTAIL_HOSTS_RUNS_BLOCK_FEED_H

#include "common/base/base.h"

/* A block, as an item names it. */
struct feed_block {
    const char *path; /* of the file; borrowed */
    uint64_t offset, bytes;
    bool whole; /* the file has only this block */
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
    int from, to;      /* the file, and the pipe */
    uint64_t at, left; /* of the file */
    size_t room;       /* what the pipe holds */
    uint64_t due_ns, pause_ns;
    int error; /* in FEED_FAILED: errno; 0: the file is shorter than the block */
};

/* Opens the block. `pipes` is the number of pipes that exist at the same time. Returns a descriptor for the stdin of
 * the command, which the caller closes. On failure returns -1, and f->error is set. */
MUST_CHECK int block_feed_open(struct block_feed *f, const struct feed_block *b, unsigned pipes);
void block_feed_close(struct block_feed *f);
/* Returns the descriptor to poll for room; -1: none. */
int block_feed_poll_fd(const struct block_feed *f);
/* Moves bytes if it is time. `has_room`: the descriptor was ready. Returns false if the rest of the block cannot be
 * read. */
MUST_CHECK bool block_feed_step(struct block_feed *f, bool has_room, uint64_t now);

#endif
