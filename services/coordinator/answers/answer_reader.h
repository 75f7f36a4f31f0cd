/*
 * Parses the answer of one attempt, which arrives in pieces, and reports its lines through callbacks. Consecutive value
 * lines are reported in one call. Each error line and the end line are reported in a call of their own. Lines are
 * reported in canonical form, {"value":V} or {"error":{...}} without other members, even if the worker wrote them
 * differently. A long value is scanned while it arrives, so the time that a call takes depends only on the size of its
 * piece. Pure: the reader gets bytes and calls the ops.
 */
#ifndef FANTAIL_COORDINATOR_ANSWERS_ANSWER_READER_H
#define FANTAIL_COORDINATOR_ANSWERS_ANSWER_READER_H

#include "common/base/buf.h"
#include "protocol/protocol.h"
#include "protocol/value_scan.h"

struct answer_reader_ops {
    /* Reports n whole value lines, which are borrowed. */
    void (*values)(void *data, uint64_t n, const char *lines, size_t len);
    /* Reports one value line that arrived in several pieces. The line may be large. The callee may take ownership of
     * the memory of the line. */
    void (*value)(void *data, struct buf *line);
    /* Reports one error line, both parsed and as bytes. The bytes include the newline. */
    void (*error)(void *data, const struct answer_line *line, const char *bytes, size_t len);
    void (*end)(void *data, const struct answer_line *line);
    /* Called for a cost line. Also called, before end(), for the cost in the end line. */
    void (*cost)(void *data, const struct chunk_cost *cost);
    /* Called when the worker says how many processes of the task are starting. */
    void (*starting)(void *data, uint64_t processes);
};

struct answer_reader {
    const struct answer_reader_ops *ops;
    void *data;
    struct buf partial;     /* the first part of a line that is not whole yet */
    struct value_scan scan; /* scans the value of this line while the line arrives */
    size_t line_hint;       /* the probable length of a long line; 0: unknown */
    bool ended;             /* the end line was read */
    struct buf canonical;   /* a line in canonical form */
    const char *fault;      /* what is wrong with the bytes: a static phrase; NULL: nothing */
};

void answer_reader_init(struct answer_reader *r, const struct answer_reader_ops *ops, void *data);
void answer_reader_release(struct answer_reader *r);
/* Returns an upper limit for the memory that answer_reader_feed() can need for `len` bytes, including a copy of the
 * line. Returns 0 if the reader already has enough memory. Pass the result to memory_has_room(). */
size_t answer_reader_growth(const struct answer_reader *r, size_t len);
/* Returns false when the bytes are not a valid answer to a chunk; r->fault says why. The lines reported before the
 * fault are valid. */
MUST_CHECK bool answer_reader_feed(struct answer_reader *r, const char *bytes, size_t len);

#endif
