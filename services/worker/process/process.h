/*
 * One warm process of a task. This module writes runs of items to the process, reads its answers and its stderr, and
 * watches its time and memory. When necessary, this module kills the process. When the process has ended, this module
 * finds out why it ended. The pool decides which process gets which run.
 *
 * The current item of a process is the first item that it has not answered (window.h). A process that answers in any
 * order has no current item. But a process that answers in any order can be told to cancel an item. The process must
 * then answer this item soon.
 *
 *     STARTING --it is ready-------> RUNNING --process_retire()--> RETIRING
 *                                       |                             |
 *             it closed stdin or stdout |                             | it closed one of them, or answered all items
 *                                       +----------> ENDING <---------+
 *
 *     STARTING --process_retire(), or it closed stdout--> ENDING
 *     STARTING, RUNNING, RETIRING, ENDING --it exits-------> EXITED --its last output is read--> GONE
 *     STARTING, RUNNING, RETIRING, ENDING --process_kill()-> KILLED --it is reaped-------------> GONE
 *     STARTING --its program cannot be started-------------------------------------------------> GONE
 *     GONE --its handles are closed--> freed
 *
 * A process of a host program reports when it has loaded its task. Other programs may also report that they are ready
 * ("ready" of task.json). Until such a process has reported that it is ready, it is STARTING, gets no item, and has a
 * time limit of its own. A process that does not report that it is ready counts as ready immediately.
 *
 * hooks->lost() is called once for each process that ran: when it is killed, or when its last output has been read.
 * After hooks->lost() was called, the process gives no more answers, and the pool takes the runs that are left in its
 * window. If process_kill() is called in EXITED, the next state is GONE. The struct frees itself.
 */
#ifndef FANTAIL_WORKER_PROCESS_PROCESS_H
#define FANTAIL_WORKER_PROCESS_PROCESS_H

#include <uv.h>

#include "worker/process/fault.h"
#include "worker/process/tail.h"
#include "worker/process/window.h"
#include "worker/system/cpu_wait.h"
#include "worker/system/output_gate.h"
#include "worker/system/reaper.h"
#include "worker/task/task.h"

struct process;
struct slot_cap;

struct process_hooks {
    void (*starting)(struct process *p);              /* called from time to time while p is STARTING */
    void (*ready)(struct process *p);                 /* called when p goes from STARTING to RUNNING */
    void (*answered)(struct process *p);              /* called when the window of p may have room */
    void (*lost)(struct process *p, struct fault *f); /* f: the reason; meaningless if the process was only retired */
    void (*progress)(struct chunk *c);                /* called when the chunk has more answers */
};

#define PROCESS_STARTING_NS     (200 * NS_PER_MS) /* time between two calls to hooks->starting() */
#define PROCESS_CANCEL_GRACE_NS (2 * NS_PER_S)    /* how soon a process must answer an item that it has to cancel */
#define PROCESS_PREAMBLE        2 /* values whose control lines may precede a run: the common value, the trace */

enum process_state {
    PROCESS_STARTING, /* the program does not run yet, or has not reported that it is ready */
    PROCESS_RUNNING,
    PROCESS_RETIRING, /* gets no more items; its stdin is closed after the last item */
    PROCESS_ENDING,   /* gets no more items; must exit by itself, and is killed when its grace is over */
    PROCESS_EXITED,   /* reaped, but hooks->lost() was not called yet */
    PROCESS_KILLED,   /* hooks->lost() was called, but the process is not reaped yet */
    PROCESS_GONE,     /* reaped, and hooks->lost() was called */
    PROCESS_STATE_COUNT
};

/* Settings that all processes of a worker share. */
struct process_env {
    uv_loop_t *loop;
    struct reaper *reaper;
    const char *worker_id;
    enum tail_form output;
    struct output_gate *gate;  /* NULL unless `output` is TAIL_WHOLE or TAIL_BARE */
    const char *scratch;       /* the directory in which processes get temporary directories; NULL: they get none */
    struct slot_cap *slot_cap; /* limits the processes that run items; NULL: no limit */
    struct cpu_wait *our_wait; /* how long the worker itself waits for a processor; NULL: not counted */
};

