/*
 * The threads of the PostgreSQL back end. The writer has one connection, and the reader another one.
 *
 * The writer takes the calls that wait, carries them out in one transaction, commits, and only then reports them. If a
 * statement fails, the writer rolls back and runs each call in its own transaction, so that only the call at fault
 * fails.
 *
 * If the connection is lost before the commit, nothing has changed. The writer immediately connects again and tries
 * once more. If the second try fails too, the calls end as STORE_AWAY. If the connection is lost during the commit, it
 * is unknown whether the database has committed. Then the calls are in doubt, and wait until there is a connection.
 * Meanwhile all other calls end as STORE_AWAY. Each transaction writes its number to the row of this coordinator. After
 * the writer has connected again, the number in that row shows whether the transaction was committed. If it was not
 * committed, the calls are carried out again. So no call takes effect twice, and no call is reported as done unless it
 * took effect.
 */
#include "coordinator/postgres/store_postgres.h"

#include <unistd.h>

#include "common/observe/log.h"
#include "common/observe/metrics.h"
#include "coordinator/postgres/postgres_internal.h"

#define BEAT_NS       (5 * NS_PER_S)    /* time between two signs of life of the writer */
#define TIDY_WAIT_NS  (20 * NS_PER_MS)  /* between two steps of a removal */
#define TIDY_EVERY_NS (100 * NS_PER_MS) /* between two steps of a removal while calls wait */
#define RETRY_NS      (250 * NS_PER_MS) /* the first pause between two attempts to connect */
#define RETRY_MAX_NS  (2 * NS_PER_S)
/* After this time, a client's call in doubt ends as STORE_AWAY. The calls of a job's run wait until there is a
 * connection: if the run recorded its answers again, the database could have them twice. */
#define DOUBT_NS (5 * NS_PER_S)

static const char *const state_names[] = {
    [POSTGRES_CONNECTING] = "connecting", [POSTGRES_READY] = "ready",       [POSTGRES_UNREACHABLE] = "unreachable",
    [POSTGRES_STARTING] = "starting",     [POSTGRES_NO_LOGIN] = "no_login", [POSTGRES_CROWDED] = "crowded",
    [POSTGRES_READ_ONLY] = "read_only",   [POSTGRES_SLOW] = "slow",         [POSTGRES_UNFIT] = "unfit",
    [POSTGRES_NO_TLS] = "no_tls",
};
static_assert(ARRAY_SIZE(state_names) == POSTGRES_STATE_COUNT, "one name per state");

/* The connection of a thread, and the time of the next attempt to connect. */
struct link {
    struct postgres_db db;
    uint64_t retry_ns, retry_wait_ns;
};

struct postgres_store {
    struct store_threads threads;
    struct postgres_source source;
    char owner[UUID_TEXT_SIZE], name[80];
    struct link writer, reader; /* each is used only by its own thread */
    struct postgres_metrics *metrics;
    enum postgres_state logged;                 /* used on the thread of the loop */
    struct postgres_news write_news, read_news; /* protected by the lock of the threads */
    bool lacks_commits;                         /* protected by the lock; a loss of commits that is not logged yet */
};

typedef enum store_status run_call(struct postgres_db *d, struct store_call *c);
static run_call *const calls[] = {
    [STORE_ADD_JOB] = postgres_add_job,
    [STORE_ADD_BLOCK] = postgres_add_block,
    [STORE_ACCEPT] = postgres_accept,
    [STORE_CLAIM] = postgres_claim,
    [STORE_RENEW] = postgres_renew,
    [STORE_HAND_BACK] = postgres_hand_back,
    [STORE_END] = postgres_end_job,
    [STORE_WANT_CANCEL] = postgres_want_cancel,
    [STORE_CHANGE] = postgres_change,
    [STORE_REDRIVE] = postgres_redrive,
    [STORE_REMOVE] = postgres_remove,
    [STORE_DISCARD] = postgres_discard,
    [STORE_SWEEP] = postgres_sweep,
    [STORE_TAKE_NOTICE] = postgres_take_notice,
    [STORE_DELAY_NOTICE] = postgres_delay_notice,
    [STORE_REMOVE_NOTICE] = postgres_remove_notice,
    [STORE_READ_JOB] = postgres_read_job,
    [STORE_LIST_JOBS] = postgres_list_jobs,
    [STORE_READ_RANGES] = postgres_read_ranges,
    [STORE_READ_BLOCK] = postgres_read_block,
};
static_assert(ARRAY_SIZE(calls) == STORE_OP_COUNT, "each operation has its function");

