/*
 * What one process has been given and not yet answered: a queue of runs, how large it may grow, and the reading of
 * answers. The first unanswered item of the first run is "the item the process is at"; it is the one that is charged
 * when the process dies, unless others are unanswered too and may have been answered into a buffer that died with it
 * (pool.c then looks for the one at fault).
 *
 * The window grows (doubling) while items are quick and falls to one when they are slow: it aims at WINDOW_TARGET_NS
 * of work in the pipe, by an estimate that believes a slow sample at once and a quick one by halves. A pure module:
 * the time is an argument. Owner: the process that embeds it.
 */
#ifndef FANTAIL_WORKER_WINDOW_H
#define FANTAIL_WORKER_WINDOW_H

#include "chunk.h"

#define WINDOW_TARGET_NS (20 * NS_PER_MS) /* of work a process may have before it */
#define WINDOW_MAX_ITEMS 65536
#define WINDOW_MAX_BYTES (2 * MIB)         /* of items, and of expected answers; one item is always allowed */
#define WINDOW_RUN_NS    (100 * NS_PER_US) /* a run is not made smaller than so much work just to share it out */

struct window {
    struct run *head, **tail;
    uint64_t items; /* given, not answered */
    size_t bytes;   /* of the runs given; a run counts until it is done */
    uint64_t limit; /* items */
    bool filled;    /* the limit was what kept us from giving more */
    uint64_t item_ns;
    size_t answer_bytes;      /* of one item, running mean */
    uint64_t head_since_ns;   /* since when the process is at its item */
    uint64_t given, answered; /* in its life */
    size_t seen;              /* bytes of the last, unfinished line that were searched for its end */
};

void window_init(struct window *w);

/* How many items may be given now; 0: none. */
uint64_t window_room(struct window *w, uint64_t now);
size_t window_room_bytes(const struct window *w);
/* The least number of items worth a run. */
uint64_t window_min_run(const struct window *w);
void window_push(struct window *w, struct run *r, uint64_t now);
/* Takes the first run off, answered or not; NULL when there is none. */
struct run *window_pop(struct window *w);

/* What window_intake() did with the bytes. */
struct intake {
    size_t used;       /* whole lines taken */
    uint64_t answers;  /* how many */
    const char *fault; /* not NULL: the line at `used` is no answer; a static phrase */
    bool unasked;      /* the fault: there was no item to answer */
};

/* Reads answer lines of the process. envelope: lines are {"value":...} or {"error":...}; otherwise each is a bare
 * JSON value and gets its envelope here. progress() is called for each chunk whose answers grew. */
struct intake window_intake(struct window *w, const char *data, size_t len, bool envelope, uint64_t now,
                            void (*progress)(struct chunk *c));
/* The same for whole lines in memory of their own, which may be taken. */
struct intake window_take(struct window *w, struct buf *lines, bool envelope, uint64_t now,
                          void (*progress)(struct chunk *c));

#endif
