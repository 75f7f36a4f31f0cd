/*
 * Every child of the worker ends here: SIGCHLD, waitpid(), and the hunt for descendants that a task process left
 * behind. The worker is a subreaper, so whatever a dead process had started becomes our child, also after setsid(); it
 * is told by the token in its environment (FANTAIL_PROCESS) and killed. Single-threaded; one per program.
 */
#ifndef FANTAIL_WORKER_SYSTEM_REAPER_H
#define FANTAIL_WORKER_SYSTEM_REAPER_H

#include <sys/resource.h>
#include <uv.h>

#include "common/base/base.h"

/* Embedded by whoever started a process. */
struct reaped {
    struct reaped *next;
    pid_t pid;
    uint64_t token; /* unique in this worker; its environment has FANTAIL_PROCESS=<worker pid>-<token> */
    void (*on_exit)(struct reaped *r, int status, const struct rusage *usage);
};

struct reaper {
    uv_signal_t signal;
    struct reaped *children;
    uint64_t last_token;
};

MUST_CHECK bool reaper_init(struct reaper *r, uv_loop_t *loop);
void reaper_close(struct reaper *r);
uint64_t reaper_new_token(struct reaper *r);
/* Watches child->pid until its on_exit, after which the reaper has forgotten it. */
void reaper_add(struct reaper *r, struct reaped *child);
/* Looks for ended children now; false when there is no child left, adopted ones included. */
bool reaper_poll(struct reaper *r);

#endif
