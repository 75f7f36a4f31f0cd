#include "hosts/answers.h"

#include <signal.h>
#include <unistd.h>

#include "common/base/limits.h"
#include "hosts/line_io.h"

enum {
    START_BYTES = 256 * KIB,
    KEEP_BYTES = 4 * MIB, /* a flush frees a buffer that is larger than this */
    PERIOD_US = 20000,    /* time between two writes of the helper */
    IDLE_PERIODS = 25,    /* after this many periods without answers the helper sleeps until it is woken */
    HELPER_STACK_BYTES = 64 * KIB,
};

void answers_init(struct answers *a, int fd)
{
    *a = (struct answers){.fd = fd, .alloc = START_BYTES, .data = xmalloc(START_BYTES), .helper_asleep = true};
    atomic_store(&a->needs_host, true);
    pthread_mutex_init(&a->lock, NULL);
    pthread_cond_init(&a->wake, NULL);
}

void answers_reserve(struct answers *a, size_t size)
{
    size_t need = atomic_load(&a->whole) + size;
    if (need < size) BUG("an answer of %zu bytes", size);
    if (need <= a->alloc) return;
    pthread_mutex_lock(&a->lock);
    a->alloc = need > a->alloc * 2 ? need : a->alloc * 2;
    a->data = xrealloc(a->data, a->alloc);
    pthread_mutex_unlock(&a->lock);
}

static void write_whole(struct answers *a)
{
    size_t whole = atomic_load_explicit(&a->whole, memory_order_acquire);
    if (whole > a->written && !write_all(a->fd, a->data + a->written, whole - a->written)) _exit(0);
    a->written = whole;
}

/* Call it after a period in which no answer was completed. After the first period without an answer, say_flushed() asks
 * for a flush. After the second period, say_flushed() says that all answers are written. */
static void say_flushed(struct answers *a)
{
    if (a->flushed_said || !atomic_load(&a->is_serving)) return;
    if (a->flush_asked) {
        a->flushed_said = true;
        if (!write_all(a->fd, LINE_FLUSHED, sizeof LINE_FLUSHED - 1)) _exit(0);
    }
    a->flush_asked = true;
    atomic_store(&a->needs_host, true);
}

static void *run_helper(void *arg)
{
    struct answers *a = arg;
    pthread_mutex_lock(&a->lock);
    a->has_helper = true;
    pthread_cond_signal(&a->wake);
    pthread_mutex_unlock(&a->lock);
    for (unsigned idle = 0;;) {
        usleep(PERIOD_US);
        pthread_mutex_lock(&a->lock);
        idle = atomic_load(&a->whole) > a->written ? 0 : idle + 1;
        write_whole(a);
        if (idle > 0) say_flushed(a);
        if (idle > IDLE_PERIODS) {
            a->helper_asleep = true;
            atomic_store(&a->needs_host, true);
            while (a->helper_asleep) pthread_cond_wait(&a->wake, &a->lock);
            idle = 0;
        }
        pthread_mutex_unlock(&a->lock);
    }
    return NULL;
}

static void start_helper(struct answers *a)
{
    pthread_attr_t attributes;
    pthread_t thread;
    sigset_t all, before;
    /* The task expects signals on its own thread, so the helper must not receive any. */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, HELPER_STACK_BYTES);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    /*
     * If the helper cannot be started, the failure is ignored, because its only effect is that answers are written
     * later. Waits until the helper has started, because the task may fork: a lock that a starting thread holds would
     * stay locked for ever in the forked process.
     */
    pthread_mutex_lock(&a->lock);
    if (pthread_create(&thread, &attributes, run_helper, a) == 0)
        while (!a->has_helper) pthread_cond_wait(&a->wake, &a->lock);
    pthread_mutex_unlock(&a->lock);
    pthread_attr_destroy(&attributes);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

/* The caller holds the lock. LINE_FLUSHED promises only that the answer of the present item will be written. So when an
 * answer has been written, the promise is fulfilled. */
static void flush(struct answers *a)
{
    write_whole(a);
    if (a->written) a->flush_asked = a->flushed_said = false;
    a->written = 0;
    atomic_store_explicit(&a->whole, 0, memory_order_relaxed);
    if (a->alloc <= KEEP_BYTES) return;
    free(a->data);
    a->alloc = START_BYTES;
    a->data = xmalloc(a->alloc);
}

void answers_attend(struct answers *a)
{
    pthread_mutex_lock(&a->lock);
    if (a->flush_asked) flush(a);
    a->helper_asleep = false;
    atomic_store(&a->needs_host, a->flush_asked);
    pthread_cond_signal(&a->wake);
    pthread_mutex_unlock(&a->lock);
    if (!a->has_helper) start_helper(a);
}

void answers_flush(struct answers *a)
{
    pthread_mutex_lock(&a->lock);
    flush(a);
    pthread_mutex_unlock(&a->lock);
}

void answers_rescue(struct answers *a)
{
    /* If the helper holds the lock, it will release the lock soon. If the crashed code holds the lock, nobody will
     * release the lock. */
    for (int tries = 0; pthread_mutex_trylock(&a->lock) != 0; tries++) {
        if (tries == 1000) return;
        usleep(1000);
    }
    write_whole(a);
}
