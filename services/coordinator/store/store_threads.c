#include "coordinator/store/store_threads.h"

#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "common/base/limits.h"
#include "common/loop/progress.h"

#define BATCH_CALLS 1024       /* maximum number of calls in one transaction */
#define BATCH_BYTES (16 * MIB) /* maximum number of bytes of lines in one transaction, unless it has only one call */
/* A transaction takes no more calls when this time has passed since it took its first calls. */
#define JOIN_NS (100 * NS_PER_MS)

struct store_call *store_call_of(struct list_link *k)
{
    return CONTAINER_OF(k, struct store_call, link);
}

/* The queues. */

/* Moves calls from the queue to the batch until the batch is full. The caller holds the lock. */
static void take_calls(struct list *queue, struct store_batch *b)
{
    for (struct list_link *k; b->calls.n < BATCH_CALLS && (k = list_next(queue, NULL));) {
        size_t bytes = store_call_of(k)->block.lines.len;
        if (b->calls.n > 0 && b->bytes + bytes > BATCH_BYTES) return;
        list_remove(queue, k);
        list_push_back(&b->calls, k);
        b->bytes += bytes;
    }
}

bool store_side_take(struct store_side *side, struct store_batch *b, uint64_t wait_ns)
{
    struct store_threads *t = side->threads;
    list_init(&b->calls);
    b->bytes = 0;
    uv_mutex_lock(&t->lock);
    while (side->calls.n == 0 && !t->is_closing && wait_ns > 0) {
        if (wait_ns == STORE_WAIT_FOREVER)
            uv_cond_wait(&side->wake, &t->lock);
        else if (uv_cond_timedwait(&side->wake, &t->lock, wait_ns) == UV_ETIMEDOUT)
            break;
    }
    take_calls(&side->calls, b);
    uv_mutex_unlock(&t->lock);
    b->taken_ns = now_ns();
    return b->calls.n > 0;
}

struct list_link *store_side_next(struct store_side *side, struct store_batch *b, struct list_link *k)
{
    struct list_link *next = list_next(&b->calls, k);
    if (next || now_ns() - b->taken_ns > JOIN_NS) return next;
    uv_mutex_lock(&side->threads->lock);
    take_calls(&side->calls, b);
    uv_mutex_unlock(&side->threads->lock);
    return list_next(&b->calls, k);
}

bool store_side_is_closing(struct store_side *side)
{
    uv_mutex_lock(&side->threads->lock);
    bool is_closing = side->threads->is_closing;
    uv_mutex_unlock(&side->threads->lock);
    return is_closing;
}

void store_note_commit(struct list *calls)
{
    struct list_link *first = list_next(calls, NULL);
    if (first) store_call_of(first)->is_first_of_commit = true;
}

/* Notes that the thread of the loop must run on_wake(). If the result is true, the caller must call
 * wake_loop(), if possible after it has released the lock. */
static bool note_wake(struct store_threads *t)
{
    bool was_woken = t->is_woken;
    t->is_woken = true;
    return !was_woken;
}

/* Writes to an eventfd. A uv_async_t could delay the loop: a loop that is woken by a uv_async_t yields the processor
 * until the sending thread has run again and has returned from libuv. */
static void wake_loop(struct store_threads *t)
{
    if (eventfd_write(t->wake_fd, 1) != 0) BUG("eventfd: %s", strerror(errno));
}

void store_side_report(struct store_side *side, struct list *calls)
{
    struct store_threads *t = side->threads;
    uv_mutex_lock(&t->lock);
    for (struct list_link *k; (k = list_next(calls, NULL));) {
        list_remove(calls, k);
        list_push_back(&t->done, k);
    }
    bool wakes = note_wake(t);
    uv_mutex_unlock(&t->lock);
    if (wakes) wake_loop(t);
}

void store_threads_poke(struct store_threads *t)
{
    uv_mutex_lock(&t->lock);
    bool wakes = note_wake(t);
    uv_mutex_unlock(&t->lock);
    if (wakes) wake_loop(t);
}

void store_side_end(struct store_side *side)
{
    struct store_threads *t = side->threads;
    uv_mutex_lock(&t->lock);
    side->has_ended = true;
    uv_cond_signal(&t->writer.wake);
    uv_cond_signal(&t->reader.wake);
    bool wakes = note_wake(t);
    uv_mutex_unlock(&t->lock);
    if (wakes) wake_loop(t);
}

void store_side_wait_for(struct store_side *side, struct store_side *other)
{
    uv_mutex_lock(&side->threads->lock);
    while (!other->has_ended) uv_cond_wait(&side->wake, &side->threads->lock);
    uv_mutex_unlock(&side->threads->lock);
}

/* The next functions run on the thread of the loop. */

static void on_poll_closed(uv_handle_t *handle)
{
    struct store_threads *t = handle->data;
    void (*closed)(void *data) = t->closed;
    void *data = t->closed_data;
    t->freed(t);
    closed(data);
}

static struct store_call *next_done(struct store_threads *t)
{
    uv_mutex_lock(&t->lock);
    struct list_link *k = list_next(&t->done, NULL);
    if (k) list_remove(&t->done, k);
    uv_mutex_unlock(&t->lock);
    return k ? store_call_of(k) : NULL;
}

