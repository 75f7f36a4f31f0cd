/*
 * The SQLite back end of the store. The writing thread and the reading thread have one connection each.
 *
 * The writer takes the waiting calls, carries them out in one transaction, commits, and only then reports them. If a
 * statement fails, the writer rolls back and runs each call in its own transaction, so that only the faulty call fails.
 * A call that is refused (for example with STORE_CONFLICT) has changed nothing, so the other calls are committed.
 *
 * When the disk is full, the writer uses the reserve (sqlite_reserve.c) and tries again. If the disk is full when the
 * store is opened (sqlite_open.c), the writer refuses its calls until there is room.
 */
#include <errno.h>
#include <stdatomic.h>
#include <unistd.h>

#include "common/base/limits.h"
#include "common/observe/log.h"
#include "coordinator/store/sqlite_internal.h"
#include "coordinator/store/store_metrics.h"
#include "coordinator/store/store_threads.h"

#define TIDY_EVERY_NS (100 * NS_PER_MS) /* the pause between two steps of a removal while calls wait */

#define OPEN_AGAIN_NS NS_PER_S /* the time between two attempts to open a store whose disk is full */

struct sqlite_store {
    struct store_threads threads;
    struct sqlite_files files;
    atomic_int opened;  /* enum sqlite_opened */
    atomic_int reserve; /* enum sqlite_reserve of the writer, for show_state() */
    /* Used only on the thread of the loop: what the last show_state() found. */
    bool waits; /* not SQLITE_OPENED */
    enum sqlite_reserve shown;
};

typedef enum store_status run_call(struct sqlite_db *d, struct store_call *c);
static run_call *const calls[] = {
    [STORE_ADD_JOB] = sqlite_add_job,
    [STORE_ADD_BLOCK] = sqlite_add_block,
    [STORE_ACCEPT] = sqlite_accept,
    [STORE_CLAIM] = sqlite_claim,
    [STORE_RENEW] = sqlite_renew,
    [STORE_HAND_BACK] = sqlite_hand_back,
    [STORE_END] = sqlite_end_job,
    [STORE_WANT_CANCEL] = sqlite_want_cancel,
    [STORE_CHANGE] = sqlite_change,
    [STORE_REDRIVE] = sqlite_redrive,
    [STORE_REMOVE] = sqlite_remove,
    [STORE_DISCARD] = sqlite_discard,
    [STORE_SWEEP] = sqlite_sweep,
    [STORE_TAKE_NOTICE] = sqlite_take_notice,
    [STORE_DELAY_NOTICE] = sqlite_delay_notice,
    [STORE_REMOVE_NOTICE] = sqlite_remove_notice,
    [STORE_READ_JOB] = sqlite_read_job,
    [STORE_LIST_JOBS] = sqlite_list_jobs,
    [STORE_READ_RANGES] = sqlite_read_ranges,
    [STORE_READ_BLOCK] = sqlite_read_block,
    [STORE_READ_STATS] = sqlite_read_stats,
};
static_assert(ARRAY_SIZE(calls) == STORE_OP_COUNT, "each operation has its function");

static struct sqlite_store *store_of(struct store_threads *t)
{
    return CONTAINER_OF(t, struct sqlite_store, threads);
}

