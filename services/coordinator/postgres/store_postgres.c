/* The PostgreSQL back end: its state, its connections, and the reader. The writer is in postgres_writer.c. */
#include "coordinator/postgres/store_postgres.h"

#include <unistd.h>

#include "common/observe/log.h"
#include "common/observe/metrics.h"
#include "coordinator/postgres/postgres_threads.h"

#define RETRY_NS     (250 * NS_PER_MS) /* the first pause between two attempts to connect */
#define RETRY_MAX_NS (2 * NS_PER_S)    /* the longest pause; each pause is twice as long as the one before */

static const char *const state_names[] = {
    [POSTGRES_CONNECTING] = "connecting", [POSTGRES_READY] = "ready",       [POSTGRES_UNREACHABLE] = "unreachable",
    [POSTGRES_STARTING] = "starting",     [POSTGRES_NO_LOGIN] = "no_login", [POSTGRES_CROWDED] = "crowded",
    [POSTGRES_READ_ONLY] = "read_only",   [POSTGRES_SLOW] = "slow",         [POSTGRES_UNFIT] = "unfit",
    [POSTGRES_NO_TLS] = "no_tls",
};
static_assert(ARRAY_SIZE(state_names) == POSTGRES_STATE_COUNT, "one name per state");

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
    [STORE_READ_STATS] = postgres_read_stats,
};
static_assert(ARRAY_SIZE(calls) == STORE_OP_COUNT, "each operation has its function");

/* The state. */

void postgres_register_metrics(struct postgres_metrics *m)
{
    for (unsigned i = 0; i < POSTGRES_STATE_COUNT; i++) {
        struct buf labels = {0};
        metric_add_label(&labels, "state", state_names[i]);
        m->states[i] = metric_gauge("fantail_store_state",
                                    "1 for the current state of the job store in PostgreSQL, 0 for all other states.",
                                    buf_cstr(&labels));
        buf_release(&labels);
    }
}

void postgres_publish(struct postgres_db *d)
{
    struct postgres_store *s = postgres_store_of(d->side->threads);
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
    struct postgres_store *s = postgres_store_of(t);
    uv_mutex_lock(&t->lock);
    bool can_write = s->write_news.state == POSTGRES_READY, knows_reader = s->read_news.state != POSTGRES_CONNECTING;
    struct postgres_news news = can_write && knows_reader ? s->read_news : s->write_news;
    bool lacks_commits = s->lacks_commits;
    s->lacks_commits = false;
    uv_mutex_unlock(&t->lock);
    if (lacks_commits)
        log_warn("the database has lost commits of this coordinator: its durable jobs continue from the answers that "
                 "the database still has");
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

bool postgres_ensure_connected(struct postgres_link *k)
{
    uint64_t now = now_ns();
    if (k->db.conn && !k->db.lost) return true;
    if (now < k->retry_ns) return false;
    bool ok = postgres_connect(&k->db);
    postgres_publish(&k->db);
    k->retry_wait_ns = ok || k->retry_wait_ns == 0 ? RETRY_NS : 2 * k->retry_wait_ns;
    if (k->retry_wait_ns > RETRY_MAX_NS) k->retry_wait_ns = RETRY_MAX_NS;
    k->retry_ns = ok ? 0 : now_ns() + k->retry_wait_ns;
    return ok;
}

void postgres_note_loss(struct postgres_link *k)
{
    postgres_publish(&k->db);
    postgres_disconnect(&k->db);
}

void postgres_carry_out(struct postgres_db *d, struct store_call *c)
{
    store_call_clear(c);
    c->status = calls[c->op](d, c);
}

/* The reader. Each reading call runs one statement, which needs no transaction. */

static void read_once(struct postgres_link *k, struct store_call *c)
{
    postgres_forgive(&k->db);
    postgres_carry_out(&k->db, c);
    if (k->db.failed) c->status = postgres_failure(&k->db, c);
    if (!k->db.failed && k->db.news.state != POSTGRES_READY) postgres_report(&k->db, POSTGRES_READY, "%s", "");
    postgres_publish(&k->db);
}

static void read_call(struct postgres_link *k, struct store_call *c)
{
    if (!postgres_ensure_connected(k)) {
        postgres_forgive(&k->db);
        c->status = postgres_failure(&k->db, c);
        return;
    }
    read_once(k, c);
    if (!k->db.lost) return;
    postgres_note_loss(k); /* the connection may have been lost long ago, while it was idle */
    if (!postgres_ensure_connected(k)) return;
    read_once(k, c);
    if (k->db.lost) postgres_note_loss(k);
}

/* Returns how long the reader waits for calls. If there is no connection, returns the time until the next attempt to
 * connect. */
static uint64_t reader_wait(const struct postgres_link *k)
{
    uint64_t now = now_ns();
    if (k->db.conn) return STORE_WAIT_FOREVER;
    return k->retry_ns > now ? k->retry_ns - now : 1;
}

static void run_reader(void *arg)
{
    struct store_side *side = arg;
    struct postgres_link *k = &postgres_store_of(side->threads)->reader;
    struct store_batch b;
    struct list one;
    list_init(&one);
    for (;;) {
        bool has_calls = store_side_take(side, &b, reader_wait(k));
        if (!has_calls && store_side_is_closing(side)) break;
        if (!has_calls && postgres_ensure_connected(k)) continue;
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

/* Start and end. */

static void release_link(struct postgres_link *k)
{
    block_codec_release(&k->db.codec);
    buf_release(&k->db.ranges);
    buf_release(&k->db.lines);
}

static void release(struct store_threads *t)
{
    struct postgres_store *s = postgres_store_of(t);
    release_link(&s->writer);
    release_link(&s->reader);
    store_threads_release(t);
    free(s);
}

static void init_link(struct postgres_store *s, struct postgres_link *k, struct store_side *side)
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
    if (store_threads_start(&s->threads, loop, postgres_write, run_reader, err, err_size)) return &s->threads.base;
    release(&s->threads);
    return NULL;
}
