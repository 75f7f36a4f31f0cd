/*
 * The answers a host has not written yet. They are gathered and written together, by the host when the items that have
 * arrived are used up or many bytes wait; and, should one item take long or hang, by a helper thread that looks every
 * few milliseconds, so that no answer waits for the item behind it and the worker can tell which item hangs. The
 * thread starts with the first batch of several items and sleeps while there are none.
 *
 * Owner of data's bytes behind `whole`: the host, which builds the running answer there without any lock.
 */
#ifndef FANTAIL_HOSTS_ANSWERS_H
#define FANTAIL_HOSTS_ANSWERS_H

#include <pthread.h>
#include <stdatomic.h>

#include "common/base/base.h"

struct answers {
    char *data;
    size_t alloc;
    atomic_size_t whole; /* bytes of whole answers; the running one is behind them */
    size_t written;      /* of them; guarded by lock, as is moving data */
    int fd;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    atomic_bool helper_awake; /* the helper exists and does not sleep */
    bool has_helper;
};

void answers_init(struct answers *a, int fd);
/* Room for at least `size` bytes behind the whole ones; data may move. */
void answers_reserve(struct answers *a, size_t size);
/* Wakes the helper, or starts it. See answers_need_helper(). */
void answers_wake_helper(struct answers *a);
/* Writes what is whole; the process ends when nobody reads any more. */
void answers_flush(struct answers *a);
/* The same from a signal handler of a crashing process, if it can be done. */
void answers_rescue(struct answers *a);

/* The running answer ends `size` bytes behind the whole ones and is one of them now. */
static inline size_t answers_add(struct answers *a, size_t size)
{
    size_t whole = atomic_load_explicit(&a->whole, memory_order_relaxed) + size;
    atomic_store_explicit(&a->whole, whole, memory_order_release);
    return whole;
}

/* Answers wait and another item is about to run: have the helper look from time to time. */
static inline void answers_need_helper(struct answers *a)
{
    if (!atomic_load_explicit(&a->helper_awake, memory_order_relaxed)) answers_wake_helper(a);
}

static inline char *answers_end(const struct answers *a)
{
    return a->data + atomic_load_explicit(&a->whole, memory_order_relaxed);
}

#endif
