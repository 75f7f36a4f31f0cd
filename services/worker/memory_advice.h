/* A warning about tasks that could end the whole worker with one item. */
#ifndef FANTAIL_WORKER_MEMORY_ADVICE_H
#define FANTAIL_WORKER_MEMORY_ADVICE_H

#include "worker/system/memory_group.h"
#include "worker/worker.h"

/* Logs one warning if the kernel ends all processes of the worker's control group together at the memory limit, and
 * there are tasks without memory_bytes. The warning names these tasks, and a memory_bytes that would suit them. */
void memory_advice_log(const struct worker *w, const struct memory_group *group);

#endif
