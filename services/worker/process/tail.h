/*
 * The stderr of a process. The lines of stderr go to the log, at a bounded rate. The last bytes of stderr are kept, and
 * become part of the error if the process dies. The process embeds its tail.
 */
#ifndef FANTAIL_WORKER_PROCESS_TAIL_H
#define FANTAIL_WORKER_PROCESS_TAIL_H

#include "common/base/base.h"
#include "common/base/limits.h"

#define TAIL_LINE_BYTES  1024 /* a longer line is cut in the log */
#define TAIL_LINES_PER_S 20
#define TAIL_LINES_BURST 50

/* The process that wrote a line, and the item it was running. Strings are borrowed for the call; NULL when unknown. */
struct tail_origin {
    const char *task;
    /* The lines are shown unchanged, after the task's name. They are not log lines, and their rate is not bounded. */
    bool plain;
    int64_t pid;
    bool has_item;    /* false: no item was running, and the members below are empty */
    uint64_t index;   /* index of the item in its job */
    unsigned attempt; /* 0: unknown */
    const char *job, *chunk, *trace_id;
};

struct tail {
    char kept[LIMIT_STDERR_TAIL_BYTES];
    size_t kept_len;
    char line[TAIL_LINE_BYTES];
    size_t line_len;
    double tokens;
    uint64_t refilled_ns;
    uint64_t suppressed;
    bool started;
};

void tail_add(struct tail *t, const char *data, size_t len, const struct tail_origin *from, uint64_t now);
/* Logs the unfinished line of a process that has ended. */
void tail_end(struct tail *t, const struct tail_origin *from, uint64_t now);
/* Drops the kept bytes, because the process begins another item. */
void tail_restart(struct tail *t);

#endif
