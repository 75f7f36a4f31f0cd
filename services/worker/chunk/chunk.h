/*
 * The bookkeeping of one chunk: its items as they arrive, the runs into which the items are cut, and the answers in
 * order.
 *
 * A run consists of consecutive items that are given to one process together (run.h). The runs of a chunk form a list,
 * ordered by index. The answers of the first run go straight to the output (`out`). The answers of a later run are held
 * until that run has become the first one.
 *
 *     items without a run --chunk_take--> GIVEN --run_answer (all)--> freed
 *                                          ^ |
 *                               chunk_take | | run_return (its process has gone)
 *                                          | v
 *                                        WAITING
 *
 * Until the chunk is freed, items stay where the upload put them; runs refer to items by their offset. A pure module:
 * no I/O, no clock. The caller of chunk_new() owns one reference, and each GIVEN run holds one more.
 */
#ifndef FANTAIL_WORKER_CHUNK_CHUNK_H
#define FANTAIL_WORKER_CHUNK_CHUNK_H

#include <sys/types.h>

#include "common/base/base.h"
#include "common/base/buf.h"
#include "common/base/limits.h"
#include "common/json/json_scan.h"
#include "protocol/protocol.h"
#include "worker/chunk/common_value.h"
#include "worker/chunk/item_trace.h"
#include "worker/chunk/line_queue.h"
#include "worker/chunk/run.h"

struct chunk {
    unsigned refs;
    bool check_items; /* validate the JSON of each item, because the items do not come from a coordinator */
    bool whole;       /* the upload is complete */
    bool draining;    /* no new runs are made; processes still get the runs that were made before */
    bool ended;       /* the end line is in `out`, or the chunk was abandoned; further answers are dropped */

    struct buf items;
    size_t line_start;   /* where the unfinished line starts */
    size_t line_seen;    /* the unfinished line has no newline before this position */
    size_t line_blank;   /* number of blank bytes at the start of the unfinished line */
    size_t line_scanned; /* bytes of the unfinished line that `scan` has read */
    struct json_scan scan;
    size_t cut_bytes;        /* bytes of the items that were cut into runs */
    uint64_t received, cut;  /* whole items that have arrived; items that were cut into runs */
    uint64_t waiting;        /* items in WAITING runs */
    unsigned given;          /* how many runs are GIVEN */
    struct run *runs, *last; /* the first and the last run; the list is ordered by index */

    struct line_queue out;
    size_t held;            /* answer bytes in `out` and in runs */
    struct chunk_cost cost; /* cost of the items so far; chunk_ns is the value that was last reported */
    uint64_t (*chunk_ns)(const struct chunk *c); /* time that a chunk costs the worker itself; NULL: not known */
    bool says_cost;                              /* the end line, and some lines before it, report the cost */
    bool says_starting;                          /* the output gets lines with the number of starting processes */
    /* For pipelines: the number of processes that was passed to the latest chunk_say_starting(). The owner reads this
     * number and sets it to 0. */
    uint64_t starting;
    uint64_t starting_said_ns; /* for the pool: when it last called chunk_say_starting() */
    uint64_t cost_said_ns;     /* the slot time in the last line that reported the cost */
    uint64_t succeeded;        /* counts of answers, for metrics */
    uint64_t failed;

    struct common_value *common;   /* NULL: none */
    struct common_value *trace;    /* NULL: none */
    struct item_trace *item_trace; /* NULL: the items are not recorded */
    uint64_t item_timeout_ns;      /* 0: none */
    uint64_t abandoned_ns;         /* when the client stopped waiting; 0: the client waits */

    /* The members below belong to the pool and to the owner. chunk.c and run.c do not use them. */
    struct chunk *next_turn, *prev_turn;
    uint64_t turn, job_turn; /* numbers of the last turns of the chunk and of its job, see turns.h; 0: none */
    void (*on_progress)(struct chunk *c); /* called when `out` has grown */
    void *owner;
    /* For the log, borrowed from the owner. */
    const char *name;     /* "<job>/<first index>"; "" when unknown */
    const char *job;      /* NULL when unknown; `base` and `attempt` are 0 then */
    uint64_t base;        /* index of the first item in the job */
    unsigned attempt;     /* how often the chunk was sent, including this time */
    const char *trace_id; /* NULL: none */
};

