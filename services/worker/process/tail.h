/*
 * The stderr of a process. The lines of stderr go to the log, at a limited rate. The last bytes of stderr are kept, and
 * become part of the error if the process dies. The process embeds its tail.
 *
 * If a task cannot be loaded, each of its processes prints the same text. So while the output of a starting process
 * only repeats what another process of the task has printed at its own start, this output is held. The held lines are
 * logged when the process is ready or prints something else. If the process is lost, the held lines are dropped.
 */
#ifndef FANTAIL_WORKER_PROCESS_TAIL_H
#define FANTAIL_WORKER_PROCESS_TAIL_H

#include "common/base/base.h"
#include "common/json/byte_tail.h"
#include "common/base/limits.h"

#define TAIL_LINE_BYTES  1024       /* a longer line is cut in the log */
#define TAIL_SHOWN_BYTES (64 * KIB) /* a longer line is shown as several lines */
#define TAIL_LINES_PER_S 20
#define TAIL_LINES_BURST 50
#define TAIL_START_BYTES (16 * KIB) /* longer output of a start is logged even if it repeats other output */

/* The values of --task-output. Except in TAIL_LOG, the lines are not log lines, and their rate is not limited. */
enum tail_form {
    TAIL_LOG,
    TAIL_PLAIN, /* with the task's name before each line; lines are dropped while standard error takes none */
    TAIL_WHOLE, /* like TAIL_PLAIN, but no line is dropped (output_gate.h) */
    TAIL_BARE,  /* like TAIL_WHOLE, but without the name */
    TAIL_FORM_COUNT
};

/* The process that wrote a line, and the item it was running. Strings are borrowed for the call; NULL when unknown. */
struct tail_origin {
    const char *task;
    enum tail_form form;
    int64_t pid;
    bool has_item;    /* false: no item was running, and the members below are empty */
    uint64_t index;   /* index of the item in its job */
    unsigned attempt; /* 0: unknown */
    const char *job, *chunk, *trace_id;
};

struct tail {
    struct byte_tail kept;
    struct buf line; /* the line that has not ended */
    double tokens;
    uint64_t refilled_ns;
    uint64_t suppressed;
    bool started;
    struct buf *starts; /* what processes of the task print at their start; NULL: this process is not starting */
    struct buf printed; /* all output of this start */
    bool is_new;        /* the output differs from `starts` or is the first, so it is logged immediately */
};

/* `kept_bytes`: how many of the last bytes are kept. */
void tail_init(struct tail *t, size_t kept_bytes);
void tail_add(struct tail *t, const char *data, size_t len, const struct tail_origin *from, uint64_t now);
/* Like tail_add(), for a line that did not come from stderr. `line` must be one whole line, with its newline. If stderr
 * has an unfinished line, that line is kept. */
void tail_add_line(struct tail *t, const char *line, size_t len, const struct tail_origin *from, uint64_t now);
/* Call it when the process is started. `starts` belongs to the task, begins empty, and is borrowed until the next call
 * to tail_start_end(). */
void tail_start(struct tail *t, struct buf *starts);
/* Ends the start, if it has not ended yet. `ready`: the process is ready, so held lines are logged. */
void tail_start_end(struct tail *t, bool ready, const struct tail_origin *from, uint64_t now);
/* Call it when the process waits for items. Shows the unfinished line; does nothing in TAIL_LOG. */
void tail_pause(struct tail *t, const struct tail_origin *from, uint64_t now);
/* Logs the unfinished line of a process that has ended, and the number of dropped lines. */
void tail_end(struct tail *t, const struct tail_origin *from, uint64_t now);
void tail_release(struct tail *t);
/* Call it when the process begins another item. Drops the kept bytes. */
void tail_restart(struct tail *t);

#endif
