/* The calls about a job as a whole. */
#include <inttypes.h>

#include "coordinator/postgres/postgres_internal.h"

/* The first column after JOB_COLUMNS. Depending on the statement, this column contains the current time of the database
 * or the options of the job. The URL of `notify` follows the options. */
enum { COLUMN_AFTER = 22 };

static void read_job_row(const struct postgres_query *q, int row, struct stored_job *j)
{
    stored_job_release(j);
    snprintf(j->id, sizeof j->id, "%s", PQgetvalue(q->result, row, 0));
    if (!stored_state_parse(PQgetvalue(q->result, row, 1), &j->state)) j->state = STORED_FAILED;
    j->task = postgres_text(q, row, 2);
    j->labels = postgres_text(q, row, 3);
    j->priority = (int)postgres_int(q, row, 4);
    j->items = (uint64_t)postgres_int(q, row, 5);
    j->counts.succeeded = (uint64_t)postgres_int(q, row, 6);
    j->counts.failed = (uint64_t)postgres_int(q, row, 7);
    j->counts.cancelled = (uint64_t)postgres_int(q, row, 8);
    j->errors = postgres_text(q, row, 9);
    j->reason = postgres_text(q, row, 10);
    j->redrives = (uint64_t)postgres_int(q, row, 11);
    j->cancel_wanted = postgres_int(q, row, 12) != 0;
    j->created_ms = postgres_int(q, row, 13);
    j->started_ms = postgres_int(q, row, 14);
    j->ended_ms = postgres_int(q, row, 15);
    j->key = postgres_text(q, row, 16);
    j->key_digest = postgres_text(q, row, 17);
    j->fence = (uint64_t)postgres_int(q, row, 18);
    j->counts.retried = (uint64_t)postgres_int(q, row, 19);
    j->counts.hedged = (uint64_t)postgres_int(q, row, 20);
    j->changes = postgres_text(q, row, 21);
}

/* Runs and ends the query. If the result has a row, reads the job from it and returns true. */
static bool run_and_read_job(struct postgres_query *q, struct stored_job *j)
{
    bool is_there = postgres_run(q);
    if (is_there) read_job_row(q, 0, j);
    postgres_end(q);
    return is_there;
}

/* Runs and ends the query. Returns whether the result has a row. */
static bool has_row(struct postgres_query *q)
{
    bool is_there = postgres_run(q);
    postgres_end(q);
    return is_there;
}

static bool read_job(struct postgres_db *d, const char *id, struct stored_job *j)
{
    struct postgres_query q = postgres_query(d, PG_READ_JOB);
    postgres_bind_text(&q, id);
    bool is_there = postgres_run(&q);
    if (is_there) {
        read_job_row(&q, 0, j);
        j->options = postgres_text(&q, 0, COLUMN_AFTER);
        j->notify = postgres_text(&q, 0, COLUMN_AFTER + 1);
        j->result = postgres_text(&q, 0, COLUMN_AFTER + 2);
        j->delivery.is_open = postgres_int(&q, 0, COLUMN_AFTER + 3) != 0;
        j->delivery.attempts = (unsigned)postgres_int(&q, 0, COLUMN_AFTER + 4);
        j->delivery.failure = postgres_text(&q, 0, COLUMN_AFTER + 5);
        j->delivery.ended_ms = postgres_int(&q, 0, COLUMN_AFTER + 6);
    }
    postgres_end(&q);
    return is_there;
}

enum store_status postgres_why_not(struct postgres_db *d, struct store_call *c, bool is_fenced, const char *wanted)
{
    if (!read_job(d, c->job.id, &c->found)) return store_no_job(c);
    const char *state = stored_state_name(c->found.state);
    /* The statement found no job, so a running job with this fence belongs to another holder: see MINE in
     * postgres_statements.c. */
    if (is_fenced && (c->found.fence != c->job.fence || strcmp(state, wanted) == 0))
        return store_refuse(c, STORE_FENCED, "job %s was claimed again: the lease %" PRIu64 " has ended", c->job.id,
                            c->job.fence);
    return store_refuse(c, STORE_CONFLICT, "job %s is %s, and not %s", c->job.id, state, wanted);
}

