/*
 * The bookkeeping of one chunk: its items as they arrive, the runs they are cut into, and its answers in order.
 *
 * A run is consecutive items that are given to one process together (run.h). The runs of a chunk form a list, ordered
 * by index. The answers of the first run go straight to the output (`out`). Those of later runs are held until their
 * run is first.
 *
 *     items without a run --chunk_take--> GIVEN --run_answer (all)--> freed
 *                                          ^ |
 *                               chunk_take | | run_return (its process has gone)
 *                                          | v
 *                                        WAITING
 *
 * Items stay where the upload put them until the chunk is freed; runs name them by offset. A pure module: no I/O, no
 * clock. The caller of chunk_new() owns one reference, and each GIVEN run holds one.
 */
#ifndef FANTAIL_WORKER_CHUNK_CHUNK_H
#define FANTAIL_WORKER_CHUNK_CHUNK_H

#include <sys/types.h>

#include "common/base/base.h"
#include "common/base/buf.h"
#include "common/base/limits.h"
#include "protocol/protocol.h"
#include "worker/chunk/common_value.h"
#include "worker/chunk/item_trace.h"
#include "worker/chunk/run.h"

struct chunk {
    unsigned refs;
    bool check_items; /* validate the JSON of each item; for items that do not come from a coordinator */
    bool whole;       /* no more items will come */
    bool draining;    /* items without a run are not given any more */
    bool ended;       /* the end line is in out, or the chunk was abandoned: further answers are dropped */

    struct buf items;
    size_t line_start;        /* where the line that is still arriving starts */
    size_t line_seen;         /* its newline was searched for up to here */
    size_t cut_bytes;         /* bytes of the items that were cut into runs */
    uint64_t received, cut;   /* items: arrived whole; cut into runs */
    uint64_t waiting;         /* items in WAITING runs */
    unsigned given;           /* GIVEN runs */
    struct run *runs, **tail; /* by index */

    struct buf out;
    size_t out_at;          /* bytes already pulled */
    size_t held;            /* answer bytes in out and in runs */
    struct chunk_cost cost; /* cost of its items until now; chunk_ns is set when the answer begins */
    bool says_cost;         /* its end line, and some lines before it, say the cost */
    uint64_t cost_said_ns;  /* the slot time that the last such line said */
    uint64_t succeeded;     /* counts of answers, for metrics */
    uint64_t failed;

    struct common_value *common;   /* NULL: none */
    struct common_value *trace;    /* NULL: none */
    struct item_trace *item_trace; /* NULL: its items are not recorded */
    uint64_t item_timeout_ns;      /* 0: none */
    uint64_t abandoned_ns;         /* when its client stopped waiting for it; 0: the client waits */

    /* The rest belongs to the pool and to the owner; chunk.c and run.c do not use it. */
    struct chunk *next_turn, *prev_turn;
    uint64_t turn, job_turn;              /* the last turn that it and its job had, see turns.h; 0: none */
    void (*on_progress)(struct chunk *c); /* out has grown */
    void *owner;
    /* For the log, borrowed from the owner. */
    const char *name;     /* "<job>/<first index>"; "" when unknown */
    const char *job;      /* NULL when unknown; base and attempt are 0 then */
    uint64_t base;        /* its first item's index in the job */
    unsigned attempt;     /* how often it was sent, this time included */
    const char *trace_id; /* NULL: none */
};

/* The fields that name a chunk in a log line. */
#define LOG_CHUNK(c)                                                                                                   \
    LOG_STR("job", (c)->job), LOG_STR("chunk", *(c)->name ? (c)->name : NULL),                                         \
        (c)->attempt ? LOG_U64("attempt", (c)->attempt) : LOG_STR("attempt", NULL), LOG_STR("trace_id", (c)->trace_id)

/* size_hint: the bytes that the client announced, or 0. */
struct chunk *chunk_new(bool check_items, size_t size_hint);
struct chunk *chunk_ref(struct chunk *c);
void chunk_unref(struct chunk *c);

struct chunk_fault {
    uint64_t item;      /* index of the item at fault */
    size_t offset;      /* of the offending byte among the item bytes */
    const char *reason; /* a static phrase */
};

/* Adds bytes of the upload; blank lines are dropped. False when an item is refused: no more may be added then. */
MUST_CHECK bool chunk_add(struct chunk *c, const char *data, size_t len, struct chunk_fault *fault);
/* The upload is whole; a last line without a newline counts. False as for chunk_add(). */
MUST_CHECK bool chunk_finish(struct chunk *c, struct chunk_fault *fault);
/* Adds an item that is answered already: `line` (with its newline) is the answer. For pipelines. */
void chunk_add_settled(struct chunk *c, const char *line, size_t len);

/* How many items could be given to processes now. */
uint64_t chunk_available(const struct chunk *c);
/* run->bisect_limit of the run that chunk_take() would return next, or 0. */
uint64_t chunk_bisect_limit(const struct chunk *c);
/* The next run to give: a waiting one, or items without a run. It has at most max_items, and at most max_bytes but at
 * least one item. NULL when there is none. */
struct run *chunk_take(struct chunk *c, uint64_t max_items, size_t max_bytes);

/* The answer bytes that are ready, borrowed until the next call. */
const char *chunk_peek(const struct chunk *c, size_t *len);
/* Drops the first answer bytes, which were used. */
void chunk_skip(struct chunk *c, size_t len);
/* Moves up to cap answer bytes to dst. Returns 0 when none are ready yet, -1 after the end line. */
ssize_t chunk_pull(struct chunk *c, char *dst, size_t cap);
/* Gives away the whole answer with its memory: true if it has ended, is long, and no byte of it was pulled. */
MUST_CHECK bool chunk_take_whole(struct chunk *c, struct buf *answer);

/* Adds the cost of more items, which held slots for slot_ns together. Call it before their answers are added. */
void chunk_add_cost(struct chunk *c, uint64_t items, uint64_t slot_ns);
/* Adds the end line if nothing is left to do. Call it after setting `draining`. */
void chunk_settle(struct chunk *c);
/* Ends it now, before all items have answers: waiting runs are dropped, and so are the answers of given ones. */
void chunk_end(struct chunk *c, enum chunk_end how);
/* Its client no longer waits for it. */
void chunk_abandon(struct chunk *c, uint64_t now);
/* How many items are answered without a gap. */
uint64_t chunk_done(const struct chunk *c);

#endif
