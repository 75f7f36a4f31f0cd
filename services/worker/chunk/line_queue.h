/*
 * A queue of whole lines, in blocks. Lines are added at the end and read from the front. A long line that
 * line_queue_take() adds stays in the memory in which it arrived, and this memory becomes a block of its own. So such a
 * line is not copied when it is added or when its queue is moved. Only line_queue_release() and line_queue_each() take
 * longer for a longer queue. A line is never split between two blocks.
 *
 * A pure module. A zeroed queue is empty.
 */
#ifndef FANTAIL_WORKER_CHUNK_LINE_QUEUE_H
#define FANTAIL_WORKER_CHUNK_LINE_QUEUE_H

#include "common/base/buf.h"
#include "common/base/limits.h"

#define LINE_QUEUE_LONG_BYTES  ((size_t)64 * KIB)  /* shorter lines are copied into the last block */
#define LINE_QUEUE_BLOCK_BYTES ((size_t)128 * KIB) /* a block of copied lines has at most this size, or one line */

struct line_block;

struct line_queue {
    struct line_block *first, *last;
    size_t len; /* bytes that were added and not yet skipped */
};

void line_queue_release(struct line_queue *q);
/* Copies whole lines to the end of the queue. */
void line_queue_add(struct line_queue *q, const char *lines, size_t len);
/* Returns the block to which one line of at most `len` bytes may be appended now. Call line_queue_added() after that.
 */
struct buf *line_queue_room(struct line_queue *q, size_t len);
/* Counts bytes that were appended to the block that line_queue_room() returned. */
void line_queue_added(struct line_queue *q, size_t len);
/* Adds one line: the bytes of `line` from offset `from` to the end. If the line is long, takes ownership of the memory
 * of `line`. `line` becomes empty. */
void line_queue_take(struct line_queue *q, struct buf *line, size_t from);
/* Moves all lines of `from` to the end of q. `from` becomes empty. */
void line_queue_move(struct line_queue *q, struct line_queue *from);

/* Returns the bytes of the first block that were not skipped. The bytes are borrowed until the next call that changes
 * q. *len is 0 when the queue is empty. */
const char *line_queue_peek(const struct line_queue *q, size_t *len);
/* Returns the first line, with its newline. Searches at most LINE_QUEUE_BLOCK_BYTES for the newline. */
const char *line_queue_first_line(const struct line_queue *q, size_t *len);
/* Drops the first `len` bytes. `len` must not be more than the *len of line_queue_peek(). */
void line_queue_skip(struct line_queue *q, size_t len);
/* If the queue has only one block, and no bytes of this block were skipped, moves the block's bytes to `lines` and
 * returns true. */
MUST_CHECK bool line_queue_detach(struct line_queue *q, struct buf *lines);
/* Calls `read` with the bytes of each block. */
void line_queue_each(const struct line_queue *q, void (*read)(void *data, const char *lines, size_t len), void *data);

#endif