/* Carries out all calls in one transaction. Returns whether the transaction was committed. */
static bool run_together(struct store_side *side, struct sqlite_db *d, struct store_batch *b)
{
    if (sqlite_begin(d)) {
        for (struct list_link *k = list_next(&b->calls, NULL); k && d->rc == SQLITE_OK;
             k = store_side_next(side, b, k)) {
            struct store_call *c = store_call_of(k);
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
    if (!sqlite_finish(d))
        c->status = sqlite_failure(d, c);
    else
        c->is_first_of_commit = !d->only_reads;
}

/* Makes show_state() log a change of the reserve. */
static void show_reserve(struct sqlite_store *s)
{
    if (atomic_exchange(&s->reserve, (int)s->files.writer.reserve) != (int)s->files.writer.reserve)
        store_threads_poke(&s->threads);
}

static void run_batch(struct store_side *side, struct sqlite_db *d, struct store_batch *b)
{
    if (run_together(side, d, b) || (sqlite_reserve_use(d) && run_together(side, d, b))) {
        store_note_commit(&b->calls);
        return;
    }
    /* If another process has locked the file, the calls are not tried one by one, because each call would wait for the
     * lock again. */
    bool is_busy = (d->rc & 0xff) == SQLITE_BUSY;
    for (struct list_link *k = list_next(&b->calls, NULL); k; k = list_next(&b->calls, k)) {
        struct store_call *c = store_call_of(k);
        if (b->calls.n == 1 || is_busy)
            c->status = sqlite_failure(d, c);
        else
            run_alone(d, c);
    }
}

static void refuse_all(struct store_batch *b)
{
    for (struct list_link *k = list_next(&b->calls, NULL); k; k = list_next(&b->calls, k)) {
        struct store_call *c = store_call_of(k);
        store_call_clear(c);
        c->status = store_refuse(c, STORE_FULL, "the job store cannot be opened: its disk is full");
    }
}

/* Tries to open the file again and again, until the file is open or the store is closing. Refuses calls in the
 * meantime. */
static void open_later(struct store_side *side, struct sqlite_store *s)
{
    uint64_t tried_ns = now_ns();
    struct store_batch b;
    char err[512];
    store_threads_poke(&s->threads);
    while (atomic_load(&s->opened) != SQLITE_OPENED && !store_side_is_closing(side)) {
        if (store_side_take(side, &b, OPEN_AGAIN_NS)) {
            refuse_all(&b);
            store_side_report(side, &b.calls);
        }
        if (now_ns() - tried_ns < OPEN_AGAIN_NS) continue;
        atomic_store(&s->opened,
                     (int)sqlite_open_files(&s->files, (enum sqlite_opened)atomic_load(&s->opened), err, sizeof err));
        tried_ns = now_ns();
    }
    store_threads_poke(&s->threads);
}

static void run_writer(void *arg)
{
    struct store_side *side = arg;
    struct sqlite_store *s = store_of(side->threads);
    struct sqlite_db *d = &s->files.writer;
    uint64_t tidied_ns = 0;
    struct store_batch b;
    if (atomic_load(&s->opened) != SQLITE_OPENED) open_later(side, s);
    for (;;) {
        bool has_calls = store_side_take(side, &b, d->untidy ? 0 : STORE_WAIT_FOREVER);
        if (store_side_is_closing(side)) d->untidy = false; /* the next process continues the removal */
        if (!has_calls && !d->untidy) break;
        if (has_calls && atomic_load(&s->opened) != SQLITE_OPENED) {
            refuse_all(&b);
            store_side_report(side, &b.calls);
        } else if (has_calls) {
            run_batch(side, d, &b);
            store_side_report(side, &b.calls);
        }
        show_reserve(s);
        if (!d->untidy || (has_calls && now_ns() - tidied_ns < TIDY_EVERY_NS)) continue;
        sqlite_tidy(d, !has_calls);
        tidied_ns = now_ns();
    }
    /* The connection that is closed last copies the log into the file. If both connections were closed at the same
     * time, neither would copy the log. */
    store_side_wait_for(side, &s->threads.reader);
    sqlite_db_close(d);
    store_side_end(side);
}

static void run_reader(void *arg)
{
    struct store_side *side = arg;
    struct sqlite_store *s = store_of(side->threads);
    struct store_batch b;
    struct list one;
    list_init(&one);
    while (store_side_take(side, &b, STORE_WAIT_FOREVER)) {
        if (atomic_load(&s->opened) == SQLITE_OPENED_NOTHING) {
            refuse_all(&b);
            store_side_report(side, &b.calls);
            continue;
        }
        for (struct list_link *k; (k = list_next(&b.calls, NULL));) {
            run_alone(&s->files.reader, store_call_of(k));
            list_remove(&b.calls, k);
            list_push_back(&one, k);
            store_side_report(side, &one);
        }
    }
    sqlite_db_close(&s->files.reader);
    store_side_end(side);
}

static void release(struct store_threads *t)
{
    struct sqlite_store *s = store_of(t);
    store_threads_release(t);
    if (s->files.lock_fd >= 0) close(s->files.lock_fd);
    free(s->files.path);
    free(s);
}

/* Called on the thread of the loop. Updates the metric, and logs that the store has been opened or that the state of
 * its reserve has changed. */
static void show_state(struct store_threads *t)
{
    struct sqlite_store *s = store_of(t);
    bool was_waiting = s->waits;
    s->waits = atomic_load(&s->opened) != SQLITE_OPENED;
    if (was_waiting && !s->waits)
        log_info("the job store is open: its disk has room again", LOG_STR("path", s->files.path));
    enum sqlite_reserve before = s->shown;
    s->shown = (enum sqlite_reserve)atomic_load(&s->reserve);
    if (s->shown != before)
        log_debug("the state of the reserve of the job store has changed", LOG_STR("from", sqlite_reserve_name(before)),
                  LOG_STR("to", sqlite_reserve_name(s->shown)));
    if (s->shown != before && s->shown == SQLITE_RESERVE_USED)
        log_error("the disk of the job store is full: new durable jobs are refused, and running ones wait",
                  LOG_STR("path", s->files.path));
    if (s->shown != before && before == SQLITE_RESERVE_USED)
        log_info("the disk of the job store has room again", LOG_STR("path", s->files.path));
    if (t->base.metrics) *t->base.metrics->waits_for_room = s->waits || s->shown == SQLITE_RESERVE_USED;
}

/* Returns the path in a form that has a slash and no symbolic links; the caller frees it. Because of the slash, SQLite
 * interprets the result neither as a URI nor as ":memory:". Because there are no symbolic links, all coordinators use
 * the same names for the lock and the log of a file. */
static char *unique_path(const char *path)
{
    size_t size = strlen(path) + 3;
    char *with = xmalloc(size);
    snprintf(with, size, "%s%s", strchr(path, '/') ? "" : "./", path);
    char *real = sqlite_file_real_path(with);
    free(with);
    return real;
}

bool store_sqlite_check(const char *path, char *err, size_t err_size)
{
    char *with = unique_path(path);
    bool ok = sqlite_file_check(with, err, err_size);
    free(with);
    return ok;
}

static struct sqlite_store *new_store(const char *path, uint64_t max_bytes)
{
    struct sqlite_store *s = xcalloc(1, sizeof *s);
    s->files.lock_fd = -1;
    s->files.path = unique_path(path);
    store_threads_init(&s->threads);
    s->threads.freed = release;
    s->threads.poked = show_state;
    s->files.max_bytes = max_bytes;
    return s;
}

struct store *store_sqlite_open(uv_loop_t *loop, const char *path, uint64_t max_bytes, char *err, size_t err_size)
{
    struct sqlite_store *s = new_store(path, max_bytes);
    enum sqlite_opened opened = sqlite_open_files(&s->files, SQLITE_OPENED_NOTHING, err, err_size);
    int full = opened == SQLITE_OPENED ? 0 : errno;
    s->opened = (int)opened;
    s->waits = opened != SQLITE_OPENED;
    s->reserve = (int)s->files.writer.reserve;
    if (s->waits && !full) {
        release(&s->threads);
        return NULL;
    }
    if (s->waits)
        log_error("durable jobs are refused until the disk of the job store has room", LOG_STR("error", err),
                  LOG_STR("reason", strerror(full)));
    if (store_threads_start(&s->threads, loop, run_writer, run_reader, err, err_size)) return &s->threads.base;
    sqlite_close_files(&s->files);
    release(&s->threads);
    return NULL;
}
