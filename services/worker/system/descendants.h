/*
 * Kills the descendants that a task process leaves behind. The worker is a subreaper: when a process dies, the
 * processes that it started become children of the worker, even after setsid(). The token in a child's environment
 * (FANTAIL_PROCESS) shows which task process started the child. Single-threaded.
 */
#ifndef FANTAIL_WORKER_SYSTEM_DESCENDANTS_H
#define FANTAIL_WORKER_SYSTEM_DESCENDANTS_H

#include "common/base/base.h"

/* Returns whether a child of the worker may live on. `token` is the token of the task process that started this child;
 * 0: not read yet. */
typedef bool descendant_may_live(void *data, pid_t pid, uint64_t token);

/* Sends SIGKILL to each child of the worker that may not live on. */
void descendants_kill(descendant_may_live *may_live, void *data);

#endif
