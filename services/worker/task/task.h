/*
 * A task as its directory describes it: by <dir>/<name>/task.json, or by an executable <dir>/<name> or
 * <dir>/<name>/<name> (mode exec). A task that cannot be read is kept, with the reason in `error`, so that a client
 * that names the task gets the reason. Tasks are shared by reference. Reading a task again makes a new struct task. The
 * former struct lives until the last process that uses it has ended.
 */
#ifndef FANTAIL_WORKER_TASK_TASK_H
#define FANTAIL_WORKER_TASK_TASK_H

#include "common/base/base.h"
#include "common/base/buf.h"
#include "protocol/protocol.h"

enum task_mode { TASK_STREAM, TASK_EXEC, TASK_NATIVE, TASK_PYTHON, TASK_MODE_COUNT };

struct task {
    unsigned refs;
    char *name;
    char *error; /* why the task cannot run; NULL: it can */
    enum task_mode mode;
    char *description, *signature;  /* for people; may be NULL */
    char *example;                  /* an item, as JSON; may be NULL */
    char *folder;                   /* the folder with the files of the task */
    char *cwd;                      /* the folder in which the processes run */
    char *path;                     /* the program to start */
    const char **argv;              /* NULL-ended */
    const char *const *command;     /* the words of task.json's "command", at the end of argv; NULL-ended */
    const char **env;               /* NULL-ended; from environment_of_task() */
    unsigned processes;             /* 0: the worker's default */
    uint64_t item_timeout_ns;       /* 0: none */
    uint64_t start_timeout_ns;      /* 0: none */
    uint64_t memory_bytes;          /* 0: unlimited */
    uint64_t max_items_per_process; /* 0: unlimited */
    size_t error_bytes;             /* an error has this many of the last bytes of stderr (mode exec: also stdout) */
    unsigned batch;                 /* items that a process may work on together; at least 1 */
    unsigned concurrency;           /* items that a process runs together, in any order; 0: one after another */
    enum idempotency idempotent;
    bool has_cwd;    /* task.json says where the processes run */
    bool own_tmpdir; /* each process has a TMPDIR of its own */
    bool envelope;   /* the program writes envelopes, not values */
    bool ids;        /* items and answers have ids, see numbered.h; mode stream only */
    bool ready;      /* the processes say when they are ready; before that they get no item */
    bool common;     /* the program understands #common lines */
    bool trace;      /* the program understands #traceparent and #tracestate lines */
    bool in_order;   /* the items start in their order, the oldest job first */
};

/* Returns how many items of the task one process has a slot for. */
static inline unsigned task_slots_per_process(const struct task *t)
{
    return t->concurrency ? t->concurrency : t->batch;
}

/* Returns the folder that the words of task.json are relative to. */
static inline const char *task_words_folder(const struct task *t)
{
    return t->has_cwd ? t->cwd : t->folder;
}

struct task_set {
    struct task **list; /* sorted by name */
    size_t count;
};

/* Reads the tasks in `dirs`, a colon-separated list of paths. If two tasks have the same name, the first one is used.
 * hosts_dir is the directory of the host programs. If a directory cannot be read, returns false, with a sentence in
 * err; the set then holds the tasks of the other directories. Skips each task that `known` contains without an error.
 * `known` may be NULL. */
MUST_CHECK bool task_set_load(struct task_set *set, const struct task_set *known, const char *dirs,
                              const char *hosts_dir, char *err, size_t err_size);
void task_set_release(struct task_set *set);
struct task *task_set_find(const struct task_set *set, const char *name);

/* Reads the task `name` in `dir`. Never returns NULL: if the task cannot be read, task->error is set. */
MUST_CHECK struct task *task_load(const char *dir, const char *name, const char *hosts_dir);
/* Makes the processes of the task run in the folder `cwd`, unless the task's task.json says where they run. Each word
 * of the command that names a file in the task's folder becomes the absolute path of this file, except a program that
 * is named without "/", and the words of a Python task. */
void task_run_in(struct task *t, const char *cwd);
/* Calls task_run_in() for each task of the set. */
void task_set_run_in(const struct task_set *set, const char *cwd);
struct task *task_ref(struct task *t);
void task_unref(struct task *t);
const char *task_mode_name(enum task_mode mode);

#endif
