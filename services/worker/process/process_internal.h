/*
 * What the parts of process.c share; only for them. process_io.c has the pipes, process_time.c the clock and the
 * memory, process_end.c the end: killing, the last words, the fault its item is charged with, and what is freed when.
 */
#ifndef FANTAIL_WORKER_PROCESS_PROCESS_INTERNAL_H
#define FANTAIL_WORKER_PROCESS_PROCESS_INTERNAL_H

#include "worker/process/process.h"

#define PROCESS_RETIRE_GRACE_NS (2 * NS_PER_S)

void process_move(struct process *p, enum process_state to);
/* hooks->lost() was called: nothing may be given, read or judged any more. */
static inline bool process_is_lost(const struct process *p)
{
    return p->state >= PROCESS_KILLED;
}

void process_on_readable(uv_poll_t *poll, int status, int events);
void process_on_stderr(uv_poll_t *poll, int status, int events);
/* r is the run to be written next; NULL: none. */
void process_begin_run(struct process *p, struct run *r);
/* Writes as much as the pipe takes now, and goes on by itself when there is room. */
void process_write_runs(struct process *p);

/* Moves it to ENDING: it is killed for this cause after this time. Does nothing with one that is ending already. */
void process_expect_end(struct process *p, uint64_t grace_ns, const char *cause);
/* Believes the unconfirmed run if the process has read on and wrote nothing more. May kill it. */
void process_confirm(struct process *p, uint64_t now);

void process_on_exit(struct reaped *child, int status, const struct rusage *usage);
/* Does nothing with a closed one. */
void process_close_pipe(struct process_pipe *pipe);
/* Frees it when nothing can name it any more. */
void process_release(struct process *p);
/* Reads what its pipes still hold, without waiting. */
void process_read_rest(struct process *p, bool answers);

#endif