static struct postgres_store *store_of(struct store_threads *t)
{
    return CONTAINER_OF(t, struct postgres_store, threads);
}

/* The state. */

void postgres_register_metrics(struct postgres_metrics *m)
{
    for (unsigned i = 0; i < POSTGRES_STATE_COUNT; i++) {
        struct buf labels = {0};
        metric_add_label(&labels, "state", state_names[i]);
        m->states[i] =
            metric_gauge("fantail_store_state", "1 for the state of the job store in PostgreSQL.", buf_cstr(&labels));
        buf_release(&labels);
    }
}

/* Called by the writer or the reader: passes the news of its connection to the thread of the loop. */
static void publish(struct postgres_db *d)
{
    struct postgres_store *s = store_of(d->side->threads);
    if (!d->has_news) return;
    d->has_news = false;
    uv_mutex_lock(&s->threads.lock);
    struct postgres_news *news = d->only_reads ? &s->read_news : &s->write_news;
    bool is_new = news->state != d->news.state || d->lacks_commits;
    *news = d->news;
    s->lacks_commits |= d->lacks_commits;
    d->lacks_commits = false;
    uv_mutex_unlock(&s->threads.lock);
    if (is_new) store_threads_poke(&s->threads);
}

static void on_poke(struct store_threads *t)
{
    struct postgres_store *s = store_of(t);
    uv_mutex_lock(&t->lock);
    bool can_write = s->write_news.state == POSTGRES_READY, knows_reader = s->read_news.state != POSTGRES_CONNECTING;
    struct postgres_news news = can_write && knows_reader ? s->read_news : s->write_news;
    bool lacks_commits = s->lacks_commits;
    s->lacks_commits = false;
    uv_mutex_unlock(&t->lock);
    if (lacks_commits)
        log_warn("the database has lost commits of this coordinator: its durable jobs go on from what is there");
    if (news.state == s->logged) return;
    s->logged = news.state;
    for (unsigned i = 0; s->metrics && i < POSTGRES_STATE_COUNT; i++) *s->metrics->states[i] = i == news.state;
    if (news.state == POSTGRES_READY)
        log_info("the job store is ready");
    else
        log_write(news.state == POSTGRES_UNFIT ? LOG_LEVEL_ERROR : LOG_LEVEL_WARN,
                  (const struct log_field[]){LOG_STR("msg", "the job store cannot be used"),
                                             LOG_STR("state", state_names[news.state]), LOG_STR("why", news.detail),
                                             LOG_END});
}

/* Connections. */

/* If there is no connection and the next attempt is due, connects. Returns whether there is a connection. */
static bool is_connected(struct link *k)
{
    uint64_t now = now_ns();
    if (k->db.conn && !k->db.lost) return true;
    if (now < k->retry_ns) return false;
    bool ok = postgres_connect(&k->db);
    publish(&k->db);
    k->retry_wait_ns = ok || k->retry_wait_ns == 0 ? RETRY_NS : 2 * k->retry_wait_ns;
    if (k->retry_wait_ns > RETRY_MAX_NS) k->retry_wait_ns = RETRY_MAX_NS;
    k->retry_ns = ok ? 0 : now_ns() + k->retry_wait_ns;
    return ok;
}

/* Call it when the connection was just lost. */
static void note_loss(struct link *k)
{
    publish(&k->db);
    postgres_disconnect(&k->db);
}

/* The writer. */

struct writer {
    struct store_side *side;
    struct link *link;
    struct list doubt; /* calls of a transaction whose commit was not confirmed */
    uint64_t doubt_batch, doubt_ns;
    uint64_t beat_ns, tidy_ns;
    bool untidy;
};

static void move_all(struct list *from, struct list *to)
{
    for (struct list_link *k; (k = list_next(from, NULL));) {
        list_remove(from, k);
        list_push_back(to, k);
    }
}

static void carry_out(struct postgres_db *d, struct store_call *c)
{
    store_call_clear(c);
    c->status = calls[c->op](d, c);
}

static enum postgres_outcome run_together(struct writer *w, struct store_batch *b)
{
    struct postgres_db *d = &w->link->db;
    if (postgres_begin(d))
        for (struct list_link *k = list_next(&b->calls, NULL); k && !d->failed; k = store_side_next(w->side, b, k))
            carry_out(d, store_call_of(k));
    return postgres_finish(d);
}

static void doubt(struct writer *w, struct list *calls_in_doubt)
{
    w->doubt_batch = w->link->db.batch;
    w->doubt_ns = now_ns();
    move_all(calls_in_doubt, &w->doubt);
}

