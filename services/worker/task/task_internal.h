/*
 * Declarations shared by the task*.c files. task.c finds the tasks in directories, task_json.c reads task.json, and
 * task_command.c builds the command line.
 */
#ifndef FANTAIL_WORKER_TASK_TASK_INTERNAL_H
#define FANTAIL_WORKER_TASK_TASK_INTERNAL_H

#include <cjson/cJSON.h>
#include <stdarg.h>

#include "worker/task/task.h"

/* The fields of task.json that only affect the command line. The strings are borrowed from the JSON. */
struct command_options {
    const cJSON *command;
    const cJSON *host_options; /* an array of strings; NULL: none */
    bool text, append, row, batch, error_bytes;
    const char *placeholder; /* NULL: {} */
    const char *output, *setup, *python, *venv;
};

struct words {
    const char **list; /* NULL-ended */
    size_t count;
};

void words_add(struct words *w, const char *word);

/* Sets the path and the command line of the task. All other fields of the task must already be set. If a program that
 * the task needs cannot be run, sets t->error. */
void task_build_command(struct task *t, const struct command_options *o, const char *hosts_dir);
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
