/*
 * The processes of one task. A process is started when there is work for it, and stays warm. Jobs and their chunks
 * share the processes round-robin, run by run (turns.h). A process that dies is replaced, and only the item that it was
 * running is charged.
 *
 * A task is broken if its processes cannot start, or die while they have no item. While a task is broken, its items
 * fail immediately, with the cause. After a pause, a process is started again; the pause doubles each time, up to
 * POOL_BROKEN_MAX_NS. When several processes in a row have died before they answered an item, a probe is started. A
 * probe is a process that gets no item until it has lived for POOL_PROBE_NS. The probe shows whether the items or the
 * task are at fault.
 *
 * When the last open chunk of the task ends, a process may still be loading. The process may continue to load for the
 * longer of two times: POOL_UNWANTED_NS, or the time that it has already been loading. After this time the process is
 * killed. So the task is loaded only once for consecutive chunks.
 *
 * The worker owns the pools. Chunks belong to their requests; the pool holds a reference to each chunk that it was
 * given.
 */
#ifndef FANTAIL_WORKER_POOL_POOL_H
#define FANTAIL_WORKER_POOL_POOL_H

#include <uv.h>

#include "worker/chunk/slot_cap.h"
#include "worker/chunk/turns.h"
#include "worker/process/process.h"

#define POOL_PROBE_AFTER   3 /* after this many deaths in a row without an answer, a probe is started */
#define POOL_PROBE_NS      (100 * NS_PER_MS)
#define POOL_BROKEN_MIN_NS (200 * NS_PER_MS)
#define POOL_BROKEN_MAX_NS (10 * NS_PER_S)
#define POOL_UNWANTED_NS   (10 * NS_PER_S) /* how long a process goes on loading while no chunk is open, see above */
#define POOL_BROKEN_SAY_NS (60 * NS_PER_S) /* how often the log repeats that a task is broken for the same reason */

/* Why a process ended. */
enum pool_loss {
    LOSS_CRASHED,
    LOSS_TIMED_OUT,
    LOSS_OUT_OF_MEMORY,
    LOSS_BAD_OUTPUT,
    LOSS_START_TIMED_OUT,
    LOSS_CANCELLED,
    LOSS_RETIRED,
    LOSS_COUNT
};
extern const char *const pool_loss_names[LOSS_COUNT];

struct pool {
    struct pool *next; /* link for the worker's list */
    const struct process_env *env;
    struct task *task;
    unsigned size; /* how many processes the pool may have */
    struct process *processes;
    unsigned count;            /* how many processes are in the list */
    struct process *candidate; /* a process that is not in the list, see pool_replace.c; NULL: none */
    unsigned candidate_size;
    struct process *probe; /* the process that is the probe; NULL: none */

    struct turns turns;
    struct slot_user slots;
    uint64_t unwanted_ns; /* since when no chunk is open; 0: a chunk is open, or there has been none */
    bool draining;
    bool feeding, feed_again; /* pool_feed() is running; pool_feed() was called again while it was running */

    unsigned deaths; /* deaths in a row without an answer */
    uint64_t broken_until_ns, broken_for_ns;
    char *broken_cause;     /* why the task is broken; NULL: it has never been broken */
    struct buf broken_line; /* the answer of every item while the task is broken */
    uint64_t failed_ms;     /* loop time of the last fail_some() that did not answer all waiting items */
    uint64_t failed_starts; /* starts that failed since the last answer */
    uint64_t said_ns;       /* when the log last said that the task cannot start */
    struct buf starts;      /* what processes print at their start, see tail.h */
    uv_timer_t timer;       /* for the end of a probe or a pause, and for fail_some() */
    uint64_t busy_until_ns; /* when a process last became ready, answered an item or ended */
    uint64_t losses[LOSS_COUNT];
    uint64_t *loss_counters[LOSS_COUNT];
};

void pool_init(struct pool *p, const struct process_env *env, struct task *task, unsigned size);
/* Kills the processes of the pool. closed() is called with the handle of the pool's timer, and may free the struct. */
void pool_close(struct pool *p, uv_close_cb closed);

/* Takes a reference to the chunk. Call pool_feed() when items of the chunk have arrived. */
void pool_submit(struct pool *p, struct chunk *c);
/* Gives the processes as many items as they can take. Call it after items have arrived or answers have been pulled. */
void pool_feed(struct pool *p);
/* Abandons the chunk. The items of the chunk are dropped, and processes that run one of these items are soon told to
 * cancel it, or killed. Drops the reference. */
void pool_cancel(struct pool *p, struct chunk *c);
/* Like pool_cancel(), but for a chunk that chunk_end() has ended. The answers in the chunk can still be pulled. */
void pool_forget(struct pool *p, struct chunk *c, uint64_t now);
/* Begins a drain. Items that were never given to a process are handed back to the client. */
void pool_drain(struct pool *p);
/* Ends a drain that takes too long. After this call, no process gets items. If the task is not idempotent, running
 * items must not run again, so they are answered with worker_lost. The caller may hand back all other items
 * (chunk_end(), pool_forget()). */
void pool_cut(struct pool *p);
/* Sets another description of the task. Processes of the previous description end when they have answered their
 * items. */
void pool_reload(struct pool *p, struct task *task, unsigned size);
/* Like pool_reload(), but the task stays available. If processes of the task can report that they are ready, the
 * previous processes serve until a process of the new description is ready. If the new process ends before it is ready,
 * the previous processes continue. */
void pool_replace(struct pool *p, struct task *task, unsigned size);

/* Returns how many items the pool can run at the same time. Each process has room for one item, for one batch, or for
 * the number of items that the task runs at the same time. */
unsigned pool_slots(const struct pool *p);
/* Returns how many more items could run now. Items that could run on processes that may still be started are
 * included. */
unsigned pool_free_slots(const struct pool *p);
/* Like pool_free_slots(), but does not count slots for which items already wait, or slots that the worker's cap does
 * not allow. */
unsigned pool_may_start(const struct pool *p);
/* Returns how many processes are starting. A process that is starting does not take items yet. */
unsigned pool_starting(const struct pool *p);
/* Returns why no process of the task could be started at the last attempts, as a sentence without a full stop. Returns
 * NULL if a process has answered an item since then, or if no start has failed. */
const char *pool_start_failure(const struct pool *p);
/* Returns when the task was last busy. A task is busy while one of its processes is starting, runs an item, or is about
 * to end. Returns `now` if the task is busy now, and 0 if it was never busy. */
uint64_t pool_busy_until(const struct pool *p, uint64_t now);
/* Returns how many items wait. */
uint64_t pool_queued(const struct pool *p);

#endif
