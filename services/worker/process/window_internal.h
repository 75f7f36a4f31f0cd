/*
 * Declarations shared by the window*.c files. window.c decides what may be given, window_intake.c reads lines and
 * answers without ids, and window_ids.c reads answers with ids.
 */
#ifndef FANTAIL_WORKER_PROCESS_WINDOW_INTERNAL_H
#define FANTAIL_WORKER_PROCESS_WINDOW_INTERNAL_H

#include "worker/process/window.h"

/* Updates the estimates and the limit after reading this many answers with this many bytes in all. */
void window_learn(struct window *w, uint64_t answers, size_t bytes, uint64_t now);

/* Takes a run out of the window. The caller must update the counts of items. */
void window_unlink(struct window *w, struct run *r);

/* The state of one call to window_intake(). */
struct reading {
    struct window *w;
    void (*progress)(struct chunk *c);
    uint64_t now;
    struct buf *memory;      /* the buffer of the one line that is read; its memory may be taken; NULL: none */
    const char *batch;       /* FORM_TRUSTED: the first line that is not settled */
    struct line_queue lines; /* unsettled answers: for windows with ids, or if the memory was taken */
    uint64_t n, failed;      /* how many answers are not settled, and how many of them are errors */
    uint64_t answers;        /* how many answers are settled */
    uint64_t slot_ns;        /* time since the last answers, for all busy slots; 0: already charged */
};

/* The answer line of a value consists of WINDOW_OPEN, the value and WINDOW_CLOSE. */
#define WINDOW_OPEN  "{\"value\":"
#define WINDOW_CLOSE "}\n"
enum { WINDOW_OPEN_BYTES = sizeof WINDOW_OPEN - 1, WINDOW_CLOSE_BYTES = sizeof WINDOW_CLOSE - 1 };

/* Returns whether the value of the present line was scanned while the line arrived. */
static inline bool window_was_scanned(const struct window *w)
{
    return w->scan.state != VALUE_SCAN_IDLE;
}

/* Returns the reason why a line could not be parsed: a wrong encoding, or else the text `otherwise`. The result is a
 * static phrase without quotation marks. */
const char *window_line_fault(const struct window *w, const char *line, size_t len, const char *otherwise);
/* Adds the answer line of a value. If the value arrived in memory of its own, the rest of the line is written around
 * the value, and the queue takes ownership of this memory. */
void window_add_value(struct reading *rd, struct line_queue *to, const char *body, size_t len);
/* Counts one more answer of the first run. After the last answer of the run, settles the answers. `end` is the end of
 * the answer's line. */
void window_count_answer(struct reading *rd, bool failed, const char *end);

/* ---- window_ids.c ---- */

/* Reads a line with an id. The answers come in the order of the items. */
void window_read_numbered(struct reading *rd, const char *line, size_t len);
/* Like window_read_numbered(), for answers in any order. */
void window_read_any_order(struct reading *rd, const char *line, size_t len);

#endif
