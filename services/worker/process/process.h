/*
 * One warm process of a task. Gives it runs of items, reads its answers and its stderr, watches its time and memory,
 * kills it when it must, and finds out why it ended. The pool decides which process gets which run.
 *
 * The current item of a process is the first item that it has not answered (window.h).
 *
 *     STARTING --its program runs--> RUNNING --process_retire()--> RETIRING
 *                                       |                             |
 *             it closed stdin or stdout |                             | the same, or it has answered all it was given
 *                                       +----------> ENDING <---------+
 *
 *     RUNNING, RETIRING, ENDING --it exits--> EXITED --its last output is read--> GONE --handles closed--> freed
 *     RUNNING, RETIRING, ENDING --process_kill()--> KILLED --it is reaped-------> GONE
 *     STARTING --its program cannot be started----------------------------------> GONE
 *
 * hooks->lost() is called once for each process that ran: when it is killed, or when its last output has been read.
 * After that it gives no more answers, and the pool takes the runs that are left in its window. process_kill() may also
 * be called in EXITED, where it leads to GONE. The struct frees itself.
 */
#ifndef FANTAIL_WORKER_PROCESS_PROCESS_H
#define FANTAIL_WORKER_PROCESS_PROCESS_H

#include <uv.h>

#include "worker/process/fault.h"
#include "worker/process/tail.h"
#include "worker/process/window.h"
#include "worker/system/reaper.h"
#include "worker/task/task.h"

struct process;

struct process_hooks {
    void (*answered)(struct process *p);              /* its window may have room */
    void (*lost)(struct process *p, struct fault *f); /* the reason; meaningless if it was only retired */
    void (*progress)(struct chunk *c);                /* the chunk has more answers */
};

#define PROCESS_PREAMBLE 2 /* values whose control lines may precede a run: the common value, the trace */

enum process_state {
    PROCESS_STARTING, /* its program does not run yet */
    PROCESS_RUNNING,
    PROCESS_RETIRING, /* gets no more items; its stdin is closed after the last one */
    PROCESS_ENDING,   /* gets no more items; must exit by itself, and is killed when its grace is over */
    PROCESS_EXITED,   /* reaped; not lost yet */
    PROCESS_KILLED,   /* lost; not reaped yet */
    PROCESS_GONE,     /* lost and reaped */
    PROCESS_STATE_COUNT
};

/* What all processes of a worker share. */
struct process_env {
    uv_loop_t *loop;
    struct reaper *reaper;
    const char *worker_id;
    const char *scratch; /* the directory in which processes get temporary directories; NULL: they get none */
};

/* Our end of a pipe. */
struct process_pipe {
    uv_poll_t poll;
    int fd;
    bool open;
    bool enlarged;
    bool waits; /* stdin: it is full, and libuv waits for room */
};

struct process {
    struct process *next; /* for the pool: its list */
    void *pool;           /* for the pool */
    const struct process_env *env;
    const struct process_hooks *hooks;
    struct task *task;
    enum process_state state;
    bool retired; /* process_retire() was called */

    struct reaped child;
    char *scratch; /* its temporary directory */

    struct process_pipe in, out, err;
    unsigned handles; /* not closed yet */
    uv_timer_t timer;

    struct window window;
    struct run *writing; /* first run of the window that is not wholly written */
    size_t written;      /* bytes of it, its control lines included */
    /* The values that the process has, and those whose control lines precede the run being written (NULL: none). */
    struct common_value *common, *trace;
    struct common_value *preamble[PROCESS_PREAMBLE];
    struct buf partial;     /* the beginning of an answer line */
    size_t long_line;       /* length of the last line, if that was long; else 0 */
    struct buf numbered;    /* form with ids: the run being written, with its ids */
    uint64_t numbered_next; /* the next id */

    uint64_t started_ns;
    uint64_t grace_until_ns; /* in ENDING: when it is killed, for grace_cause */
    const char *grace_cause;
    struct tail tail;
};

/* Starts a process; NULL with a fault when it cannot be started. */
MUST_CHECK struct process *process_start(const struct process_env *env, struct task *task,
                                         const struct process_hooks *hooks, void *pool, uint64_t now, struct fault *f);
/* How many items may be given now. */
uint64_t process_room(struct process *p, uint64_t now);
/* Gives it a run, which must fit in its room. May kill it. */
void process_give(struct process *p, struct run *r, uint64_t now);
/* Lets it answer what it was given, then end: its stdin is closed after the last item. */
void process_retire(struct process *p);
/* Ends it now; hooks->lost() is called before this returns. */
void process_kill(struct process *p, const struct fault *f);
/* Sets its timer again. Call it when its current item may have a new time limit, or its chunk was abandoned. */
void process_check_time(struct process *p, uint64_t now);

#endif
