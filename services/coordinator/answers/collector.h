/*
 * Answers of one job on their way to its reader. Lines come in with their index, in any order. They go out in input
 * order, or in the order in which they came. Pure: it has no I/O, and the caller gives it two functions for spilling.
 *
 * Owner: the job. collector_add() copies its bytes, collector_take() takes them. A run that collector_peek() shows is
 * borrowed until the next call on the same collector.
 *
 * Invariants: an index is added once. Adding it again is COLLECTOR_DUPLICATE and changes nothing. The indexes of a run
 * are consecutive. In input order there is no gap between one run and the next. Counts are O(1). Adding costs one copy.
 * It also costs a search among the runs if the bytes do not continue the last run.
 *
 * It does not read the lines: the caller says how many lines the bytes are.
 */
#ifndef FANTAIL_COORDINATOR_ANSWERS_COLLECTOR_H
#define FANTAIL_COORDINATOR_ANSWERS_COLLECTOR_H

#include "common/base/buf.h"
#include "coordinator/answers/answer_source.h"

struct collector;

enum collector_order { COLLECT_INPUT_ORDER, COLLECT_COMPLETION_ORDER };

enum collector_status {
    COLLECTOR_OK,
    COLLECTOR_DUPLICATE,    /* some of these indexes were added before; nothing is added */
    COLLECTOR_SPILL_FAILED, /* the spill cannot be written or read (disk full), so the job cannot go on */
};

/* Where runs beyond the memory cap go. Both functions return false on failure. The offsets of `write` grow. They start
 * at 0 again when everything in the spill has been read back and consumed. */
struct collector_spill {
    bool (*write)(void *ctx, uint64_t offset, const char *bytes, size_t len);
    bool (*read)(void *ctx, uint64_t offset, char *bytes, size_t len);
    void *ctx;
};

struct collector_config {
    enum collector_order order;
    uint64_t first_index;         /* the first index in input order */
    size_t memory_cap;            /* beyond this many bytes in memory, the newest answers are spilled; 0: no cap */
    struct collector_spill spill; /* zeroed: nothing is spilled */
};

struct collector *collector_new(const struct collector_config *config);
void collector_free(struct collector *c);

/* Adds n lines, each with its newline. They are the answers of items first .. first + n - 1. */
MUST_CHECK enum collector_status collector_add(struct collector *c, uint64_t first, size_t n, const char *bytes,
                                               size_t len);
/* Adds a few large lines without a copy. If they are added, their memory is taken and `lines` becomes empty. */
MUST_CHECK enum collector_status collector_take(struct collector *c, uint64_t first, size_t n, struct buf *lines);
/* Adds the same line for each of n items. So a million cancelled items cost the memory of one line. */
MUST_CHECK enum collector_status collector_add_repeated(struct collector *c, uint64_t first, uint64_t n,
                                                        const char *line, size_t len);

/* Returns true and sets *run to the next run. Returns false when there is no run yet, or when the spill cannot be read
 * (*status). */
MUST_CHECK bool collector_peek(struct collector *c, struct answer_run *run, enum collector_status *status);
/* Call it when the first n items of the run just peeked were read. They are len bytes in whole lines; len is ignored
 * for a repeated run. */
void collector_consume(struct collector *c, size_t n, size_t len);

size_t collector_memory_bytes(const struct collector *c); /* bytes of answers in memory, including their bookkeeping */
uint64_t collector_spilled_bytes(const struct collector *c); /* bytes of answers that are in the spill now */

#endif
