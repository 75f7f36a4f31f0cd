/*
 * Implements the option --watch: detects changes of the tasks. Watches the directories of tasks, and all folders below
 * them, as far as WATCH_DEPTH and WATCH_FOLDERS_MAX allow. If a file of a task is a symbolic link, the file that it
 * names is watched too. A directory of tasks may be missing; it is watched as soon as it exists. A directory of tasks
 * may also be replaced. When nothing has changed for WATCH_SETTLE_MS, or changes have kept coming for
 * WATCH_SETTLE_MAX_MS, changed() is called with the names of the changed tasks.
 *
 * A change to any regular file or folder counts, with two exceptions. Names that begin with '.' or '_' are ignored,
 * because they belong to editors and caches. A file that is not code does not count if the task itself may have written
 * it; writes_itself() decides whether this is so. Code is task.json, a file that can be executed, and a file with the
 * extension of a program.
 *
 * A task that changes its own files must not be reported for ever. So after WATCH_REPORTS_MAX reports of a task, its
 * changes are ignored. When none of the task's files has changed for WATCH_QUIET_NS, the reports of the task are
 * counted from 0 again. If more than WATCH_NAMES_MAX names in a directory of tasks change within WATCH_QUIET_NS, the
 * directory is probably not meant for tasks. Changes of further names are then ignored until some of the names have
 * been quiet for WATCH_QUIET_NS.
 */
#ifndef FANTAIL_WORKER_WATCH_H
#define FANTAIL_WORKER_WATCH_H

#include <uv.h>

#include "common/base/base.h"

#define WATCH_SETTLE_MS     300
#define WATCH_SETTLE_MAX_MS 3000
#define WATCH_DEPTH         4
#define WATCH_FOLDERS_MAX   1024
#define WATCH_REPORTS_MAX   30
#define WATCH_NAMES_MAX     4096 /* names whose changes are remembered; each is forgotten after WATCH_QUIET_NS */
#define WATCH_QUIET_NS      (60 * NS_PER_S)

struct watch;

struct watch_hooks {
    /* `names` is a list that ends with NULL, borrowed for the call. NULL: a directory of tasks was replaced, so every
     * task may have changed. */
    void (*changed)(void *data, const char *const *names);
    /* Returns whether the task was busy at the time `at_ns`, and may therefore have written a file at that time. */
    bool (*writes_itself)(void *data, const char *task, uint64_t at_ns);
};

/* `dirs` has paths separated by colons. `dirs` and `hooks` are borrowed. */
struct watch *watch_start(uv_loop_t *loop, const char *dirs, const struct watch_hooks *hooks, void *data);
/* NULL is fine. No hook is called after this call. The memory is freed when the loop has closed the handles. */
void watch_stop(struct watch *w);

#endif
