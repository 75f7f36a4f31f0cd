/*
 * The SQLite back end of the store: two threads and their queues.
 *
 * The writer has one connection, and the reader another one. Each carries out the calls of its queue in their order. A
 * thread touches only its own connection and the calls that it took from its queue. The members of struct sqlite_store
 * after `lock` are used by all three threads, with the lock. The threads log nothing, because the log belongs to the
 * thread of the loop.
 *
 * The writer takes the calls that wait, carries them out in one transaction, commits, and only then reports them. If a
 * statement fails, it rolls back and gives each call a transaction of its own, so that only the call at fault fails. A
 * call that is refused (STORE_CONFLICT and the like) has changed nothing and does not disturb the others.
 */
#include <pthread.h>
#include <signal.h>
#include <unistd.h>
#include <uv.h>

#include "common/base/limits.h"
#include "coordinator/store/sqlite_internal.h"

#define BATCH_CALLS       1024
#define BATCH_BYTES       (16 * MIB)        /* of the lines in one transaction */
#define TIDY_EVERY_NS     (100 * NS_PER_MS) /* while calls wait; without calls the writer removes at full speed */
#define QUICK_CHECK_BYTES (64 * MIB)        /* a file of at most this size is checked as a whole when it is opened */

/* A thread, its queue and its connection. */
struct side {
    struct sqlite_store *store;
    struct sqlite_db db;
    uv_thread_t thread;
    struct list calls; /* with the lock */
    uv_cond_t wake;
    bool has_ended; /* with the lock */
};

struct sqlite_store {
    struct store base;
    char *path;
    int lock_fd;
    uv_async_t async;
    struct side writer, reader;
    void (*closed)(void *data);
    void *closed_data;

    uv_mutex_t lock;
    struct list done; /* calls to report on the loop's thread */
    bool is_closing;
};

typedef enum store_status run_call(struct sqlite_db *d, struct store_call *c);
static run_call *const calls[] = {
    [STORE_ADD_JOB] = sqlite_add_job,       [STORE_ADD_BLOCK] = sqlite_add_block,
    [STORE_ACCEPT] = sqlite_accept,         [STORE_CLAIM] = sqlite_claim,
    [STORE_RENEW] = sqlite_renew,           [STORE_HAND_BACK] = sqlite_hand_back,
    [STORE_END] = sqlite_end_job,           [STORE_WANT_CANCEL] = sqlite_want_cancel,
    [STORE_REDRIVE] = sqlite_redrive,       [STORE_REMOVE] = sqlite_remove,
    [STORE_SWEEP] = sqlite_sweep,           [STORE_READ_JOB] = sqlite_read_job,
    [STORE_LIST_JOBS] = sqlite_list_jobs,   [STORE_READ_RANGES] = sqlite_read_ranges,
    [STORE_READ_BLOCK] = sqlite_read_block,
};
static_assert(ARRAY_SIZE(calls) == STORE_OP_COUNT, "each operation has its function");

static struct store_call *call_of(struct list_link *k)
{
    return CONTAINER_OF(k, struct store_call, link);
}

/* Calls that were taken from a queue. The writer carries them out in one transaction of the database. */
struct transaction {
    struct list calls;
    size_t bytes; /* of their lines */
};

/* Moves calls from the queue to the transaction until it is full. With the lock. */
static void take_calls(struct list *queue, struct transaction *t)
{
    for (struct list_link *k; t->calls.n < BATCH_CALLS && (k = list_next(queue, NULL));) {
        size_t bytes = call_of(k)->block.lines.len;
        if (t->calls.n > 0 && t->bytes + bytes > BATCH_BYTES) return;
        list_remove(queue, k);
        list_push_back(&t->calls, k);
        t->bytes += bytes;
    }
}

/* Returns the call after `k`. If there is none, takes those that were started meanwhile. So the calls that a request
 * starts one after another share a transaction, although the writer began with the first one. */
static struct list_link *next_call(struct side *side, struct transaction *t, struct list_link *k)
{
    struct list_link *next = list_next(&t->calls, k);
    if (next) return next;
    uv_mutex_lock(&side->store->lock);
    take_calls(&side->calls, t);
    uv_mutex_unlock(&side->store->lock);
    return list_next(&t->calls, k);
}

