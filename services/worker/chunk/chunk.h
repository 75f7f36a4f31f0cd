/*
 * The bookkeeping of one chunk: its items as they arrive, the runs they are cut into, and its answers in order.
 *
 * A run is consecutive items given to one process in one go. The runs of a chunk form a list by index; the answers of
 * the first one go straight to the client's bytes (`out`), those of later ones are held in the run until it is first.
 *
 *     fresh items --chunk_take--> GIVEN --run_answer (all)--> gone
 *                                 ^   |
 *                    chunk_take   |   | run_return (its process is gone)
 *                                 WAITING
 *
 * Items stay where the upload put them until the chunk is freed; runs name them by offset. A pure module: no I/O, no
 * clock. Owner: whoever called chunk_new() holds one reference, each GIVEN run holds another.
 */
#ifndef FANTAIL_WORKER_CHUNK_CHUNK_H
#define FANTAIL_WORKER_CHUNK_CHUNK_H

#include <sys/types.h>

#include "common/base/base.h"
#include "common/base/buf.h"
#include "common/base/limits.h"
#include "protocol/protocol.h"
#include "worker/chunk/item_trace.h"

struct chunk;

enum run_state { RUN_WAITING, RUN_GIVEN };

struct run {
    struct chunk *chunk;
    struct run *next;       /* the run behind it in the chunk */
    struct run *next_given; /* the run behind it in its process */
    enum run_state state;
    uint64_t first, count; /* indexes of items */
    uint64_t answered;     /* of count, since it was given */
    uint64_t since_ns;     /* its process has been at the next of these items since then */
    size_t offset, len;    /* its items' bytes, newlines included */
    uint64_t careful;   /* a process died over it: at most so many at once, and nothing else beside; 0: no such care */
    struct buf answers; /* held until it is the chunk's first run */
};

/* The common value of a chunk, or its trace, as the control lines its processes are sent. Shared by chunks and
 * processes. */
struct common {
    unsigned refs;
    size_t len;
    char line[]; /* "#common {...}\n"; "#traceparent ...\n#tracestate ...\n" */
};

struct chunk {
    unsigned refs;
    bool check_items; /* validate each item's JSON (items that come from a person) */
    bool whole;       /* no more items will come */
    bool draining;    /* hands out no fresh items */
    bool ended;       /* the end line is in out, or nobody wants it: answers are dropped */

    struct buf items;
    size_t line_start;        /* where the line that is still arriving starts */
    size_t line_seen;         /* how far it was searched for its end */
    size_t cut_bytes;         /* items before it are in runs or done */
    uint64_t received, cut;   /* items: whole lines arrived, and those cut into runs */
    uint64_t waiting;         /* items in WAITING runs */
    unsigned given;           /* GIVEN runs */
    struct run *runs, **tail; /* by index */

    struct buf out;
    size_t out_at;      /* bytes already pulled */
    size_t held;        /* answer bytes in out and in runs */
    uint64_t succeeded; /* counts of answers, for metrics */
    uint64_t failed;

    struct common *common;         /* NULL: none */
    struct common *trace;          /* NULL: none */
    struct item_trace *item_trace; /* NULL: its items are not recorded */
    uint64_t item_timeout_ns;      /* 0: none */
    uint64_t abandoned_ns;         /* since when nobody waits for it; 0: somebody does */

    /* The rest belongs to the pool and to the owner; the bookkeeping does not look at it. */
    struct chunk *next_turn, *prev_turn;
    uint64_t turn, job_turn;              /* the last it and its job were given, counted in turns.h; 0: none */
    void (*on_progress)(struct chunk *c); /* out has grown */
    void *owner;
    /* For the log, borrowed from the owner. */
    const char *name;     /* "<job>/<first index>"; "" when unknown */
    const char *job;      /* NULL when unknown, and the next two are 0 */
    uint64_t base;        /* its first item's index in the job */
    unsigned attempt;     /* how often it was sent, this time included */
    const char *trace_id; /* NULL: none */
};

/* What a log line about one of its items or about itself says of it. */
#define LOG_CHUNK(c)                                                                                                   \
    LOG_STR("job", (c)->job), LOG_STR("chunk", *(c)->name ? (c)->name : NULL),                                         \
        (c)->attempt ? LOG_U64("attempt", (c)->attempt) : LOG_STR("attempt", NULL), LOG_STR("trace_id", (c)->trace_id)

/* size_hint: the bytes the client announced, or 0. */
struct chunk *chunk_new(bool check_items, size_t size_hint);
struct chunk *chunk_ref(struct chunk *c);
void chunk_unref(struct chunk *c);

struct chunk_fault {
    uint64_t item;      /* index of the item at fault */
    size_t offset;      /* of the offending byte among the item bytes */
    const char *reason; /* a static phrase */
};

/* Bytes of the upload; blank lines are dropped. False when an item is refused: the chunk takes no more. */
MUST_CHECK bool chunk_add(struct chunk *c, const char *data, size_t len, struct chunk_fault *fault);
/* The upload is whole; a last line without a newline counts. */
MUST_CHECK bool chunk_finish(struct chunk *c, struct chunk_fault *fault);
/* The next item is not to be run: `line` (with its newline) is its answer. For pipelines. */
void chunk_add_settled(struct chunk *c, const char *line, size_t len);

/* Items a process could be given now. */
uint64_t chunk_available(const struct chunk *c);
/* The care that the next run needs: run->careful, or 0. */
uint64_t chunk_careful(const struct chunk *c);
/* Cuts the next run: at most max_items, at most max_bytes but at least one item. NULL when there is none. */
struct run *chunk_take(struct chunk *c, uint64_t max_items, size_t max_bytes);

/* n answers of the run, whole lines. When that was its last, the run is gone (and perhaps the chunk): true. */
bool run_answer(struct run *r, const char *lines, size_t len, uint64_t n);
/* The same; takes the memory of many bytes instead of copying them, which leaves `lines` empty. */
bool run_take_answers(struct run *r, struct buf *lines, uint64_t n);
/* The run's process is gone. `line`, when not NULL, is the answer of the item it was at; the rest waits again. */
void run_return(struct run *r, const char *line, size_t len);
/* The same when the process was at the item `at` of the run: those before it wait again too. */
void run_return_at(struct run *r, uint64_t at, const char *line, size_t len);

/* The answer bytes that can be had now, borrowed until the next call, and the dropping of those that were used. */
const char *chunk_peek(const struct chunk *c, size_t *len);
void chunk_skip(struct chunk *c, size_t len);
/* Up to cap answer bytes for the client; 0 when there are none yet, -1 when the end line was the last. */
ssize_t chunk_pull(struct chunk *c, char *dst, size_t cap);
/* All the answer at once, with its memory: true when it has ended, is long, and nothing of it was pulled. */
MUST_CHECK bool chunk_take_whole(struct chunk *c, struct buf *answer);
/* Moves on what can be moved: call after chunk_finish() or after setting `draining`. */
void chunk_settle(struct chunk *c);
/* Ends it now, before all items have answers: runs not given are dropped, answers of the others too. */
void chunk_end(struct chunk *c, enum chunk_end how);
/* Nobody waits for the chunk any more. */
void chunk_abandon(struct chunk *c, uint64_t now);
/* How many items are answered without a gap. */
uint64_t chunk_done(const struct chunk *c);

struct common *common_new(const char *json, size_t len);
struct common *common_from_lines(const char *lines, size_t len);
struct common *common_ref(struct common *c);
void common_unref(struct common *c);
bool common_equal(const struct common *a, const struct common *b);

#endif
