/*
 * Reads the answer of one attempt as it arrives in pieces and reports it in batches: runs of value lines with one call
 * a run, error lines one by one, the end line once. What it reports is canonical: {"value":V} or {"error":{...}} with
 * nothing else in it, however the worker spelt it. Pure: bytes in, calls out.
 */
#ifndef FANTAIL_COORDINATOR_ANSWERS_ANSWER_READER_H
#define FANTAIL_COORDINATOR_ANSWERS_ANSWER_READER_H

#include "common/base/buf.h"
#include "protocol/protocol.h"

struct answer_reader_ops {
    /* `lines` is n whole value lines; borrowed. */
    void (*values)(void *data, uint64_t n, const char *lines, size_t len);
    /* One value line that came in several pieces, and so may be large; its memory may be taken. */
    void (*value)(void *data, struct buf *line);
    /* One error line; `line` is it whole, newline included. */
    void (*error)(void *data, const struct answer_line *line, const char *bytes, size_t len);
    void (*end)(void *data, const struct answer_line *line);
    /* From a line of cost, or from the end line before end() is called. */
    void (*cost)(void *data, const struct chunk_cost *cost);
};

struct answer_reader {
    const struct answer_reader_ops *ops;
    void *data;
    struct buf partial; /* the start of a line whose end has not come */
    size_t line_hint;   /* how long a long line may be; 0: unknown */
    bool ended;         /* the end line was read */
    struct buf spelt;   /* a line spelt anew */
    const char *fault;  /* what was wrong with the bytes; a static phrase */
};

void answer_reader_init(struct answer_reader *r, const struct answer_reader_ops *ops, void *data);
void answer_reader_release(struct answer_reader *r);
/* False when the bytes are no chunk answer: r->fault says why; what was reported before stands. */
MUST_CHECK bool answer_reader_feed(struct answer_reader *r, const char *bytes, size_t len);

#endif
