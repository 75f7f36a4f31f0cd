/*
 * Reads the answer of one attempt as it arrives in pieces, and reports it in calls. A run of value lines is one call.
 * Each error line, and the end line, is a call of its own. It reports lines in canonical form, {"value":V} or
 * {"error":{...}} without other members, even where the worker wrote them differently. Pure: bytes in, calls out.
 */
#ifndef FANTAIL_COORDINATOR_ANSWERS_ANSWER_READER_H
#define FANTAIL_COORDINATOR_ANSWERS_ANSWER_READER_H

#include "common/base/buf.h"
#include "protocol/protocol.h"

struct answer_reader_ops {
    /* `lines` are n whole value lines; borrowed. */
    void (*values)(void *data, uint64_t n, const char *lines, size_t len);
    /* One value line that came in several pieces. It may be large. The callee may take its memory. */
    void (*value)(void *data, struct buf *line);
    /* One error line, both parsed and as bytes with its newline. */
    void (*error)(void *data, const struct answer_line *line, const char *bytes, size_t len);
    void (*end)(void *data, const struct answer_line *line);
    /* Called for a cost line. For the cost in the end line it is called before end(). */
    void (*cost)(void *data, const struct chunk_cost *cost);
    /* Called when the worker says how many processes of the task are starting. */
    void (*starting)(void *data, uint64_t processes);
};

struct answer_reader {
    const struct answer_reader_ops *ops;
    void *data;
    struct buf partial;   /* the first part of a line that is not whole yet */
    size_t line_hint;     /* how long a long line probably is; 0: unknown */
    bool ended;           /* the end line was read */
    struct buf canonical; /* a line in canonical form */
    const char *fault;    /* what is wrong with the bytes: a static phrase; NULL: nothing */
};

void answer_reader_init(struct answer_reader *r, const struct answer_reader_ops *ops, void *data);
void answer_reader_release(struct answer_reader *r);
/* Returns the most memory that feeding `len` more bytes can need, including a copy of the line. Returns 0 if the line
 * is not long. For memory_has_room(). */
size_t answer_reader_growth(const struct answer_reader *r, size_t len);
/* Returns false when the bytes are not the answer of a chunk; r->fault says why. Lines that were reported before are
 * good. */
MUST_CHECK bool answer_reader_feed(struct answer_reader *r, const char *bytes, size_t len);

#endif
