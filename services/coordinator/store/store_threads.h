/*
 * The two threads of a store, and the queues between them and the loop. A database blocks its callers, so a back end
 * cannot run on the thread of the loop. One thread carries out the writing calls, and the other thread the reading
 * calls. Each thread keeps the order of its calls.
 *
 * A thread touches only its own connection and the calls that it has taken from its queue. All three threads use the
 * members after `lock`, and hold the lock while they do so. The two threads of the store write no log lines and update
 * no metrics, because the log and the metrics belong to the thread of the loop.
 *
 * A back end embeds struct store_threads, whose first member is its struct store, and provides the two functions that
 * the threads run. Each function takes calls with store_side_take() until store_side_take() returns false and the store
 * is closing. After the last batch, the function closes its connection. As its last step, the function calls
 * store_side_end().
 */
#ifndef FANTAIL_COORDINATOR_STORE_STORE_THREADS_H
#define FANTAIL_COORDINATOR_STORE_STORE_THREADS_H

#include <uv.h>

#include "coordinator/store/store.h"

#define STORE_WAIT_FOREVER UINT64_MAX

/* A thread and its queue. */
struct store_side {
    struct store_threads *threads;
    uv_thread_t thread;
    struct list calls; /* guarded by the lock */
    uv_cond_t wake;
    bool has_ended; /* guarded by the lock */
};

struct store_threads {
    struct store base;
    int wake_fd; /* an eventfd; it becomes readable when the thread of the loop has something to do */
    uv_poll_t poll;
    struct store_side writer, reader;
    /* Called on the thread of the loop after store_threads_poke(). May be NULL. */
    void (*poked)(struct store_threads *t);
    /* Called on the thread of the loop when both threads have ended and the handles in the loop are closed. This
     * function must call store_threads_release() and free the back end. */
    void (*freed)(struct store_threads *t);
    void (*closed)(void *data);
    void *closed_data;
    bool is_held;     /* used only on the thread of the loop */
    struct list held; /* the calls that were started since store_hold(); used only on the thread of the loop */

    uv_mutex_t lock;
    struct list done; /* finished calls, which the thread of the loop must still report */
    bool is_closing;
    bool is_woken; /* the thread of the loop has been woken, but has not run on_wake() yet */
};

/* Makes the lock and the queues. */
void store_threads_init(struct store_threads *t);
/* Starts the threads. If this fails, returns false and writes a sentence to err. After a failure, no thread runs, the
 * loop has no handle of the store, and `freed` is not called: call store_threads_release() yourself. */
MUST_CHECK bool store_threads_start(struct store_threads *t, uv_loop_t *loop, void (*run_writer)(void *side),
                                    void (*run_reader)(void *side), char *err, size_t err_size);
void store_threads_release(struct store_threads *t);

/* The functions below are for the two threads. */

/* Calls that were taken from a queue. The writer carries them out in one transaction of the database. */
struct store_batch {
    struct list calls;
    size_t bytes;      /* bytes of their lines */
    uint64_t taken_ns; /* when the first calls were taken */
};

struct store_call *store_call_of(struct list_link *k);
/* Waits for calls, but at most for `wait_ns`, and takes as many calls as one transaction may contain. Returns false if
 * there are no calls. Does not wait if the store is closing. */
MUST_CHECK bool store_side_take(struct store_side *side, struct store_batch *b, uint64_t wait_ns);
/* Returns the call after `k`. If `k` is the last call of the batch, first adds the calls that were started since the
 * batch was taken. So the calls that a request starts one after another share a transaction. When JOIN_NS have passed
 * since the batch was taken, adds no more calls. Without this limit, a slow database might always leave time for one
 * more call, and the transaction would never end. */
struct list_link *store_side_next(struct store_side *side, struct store_batch *b, struct list_link *k);
bool store_side_is_closing(struct store_side *side);
/* Call it when a transaction has been committed, before its calls are reported. */
void store_note_commit(struct list *calls);
/* Hands finished calls back to the thread of the loop. That thread runs the `done` callback of each call. */
void store_side_report(struct store_side *side, struct list *calls);
void store_side_end(struct store_side *side);
/* Waits until the thread of the other side has ended. */
void store_side_wait_for(struct store_side *side, struct store_side *other);
void store_threads_poke(struct store_threads *t);

#endif
