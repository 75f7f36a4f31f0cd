/*
 * One warm process of a task: its pipes, its window, its end. Feeds it the runs it is given, reads its answers, keeps
 * its stderr, watches the time and memory of the item it is at, and kills it when it must.
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
 * hooks->lost() is called once for each process that ran: when it is killed, or when its last output has been read. It
 * answers no more then, and the runs left in its window are the pool's to take. process_kill() may also be called in
 * EXITED, where it leads to GONE. The struct frees itself. What runs where is decided by the pool.
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
    void (*answered)(struct process *p);              /* there may be room in its window */
    void (*lost)(struct process *p, struct fault *f); /* f->name is meaningless when the process was merely retired */
    void (*progress)(struct chunk *c);
};

#define PROCESS_PREAMBLE 2 /* control lines that may stand before a run: the common value, the trace */

enum process_state {
    PROCESS_STARTING, /* its program does not run yet */
    PROCESS_RUNNING,
    PROCESS_RETIRING, /* gets no more items; its stdin is closed after those it has */
    PROCESS_ENDING,   /* gets no more items and must exit by itself soon; killed when its grace is over */
    PROCESS_EXITED,   /* has been reaped */
    PROCESS_KILLED,   /* lost, and still to be reaped */
    PROCESS_GONE,     /* lost and reaped */
    PROCESS_STATE_COUNT
};

/* What all processes of a worker share. */
struct process_env {
    uv_loop_t *loop;
    struct reaper *reaper;
    const char *worker_id;
    const char *scratch; /* directory for the processes' temporary directories; NULL: none */
};

/* Our end of a pipe. */
struct process_pipe {
    uv_poll_t poll;
    int fd;
    bool open;
    bool enlarged;
    bool waits; /* stdin: it is full, and libuv watches for room */
};

struct process {
    struct process *next; /* in the pool's list; the pool's to use */
    void *pool;
    const struct process_env *env;
    const struct process_hooks *hooks;
    struct task *task;
    enum process_state state;
    bool retired; /* it was asked to end */

    struct reaped child;
    char *scratch; /* its temporary directory */

    struct process_pipe in, out, err;
    unsigned handles; /* not closed yet */
    uv_timer_t timer;

    struct window window;
    struct run *writing; /* first run of the window that is not wholly written */
    size_t written;      /* bytes of it, its control line included */
    /* What the process was told last, and what of it stands before the run being written (NULL: nothing). */
    struct common_value *common, *trace;
    struct common_value *preamble[PROCESS_PREAMBLE];
    struct buf partial;     /* the beginning of a line */
    size_t long_line;       /* how long the last line was if it was long; 0: it was not */
    struct buf numbered;    /* the run being written, with its ids; only in that form */
    uint64_t numbered_next; /* the next id */

    uint64_t started_ns;
    uint64_t grace_until_ns; /* ENDING: killed then, for grace_cause */
    const char *grace_cause;
    struct tail tail;
};

/* Starts a process; NULL with a fault when it cannot. */
MUST_CHECK struct process *process_start(const struct process_env *env, struct task *task,
                                         const struct process_hooks *hooks, void *pool, uint64_t now, struct fault *f);
/* Items that may be given now. */
uint64_t process_room(struct process *p, uint64_t now);
void process_give(struct process *p, struct run *r, uint64_t now);
/* Ends it in a friendly way: its stdin is closed once what it was given is written. */
void process_retire(struct process *p);
/* Ends it now; hooks->lost() is called before this returns. */
void process_kill(struct process *p, const struct fault *f);
/* Its head run's chunk was abandoned, or it was given something with a time limit: look at the clock again. */
void process_check_time(struct process *p, uint64_t now);

#endif