static void refuse_all(struct writer *w, struct list *refused)
{
    for (struct list_link *k = list_next(refused, NULL); k; k = list_next(refused, k)) {
        struct store_call *c = store_call_of(k);
        c->status = postgres_failure(&w->link->db, c);
    }
    store_side_report(w->side, refused);
}

/* Call it when a statement of the batch has failed. Runs each call in its own transaction. */
static void run_each(struct writer *w, struct store_batch *b)
{
    struct postgres_db *d = &w->link->db;
    struct list one;
    list_init(&one);
    for (struct list_link *k; (k = list_next(&b->calls, NULL));) {
        list_remove(&b->calls, k);
        list_push_back(&one, k);
        struct store_call *c = store_call_of(k);
        if (postgres_begin(d)) carry_out(d, c);
        enum postgres_outcome outcome = postgres_finish(d);
        if (outcome == POSTGRES_DOUBT)
            doubt(w, &one);
        else if (outcome != POSTGRES_COMMITTED)
            c->status = postgres_failure(d, c);
        store_side_report(w->side, &one);
        if (outcome != POSTGRES_LOST && outcome != POSTGRES_DOUBT) continue;
        refuse_all(w, &b->calls);
        return;
    }
}

static void run_batch(struct writer *w, struct store_batch *b)
{
    struct postgres_db *d = &w->link->db;
    enum postgres_outcome outcome = run_together(w, b);
    if (outcome == POSTGRES_LOST) { /* the connection may have been lost long ago, while it was idle */
        postgres_disconnect(d);
        if (is_connected(w->link)) outcome = run_together(w, b);
    }
    if (outcome == POSTGRES_DOUBT)
        doubt(w, &b->calls);
    else if (outcome == POSTGRES_FAILED && b->calls.n > 1)
        run_each(w, b);
    else if (outcome != POSTGRES_COMMITTED)
        refuse_all(w, &b->calls);
    store_side_report(w->side, &b->calls);
    if (d->lost)
        note_loss(w->link);
    else if (outcome == POSTGRES_COMMITTED && d->news.state != POSTGRES_READY)
        postgres_tell(d, POSTGRES_READY, "%s", "");
    publish(d);
}

/* Call it after connecting. Finds out whether the calls in doubt took effect. */
static void settle_doubt(struct writer *w)
{
    struct store_batch b = {0};
    if (w->doubt.n == 0) return;
    if (w->link->db.committed == w->doubt_batch) {
        store_side_report(w->side, &w->doubt);
        return;
    }
    list_init(&b.calls);
    move_all(&w->doubt, &b.calls);
    run_batch(w, &b);
}

/* Call it while there is no connection. Ends the calls of clients that have been in doubt for DOUBT_NS. If `all`, ends
 * all calls in doubt now. */
static void refuse_doubt(struct writer *w, bool all)
{
    struct list refused;
    list_init(&refused);
    if (!all && now_ns() - w->doubt_ns < DOUBT_NS) return;
    for (struct list_link *k = list_next(&w->doubt, NULL), *next; k; k = next) {
        struct store_call *c = store_call_of(k);
        next = list_next(&w->doubt, k);
        if (!all && c->job.fence > 0) continue;
        list_remove(&w->doubt, k);
        list_push_back(&refused, k);
        store_call_clear(c);
        c->status = store_refuse(c, STORE_AWAY,
                                 "the connection to the job store was lost during the commit: it is not "
                                 "known whether the change took effect");
    }
    store_side_report(w->side, &refused);
}

/* Returns how long the writer waits for calls. */
static uint64_t wait_of(const struct writer *w)
{
    const struct link *k = w->link;
    uint64_t now = now_ns();
    if (!k->db.conn) return k->retry_ns > now ? k->retry_ns - now : 1;
    if (w->untidy) return TIDY_WAIT_NS;
    return w->beat_ns + BEAT_NS > now ? w->beat_ns + BEAT_NS - now : 1;
}

/* Does the other work of the writer: shows that this coordinator lives, and removes blocks of removed jobs. */
static void work_aside(struct writer *w, bool is_idle)
{
    struct postgres_db *d = &w->link->db;
    uint64_t now = now_ns();
    if (now - w->beat_ns >= BEAT_NS) {
        postgres_beat(d);
        w->beat_ns = now;
        w->untidy = true;
    }
    if (w->untidy && !d->lost && (is_idle || now - w->tidy_ns >= TIDY_EVERY_NS)) {
        w->untidy = postgres_tidy(d);
        w->tidy_ns = now;
    }
    if (d->lost) note_loss(w->link);
}