void postgres_bind_lease(struct postgres_query *q, const struct stored_job *j)
{
    postgres_bind_text(q, j->id);
    postgres_bind_int(q, (int64_t)j->fence);
    postgres_bind_text(q, q->d->owner);
}

static bool insert_job(struct postgres_db *d, const struct stored_job *j)
{
    struct postgres_query q = postgres_query(d, PG_ADD_JOB);
    postgres_bind_text(&q, j->id);
    postgres_bind_text(&q, j->task);
    postgres_bind_text(&q, j->labels);
    postgres_bind_int(&q, j->priority);
    postgres_bind_int(&q, (int64_t)j->items);
    postgres_bind_text(&q, j->key);
    postgres_bind_text(&q, j->key_digest);
    postgres_bind_text(&q, d->owner);
    postgres_bind_text(&q, j->options);
    return has_row(&q);
}

/* Removes a job with this key if the coordinator of the job ended during the upload. */
static bool drop_abandoned(struct postgres_db *d, const char *key)
{
    struct postgres_query q = postgres_query(d, PG_DROP_ABANDONED);
    postgres_bind_text(&q, key);
    return has_row(&q);
}

enum store_status postgres_add_job(struct postgres_db *d, struct store_call *c)
{
    const struct stored_job *j = &c->job;
    if (insert_job(d, j)) return STORE_OK;
    if (j->key && drop_abandoned(d, j->key) && insert_job(d, j)) return STORE_OK;
    if (j->key) {
        struct postgres_query q = postgres_query(d, PG_READ_BY_KEY);
        postgres_bind_text(&q, j->key);
        if (run_and_read_job(&q, &c->found))
            return store_refuse(c, STORE_EXISTS, "the key belongs to job %s", c->found.id);
    }
    return postgres_why_not(d, c, false, "new");
}

static enum store_status why_not_accepted(struct postgres_db *d, struct store_call *c)
{
    enum store_status status = postgres_why_not(d, c, false, "receiving");
    if (status == STORE_CONFLICT && c->found.state == STORED_RECEIVING)
        store_refuse(c, status, "the store lacks blocks of job %s: one of them could not be written", c->job.id);
    return status;
}

enum store_status postgres_accept(struct postgres_db *d, struct store_call *c)
{
    const struct stored_job *j = &c->job;
    struct postgres_query q = postgres_query(d, PG_ACCEPT);
    postgres_bind_text(&q, j->id);
    postgres_bind_text(&q, j->task);
    postgres_bind_text(&q, j->labels);
    postgres_bind_int(&q, j->priority);
    postgres_bind_int(&q, (int64_t)j->items);
    postgres_bind_text(&q, j->key_digest);
    postgres_bind_int(&q, (int64_t)j->item_blocks);
    postgres_bind_text(&q, j->options);
    postgres_bind_text(&q, j->notify);
    postgres_bind_int(&q, j->needs);
    return run_and_read_job(&q, &c->found) ? STORE_OK : why_not_accepted(d, c);
}

static void announce(struct postgres_db *d, const struct store_call *c)
{
    struct postgres_query q = postgres_query(d, PG_ANNOUNCE);
    postgres_bind_text(&q, d->owner);
    postgres_bind_text(&q, c->serves);
    postgres_bind_text(&q, c->opens);
    postgres_bind_int(&q, c->knows);
    postgres_run(&q);
    postgres_end(&q);
}

enum store_status postgres_claim(struct postgres_db *d, struct store_call *c)
{
    /* PG_CLAIM itself also announces the tasks of this coordinator. A separate statement would delay the renewals of
     * leases if the server is slow. */
    if (c->only_announces) announce(d, c);
    if (c->only_announces) return store_refuse(c, STORE_NOT_FOUND, "no job was asked for");
    struct postgres_query q = postgres_query(d, PG_CLAIM);
    postgres_bind_text(&q, d->owner);
    postgres_bind_int(&q, (int64_t)c->lease_ms);
    postgres_bind_int(&q, c->knows);
    postgres_bind_text(&q, c->serves);
    postgres_bind_text(&q, c->opens);
    postgres_bind_int(&q, c->others);
    bool is_there = postgres_run(&q);
    if (is_there) {
        read_job_row(&q, 0, &c->found);
        c->now_ms = postgres_int(&q, 0, COLUMN_AFTER);
        c->found.options = postgres_text(&q, 0, COLUMN_AFTER + 1);
        c->more = true;
    }
    postgres_end(&q);
    return is_there ? STORE_OK : store_refuse(c, STORE_NOT_FOUND, "no job waits");
}