static void on_wake(uv_poll_t *poll, int status, int events)
{
    struct store_threads *t = poll->data;
    eventfd_t woken;
    (void)status;
    (void)events;
    if (eventfd_read(t->wake_fd, &woken) != 0) return;
    uv_mutex_lock(&t->lock);
    t->is_woken = false;
    size_t n = t->done.n;
    uv_mutex_unlock(&t->lock);
    if (t->poked) t->poked(t);
    /* Reports only the n calls that were done when the count was taken. A call that is done later wakes the loop
     * again. */
    for (struct store_call *c; n > 0 && (c = next_done(t)); n--) {
        store_finish(&t->base, c);
        progress_note();
    }
    uv_mutex_lock(&t->lock);
    bool is_over = t->writer.has_ended && t->reader.has_ended && t->done.n == 0;
    uv_mutex_unlock(&t->lock);
    if (!is_over) return;
    uv_thread_join(&t->writer.thread);
    uv_thread_join(&t->reader.thread);
    uv_close((uv_handle_t *)&t->poll, on_poll_closed);
}

static bool is_reading(enum store_op op)
{
    return op >= STORE_READ_JOB;
}

/* Queues the call for the thread that carries it out. If the store is closing, ends the call as STORE_AWAY instead. The
 * caller holds the lock. */
static void queue(struct store_threads *t, struct store_call *c)
{
    struct store_side *side = is_reading(c->op) ? &t->reader : &t->writer;
    if (!t->is_closing) {
        list_push_back(&side->calls, &c->link);
        return;
    }
    /* The thread may have ended already. */
    c->status = STORE_AWAY;
    snprintf(c->error, sizeof c->error, "the store is closing");
    list_push_back(&t->done, &c->link);
    if (note_wake(t)) wake_loop(t);
}

/* Wakes the threads that have calls. Call it without holding the lock: a thread that is woken takes the lock
 * immediately. */
static void wake(struct store_threads *t, bool for_writer, bool for_reader)
{
    if (for_writer) uv_cond_signal(&t->writer.wake);
    if (for_reader) uv_cond_signal(&t->reader.wake);
}

static void start(struct store *base, struct store_call *c)
{
    struct store_threads *t = CONTAINER_OF(base, struct store_threads, base);
    bool reads = is_reading(c->op);
    if (t->is_held) {
        list_push_back(&t->held, &c->link);
        return;
    }
    uv_mutex_lock(&t->lock);
    queue(t, c);
    uv_mutex_unlock(&t->lock);
    wake(t, !reads, reads);
}

static void hold(struct store *base, bool on)
{
    struct store_threads *t = CONTAINER_OF(base, struct store_threads, base);
    bool has_writing = false, has_reading = false;
    t->is_held = on;
    if (on) return;
    uv_mutex_lock(&t->lock);
    for (struct list_link *k; (k = list_next(&t->held, NULL));) {
        struct store_call *c = store_call_of(k);
        *(is_reading(c->op) ? &has_reading : &has_writing) = true;
        list_remove(&t->held, k);
        queue(t, c);
    }
    uv_mutex_unlock(&t->lock);
    wake(t, has_writing, has_reading);
}

static void begin_close(struct store *base, void (*closed)(void *data), void *data)
{
    struct store_threads *t = CONTAINER_OF(base, struct store_threads, base);
    t->closed = closed;
    t->closed_data = data;
    uv_mutex_lock(&t->lock);
    t->is_closing = true;
    uv_mutex_unlock(&t->lock);
    wake(t, true, true);
}

static const struct store_ops ops = {start, begin_close, hold};

static void init_side(struct store_side *side, struct store_threads *t)
{
    side->threads = t;
    list_init(&side->calls);
    uv_cond_init(&side->wake);
}

void store_threads_init(struct store_threads *t)
{
    t->base.ops = &ops;
    t->wake_fd = -1;
    uv_mutex_init(&t->lock);
    list_init(&t->done);
    list_init(&t->held);
    init_side(&t->writer, t);
    init_side(&t->reader, t);
}

/* Call it when the store could not be started. Ends the threads that run. */
static void end_failed(struct store_threads *t, bool has_writer, bool has_reader)
{
    uv_mutex_lock(&t->lock);
    t->is_closing = true;
    if (!has_reader) t->reader.has_ended = true;
    uv_mutex_unlock(&t->lock);
    wake(t, true, true);
    if (has_writer) uv_thread_join(&t->writer.thread);
    if (has_reader) uv_thread_join(&t->reader.thread);
}

/* Blocks all signals while it starts the threads, because only the thread of the loop may get signals. The handle in
 * the loop is made last, because it could only be closed while the loop runs. If a thread wakes the loop earlier, the
 * eventfd stays readable until the loop reads it. */
bool store_threads_start(struct store_threads *t, uv_loop_t *loop, void (*run_writer)(void *side),
                         void (*run_reader)(void *side), char *err, size_t err_size)
{
    t->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (t->wake_fd < 0) {
        snprintf(err, err_size, "cannot make an eventfd for the job store: %s", strerror(errno));
        return false;
    }
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    bool has_writer = uv_thread_create(&t->writer.thread, run_writer, &t->writer) == 0;
    bool has_reader = has_writer && uv_thread_create(&t->reader.thread, run_reader, &t->reader) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    int error = has_reader ? uv_poll_init(loop, &t->poll, t->wake_fd) : 0;
    if (has_reader && !error) {
        t->poll.data = t;
        uv_poll_start(&t->poll, UV_READABLE, on_wake);
        return true;
    }
    if (error)
        snprintf(err, err_size, "cannot watch the eventfd of the job store: %s", uv_strerror(error));
    else
        snprintf(err, err_size,
                 "cannot start a thread for the job store: allow this process more threads (pids limit) or more "
                 "memory");
    end_failed(t, has_writer, has_reader);
    return false;
}

void store_threads_release(struct store_threads *t)
{
    uv_cond_destroy(&t->writer.wake);
    uv_cond_destroy(&t->reader.wake);
    uv_mutex_destroy(&t->lock);
    if (t->wake_fd >= 0) close(t->wake_fd);
}
