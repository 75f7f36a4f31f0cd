/*
 * The writer of the PostgreSQL back end, with its own thread and its own connection.
 *
 * The writer takes the waiting calls, carries them out in one transaction, commits, and only then reports them. If a
 * statement fails, the writer rolls back and runs each call in its own transaction, so that only the faulty call fails.
 *
 * If the connection is lost before the commit, nothing has changed. The writer immediately reconnects and repeats the
 * transaction. If it cannot connect, or loses the connection again, the calls of the transaction end as STORE_AWAY. If
 * the connection is lost during the commit, it is unknown whether the database has committed. In that case, the calls
 * of the transaction are in doubt, and wait until there is a connection. While there are calls in doubt, all other
 * calls end as STORE_AWAY. Each transaction writes its number to the row of this coordinator. After the writer has
 * connected again, the number in that row shows whether the transaction was committed. If the transaction was not
 * committed, its calls are carried out again. So no call takes effect twice, and no call is reported as done unless it
 * took effect.
 */
#include "coordinator/postgres/postgres_threads.h"

#define BEAT_NS       (5 * NS_PER_S)    /* time between two heartbeats of the writer */
#define TIDY_WAIT_NS  (20 * NS_PER_MS)  /* time between two steps of a removal while no call waits */
#define TIDY_EVERY_NS (100 * NS_PER_MS) /* time between two steps of a removal while calls wait */
/* A client's call that has been in doubt for this long ends as STORE_AWAY. The calls of a job's run stay in doubt until
 * there is a connection. If they ended as STORE_AWAY, the run would record its answers again, and the database could
 * contain these answers twice. When the lease of a job has expired, its run records nothing more. So a coordinator that
 * drains abandons the calls of that run. */
#define DOUBT_NS (5 * NS_PER_S)

struct writer {
    struct store_side *side;
    struct postgres_link *link;
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

static enum postgres_outcome run_together(struct writer *w, struct store_batch *b)
{
    struct postgres_db *d = &w->link->db;
    if (postgres_begin(d))
        for (struct list_link *k = list_next(&b->calls, NULL); k && !d->failed; k = store_side_next(w->side, b, k))
            postgres_carry_out(d, store_call_of(k));
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
        if (postgres_begin(d)) postgres_carry_out(d, c);
        enum postgres_outcome outcome = postgres_finish(d);
        if (outcome == POSTGRES_COMMITTED)
            store_note_commit(&one);
        else if (outcome == POSTGRES_DOUBT)
            doubt(w, &one);
        else
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
        if (postgres_ensure_connected(w->link)) outcome = run_together(w, b);
    }
    if (outcome == POSTGRES_COMMITTED)
        store_note_commit(&b->calls);
    else if (outcome == POSTGRES_DOUBT)
        doubt(w, &b->calls);
    else if (outcome == POSTGRES_FAILED && b->calls.n > 1)
        run_each(w, b);
    else
        refuse_all(w, &b->calls);
    store_side_report(w->side, &b->calls);
    if (d->lost)
        postgres_note_loss(w->link);
    else if (outcome == POSTGRES_COMMITTED && d->news.state != POSTGRES_READY)
        postgres_report(d, POSTGRES_READY, "%s", "");
    postgres_publish(d);
}

/* Call it after connecting. Finds out whether the calls in doubt took effect. */
static void settle_doubt(struct writer *w)
{
    struct store_batch b = {0};
    if (w->doubt.n == 0) return;
    if (w->link->db.committed == w->doubt_batch) {
        store_note_commit(&w->doubt);
        store_side_report(w->side, &w->doubt);
        return;
    }
    list_init(&b.calls);
    move_all(&w->doubt, &b.calls);
    run_batch(w, &b);
}

/* Call it while there is no connection. If the calls have been in doubt for DOUBT_NS, ends those that come from clients
 * or have been abandoned. If `all` is true, ends all calls in doubt now. */
static void refuse_doubt(struct writer *w, bool all)
{
    struct list refused;
    list_init(&refused);
    if (!all && now_ns() - w->doubt_ns < DOUBT_NS) return;
    for (struct list_link *k = list_next(&w->doubt, NULL), *next; k; k = next) {
        struct store_call *c = store_call_of(k);
        next = list_next(&w->doubt, k);
        if (!all && c->job.fence > 0 && !atomic_load(&c->abandoned)) continue;
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
    const struct postgres_link *k = w->link;
    uint64_t now = now_ns();
    if (!k->db.conn) return k->retry_ns > now ? k->retry_ns - now : 1;
    if (w->untidy) return TIDY_WAIT_NS;
    return w->beat_ns + BEAT_NS > now ? w->beat_ns + BEAT_NS - now : 1;
}

/* Does the work that no call asks for: sends this coordinator's heartbeat, and removes dropped blocks. */
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
    if (d->lost) postgres_note_loss(w->link);
}

static void write_calls(struct writer *w, struct store_batch *b, bool has_calls)
{
    if (w->doubt.n > 0 && w->link->db.conn) settle_doubt(w);
    if (has_calls && w->link->db.conn)
        run_batch(w, b);
    else
        refuse_all(w, &b->calls);
}

void postgres_write(void *arg)
{
    struct store_side *side = arg;
    struct postgres_store *s = postgres_store_of(side->threads);
    struct writer w = {.side = side, .link = &s->writer};
    struct store_batch b;
    list_init(&w.doubt);
    for (;;) {
        bool has_calls = store_side_take(side, &b, wait_of(&w));
        if (!has_calls && store_side_is_closing(side)) break;
        bool is_there = postgres_ensure_connected(w.link);
        write_calls(&w, &b, has_calls);
        if (w.link->db.conn) work_aside(&w, !has_calls);
        if (!is_there) refuse_doubt(&w, false);
    }
    if (w.doubt.n > 0 && postgres_ensure_connected(w.link)) settle_doubt(&w);
    refuse_doubt(&w, true);
    postgres_disconnect(&w.link->db);
    store_side_end(side);
}
