/*
 * Where the answers of a job go as they come: lines in canonical form (answer_reader.h), each with its newline, by the
 * index of their item, in any order. Whoever keeps them implements it (answer_buffer.h).
 *
 * The functions return false when the answers cannot be kept (the disk is full): the job cannot go on. A second answer
 * of an item is dropped; that is not a failure.
 */
#ifndef FANTAIL_COORDINATOR_ANSWERS_ANSWER_SINK_H
#define FANTAIL_COORDINATOR_ANSWERS_ANSWER_SINK_H

#include "common/base/buf.h"

struct answer_sink_ops {
    /* n lines of items first .. first + n - 1; copied. */
    bool (*add)(void *sink, uint64_t first, uint64_t n, const char *lines, size_t len);
    /* One line, likely a long one. If its memory is taken, `line` becomes empty. */
    bool (*take)(void *sink, uint64_t index, struct buf *line);
    /* The same line for each of n items; copied once. */
    bool (*add_repeated)(void *sink, uint64_t first, uint64_t n, const char *line, size_t len);
    /* After a failure: one sentence about it. */
    void (*explain)(void *sink, char *out, size_t out_size);
};

/* Borrows the sink; copied freely. */
struct answer_sink {
    const struct answer_sink_ops *ops;
    void *sink;
};

#endif
