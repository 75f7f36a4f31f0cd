/*
 * Declarations shared by task.c and task_json.c. task.c finds the tasks in directories, task_json.c reads task.json and
 * builds the command line.
 */
#ifndef FANTAIL_WORKER_TASK_TASK_INTERNAL_H
#define FANTAIL_WORKER_TASK_TASK_INTERNAL_H

#include <stdarg.h>

#include "worker/task/task.h"

/* Fills t from task.json at `path`. t->cwd must be set. If something is wrong, sets t->error. */
void task_read_json(struct task *t, const char *path, const char *hosts_dir);
/* Makes t a task of mode exec that runs the executable `program` in t->cwd. */
void task_set_bare(struct task *t, const char *program, const char *hosts_dir);

/* Sets t->error, unless it is already set. */
void task_fail(struct task *t, const char *fmt, ...) PRINTF_LIKE(2, 3);
MUST_CHECK bool task_mode_parse(const char *word, enum task_mode *mode);
MUST_CHECK char *path_join(const char *dir, const char *name);
MUST_CHECK char *find_program(const char *word, const char *cwd);

#endif