static void write_calls(struct writer *w, struct store_batch *b, bool has_calls)
{
    if (w->doubt.n > 0 && w->link->db.conn) settle_doubt(w);
    if (has_calls && w->link->db.conn)
        run_batch(w, b);
    else
        refuse_all(w, &b->calls);
}

static void run_writer(void *arg)
{
    struct store_side *side = arg;
    struct postgres_store *s = store_of(side->threads);
    struct writer w = {.side = side, .link = &s->writer};
    struct store_batch b;
    list_init(&w.doubt);
    for (;;) {
        bool has_calls = store_side_take(side, &b, wait_of(&w));
        if (!has_calls && store_side_is_closing(side)) break;
        bool is_there = is_connected(w.link);
        write_calls(&w, &b, has_calls);
        if (w.link->db.conn) work_aside(&w, !has_calls);
        if (!is_there) refuse_doubt(&w, false);
    }
    if (w.doubt.n > 0 && is_connected(w.link)) settle_doubt(&w);
    refuse_doubt(&w, true);
    postgres_disconnect(&w.link->db);
    store_side_end(side);
}

/* The reader. A reading call is one statement, which needs no transaction. */

static void read_once(struct link *k, struct store_call *c)
{
    postgres_forgive(&k->db);
    carry_out(&k->db, c);
    if (k->db.failed) c->status = postgres_failure(&k->db, c);
    if (!k->db.failed && k->db.news.state != POSTGRES_READY) postgres_tell(&k->db, POSTGRES_READY, "%s", "");
    publish(&k->db);
}

static void read_call(struct link *k, struct store_call *c)
{
    if (!is_connected(k)) {
        postgres_forgive(&k->db);
        c->status = postgres_failure(&k->db, c);
        return;
    }
    read_once(k, c);
    if (!k->db.lost) return;
    note_loss(k); /* the connection may have been lost long ago, while it was idle */
    if (!is_connected(k)) return;
    read_once(k, c);
    if (k->db.lost) note_loss(k);
}

/* Returns how long the reader waits for calls. Without a connection, this is the time until the next attempt to
 * connect. */
static uint64_t reader_wait(const struct link *k)
{
    uint64_t now = now_ns();
    if (k->db.conn) return STORE_WAIT_FOREVER;
    return k->retry_ns > now ? k->retry_ns - now : 1;
}

static void run_reader(void *arg)
{
    struct store_side *side = arg;
    struct link *k = &store_of(side->threads)->reader;
    struct store_batch b;
    struct list one;
    list_init(&one);
    for (;;) {
        bool has_calls = store_side_take(side, &b, reader_wait(k));
        if (!has_calls && store_side_is_closing(side)) break;
        if (!has_calls && is_connected(k)) continue;
        for (struct list_link *at; (at = list_next(&b.calls, NULL));) {
            read_call(k, store_call_of(at));
            list_remove(&b.calls, at);
            list_push_back(&one, at);
            store_side_report(side, &one);
        }
    }
    postgres_disconnect(&k->db);
    store_side_end(side);
}

/* Its life. */

static void release_link(struct link *k)
{
    block_codec_release(&k->db.codec);
    buf_release(&k->db.ranges);
    buf_release(&k->db.lines);
}

static void release(struct store_threads *t)
{
    struct postgres_store *s = store_of(t);
    release_link(&s->writer);
    release_link(&s->reader);
    store_threads_release(t);
    free(s);
}

static void init_link(struct postgres_store *s, struct link *k, struct store_side *side)
{
    k->db.side = side;
    k->db.source = &s->source;
    k->db.only_reads = side == &s->threads.reader;
    k->db.owner = s->owner;
    k->db.name = s->name;
}

struct store *store_postgres_open(uv_loop_t *loop, const struct postgres_source *source,
                                  struct postgres_metrics *metrics, char *err, size_t err_size)
{
    struct postgres_store *s = xcalloc(1, sizeof *s);
    char host[60] = "";
    s->source = *source;
    s->metrics = metrics;
    if (metrics) *metrics->states[POSTGRES_CONNECTING] = 1;
    uuid7_new(s->owner);
    gethostname(host, sizeof host - 1);
    snprintf(s->name, sizeof s->name, "%s/%ld", host, (long)getpid());
    store_threads_init(&s->threads);
    s->threads.poked = on_poke;
    s->threads.freed = release;
    init_link(s, &s->writer, &s->threads.writer);
    init_link(s, &s->reader, &s->threads.reader);
    if (store_threads_start(&s->threads, loop, run_writer, run_reader)) return &s->threads.base;
    store_threads_explain(err, err_size);
    return NULL;
}
