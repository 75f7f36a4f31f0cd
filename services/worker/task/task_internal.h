/*
 * Reading of task.json into a struct task, and what both forms of a task share. The other half of task.c; only for it.
 */
#ifndef FANTAIL_WORKER_TASK_TASK_INTERNAL_H
#define FANTAIL_WORKER_TASK_TASK_INTERNAL_H

#include <stdarg.h>

#include "worker/task/task.h"

/* Fills t, whose cwd is set; a fault goes to t->error. */
void task_read_json(struct task *t, const char *path, const char *hosts_dir);
/* The executable `program` in t->cwd is run once for every item. */
void task_set_bare(struct task *t, const char *program, const char *hosts_dir);

/* The first reason is kept. */
void task_fail(struct task *t, const char *fmt, ...) PRINTF_LIKE(2, 3);
MUST_CHECK bool task_mode_parse(const char *word, enum task_mode *mode);
MUST_CHECK char *path_join(const char *dir, const char *name);
MUST_CHECK char *find_program(const char *word, const char *cwd);

#endif
