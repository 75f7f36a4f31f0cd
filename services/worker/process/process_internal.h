/*
 * Declarations shared by the process*.c files. process_write.c writes runs to stdin, and process_io.c reads stdout and
 * stderr. process_limits.c handles the timer: time limits and memory. process_confirm.c confirms the answers of
 * programs without ids. process_end.c handles the end: killing, reaping, the cause, freeing. process_recall.c takes a
 * run back. If a process answers in any order, process_outbox.c writes to its stdin instead, and process_cancel.c
 * handles the time limits of its items.
 */
#ifndef FANTAIL_WORKER_PROCESS_PROCESS_INTERNAL_H
#define FANTAIL_WORKER_PROCESS_PROCESS_INTERNAL_H

#include "worker/process/process.h"

#define PROCESS_PIPE_BYTES (1 * MIB)
#define PROCESS_STAYED     "the process did not exit after its stdin was closed"

void process_move(struct process *p, enum process_state to);
/* Returns whether hooks->lost() was called. A process that is lost gets no more runs, its output is not read, and its
 * answers are not confirmed. */
static inline bool process_is_lost(const struct process *p)
{
    return p->state >= PROCESS_KILLED;
}

/* Returns whether the unconfirmed run is not completely written yet, although the process has answered all its items.
 * False: there is no unconfirmed run, or it is completely written. */
static inline bool process_writes_unconfirmed(const struct process *p)
{
    return p->window.unconfirmed && p->writing.chunk && p->writing.run == p->window.unconfirmed;
}

/* Returns the origin of a line that the process wrote and that belongs to no item. */
static inline struct tail_origin process_origin(const struct process *p)
{
    return (struct tail_origin){.task = p->task->name, .pid = p->child.pid, .form = p->env->output};
}

void process_on_readable(uv_poll_t *poll, int status, int events);
void process_on_stderr(uv_poll_t *poll, int status, int events);
void process_on_log(struct window *w, const struct run *r, const char *text, size_t len);
/* Call it when the process has said that it is ready. */
void process_become_ready(struct process *p, uint64_t now);
/* Starts the timer, or moves it to an earlier time. Call it when an item may have a new time limit. */
void process_check_time(struct process *p, uint64_t now);
/* Makes r the current run, which process_write_runs() writes. Call it only while no run is being written. */
void process_begin_run(struct process *p, const struct run *r);
/* Writes no more of the current run. */
void process_end_writing(struct process *p);
/* Writes bytes until the stdin pipe is full. The rest is written later, when the pipe has room again. */
void process_write_runs(struct process *p);

/* Call it when a write to stdin has failed; errno says why. Returns false if the caller should try the write again
 * immediately. Returns true if the write will be repeated when the pipe has room again, or if the process has closed
 * its stdin. */
MUST_CHECK bool process_write_stopped(struct process *p);
void process_stop_waiting_for_room(struct process *p);
/* If the process is retired and no longer needs its stdin, closes stdin. */
void process_close_input(struct process *p);
/* Chooses the control lines that must precede the items of the chunk: lines[0] for its common value, lines[1] for its
 * trace. An element is NULL if the process already has this value. */
void process_choose_preamble(struct process *p, const struct chunk *c, struct common_value *lines[PROCESS_PREAMBLE]);

/* ---- process_outbox.c ---- */

void process_post_run(struct process *p, const struct run *r);
void process_post_cancel(struct process *p, const struct run *r);
bool process_outbox_is_empty(const struct process *p);
/* Writes bytes until the stdin pipe is full. The rest is written later. */
void process_write_outbox(struct process *p);

/* ---- process_cancel.c ---- */

/* Makes process_cancel_due() check the run when the run is due. */
void process_watch_run(struct process *p, const struct run *r);
/* Makes the time limit of each item longer by `ns`. */
void process_prolong(struct process *p, uint64_t ns);
/* Cancels the items that are due. If the process has not cancelled an item in time, kills the process and returns
 * true. */
bool process_cancel_due(struct process *p, uint64_t now);

/* Moves the process to ENDING. If the process does not exit within its grace time (process_end.c), it is killed for
 * this cause. Further calls have no effect. */
void process_expect_end(struct process *p, const char *cause);

/* If the process waits for input and has written no more lines, confirms the unconfirmed run. May kill the process. */
void process_confirm(struct process *p, uint64_t now);
/* Like process_confirm(), but checks only once. Returns true if nothing is left to confirm or the process is lost. */
bool process_try_confirm(struct process *p, uint64_t now);
/* Returns the pause in ns before the next process_try_confirm(). */
uint64_t process_confirm_delay(const struct process *p, uint64_t now);

void process_on_exit(struct reaped *child, int status, const struct rusage *usage);
/* Closes the pipe. Does nothing if the pipe is closed already. */
void process_close_pipe(struct process_pipe *pipe);
/* Frees the process if it is GONE and its handles are closed. */
void process_release(struct process *p);
/* Reads the bytes that are in the stderr pipe. If `answers` is true, also reads the answers that are in the stdout
 * pipe. Does not wait for more bytes. */
void process_read_rest(struct process *p, bool answers);

#endif
