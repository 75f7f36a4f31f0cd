/*
 * The interface through which a job stores its answers. An answer is a line in canonical form (answer_reader.h), with
 * its newline and the index of its item. Answers are added in any order. answer_buffer.h implements the interface.
 *
 * If the answers cannot be stored (the disk is full), the functions return false, and the job cannot continue. A second
 * answer to the same item is dropped, and the function returns true.
 */
#ifndef FANTAIL_COORDINATOR_ANSWERS_ANSWER_SINK_H
#define FANTAIL_COORDINATOR_ANSWERS_ANSWER_SINK_H

#include "common/base/buf.h"

struct answer_sink_ops {
    /* Adds n lines, the answers to items first .. first + n - 1. The lines are copied. */
    bool (*add)(void *sink, uint64_t first, uint64_t n, const char *lines, size_t len);
    /* Adds one line, which is probably long. The sink may take ownership of the memory of `line`; `line` is then
     * empty. */
    bool (*take)(void *sink, uint64_t index, struct buf *line);
    /* Adds the same line for each of n items. The line is copied once. */
    bool (*add_repeated)(void *sink, uint64_t first, uint64_t n, const char *line, size_t len);
    /* Writes one sentence that says why an answer could not be stored. */
    void (*explain)(void *sink, char *out, size_t out_size);
};

/* A handle that borrows the sink. The handle may be copied freely. */
struct answer_sink {
    const struct answer_sink_ops *ops;
    void *sink;
};

#endif
