/*
 * Starts one task process: own process group, no new privileges, dies with the worker, first in line for the OOM
 * killer, stdin, stdout and stderr as pipes or sockets, nothing else inherited. By vfork(), so that the size of the
 * worker does not matter and a failed exec is known at once. Knows nothing of tasks.
 */
#ifndef FANTAIL_WORKER_SYSTEM_SPAWN_H
#define FANTAIL_WORKER_SYSTEM_SPAWN_H

#include <sys/types.h>

#include "common/base/base.h"

struct spawn_plan {
    const char *path;    /* of the program; not searched in PATH */
    const char **argv;   /* NULL-ended */
    const char **env;    /* NULL-ended, "NAME=value" */
    const char *cwd;     /* NULL: the worker's */
    uint64_t data_bytes; /* RLIMIT_DATA; 0: as the worker's */
    bool sockets;        /* stdin and stdout are sockets, which cost less to move bytes through, but which a program
                          * that opens /dev/stdin cannot open */
    int oom_score_adj;   /* added to the worker's own at most to 1000 */
};

struct spawned {
    pid_t pid;
    int in, out, err; /* our ends: non-blocking, close-on-exec */
};

/* False: `*error` is an errno and `*step` what failed ("start", "change to its directory"). */
MUST_CHECK bool spawn(const struct spawn_plan *plan, struct spawned *s, int *error, const char **step);

#endif
