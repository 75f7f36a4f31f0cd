/*
 * Starts one task process. The process has a process group of its own, cannot gain privileges, and dies with the
 * worker. The kernel's out-of-memory killer kills the process before it kills the worker. The process inherits only
 * stdin, stdout and stderr, which are pipes or sockets. The process is started by vfork(), so the start is fast even if
 * the worker is large, and a failed execve() is reported before spawn() returns. This module knows nothing about tasks.
 */
#ifndef FANTAIL_WORKER_SYSTEM_SPAWN_H
#define FANTAIL_WORKER_SYSTEM_SPAWN_H

#include <sys/types.h>

#include "common/base/base.h"
#include "common/files/start_error.h"

struct spawn_plan {
    const char *path;    /* path of the program; PATH is not searched */
    const char **argv;   /* NULL-ended */
    const char **env;    /* NULL-ended, "NAME=value" */
    const char *cwd;     /* NULL: the worker's directory */
    uint64_t data_bytes; /* RLIMIT_DATA; 0: the worker's limit */
    bool sockets; /* stdin and stdout are sockets; these are cheaper than pipes, but cannot be opened as /dev/stdin */
    bool keeps_in_peer; /* the caller also gets the process's end of stdin */
    int oom_score_adj;  /* added to the worker's own oom_score_adj; the sum is at most 1000 */
};

struct spawned {
    pid_t pid;
    int in, out, err; /* our ends: non-blocking, close-on-exec */
    int in_peer;      /* the process's end of stdin, close-on-exec; -1 unless keeps_in_peer is set */
};

#define SPAWN_WHY_SIZE (START_ERROR_SIZE + 50)

/* On failure returns false, with a text in `why` such as "cannot change to its directory: Permission denied". */
MUST_CHECK bool spawn(const struct spawn_plan *plan, struct spawned *s, char why[SPAWN_WHY_SIZE]);

#endif
