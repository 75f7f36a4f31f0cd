/*
 * Holds the answers of one job until its reader consumes them. Lines are added with their indexes, in any order. The
 * lines are read in input order, or in the order in which they were added. Pure: the collector does no I/O itself; the
 * caller passes the functions for spilling.
 *
 * Owner: the job. collector_add() copies the lines. collector_take() may take ownership of their memory. A run that
 * collector_peek() returns is borrowed until the next call on the same collector.
 *
 * Invariants: an index is added only once. Adding an index again returns COLLECTOR_DUPLICATE and changes nothing. The
 * indexes of a run are consecutive. In input order, a run begins at the index where the previous run ended. The
 * functions that return byte counts take O(1). Adding costs at most one copy, and a search among the runs. Small runs
 * whose items follow one another are joined.
 *
 * The collector does not parse the lines: the caller says how many lines the bytes hold.
 */
#ifndef FANTAIL_COORDINATOR_ANSWERS_COLLECTOR_H
#define FANTAIL_COORDINATOR_ANSWERS_COLLECTOR_H

#include "common/base/buf.h"
#include "common/base/memory_budget.h"
#include "coordinator/answers/answer_source.h"

struct collector;

enum collector_order { COLLECT_INPUT_ORDER, COLLECT_COMPLETION_ORDER };

enum collector_status {
    COLLECTOR_OK,
    COLLECTOR_DUPLICATE,    /* some of these indexes were added before; nothing is added */
    COLLECTOR_SPILL_FAILED, /* the spill cannot be written or read (disk full), so the job cannot continue */
};

/* Functions that store the runs for which the memory has no room. `write` and `read` return false on failure. The
 * offsets given to `write` increase. When everything in the spill has been read back, the offsets start at 0 again. */
struct collector_spill {
    bool (*write)(void *ctx, uint64_t offset, const char *bytes, size_t len);
    bool (*read)(void *ctx, uint64_t offset, char *bytes, size_t len);
    /* `map` maps bytes of the spill: the bytes are read from the disk only when they are used. `map` returns NULL on
     * failure. `map` and `unmap` may be NULL. Without them, a large run is read in one piece. */
    char *(*map)(void *ctx, uint64_t offset, size_t len);
    void (*unmap)(void *ctx, uint64_t offset, char *bytes, size_t len);
    void (*empty)(void *ctx); /* called when everything has been read back; may be NULL */
    void *ctx;
};

struct collector_config {
    enum collector_order order;
    uint64_t first_index;         /* the first index in input order */
    size_t memory_cap;            /* beyond this many bytes in memory, the newest answers are spilled; 0: no cap */
    struct memory_budget *shared; /* the budget of the collectors of all jobs; borrowed; NULL: no limit */
    struct collector_spill spill; /* zeroed: nothing is spilled */
};

struct collector *collector_new(const struct collector_config *config);
/* Frees the collector in slices, because freeing a hundred thousand runs takes long. NULL is fine. *buried is a list of
 * collectors, NULL at first. The spill may be released before the collector is freed, but its `unmap` must still work.
 * After collector_bury(), no other function of the spill is called. */
void collector_bury(struct collector **buried, struct collector *c);
/* Frees the next slice of the collectors on the list. Call it once in each turn of the loop while *buried is set. */
void collector_free_buried(struct collector **buried);

/* A run that is larger than this is written to the spill in parts. Each collector_step() writes one part. */
#define COLLECTOR_SLICE_BYTES ((size_t)1 << 20)
/* How many runs one slice frees. Freeing this many runs takes less than a millisecond. */
#define COLLECTOR_SLICE_RUNS ((size_t)2000)

/* Returns whether a large run is being written to the spill. */
bool collector_spills(const struct collector *c);
/* Writes the next part of the large run. Call it once in each turn of the loop while collector_spills() returns
 * true. */
MUST_CHECK enum collector_status collector_step(struct collector *c);

/* Adds n lines, each with its newline. The lines are the answers of items first .. first + n - 1. */
MUST_CHECK enum collector_status collector_add(struct collector *c, uint64_t first, size_t n, const char *bytes,
                                               size_t len);
/* Adds a few lines. If they are large, the collector takes ownership of their memory instead of copying them; `lines`
 * is then empty. */
MUST_CHECK enum collector_status collector_take(struct collector *c, uint64_t first, size_t n, struct buf *lines);
/* Adds the same line for each of n items. The line is stored once, so a million cancelled items need little memory. */
MUST_CHECK enum collector_status collector_add_repeated(struct collector *c, uint64_t first, uint64_t n,
                                                        const char *line, size_t len);

/* Returns true and sets *run to the next run. Returns false when there is no run yet, or when the spill cannot be read;
 * *status says which. */
MUST_CHECK bool collector_peek(struct collector *c, struct answer_run *run, enum collector_status *status);
/* Call it when the reader has read the first n items of the run that collector_peek() returned last. The lines of these
 * items have len bytes in all; `len` is ignored for a repeated run. */
void collector_consume(struct collector *c, size_t n, size_t len);

size_t collector_memory_bytes(const struct collector *c); /* bytes of answers in memory, including their bookkeeping */
uint64_t collector_spilled_bytes(const struct collector *c); /* bytes of answers that are in the spill now */

#endif
