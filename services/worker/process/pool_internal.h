/*
 * What the files of pool.h share; only for them. pool.c gives out items, starts processes and has the chunks.
 * pool_loss.c has the loss of a process: which item is charged, and which are given again.
 */
#ifndef FANTAIL_WORKER_PROCESS_POOL_INTERNAL_H
#define FANTAIL_WORKER_PROCESS_POOL_INTERNAL_H

#include "worker/process/pool.h"

/* Calls the hook of the chunk's owner: it has more answers. */
static inline void pool_progress(struct chunk *c)
{
    if (c->on_progress) c->on_progress(c);
}

enum pool_loss pool_loss_of(const struct process *process, const struct fault *f);
/* Takes back all runs of a process that was lost. The current item is charged, unless its chunk has ended or another
 * item may be at fault. All others wait again, also those whose kept answers are dropped. If a run is unconfirmed, it
 * is at fault: the process has not begun the next run. */
void pool_take_back(struct pool *p, struct process *process, const struct fault *f);

#endif
