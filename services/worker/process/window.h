/*
 * The window of one process: the runs that the process was given and has not answered. The window decides how many more
 * items the process may get, and reads the answers of the process.
 *
 * The current item of the process is the first unanswered item of the first run. If the process dies or hangs, the
 * current item is charged: it is answered with the error. But the answer of this item may have been in a buffer that
 * was lost with the process. So if more than one item is unanswered, no item is charged, and the pool runs the
 * unanswered items again, in smaller parts. If an item takes a long time, a host program reports that it has written
 * all finished answers (LINE_FLUSHED in hosts/line_io.h). If the process dies or hangs after this report, the current
 * item is charged, because no answer was left in a buffer.
 *
 * The limit on the number of items doubles while items are quick, and falls while items are slow. Its least value is 1,
 * or twice `together` if `together` is more than 1. The limit aims at WINDOW_TARGET_NS of work. A slow sample replaces
 * the estimated time of an item immediately. A quick sample moves the estimate only halfway to the sample.
 *
 * Answers without ids are matched to items by their order alone. After one surplus line, each answer would go to the
 * wrong item, perhaps to an item of another client. So a `checked` window takes one run at a time and keeps the answers
 * until they are confirmed. The answers are confirmed when the process waits for input and has written no more lines. A
 * run whose answers are not confirmed yet is `unconfirmed`. If a surplus line arrives before the answers are confirmed,
 * all kept answers are dropped.
 *
 * A window in FORM_ANY_ORDER holds runs of one item each. The process runs all these items at the same time, and
 * answers them in any order. There is no current item: each item has a time limit of its own, and process_cancel.c
 * watches these limits.
 *
 * A pure module: the time is an argument. The process embeds its window. window.c decides what may be given,
 * window_intake.c reads lines, and window_ids.c reads answers with ids.
 */
#ifndef FANTAIL_WORKER_PROCESS_WINDOW_H
#define FANTAIL_WORKER_PROCESS_WINDOW_H

#include "protocol/value_scan.h"
#include "worker/chunk/chunk.h"

#define WINDOW_TARGET_NS      (20 * NS_PER_MS) /* work that a process may hold */
#define WINDOW_MAX_ITEMS      4096
#define WINDOW_MAX_BYTES      (2 * MIB)  /* limit for items, and for expected answers; one item is always allowed */
#define WINDOW_BATCH_BYTES    (32 * MIB) /* limit for items if the process works on several together */
#define WINDOW_STRAY_BYTES    (16 * KIB) /* stray lines of one read that are kept for the log */
#define WINDOW_RUN_NS         (100 * NS_PER_US) /* least work in a run when items are shared among processes */
#define WINDOW_SHORT_NS       (300 * NS_PER_US) /* shorter busy times are not checked for waits */
#define WINDOW_CHECKED_RUN_NS (2 * NS_PER_MS)   /* least work in a checked run; the process pauses after each run */

/* The form of the lines of a process. */
enum window_form {
    FORM_TRUSTED,       /* envelopes, exactly one for each item, as from a host program */
    FORM_CHECKED,       /* envelopes, from a program that may write surplus lines */
    FORM_CHECKED_VALUE, /* values, from a program that may write surplus lines */
    FORM_NUMBERED,      /* envelopes with ids: see numbered.h */
    FORM_ANY_ORDER,     /* envelopes with ids, in any order */
};

struct window {
    enum window_form form;
    struct run *head, *last; /* the runs, in the order in which they were given */
    uint64_t items;          /* items that were given and are not answered */
    size_t bytes;            /* bytes of the runs given; a run counts until it is done */
    uint64_t limit;          /* the present limit of `items` */
    unsigned together;       /* how many items the process works on together; at least 1 */
    struct hash_table ids;   /* FORM_ANY_ORDER: the runs by the ids of their items */
    uint64_t heard_ns;       /* FORM_ANY_ORDER: when the latest answer was read; 0: never */
    uint64_t blocked_id;     /* FORM_ANY_ORDER: the item of the last line "#blocked ID"; 0: none blocks the process */
    /* FORM_ANY_ORDER: called with each line "#log ID TEXT" of a running item; `text` ends in a newline. May be NULL. */
    void (*log)(struct window *w, const struct run *r, const char *text, size_t len);
    bool filled;            /* the limit was reached since the last answer */
    uint64_t item_ns;       /* estimated time of an item */
    size_t answer_bytes;    /* running mean of the bytes of an answer */
    uint64_t head_since_ns; /* when the current item began */
    uint64_t busy_since_ns; /* since when the window has had items without a break */
    bool flushed;           /* a host has said since the last answers that all finished answers are written */
    /* Since the last answers: how long the process and the worker waited for a processor, and how long the process ran.
     * The owner sets these times before window_intake(). */
    uint64_t waited_ns, ran_ns;
    uint64_t given, answered; /* total numbers of items since the process started */
    size_t seen;              /* bytes of the unfinished line that were searched for a newline */
    struct value_scan scan;   /* the value of the unfinished line, if the line is long */
    bool framed;              /* window_frame() has changed the unfinished line into an envelope */
    uint64_t scan_id;         /* for windows with ids: the id in the unfinished line */

