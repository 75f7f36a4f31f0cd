/*
 * The option --watch: detects changes of the tasks. Watches the directories of tasks, and all folders below them, as
 * far as WATCH_DEPTH and WATCH_FOLDERS_MAX allow. When nothing has changed for WATCH_SETTLE_MS, or changes have kept
 * coming for WATCH_SETTLE_MAX_MS, changed() is called with the names of the changed tasks.
 *
 * Only code counts: task.json, files that can be executed, files with the extension of a program, and folders. So a
 * task may write data into its own folder. Names that begin with '.' or '_' are ignored, because they belong to editors
 * and caches.
 */
#ifndef FANTAIL_WORKER_WATCH_H
#define FANTAIL_WORKER_WATCH_H

#include <uv.h>

#include "common/base/base.h"

#define WATCH_SETTLE_MS     300
#define WATCH_SETTLE_MAX_MS 3000
#define WATCH_DEPTH         4
#define WATCH_FOLDERS_MAX   1024

struct watch;

/* `dirs` has paths separated by colons; it is borrowed. changed() is called with a list of names that ends with NULL,
 * borrowed for the call. */
struct watch *watch_start(uv_loop_t *loop, const char *dirs, void (*changed)(void *data, const char *const *names),
                          void *data);
/* NULL is fine. changed() is not called any more. The memory is freed when the loop has closed the handles. */
void watch_stop(struct watch *w);

#endif