enum store_status postgres_renew(struct postgres_db *d, struct store_call *c)
{
    struct postgres_query q = postgres_query(d, PG_RENEW);
    postgres_bind_lease(&q, &c->job);
    postgres_bind_int(&q, (int64_t)c->lease_ms);
    postgres_bind_int(&q, c->yields);
    bool is_there = postgres_run(&q);
    if (is_there) {
        read_job_row(&q, 0, &c->found);
        c->now_ms = postgres_int(&q, 0, COLUMN_AFTER);
        c->wanted_elsewhere = postgres_int(&q, 0, COLUMN_AFTER + 1) != 0;
    }
    postgres_end(&q);
    return is_there ? STORE_OK : postgres_why_not(d, c, true, "running");
}

enum store_status postgres_hand_back(struct postgres_db *d, struct store_call *c)
{
    struct postgres_query q = postgres_query(d, PG_HAND_BACK);
    postgres_bind_lease(&q, &c->job);
    return has_row(&q) ? STORE_OK : postgres_why_not(d, c, true, "running");
}

void postgres_bind_progress(struct postgres_query *q, const struct stored_job *j)
{
    postgres_bind_lease(q, j);
    postgres_bind_int(q, (int64_t)j->counts.succeeded);
    postgres_bind_int(q, (int64_t)j->counts.failed);
    postgres_bind_int(q, (int64_t)j->counts.cancelled);
    postgres_bind_int(q, (int64_t)j->counts.retried);
    postgres_bind_int(q, (int64_t)j->counts.hedged);
    postgres_bind_text(q, j->errors);
}

enum store_status postgres_end_job(struct postgres_db *d, struct store_call *c)
{
    const struct stored_job *j = &c->job;
    if (!stored_state_is_end(j->state)) BUG("a job cannot end as %s", stored_state_name(j->state));
    enum store_status added = c->block.range_count > 0 ? postgres_add_block(d, c) : STORE_OK;
    if (added != STORE_OK) return added;
    struct postgres_query q = postgres_query(d, PG_END);
    postgres_bind_progress(&q, j);
    postgres_bind_text(&q, stored_state_name(j->state));
    postgres_bind_text(&q, j->reason);
    postgres_bind_text(&q, j->result);
    return run_and_read_job(&q, &c->found) ? STORE_OK : postgres_why_not(d, c, true, "running");
}

enum store_status postgres_want_cancel(struct postgres_db *d, struct store_call *c)
{
    struct postgres_query q = postgres_query(d, PG_WANT_CANCEL);
    postgres_bind_text(&q, c->job.id);
    postgres_bind_text(&q, c->job.reason ? c->job.reason : STORED_CANCELLED_BY_CLIENT);
    return run_and_read_job(&q, &c->found) ? STORE_OK : postgres_why_not(d, c, false, "pending or running");
}

enum store_status postgres_change(struct postgres_db *d, struct store_call *c)
{
    struct postgres_query q = postgres_query(d, PG_CHANGE);
    postgres_bind_text(&q, c->job.id);
    postgres_bind_text(&q, c->job.changes);
    bool is_there = postgres_run(&q);
    if (is_there) {
        read_job_row(&q, 0, &c->found);
        c->found.options = postgres_text(&q, 0, COLUMN_AFTER);
        c->found.notify = postgres_text(&q, 0, COLUMN_AFTER + 1);
    }
    postgres_end(&q);
    return is_there ? STORE_OK : postgres_why_not(d, c, false, "pending or running");
}