    struct run *unconfirmed; /* for checked windows, see above */
    /* For checked windows: answers of the unconfirmed run or, if there is none, of the first run. */
    struct line_queue kept;
    uint64_t kept_items, kept_failed;

    struct buf strays; /* for windows with ids: lines that are not answers, for the log; the owner clears it */
};

/* `together` is how many items the process works on together. In FORM_ANY_ORDER, the window has room for exactly that
 * many items. In other forms, the window has room for at least twice as many items. So when the process has answered
 * the present items, it already has the next items. */
void window_init(struct window *w, enum window_form form, unsigned together);
void window_release(struct window *w);

/* Returns how many items may be given now; 0: none. */
uint64_t window_room(struct window *w, uint64_t now);
/* Returns how many bytes the next run may have. */
size_t window_room_bytes(const struct window *w);
/* Returns the least number of items that a run should have. */
uint64_t window_min_run(const struct window *w);
/* Adds a run. In FORM_ANY_ORDER, the run has one item. The id of this item is 1 plus the number of items that the
 * process was given before.
 */
void window_push(struct window *w, struct run *r, uint64_t now);
/* Removes the first run, answered or not, and returns it. Returns NULL when there is none. */
struct run *window_pop(struct window *w);
/* Removes the last run, which the process has not begun. For windows without ids. */
void window_remove_last(struct window *w);
/* Returns the run of the item with this id, for FORM_ANY_ORDER; NULL: no such item is in the window. */
struct run *window_find(struct window *w, uint64_t id);
/* Returns whether the window takes only one run at a time and its answers must be confirmed. */
static inline bool window_is_checked(const struct window *w)
{
    return w->form == FORM_CHECKED || w->form == FORM_CHECKED_VALUE;
}
static inline bool window_has_ids(const struct window *w)
{
    return w->form == FORM_NUMBERED || w->form == FORM_ANY_ORDER;
}
/* Returns whether it is worth reading how long the process waited for a processor. Such a read takes longer than a tiny
 * item. While the process has had items for less than WINDOW_SHORT_NS, it cannot have waited for longer than that. */
static inline bool window_should_measure_wait(const struct window *w, uint64_t now)
{
    return now >= w->busy_since_ns + WINDOW_SHORT_NS;
}
/* Returns the index of the current item in its chunk. There must be a run. */
uint64_t window_index(const struct window *w);

/* Passes the answers of the unconfirmed run to its chunk. There must be an unconfirmed run. */
void window_confirm(struct window *w, uint64_t now, void (*progress)(struct chunk *c));
/* Drops the kept answers of a process that was lost. Returns the unconfirmed run, or NULL. */
struct run *window_take_unconfirmed(struct window *w);

/* The result of window_intake(). */
struct intake {
    size_t used;       /* bytes of the lines that were read */
    uint64_t answers;  /* how many answers these lines had */
    const char *fault; /* why the line at `used` is not an answer; a static phrase; NULL: no fault */
    bool surplus;      /* the fault is that no item was left to answer */
};

/* Reads lines that the process has written. progress() is called for each chunk that has more answers. */
struct intake window_intake(struct window *w, const char *data, size_t len, uint64_t now,
                            void (*progress)(struct chunk *c));
/* The four functions below are for a long line. The answer keeps the memory of the line, so the line is not copied. */

/* Inserts {"value": at the start of a long line that is a bare value, so that the line becomes an envelope. Does
 * nothing if the line was already framed, or if the lines of the process are envelopes. Returns how many bytes were
 * inserted.
 */
size_t window_frame(struct window *w, struct buf *line);
/* Returns how many bytes window_frame() has put before the line. */
size_t window_frame_bytes(const struct window *w);
/* Reads the part of a long line that has arrived, without its newline. `line` has len bytes so far. Scans the value of
 * the line. Returns NULL, or a static phrase that says why the line cannot become an answer. */
const char *window_look(struct window *w, const char *line, size_t len);
/* Like window_intake(), for one whole line. The memory of the buffer may be taken. */
struct intake window_intake_buf(struct window *w, struct buf *line, uint64_t now, void (*progress)(struct chunk *c));

#endif