/* Carries out all calls together. Returns whether it was committed. */
static bool run_together(struct side *side, struct transaction *t)
{
    struct sqlite_db *d = &side->db;
    if (sqlite_begin(d)) {
        for (struct list_link *k = list_next(&t->calls, NULL); k && d->rc == SQLITE_OK; k = next_call(side, t, k)) {
            struct store_call *c = call_of(k);
            store_call_clear(c);
            c->status = calls[c->op](d, c);
        }
    }
    return sqlite_finish(d);
}

static void run_alone(struct sqlite_db *d, struct store_call *c)
{
    bool began = sqlite_begin(d);
    store_call_clear(c);
    if (began) c->status = calls[c->op](d, c);
    if (!sqlite_finish(d)) c->status = sqlite_failure(d, c);
}

static void run_transaction(struct side *side, struct transaction *t)
{
    if (run_together(side, t)) return;
    /* If no transaction can begin, each call would wait for the lock again. */
    bool is_busy = (side->db.rc & 0xff) == SQLITE_BUSY;
    for (struct list_link *k = list_next(&t->calls, NULL); k; k = list_next(&t->calls, k)) {
        struct store_call *c = call_of(k);
        if (t->calls.n == 1 || is_busy)
            c->status = sqlite_failure(&side->db, c);
        else
            run_alone(&side->db, c);
    }
}

/* Gives the calls back to the thread of the loop. */
static void report(struct sqlite_store *s, struct list *batch)
{
    uv_mutex_lock(&s->lock);
    for (struct list_link *k; (k = list_next(batch, NULL));) {
        list_remove(batch, k);
        list_push_back(&s->done, k);
    }
    uv_mutex_unlock(&s->lock);
    uv_async_send(&s->async);
}

/* Waits for calls. Returns false if there are none, and there is other work or the store is closing. */
static bool next_transaction(struct side *side, struct transaction *t)
{
    struct sqlite_store *s = side->store;
    list_init(&t->calls);
    t->bytes = 0;
    uv_mutex_lock(&s->lock);
    while (side->calls.n == 0 && !s->is_closing && !side->db.untidy) uv_cond_wait(&side->wake, &s->lock);
    take_calls(&side->calls, t);
    bool is_closing = s->is_closing;
    uv_mutex_unlock(&s->lock);
    if (is_closing) side->db.untidy = false; /* the next process goes on with it */
    return t->calls.n > 0;
}

static void end_side(struct side *side)
{
    struct sqlite_store *s = side->store;
    sqlite_db_close(&side->db);
    uv_mutex_lock(&s->lock);
    side->has_ended = true;
    uv_cond_signal(&s->writer.wake);
    uv_mutex_unlock(&s->lock);
    uv_async_send(&s->async);
}

/* The connection that is closed last copies the log into the file. If both were closed at once, neither would. */
static void wait_for_reader(struct sqlite_store *s)
{
    uv_mutex_lock(&s->lock);
    while (!s->reader.has_ended) uv_cond_wait(&s->writer.wake, &s->lock);
    uv_mutex_unlock(&s->lock);
}

static void run_writer(void *arg)
{
    struct side *side = arg;
    uint64_t tidied_ns = 0;
    struct transaction t;
    for (;;) {
        bool has_calls = next_transaction(side, &t);
        if (!has_calls && !side->db.untidy) break;
        if (has_calls) {
            run_transaction(side, &t);
            report(side->store, &t.calls);
        }
        if (!side->db.untidy || (has_calls && now_ns() - tidied_ns < TIDY_EVERY_NS)) continue;
        sqlite_tidy(&side->db, !has_calls);
        tidied_ns = now_ns();
    }
    wait_for_reader(side->store);
    end_side(side);
}

static void run_reader(void *arg)
{
    struct side *side = arg;
    struct transaction t;
    struct list one;
    list_init(&one);
    while (next_transaction(side, &t)) {
        for (struct list_link *k; (k = list_next(&t.calls, NULL));) {
            run_alone(&side->db, call_of(k));
            list_remove(&t.calls, k);
            list_push_back(&one, k);
            report(side->store, &one);
        }
    }
    end_side(side);
}

static void release(struct sqlite_store *s)
{
    uv_cond_destroy(&s->writer.wake);
    uv_cond_destroy(&s->reader.wake);
    uv_mutex_destroy(&s->lock);
    close(s->lock_fd);
    free(s->path);
    free(s);
}

static void on_async_closed(uv_handle_t *handle)
{
    struct sqlite_store *s = handle->data;
    void (*closed)(void *data) = s->closed;
    void *data = s->closed_data;
    release(s);
    closed(data);
}

