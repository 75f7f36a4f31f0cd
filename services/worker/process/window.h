/*
 * What one process has been given and not yet answered: a queue of runs, how large it may grow, and the reading of
 * answers. The first unanswered item of the first run is "the item the process is at"; it is the one that is charged
 * when the process dies, unless others are unanswered too and may have been answered into a buffer that died with it
 * (pool.c then looks for the one at fault).
 *
 * The window grows (doubling) while items are quick and falls to one when they are slow: it aims at WINDOW_TARGET_NS
 * of work in the pipe, by an estimate that believes a slow sample at once and a quick one by halves.
 *
 * Lines are answers by their order alone, unless they have ids. A process that writes one too many would be a line
 * ahead from then on, into the items of another client. So a `checked` window takes one run at a time and keeps its
 * answers until the process has shown that they were all (window_confirm()); a line that comes before that is one too
 * many, and the run is not believed at all. The run whose answers wait for this is `unconfirmed`.
 *
 * A pure module: the time is an argument. Owner: the process that embeds it. window.c says what may be given,
 * window_intake.c reads answers.
 */
#ifndef FANTAIL_WORKER_PROCESS_WINDOW_H
#define FANTAIL_WORKER_PROCESS_WINDOW_H

#include "worker/chunk/chunk.h"

#define WINDOW_TARGET_NS      (20 * NS_PER_MS) /* of work a process may have before it */
#define WINDOW_MAX_ITEMS      65536
#define WINDOW_MAX_BYTES      (2 * MIB)         /* of items, and of expected answers; one item is always allowed */
#define WINDOW_STRAY_BYTES    (16 * KIB)        /* of stray lines kept from one read */
#define WINDOW_RUN_NS         (100 * NS_PER_US) /* a run is not made smaller than so much work just to share it out */
#define WINDOW_CHECKED_RUN_NS (2 * NS_PER_MS)   /* the same for a checked window, which has a pause between runs */

/* How the lines of a process are to be read. */
enum window_form {
    FORM_TRUSTED,       /* envelopes, one for each item: a host program sees to that */
    FORM_CHECKED,       /* envelopes, of a program that may also print */
    FORM_CHECKED_VALUE, /* the same, bare values */
    FORM_NUMBERED,      /* envelopes with ids: see numbered.h */
};

struct window {
    enum window_form form;
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

    /* Checked windows: the answers of the run at the head, or of the unconfirmed one, as there is never a line of both.
     */
    struct run *unconfirmed;
    struct buf kept;
    uint64_t kept_items, kept_failed;

    struct buf strays; /* numbered windows: lines that were no answers, for the log; the owner clears it */
};

void window_init(struct window *w, enum window_form form);
void window_release(struct window *w);

/* How many items may be given now; 0: none. */
uint64_t window_room(struct window *w, uint64_t now);
size_t window_room_bytes(const struct window *w);
/* The least number of items worth a run. */
uint64_t window_min_run(const struct window *w);
void window_push(struct window *w, struct run *r, uint64_t now);
/* Takes the first run off, answered or not; NULL when there is none. */
struct run *window_pop(struct window *w);
/* One run at a time, believed late: see above. */
static inline bool window_is_checked(const struct window *w)
{
    return w->form == FORM_CHECKED || w->form == FORM_CHECKED_VALUE;
}
/* The index in its chunk of the item the process is at; there is a head. */
uint64_t window_index(const struct window *w);

/* The process has answered all it was given, and nothing more: the unconfirmed run's answers go to its chunk. */
void window_confirm(struct window *w, uint64_t now, void (*progress)(struct chunk *c));
/* The process is gone: forgets the kept answers. Returns the unconfirmed run, or NULL. */
struct run *window_take_unconfirmed(struct window *w);

/* What window_intake() did with the bytes. */
struct intake {
    size_t used;       /* whole lines taken */
    uint64_t answers;  /* how many */
    const char *fault; /* not NULL: the line at `used` is no answer; a static phrase */
    bool surplus;      /* the fault: there was no item to answer */
};

/* Reads answer lines of the process. progress() is called for each chunk whose answers grew. */
struct intake window_intake(struct window *w, const char *data, size_t len, uint64_t now,
                            void (*progress)(struct chunk *c));
/* The same for whole lines in memory of their own, which may be taken. */
struct intake window_intake_buf(struct window *w, struct buf *lines, uint64_t now, void (*progress)(struct chunk *c));

#endif
