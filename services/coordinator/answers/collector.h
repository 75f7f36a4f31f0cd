/*
 * Answers of one job on their way to its reader: envelope lines come in by index, in any order, and go out in input
 * order or in the order they came. Pure: no I/O; spilling goes through two functions of the caller.
 *
 * Owner: the job. Bytes given to collector_add() are copied, those of collector_take() are not. A run that
 * collector_peek() shows is borrowed until the next call on the same collector.
 *
 * Invariants: an index is taken once (a second time is COLLECTOR_DUPLICATE and nothing is added); a shown run has
 * consecutive indexes; in input order the runs follow one another without a gap. Counts are O(1); adding costs one
 * copy, and a search among the runs held only when the bytes do not continue the run added to last.
 *
 * It does not read the lines: n is the number of lines in the bytes, by the caller's word.
 */
#ifndef FANTAIL_COORDINATOR_ANSWERS_COLLECTOR_H
#define FANTAIL_COORDINATOR_ANSWERS_COLLECTOR_H

#include "common/base/buf.h"
#include "coordinator/answers/answer_source.h"

struct collector;

enum collector_order { COLLECT_INPUT_ORDER, COLLECT_COMPLETION_ORDER };

enum collector_status {
    COLLECTOR_OK,
    COLLECTOR_DUPLICATE,    /* some of these indexes were taken before; nothing added */
    COLLECTOR_SPILL_FAILED, /* writing or reading the spill failed (disk full): the job cannot go on */
};

/* Where runs beyond the memory cap go. Both return false on failure. `write` is called with growing offsets, which
 * start again at 0 once everything spilled has been read back and consumed. */
struct collector_spill {
    bool (*write)(void *ctx, uint64_t offset, const char *bytes, size_t len);
    bool (*read)(void *ctx, uint64_t offset, char *bytes, size_t len);
    void *ctx;
};

struct collector_config {
    enum collector_order order;
    uint64_t first_index;         /* the index that comes first in input order */
    size_t memory_cap;            /* bytes of answers held in memory before the newest are spilled; 0: no cap */
    struct collector_spill spill; /* zeroed: nothing is spilled, whatever the cap */
};

struct collector *collector_new(const struct collector_config *config);
void collector_free(struct collector *c);

/* n lines, each with its newline, answers of items first .. first + n - 1. */
MUST_CHECK enum collector_status collector_add(struct collector *c, uint64_t first, size_t n, const char *bytes,
                                               size_t len);
/* The same without a copy, for a few large lines: takes their memory, which leaves `lines` empty, if it adds them. */
MUST_CHECK enum collector_status collector_take(struct collector *c, uint64_t first, size_t n, struct buf *lines);
/* The same line for each of n items (a million cancelled items cost one line of memory). */
MUST_CHECK enum collector_status collector_add_repeated(struct collector *c, uint64_t first, uint64_t n,
                                                        const char *line, size_t len);

/* True with the next run to go out; false when there is none yet, or when reading the spill failed (*status). */
MUST_CHECK bool collector_peek(struct collector *c, struct answer_run *run, enum collector_status *status);
/* The first n items of the run just peeked, len bytes in whole lines, have gone out. len is ignored for a repeated
 * run. */
void collector_consume(struct collector *c, size_t n, size_t len);

uint64_t collector_added(const struct collector *c);         /* items taken in */
uint64_t collector_consumed(const struct collector *c);      /* items gone out */
size_t collector_memory_bytes(const struct collector *c);    /* answers in memory, their bookkeeping included */
uint64_t collector_spilled_bytes(const struct collector *c); /* answers in the spill now */

#endif
