/*
 * Reaps every child of the worker, including children that the worker adopted when their parent died. descendants.h
 * kills an adopted child when the task process that started it has ended. Single-threaded; a program has only one
 * reaper.
 */
#ifndef FANTAIL_WORKER_SYSTEM_REAPER_H
#define FANTAIL_WORKER_SYSTEM_REAPER_H

#include <sys/resource.h>
#include <uv.h>

#include "common/base/base.h"

/* A child that we started; embedded in its owner. */
struct reaped {
    struct reaped *next;
    pid_t pid;
    uint64_t token; /* unique in this worker; the child's environment has FANTAIL_PROCESS=<worker pid>-<token> */
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
/* Adds the child to the list. When child->pid has ended, removes the child from the list and calls on_exit(). */
void reaper_add(struct reaper *r, struct reaped *child);
/* Reaps the children that have ended. Returns false if no child is left. Adopted children count too. */
bool reaper_poll(struct reaper *r);

#endif
