/*
 * Declarations shared by the pool*.c files. pool.c holds the chunks and the processes. pool_feed.c gives items to the
 * processes, and starts processes. When a process is lost, pool_bisect.c decides which item is charged and which items
 * are run again. pool_broken.c fails items while the task cannot start. pool_replace.c tries a changed task.
 */
#ifndef FANTAIL_WORKER_POOL_POOL_INTERNAL_H
#define FANTAIL_WORKER_POOL_POOL_INTERNAL_H

#include "worker/pool/pool.h"

/* Call it when the chunk has more answers. Calls the hook of the chunk's owner. */
static inline void pool_progress(struct chunk *c)
{
    if (c->on_progress) c->on_progress(c);
}

/* ---- pool.c ---- */

extern const struct process_hooks pool_hooks;
void pool_add_process(struct pool *p, struct process *process);
/* Returns how many processes have items. */
unsigned pool_busy_processes(const struct pool *p);
/* Sets the timer of the pool to fire at at_ns. When the timer fires, it feeds the processes, and ends the probe if the
 * probe has lived long enough. */
void pool_wake_at(struct pool *p, uint64_t at_ns);
void pool_on_timer(uv_timer_t *timer);
/* Sets the task, and lets the processes of the previous task end. Call pool_feed() afterwards. */
void pool_set_task(struct pool *p, struct task *task, unsigned size);

/* ---- pool_feed.c ---- */

/* If processes are starting, calls chunk_say_starting() for each chunk that waits and has no running item. */
void pool_say_starting(struct pool *p, uint64_t now);

/* ---- pool_broken.c ---- */

/* Marks the task as broken, and logs it. `process` is the process that died; NULL: no process could be started. */
void pool_set_broken(struct pool *p, const struct fault *f, const struct process *process, uint64_t now);
/* Answers waiting items. Each answer says why the task is broken. Returns false if more items wait: they are answered
 * in a later turn of the loop. */
MUST_CHECK bool pool_fail_waiting(struct pool *p);
/* Call it when a process has answered an item, or when the task has changed. After this call, the next pause is short
 * again. */
void pool_forget_failures(struct pool *p);

/* ---- pool_replace.c ---- */

/* Ends the candidate, if there is one. */
void pool_drop_candidate(struct pool *p);

/* ---- pool_bisect.c ---- */

/* Takes back all runs of a process that was lost. The current item is charged, unless its chunk has ended or another
 * item may be at fault. All other items become waiting again, including items whose kept answers are dropped. If there
 * is an unconfirmed run, that run is at fault, because the process has not begun the next run. */
void pool_take_back(struct pool *p, struct process *process, const struct fault *f);

#endif
