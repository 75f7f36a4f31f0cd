/*
 * The processes of one task: jobs and their chunks take fair turns at them, run by run (turns.h); processes are started
 * when there is work for them and stay warm; one that dies is replaced, and only the item it was at is charged.
 *
 * A task whose processes cannot start, or die before they are given anything, is broken for a while: its items fail at
 * once with the reason, and the while doubles up to POOL_BROKEN_MAX_NS. Deaths that might be an item's doing are told
 * apart by a trial: a process that gets no item until it has lived POOL_PROBE_NS.
 *
 * Owner: the worker. Chunks belong to their requests; the pool holds a reference to each it was given.
 */
#ifndef FANTAIL_WORKER_PROCESS_POOL_H
#define FANTAIL_WORKER_PROCESS_POOL_H

#include <uv.h>

#include "worker/chunk/turns.h"
#include "worker/process/process.h"

#define POOL_PROBE_AFTER   3 /* deaths in a row without one answer */
#define POOL_PROBE_NS      (100 * NS_PER_MS)
#define POOL_BROKEN_MIN_NS (200 * NS_PER_MS)
#define POOL_BROKEN_MAX_NS (10 * NS_PER_S)

enum pool_loss {
    LOSS_CRASHED,
    LOSS_TIMED_OUT,
    LOSS_OUT_OF_MEMORY,
    LOSS_BAD_OUTPUT,
    LOSS_CANCELLED,
    LOSS_RETIRED,
    LOSS_COUNT
};
extern const char *const pool_loss_names[LOSS_COUNT];

struct pool {
    struct pool *next; /* the worker's to use */
    const struct process_env *env;
    struct task *task;
    unsigned size; /* processes wanted at most */
    struct process *processes;
    unsigned count; /* in the list: alive and of use */
    struct process *probe;

    struct turns turns;
    bool draining;
    bool feeding, feed_again;

    unsigned deaths; /* in a row, without an answer in between */
    uint64_t broken_until_ns, broken_for_ns;
    struct buf broken_line; /* the answer of every item while it is broken */
    uv_timer_t timer;
    uint64_t losses[LOSS_COUNT];
    uint64_t *loss_counters[LOSS_COUNT];
};

void pool_init(struct pool *p, const struct process_env *env, struct task *task, unsigned size);
/* Kills what is left. The struct may be freed once the loop has closed its timer. */
void pool_close(struct pool *p, uv_close_cb closed);

/* Takes a reference to the chunk; items may arrive later: call pool_feed() then. */
void pool_submit(struct pool *p, struct chunk *c);
/* Gives processes what they can take. Call after items have arrived or answers were pulled. */
void pool_feed(struct pool *p);
/* Nobody waits for the chunk any more: stops its processes. The pool's reference is dropped. */
void pool_cancel(struct pool *p, struct chunk *c);
/* The chunk was ended (chunk_end()): as pool_cancel(), but its answers can still be pulled. */
void pool_forget(struct pool *p, struct chunk *c, uint64_t now);
/* Hands back what was not started. */
void pool_drain(struct pool *p);
/* The drain took too long: nothing is given out any more. The item that a process of a task that is not idempotent is
 * at is answered worker_lost, as it must not run again; what else runs may be handed back (chunk_end(), pool_forget()).
 */
void pool_cut(struct pool *p);
/* Another description of the task: its processes end when they have answered what they were given. */
void pool_reload(struct pool *p, struct task *task, unsigned size);

/* Processes that have nothing to do, started or not. */
unsigned pool_free_slots(const struct pool *p);
uint64_t pool_queued(const struct pool *p);

#endif
