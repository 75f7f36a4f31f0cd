/*
 * The environment of a task process. The environment begins as a copy of the worker's environment. The variables of
 * task.json replace the worker's variables with the same name. The variables that fantail sets come last;
 * docs/protocol.md lists them. Lists end with NULL.
 */
#ifndef FANTAIL_WORKER_TASK_ENVIRONMENT_H
#define FANTAIL_WORKER_TASK_ENVIRONMENT_H

#include <sys/types.h>

#include "common/base/base.h"

/* Makes the list of variables that all processes of a task have. `own` has the variables of task.json, "NAME=value";
 * NULL: none. Takes ownership of `own`. `folder` is the folder of the task. */
MUST_CHECK const char **environment_of_task(const char **own, const char *task_name, const char *folder);

struct environment_process {
    pid_t worker;        /* together with `token` it marks the process and everything that it starts (descendants.h) */
    uint64_t token;      /* the token of the process, unique in the worker */
    const char *scratch; /* the process's own TMPDIR; NULL: that of the task or of the worker */
    const char *worker_id;
};

/* Makes the list of variables of one process: the variables of its task, and the process's own variables. */
MUST_CHECK const char **environment_of_process(const char *const *of_task, const struct environment_process *p);

/* Frees a list and its variables. NULL is fine. */
void environment_free(const char **list);

#endif
