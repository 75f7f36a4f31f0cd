/*
 * How a process ends: killing, the last words, the fault its item is charged with, and what is freed when. The other
 * half of process.c; only for it.
 */
#ifndef FANTAIL_WORKER_PROCESS_END_H
#define FANTAIL_WORKER_PROCESS_END_H

#include "process.h"

void process_on_exit(struct reaped *child, int status, const struct rusage *usage);
/* Closes one of its pipes; *open turns false. */
void process_close_pipe(struct process *p, uv_poll_t *poll, bool *open);
/* Frees it when nothing can name it any more. */
void process_release(struct process *p);
/* Reads what its pipes still hold, without waiting. In process.c. */
void process_read_rest(struct process *p, bool answers);
/* Memory of a process and its descendants that is not shared with a file; 0 when it cannot be told. */
uint64_t process_memory(pid_t pid);
/* How often the kernel has killed something of our control group for lack of memory. */
uint64_t cgroup_oom_kills(void);

#endif