static struct store_call *next_done(struct sqlite_store *s)
{
    uv_mutex_lock(&s->lock);
    struct list_link *k = list_next(&s->done, NULL);
    if (k) list_remove(&s->done, k);
    uv_mutex_unlock(&s->lock);
    return k ? call_of(k) : NULL;
}

static void on_async(uv_async_t *async)
{
    struct sqlite_store *s = async->data;
    uv_mutex_lock(&s->lock);
    size_t n = s->done.n;
    bool have_ended = s->writer.has_ended && s->reader.has_ended;
    uv_mutex_unlock(&s->lock);
    /* Calls that are done meanwhile wake the loop again. */
    for (struct store_call *c; n > 0 && (c = next_done(s)); n--) store_finish(&s->base, c);
    if (!have_ended) return;
    uv_thread_join(&s->writer.thread);
    uv_thread_join(&s->reader.thread);
    uv_close((uv_handle_t *)&s->async, on_async_closed);
}

static bool is_reading(enum store_op op)
{
    return op >= STORE_READ_JOB;
}

static void start(struct store *base, struct store_call *c)
{
    struct sqlite_store *s = CONTAINER_OF(base, struct sqlite_store, base);
    struct side *side = is_reading(c->op) ? &s->reader : &s->writer;
    uv_mutex_lock(&s->lock);
    if (s->is_closing) BUG("a call to a store that is closing");
    list_push_back(&side->calls, &c->link);
    uv_cond_signal(&side->wake);
    uv_mutex_unlock(&s->lock);
}

static void begin_close(struct store *base, void (*closed)(void *data), void *data)
{
    struct sqlite_store *s = CONTAINER_OF(base, struct sqlite_store, base);
    s->closed = closed;
    s->closed_data = data;
    uv_mutex_lock(&s->lock);
    s->is_closing = true;
    uv_cond_signal(&s->writer.wake);
    uv_cond_signal(&s->reader.wake);
    uv_mutex_unlock(&s->lock);
}

static const struct store_ops ops = {start, begin_close};

static void init_side(struct side *side, struct sqlite_store *s)
{
    side->store = s;
    list_init(&side->calls);
    uv_cond_init(&side->wake);
}

static struct sqlite_store *new_store(const char *path)
{
    struct sqlite_store *s = xcalloc(1, sizeof *s);
    s->base.ops = &ops;
    s->lock_fd = -1;
    /* With a slash, SQLite takes the path neither for a URI nor for ":memory:". */
    size_t size = strlen(path) + 3;
    s->path = xmalloc(size);
    snprintf(s->path, size, "%s%s", strchr(path, '/') ? "" : "./", path);
    uv_mutex_init(&s->lock);
    list_init(&s->done);
    init_side(&s->writer, s);
    init_side(&s->reader, s);
    return s;
}

static bool open_connections(struct sqlite_store *s, uint64_t max_bytes, char *err, size_t err_size)
{
    struct sqlite_db *writer = &s->writer.db, *reader = &s->reader.db;
    if (!sqlite_db_open(writer, s->path, err, err_size)) return false;
    if (!sqlite_db_check(writer, QUICK_CHECK_BYTES, err, err_size)) return false;
    if (!sqlite_schema_forward(writer->db, s->path, err, err_size)) return false;
    if (!sqlite_schema_recover(writer->db, s->path, err, err_size)) return false;
    if (!sqlite_db_limit(writer, max_bytes, err, err_size)) return false;
    writer->untidy = true;
    if (!sqlite_db_open(reader, s->path, err, err_size)) return false;
    reader->only_reads = true;
    return true;
}

/* Signals are for the thread of the loop. */
static void start_threads(struct sqlite_store *s)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    if (uv_thread_create(&s->writer.thread, run_writer, &s->writer) != 0 ||
        uv_thread_create(&s->reader.thread, run_reader, &s->reader) != 0)
        BUG("cannot start the threads of the job store");
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

struct store *store_sqlite_open(uv_loop_t *loop, const char *path, uint64_t max_bytes, char *err, size_t err_size)
{
    struct sqlite_store *s = new_store(path);
    if (!sqlite_file_prepare(s->path, &s->lock_fd, err, err_size) || !open_connections(s, max_bytes, err, err_size)) {
        sqlite_db_close(&s->writer.db);
        sqlite_db_close(&s->reader.db);
        release(s);
        return NULL;
    }
    uv_async_init(loop, &s->async, on_async);
    s->async.data = s;
    start_threads(s);
    return &s->base;
}