enum store_status postgres_redrive(struct postgres_db *d, struct store_call *c)
{
    struct postgres_query q = postgres_query(d, PG_REDRIVE);
    postgres_bind_text(&q, c->job.id);
    if (run_and_read_job(&q, &c->found)) return STORE_OK;
    enum store_status status = postgres_why_not(d, c, false, "ended");
    bool has_only_values = status == STORE_CONFLICT && stored_state_is_end(c->found.state);
    return has_only_values ? STORE_OK : status;
}

static enum store_status remove_job(struct postgres_db *d, struct store_call *c, enum postgres_sql sql,
                                    const char *wanted)
{
    struct postgres_query q = postgres_query(d, sql);
    postgres_bind_text(&q, c->job.id);
    return has_row(&q) ? STORE_OK : postgres_why_not(d, c, false, wanted);
}

enum store_status postgres_remove(struct postgres_db *d, struct store_call *c)
{
    return remove_job(d, c, PG_REMOVE, "ended");
}

enum store_status postgres_discard(struct postgres_db *d, struct store_call *c)
{
    return remove_job(d, c, PG_DISCARD, "receiving");
}

enum store_status postgres_sweep(struct postgres_db *d, struct store_call *c)
{
    enum { SWEEP_JOBS = 100 }; /* the same number is in PG_SWEEP */
    struct postgres_query q = postgres_query(d, PG_SWEEP);
    postgres_bind_int(&q, c->ttl_ms);
    if (postgres_run(&q)) c->more = postgres_int(&q, 0, 0) == SWEEP_JOBS;
    postgres_end(&q);
    return STORE_OK;
}

enum store_status postgres_read_job(struct postgres_db *d, struct store_call *c)
{
    return read_job(d, c->job.id, &c->found) ? STORE_OK : store_no_job(c);
}

/* An index orders the jobs by state and then by id. So the statement reads one list for each wanted state, and merges
 * these lists. */
enum store_status postgres_list_jobs(struct postgres_db *d, struct store_call *c)
{
    struct store_filter *f = &c->filter;
    struct buf states = {0};
    bool every_state = true;
    if (f->limit < 1 || f->limit > STORE_LIST_MAX) BUG("a page of %u jobs", f->limit);
    for (unsigned s = 0; s < STORED_STATE_COUNT; s++) every_state = every_state && !f->with_state[s];
    for (unsigned s = 0; s < STORED_STATE_COUNT; s++)
        if (every_state ? s != STORED_RECEIVING : f->with_state[s])
            buf_addf(&states, "%c%s", states.len == 0 ? '{' : ',', stored_state_name((enum stored_state)s));
    buf_add_char(&states, '}');
    struct postgres_query q = postgres_query(d, PG_LIST);
    postgres_bind_text(&q, buf_cstr(&states));
    postgres_bind_text(&q, f->below[0] ? f->below : "~"); /* "~" sorts after every id */
    postgres_bind_int(&q, f->created_from_ms);
    postgres_bind_int(&q, f->created_before_ms ? f->created_before_ms : INT64_MAX);
    postgres_bind_text(&q, f->task);
    postgres_bind_text(&q, f->label);
    postgres_bind_int(&q, f->limit + 1); /* one more row than wanted shows whether there are more jobs */
    c->list = xcalloc(f->limit, sizeof *c->list);
    postgres_run(&q);
    int rows = postgres_rows(&q);
    c->more = rows > (int)f->limit;
    for (int i = 0; i < rows && i < (int)f->limit; i++) read_job_row(&q, i, &c->list[c->list_count++]);
    postgres_end(&q);
    buf_release(&states);
    return STORE_OK;
}

enum store_status postgres_read_stats(struct postgres_db *d, struct store_call *c)
{
    struct postgres_query q = postgres_query(d, PG_READ_STATS);
    postgres_bind_int(&q, STORE_STATS_JOBS);
    postgres_bind_int(&q, STORE_STATS_OLDEST);
    if (postgres_run(&q)) {
        int64_t waits_ms = postgres_int(&q, 0, 1); /* NULL is read as 0 */
        c->stats.pending = (uint64_t)postgres_int(&q, 0, 0);
        c->stats.waits_ms = waits_ms > 0 ? waits_ms : 0;
        c->stats.bytes = (uint64_t)postgres_int(&q, 0, 2);
    }
    postgres_end(&q);
    return STORE_OK;
}