/* Our end of a pipe. */
struct process_pipe {
    uv_poll_t poll;
    int fd;
    bool open;
    bool enlarged;
    bool waits; /* for stdin: the pipe is full, and libuv waits for room */
};

/* The first run that is not completely written. A process may answer items that it has not read, so a run may end
 * before it is completely written. This struct keeps what is needed to write the rest of a run that has ended. */
struct process_writing {
    struct chunk *chunk;   /* a reference; NULL: all runs are written */
    const struct run *run; /* valid until item `last` is answered */
    size_t offset, len;    /* the bytes of the run in its chunk */
    bool alone;            /* the run has only one item */
    uint64_t last;         /* the number of its last item */
    size_t written;        /* how many bytes were written, including control lines */
};

struct process {
    struct process *next; /* link for the pool's list */
    void *pool;           /* the pool's own data */
    const struct process_env *env;
    const struct process_hooks *hooks;
    struct task *task;
    enum process_state state;
    bool retired; /* process_retire() was called */

    struct reaped child;
    char *scratch; /* its temporary directory; NULL: none */

    struct process_pipe in, out, err;
    int in_peer;      /* the process's end of `in`, for process_recall(); -1: process_recall() takes no run back */
    unsigned handles; /* handles that are not closed yet */
    uv_timer_t timer;

    struct window window;
    struct process_writing writing;
    /* `common` and `trace` are the values that the process will have when the current run is completely written.
     * `preamble` has those of them whose control lines precede this run. NULL: none. */
    struct common_value *common, *trace;
    struct common_value *preamble[PROCESS_PREAMBLE];
    struct buf partial;  /* the beginning of an answer line */
    size_t long_line;    /* length of the last line, if the line was long; else 0 */
    struct buf numbered; /* for the form with ids: the run being written, with its ids */
    uint64_t next_item;  /* the number of the next item to write, from 1 on; in the form with ids it is the id */
    /* The members up to `culprit` are for a process that answers in any order. Such a process does not use
     * `writing`. */
    struct buf outbox; /* the lines to write */
    size_t outbox_written;
    uint64_t due_ns;           /* no item is due before this instant (process_cancel.c) */
    const struct run *culprit; /* if the process is lost: the only item that can be at fault; NULL: not known */

    uint64_t started_ns, ready_ns;
    uint64_t grace_until_ns; /* in ENDING: when the process is killed, with grace_cause as the reason */
    const char *grace_cause;
    struct tail tail;
    struct output_waiter held; /* waits while standard error takes no lines; meanwhile stdout and stderr are not read */
    size_t readable;           /* how many bytes of stdout may be read now */
    struct cpu_wait cpu_wait;
    struct {
        uint64_t ran_ns, waited_ns; /* the values of cpu_wait at the last answers */
    } counted;
};

/* Starts a process. If the process cannot be started, returns NULL, with the reason in *f. */
MUST_CHECK struct process *process_start(const struct process_env *env, struct task *task,
                                         const struct process_hooks *hooks, void *pool, uint64_t now, struct fault *f);
/* Returns how many more items the process may be given now. */
uint64_t process_room(struct process *p, uint64_t now);
/* Gives the process a run, which must fit in its room. May kill the process. If the process answers in any order, the
 * run must have one item, and is written by process_flush(). */
void process_give(struct process *p, struct run *r, uint64_t now);
/* A process that answers in any order needs a copy of the run's item. Returns whether there is memory for this copy. */
MUST_CHECK bool process_has_memory(const struct process *p, const struct run *r);
/* Takes the last run of the process back, so that the run waits again. Returns false, and does nothing, if it is the
 * first run too, if the process may have read a part of it, or if the items of the task need not start in their order.
 */
bool process_recall(struct process *p);
/* Writes the runs that process_give() has not written. */
void process_flush(struct process *p);
/* Lets the process answer the items that it was given, and then end: its stdin is closed after the last item. */
void process_retire(struct process *p);
/* Ends the process now. hooks->lost() is called before this function returns. */
void process_kill(struct process *p, const struct fault *f);
/* Call it when the chunk has been abandoned. If the process runs items of the chunk, these items are stopped soon. */
void process_check_chunk(struct process *p, const struct chunk *c, uint64_t now);

#endif
