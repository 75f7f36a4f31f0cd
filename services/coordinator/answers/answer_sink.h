/*
 * Where the answers of a job go as they come. They are lines in canonical form (answer_reader.h), each with its newline
 * and the index of its item, in any order. What keeps the answers implements the sink (answer_buffer.h).
 *
 * The functions return false when the answers cannot be kept (the disk is full). Then the job cannot go on. A second
 * answer of an item is dropped; this is not a failure.
 */
#ifndef FANTAIL_COORDINATOR_ANSWERS_ANSWER_SINK_H
#define FANTAIL_COORDINATOR_ANSWERS_ANSWER_SINK_H

#include "common/base/buf.h"

struct answer_sink_ops {
    /* Adds n lines, of items first .. first + n - 1. They are copied. */
    bool (*add)(void *sink, uint64_t first, uint64_t n, const char *lines, size_t len);
    /* Adds one line, which is probably long. If its memory is taken, `line` becomes empty. */
    bool (*take)(void *sink, uint64_t index, struct buf *line);
    /* Adds the same line for each of n items. It is copied once. */
    bool (*add_repeated)(void *sink, uint64_t first, uint64_t n, const char *line, size_t len);
    /* Writes one sentence about the failure. */
    void (*explain)(void *sink, char *out, size_t out_size);
};

/* Borrows the sink, and may be copied freely. */
struct answer_sink {
    const struct answer_sink_ops *ops;
    void *sink;
};

#endif
