/*
 * The environment of a task process. It is the worker's, in which the variables of task.json replace those with the
 * same name; then come the variables that fantail sets. docs/protocol.md lists them. Lists end with NULL.
 */
#ifndef FANTAIL_WORKER_TASK_ENVIRONMENT_H
#define FANTAIL_WORKER_TASK_ENVIRONMENT_H

#include <sys/types.h>

#include "common/base/base.h"

/* The variables that are the same for each process of a task. `own` are those of task.json, "NAME=value"; NULL: none.
 * Takes `own`. */
MUST_CHECK const char **environment_of_task(const char **own, const char *task_name);

struct environment_process {
    pid_t worker;        /* with `token` it marks the process and all that it starts (descendants.h) */
    uint64_t token;      /* unique in the worker */
    const char *scratch; /* the process's own TMPDIR; NULL: it has none */
    const char *worker_id;
};

/* The variables of one process: those of its task and its own. */
MUST_CHECK const char **environment_of_process(const char *const *of_task, const struct environment_process *p);

/* Frees a list with its variables. NULL is fine. */
void environment_free(const char **list);

#endif