/* The fields that name a chunk in a log line. */
#define LOG_CHUNK(c)                                                                                                   \
    LOG_STR("job", (c)->job), LOG_STR("chunk", *(c)->name ? (c)->name : NULL),                                         \
        (c)->attempt ? LOG_U64("attempt", (c)->attempt) : LOG_STR("attempt", NULL), LOG_STR("trace_id", (c)->trace_id)

/* `size_hint` is the number of bytes that the client announced, or 0. */
struct chunk *chunk_new(bool check_items, size_t size_hint);
struct chunk *chunk_ref(struct chunk *c);
void chunk_unref(struct chunk *c);

struct chunk_fault {
    uint64_t item;      /* index of the invalid item */
    size_t offset;      /* offset of the wrong byte among the item bytes */
    const char *reason; /* a static phrase */
};

/* Adds bytes of the upload. Blank lines are dropped. Returns false when an item is refused. After an item has been
 * refused, no more bytes may be added. */
MUST_CHECK bool chunk_add(struct chunk *c, const char *data, size_t len, struct chunk_fault *fault);
/* Makes room for `len` more bytes. If there is no memory for these bytes, returns false, and the bytes must not be
 * added. */
MUST_CHECK bool chunk_reserve(struct chunk *c, size_t len);
/* Call it at the end of the upload. A last line without a newline is an item too. Returns false when an item is
 * refused. */
MUST_CHECK bool chunk_finish(struct chunk *c, struct chunk_fault *fault);
/* For pipelines: adds an item that has already been answered. The answer is `line`, with a newline. */
void chunk_add_settled(struct chunk *c, const char *line, size_t len);

/* Returns how many items could be given to processes now. */
uint64_t chunk_available(const struct chunk *c);
/* Returns the bisect_limit of the run that chunk_take() would return next, or 0. */
uint64_t chunk_bisect_limit(const struct chunk *c);
/* Returns the next run for a process: a waiting run, or a new run of items that are not yet in a run. The run has at
 * most max_items items and at most max_bytes bytes. A single item may be larger than max_bytes. Returns NULL when no
 * run is available. */
struct run *chunk_take(struct chunk *c, uint64_t max_items, size_t max_bytes);

/* Returns the first answer line that is ready, with its newline. The line is borrowed until the next call. Returns NULL
 * when there is none. */
const char *chunk_first_line(const struct chunk *c, size_t *len);
/* Drops the first `len` answer bytes, after they have been used. `len` must not be more than chunk_first_line() has
 * returned. */
void chunk_skip(struct chunk *c, size_t len);
/* Moves up to `cap` answer bytes to `dst`. Returns 0 when no answer bytes are ready yet, and -1 after the end line. */
ssize_t chunk_pull(struct chunk *c, char *dst, size_t cap);
/* Moves the whole answer with its memory to *answer, and returns true. Does nothing and returns false if the answer is
 * short, lies in several blocks of memory, has not ended, or was pulled in part. */
MUST_CHECK bool chunk_take_whole(struct chunk *c, struct buf *answer);

/* Adds the cost of further items, which used slot_ns of slot time in total. Call it before the answers of these items
 * are added. */
void chunk_add_cost(struct chunk *c, uint64_t items, uint64_t slot_ns);
/* Call it when no byte of the answer was sent for some time. If says_cost is set and no output waits to be sent, adds a
 * line with the cost so far. Such a line says that the worker still runs. */
void chunk_say_alive(struct chunk *c);
/* Call it while no item of the chunk can run, because the processes of its task are still starting. `processes` is the
 * number of processes that are starting. If says_starting is set, adds a line with this number. */
void chunk_say_starting(struct chunk *c, uint64_t processes);
/* Adds the end line if nothing is left to do. Call chunk_settle() after setting `draining`. */
void chunk_settle(struct chunk *c);
/* Ends the chunk now, before all items have answers. Drops the WAITING runs now, and the answers of GIVEN runs when
 * they arrive. */
void chunk_end(struct chunk *c, enum chunk_end how);
/* Call it when the client no longer waits for the chunk. */
void chunk_abandon(struct chunk *c, uint64_t now);
/* Returns the number of items before the first item without an answer. */
uint64_t chunk_done(const struct chunk *c);

#endif
