/*
 * Buffers the answers that a host has not written yet. The host writes the buffered answers together, when it has no
 * more items or when many bytes are buffered. If an item takes a long time, a helper thread writes the answers to the
 * items before it. So a finished answer does not wait for the next item. After writing these answers, the helper thread
 * also writes LINE_FLUSHED (line_io.h), so that the worker can tell which item hangs. The helper thread starts when
 * several items have arrived together, and sleeps while the buffer is empty.
 *
 * Before the helper thread writes LINE_FLUSHED, it asks the host to flush after the present item. Then the thread waits
 * for a period, and writes the line only if no answer was completed during this period. So the host sees the request
 * before it completes the present item.
 *
 * The host builds the next answer in the same buffer, after the complete answers. Building an answer needs no lock.
 */
#ifndef FANTAIL_HOSTS_ANSWERS_H
#define FANTAIL_HOSTS_ANSWERS_H

#include <pthread.h>
#include <stdatomic.h>

#include "common/base/base.h"

struct answers {
    char *data;
    size_t alloc;
    atomic_size_t whole; /* bytes of complete answers; the answer that is being built follows them */
    size_t written;      /* how many of these bytes are written; `written` and `data` change only under the lock */
    int fd;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    atomic_bool needs_host; /* answers_attend() must be called before the next item */
    atomic_bool is_serving; /* the host runs items, and does not wait for more */
    bool helper_asleep;
    bool flush_asked;  /* the helper has asked for a flush after the present item */
    bool flushed_said; /* after that request, the helper has written LINE_FLUSHED */
    bool has_helper;
};

void answers_init(struct answers *a, int fd);
/* Makes room for `size` bytes after the complete answers; `data` may move. */
void answers_reserve(struct answers *a, size_t size);
/* Does what the helper has asked for, and wakes or starts the helper. Only answers_before_item() calls this function.
 */
void answers_attend(struct answers *a);
/* Writes the complete answers. Ends the process if the reader has closed its end of the pipe. */
void answers_flush(struct answers *a);
/* Like answers_flush(), for the signal handler of a crashing process. Writes nothing if the lock stays locked. */
void answers_rescue(struct answers *a);

/* Call it when the answer that is being built is complete and has `size` bytes. Returns the size of all complete
 * answers. */
static inline size_t answers_add(struct answers *a, size_t size)
{
    size_t whole = atomic_load_explicit(&a->whole, memory_order_relaxed) + size;
    atomic_store_explicit(&a->whole, whole, memory_order_release);
    return whole;
}

/* Call it before an item runs. This call is not needed if that item is the only one that has arrived and the buffer is
 * empty. */
static inline void answers_before_item(struct answers *a)
{
    if (atomic_load_explicit(&a->needs_host, memory_order_relaxed)) answers_attend(a);
}

/* Sets whether the host runs items now. */
static inline void answers_set_serving(struct answers *a, bool is_serving)
{
    atomic_store_explicit(&a->is_serving, is_serving, memory_order_relaxed);
}

static inline char *answers_end(const struct answers *a)
{
    return a->data + atomic_load_explicit(&a->whole, memory_order_relaxed);
}

#endif
