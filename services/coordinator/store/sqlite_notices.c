/* The calls about notices. A notice reports the end of a job to a URL. A trigger (sqlite_schema.c) adds the notices. */
#include "common/observe/utc_time.h"
#include "coordinator/store/sqlite_internal.h"

static void read_row(const struct sqlite_query *q, struct stored_notice *n)
{
    const char *id = (const char *)sqlite3_column_text(q->st, 0), *job = (const char *)sqlite3_column_text(q->st, 3),
               *state = (const char *)sqlite3_column_text(q->st, 4);
    snprintf(n->id, sizeof n->id, "%s", id ? id : "");
    n->attempts = (unsigned)sqlite3_column_int(q->st, 1);
    n->url = sqlite_text(q, 2);
    snprintf(n->job, sizeof n->job, "%s", job ? job : "");
    if (!state || !stored_state_parse(state, &n->state)) n->state = STORED_FAILED;
    n->items = (uint64_t)sqlite3_column_int64(q->st, 5);
    n->counts.succeeded = (uint64_t)sqlite3_column_int64(q->st, 6);
    n->counts.failed = (uint64_t)sqlite3_column_int64(q->st, 7);
    n->counts.cancelled = (uint64_t)sqlite3_column_int64(q->st, 8);
    n->counts.retried = (uint64_t)sqlite3_column_int64(q->st, 9);
    n->counts.hedged = (uint64_t)sqlite3_column_int64(q->st, 10);
    n->ended_ms = sqlite3_column_int64(q->st, 11);
}

enum store_status sqlite_take_notice(struct sqlite_db *d, struct store_call *c)
{
    struct sqlite_query q = sqlite_query(d, SQL_TAKE_NOTICE);
    int64_t now_ms = utc_time_now();
    sqlite_bind_int(&q, 1, now_ms);
    sqlite_bind_int(&q, 2, now_ms + (int64_t)c->lease_ms);
    bool is_there = sqlite_row(&q);
    if (is_there) read_row(&q, &c->notice);
    sqlite_end(&q);
    return is_there ? STORE_OK : store_refuse(c, STORE_NOT_FOUND, "no notice is due");
}

static void bind_attempt(struct sqlite_query *q, const struct store_call *c)
{
    sqlite_bind_text(q, 1, c->notice_id);
    sqlite_bind_int(q, 2, c->attempts);
    sqlite_bind_text(q, 3, c->notice_failure[0] ? c->notice_failure : NULL);
}

/* Runs and ends the query. Sets `job` to the job of the notice. */
static enum store_status run(struct sqlite_query *q, struct store_call *c, char job[STORE_ID_SIZE])
{
    bool is_there = sqlite_row(q);
    if (is_there) snprintf(job, STORE_ID_SIZE, "%s", (const char *)sqlite3_column_text(q->st, 0));
    sqlite_end(q);
    return is_there ? STORE_OK : store_refuse(c, STORE_NOT_FOUND, "notice %s was taken again", c->notice_id);
}

enum store_status sqlite_delay_notice(struct sqlite_db *d, struct store_call *c)
{
    char job[STORE_ID_SIZE];
    struct sqlite_query q = sqlite_query(d, SQL_DELAY_NOTICE);
    bind_attempt(&q, c);
    sqlite_bind_int(&q, 4, utc_time_now() + (int64_t)c->lease_ms);
    return run(&q, c, job);
}

enum store_status sqlite_remove_notice(struct sqlite_db *d, struct store_call *c)
{
    char job[STORE_ID_SIZE];
    struct sqlite_query q = sqlite_query(d, SQL_REMOVE_NOTICE);
    sqlite_bind_text(&q, 1, c->notice_id);
    sqlite_bind_int(&q, 2, c->attempts);
    enum store_status status = run(&q, c, job);
    if (status != STORE_OK) return status;
    q = sqlite_query(d, SQL_SETTLE_NOTICE);
    bind_attempt(&q, c);
    sqlite_bind_int(&q, 4, utc_time_now());
    sqlite_bind_text(&q, 5, job);
    while (sqlite_row(&q)) continue;
    sqlite_end(&q);
    return STORE_OK;
}

void sqlite_read_notice(struct sqlite_db *d, int64_t seq, struct stored_job *j)
{
    struct sqlite_query q = sqlite_query(d, SQL_READ_NOTICE);
    sqlite_bind_int(&q, 1, seq);
    if (sqlite_row(&q)) {
        j->notify = sqlite_text(&q, 0);
        j->delivery.is_open = sqlite3_column_int(q.st, 1) != 0;
        j->delivery.attempts = (unsigned)sqlite3_column_int(q.st, 2);
        j->delivery.failure = sqlite_text(&q, 3);
        j->delivery.ended_ms = sqlite3_column_int64(q.st, 4);
    }
    sqlite_end(&q);
}
