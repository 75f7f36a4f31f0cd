/* The calls about a job as a whole, except those that remove jobs or blocks. */
#include <inttypes.h>

#include "common/observe/utc_time.h"
#include "coordinator/store/sqlite_internal.h"

/* Returns the end of a new lease. Only one process uses the file, and no lease outlives the process. So leases can use
 * the monotonic clock: a change of the wall clock or a sleep of the machine does not end a lease. */
static int64_t lease_ms(uint64_t from_now_ms)
{
    return (int64_t)(now_ns() / NS_PER_MS + from_now_ms);
}

void sqlite_column_job(const struct sqlite_query *q, struct stored_job *j)
{
    sqlite3_stmt *st = q->st;
    const char *id = (const char *)sqlite3_column_text(st, 0), *state = (const char *)sqlite3_column_text(st, 1);
    stored_job_release(j);
    snprintf(j->id, sizeof j->id, "%s", id ? id : "");
    if (!state || !stored_state_parse(state, &j->state)) j->state = STORED_FAILED;
    j->task = sqlite_text(q, 2);
    j->labels = sqlite_text(q, 3);
    j->priority = sqlite3_column_int(st, 4);
    j->items = (uint64_t)sqlite3_column_int64(st, 5);
    j->counts.succeeded = (uint64_t)sqlite3_column_int64(st, 6);
    j->counts.failed = (uint64_t)sqlite3_column_int64(st, 7);
    j->counts.cancelled = (uint64_t)sqlite3_column_int64(st, 8);
    j->errors = sqlite_text(q, 9);
    j->reason = sqlite_text(q, 10);
    j->redrives = (uint64_t)sqlite3_column_int64(st, 11);
    j->cancel_wanted = sqlite3_column_int(st, 12) != 0;
    j->created_ms = sqlite3_column_int64(st, 13);
    j->started_ms = sqlite3_column_int64(st, 14);
    j->ended_ms = sqlite3_column_int64(st, 15);
    j->key = sqlite_text(q, 16);
    j->key_digest = sqlite_text(q, 17);
    j->fence = (uint64_t)sqlite3_column_int64(st, 18);
    j->counts.retried = (uint64_t)sqlite3_column_int64(st, 19);
    j->counts.hedged = (uint64_t)sqlite3_column_int64(st, 20);
    j->changes = sqlite_text(q, 21);
}

void sqlite_bind_progress(struct sqlite_query *q, const struct stored_job *j)
{
    sqlite_bind_text(q, 1, j->id);
    sqlite_bind_int(q, 2, (int64_t)j->counts.succeeded);
    sqlite_bind_int(q, 3, (int64_t)j->counts.failed);
    sqlite_bind_int(q, 4, (int64_t)j->counts.cancelled);
    sqlite_bind_int(q, 5, (int64_t)j->counts.retried);
    sqlite_bind_int(q, 6, (int64_t)j->counts.hedged);
    sqlite_bind_text(q, 7, j->errors);
}

/* Runs and ends the query. If there is a row, reads its job and the number of the job, and returns true. */
static bool run_and_read_job(struct sqlite_query *q, struct stored_job *j, int64_t *seq)
{
    bool is_there = sqlite_row(q);
    if (is_there) {
        sqlite_column_job(q, j);
        if (seq) *seq = sqlite3_column_int64(q->st, SQLITE_JOB_COLUMN_SEQ);
    }
    sqlite_end(q);
    return is_there;
}

static bool read_job(struct sqlite_db *d, const char *id, struct stored_job *j, int64_t *seq)
{
    struct sqlite_query q = sqlite_query(d, SQL_READ_JOB);
    sqlite_bind_text(&q, 1, id);
    return run_and_read_job(&q, j, seq);
}

static void read_options(struct sqlite_db *d, int64_t seq, struct stored_job *j)
{
    struct sqlite_query q = sqlite_query(d, SQL_READ_OPTIONS);
    sqlite_bind_int(&q, 1, seq);
    if (sqlite_row(&q)) {
        j->options = sqlite_text(&q, 0);
        j->result = sqlite_text(&q, 1);
    }
    sqlite_end(&q);
}

void sqlite_set_result(struct sqlite_db *d, int64_t seq, const char *result)
{
    struct sqlite_query q = sqlite_query(d, SQL_SET_RESULT);
    sqlite_bind_int(&q, 1, seq);
    sqlite_bind_text(&q, 2, result);
    while (sqlite_row(&q)) continue;
    sqlite_end(&q);
}

enum store_status sqlite_why_not(struct sqlite_db *d, struct store_call *c, bool is_fenced, const char *wanted)
{
    if (!read_job(d, c->job.id, &c->found, NULL)) return store_no_job(c);
    if (is_fenced && c->found.fence != c->job.fence)
        return store_refuse(c, STORE_FENCED, "job %s was claimed again: the lease %" PRIu64 " has ended", c->job.id,
                            c->job.fence);
    return store_refuse(c, STORE_CONFLICT, "job %s is %s, and not %s", c->job.id, stored_state_name(c->found.state),
                        wanted);
}

/* Runs and ends the query, whose only column is the number of a job. Returns whether there is a row. */
static bool run_and_read_seq(struct sqlite_query *q, int64_t *seq)
{
    bool is_there = sqlite_row(q);
    if (is_there && seq) *seq = sqlite3_column_int64(q->st, 0);
    sqlite_end(q);
    return is_there;
}

static size_t length_of(const char *text)
{
    return text ? strlen(text) : 0;
}

static void set_options(struct sqlite_db *d, int64_t seq, const char *options)
{
    struct sqlite_query q = sqlite_query(d, SQL_ADD_REQUEST);
    sqlite_bind_int(&q, 1, seq);
    sqlite_bind_text(&q, 2, options);
    while (sqlite_row(&q)) continue;
    sqlite_end(&q);
}

/* Call it when a job has not been added because its key or its id already exists. */
static enum store_status explain_duplicate(struct sqlite_db *d, struct store_call *c)
{
    if (c->job.key) {
        struct sqlite_query q = sqlite_query(d, SQL_READ_BY_KEY);
        sqlite_bind_text(&q, 1, c->job.key);
        if (run_and_read_job(&q, &c->found, NULL))
            return store_refuse(c, STORE_EXISTS, "the key belongs to job %s", c->found.id);
    }
    return sqlite_why_not(d, c, false, "new");
}

enum store_status sqlite_add_job(struct sqlite_db *d, struct store_call *c)
{
    const struct stored_job *j = &c->job;
    if (!sqlite_has_room(d, c, length_of(j->options))) return STORE_FULL;
    struct sqlite_query q = sqlite_query(d, SQL_ADD_JOB);
    sqlite_bind_text(&q, 1, j->id);
    sqlite_bind_text(&q, 2, j->task);
    sqlite_bind_text(&q, 3, j->labels);
    sqlite_bind_int(&q, 4, j->priority);
    sqlite_bind_int(&q, 5, (int64_t)j->items);
    sqlite_bind_int(&q, 6, utc_time_now());
    sqlite_bind_text(&q, 7, j->key);
    sqlite_bind_text(&q, 8, j->key_digest);
    int64_t seq;
    if (!run_and_read_seq(&q, &seq)) return explain_duplicate(d, c);
    if (j->options) set_options(d, seq, j->options);
    return STORE_OK;
}

static enum store_status why_not_accepted(struct sqlite_db *d, struct store_call *c)
{
    enum store_status status = sqlite_why_not(d, c, false, "receiving");
    if (status == STORE_CONFLICT && c->found.state == STORED_RECEIVING)
        store_refuse(c, status, "the store lacks blocks of job %s: one of them could not be written", c->job.id);
    return status;
}

enum store_status sqlite_accept(struct sqlite_db *d, struct store_call *c)
{
    const struct stored_job *j = &c->job;
    if (!sqlite_has_room(d, c, length_of(j->options))) return STORE_FULL;
    struct sqlite_query q = sqlite_query(d, SQL_ACCEPT);
    sqlite_bind_text(&q, 1, j->id);
    sqlite_bind_text(&q, 2, j->task);
    sqlite_bind_text(&q, 3, j->labels);
    sqlite_bind_int(&q, 4, j->priority);
    sqlite_bind_int(&q, 5, (int64_t)j->items);
    sqlite_bind_text(&q, 6, j->key_digest);
    sqlite_bind_int(&q, 7, (int64_t)j->item_blocks);
    sqlite_bind_text(&q, 8, j->notify);
    sqlite_bind_int(&q, 9, j->needs);
    int64_t seq;
    if (!run_and_read_job(&q, &c->found, &seq)) return why_not_accepted(d, c);
    set_options(d, seq, j->options);
    return STORE_OK;
}

static bool more_pending(struct sqlite_db *d)
{
    struct sqlite_query q = sqlite_query(d, SQL_MORE_PENDING);
    sqlite_bind_int(&q, 1, lease_ms(0));
    bool more = sqlite_row(&q) && sqlite3_column_int(q.st, 0) != 0;
    sqlite_end(&q);
    return more;
}

enum store_status sqlite_claim(struct sqlite_db *d, struct store_call *c)
{
    if (c->only_announces) return store_refuse(c, STORE_NOT_FOUND, "no job was asked for");
    struct sqlite_query q = sqlite_query(d, SQL_CLAIM);
    c->now_ms = utc_time_now();
    sqlite_bind_text(&q, 1, c->holder);
    sqlite_bind_int(&q, 2, lease_ms(c->lease_ms));
    sqlite_bind_int(&q, 3, c->now_ms);
    sqlite_bind_int(&q, 4, lease_ms(0));
    sqlite_bind_int(&q, 5, c->knows);
    sqlite_bind_text(&q, 6, c->serves);
    sqlite_bind_int(&q, 7, c->others);
    int64_t seq;
    if (!run_and_read_job(&q, &c->found, &seq)) return store_refuse(c, STORE_NOT_FOUND, "no job waits");
    read_options(d, seq, &c->found);
    if (c->wants_whole) sqlite_read_whole(d, seq, c);
    c->more = more_pending(d);
    return STORE_OK;
}

enum store_status sqlite_renew(struct sqlite_db *d, struct store_call *c)
{
    c->now_ms = utc_time_now();
    struct sqlite_query q = sqlite_query(d, SQL_RENEW);
    sqlite_bind_text(&q, 1, c->job.id);
    sqlite_bind_int(&q, 2, (int64_t)c->job.fence);
    sqlite_bind_int(&q, 3, lease_ms(c->lease_ms));
    return run_and_read_job(&q, &c->found, NULL) ? STORE_OK : sqlite_why_not(d, c, true, "running");
}

enum store_status sqlite_hand_back(struct sqlite_db *d, struct store_call *c)
{
    struct sqlite_query q = sqlite_query(d, SQL_HAND_BACK);
    sqlite_bind_text(&q, 1, c->job.id);
    sqlite_bind_int(&q, 2, (int64_t)c->job.fence);
    return run_and_read_seq(&q, NULL) ? STORE_OK : sqlite_why_not(d, c, true, "running");
}

enum store_status sqlite_end_job(struct sqlite_db *d, struct store_call *c)
{
    const struct stored_job *j = &c->job;
    if (!stored_state_is_end(j->state)) BUG("a job cannot end as %s", stored_state_name(j->state));
    enum store_status added = c->block.range_count > 0 ? sqlite_add_block(d, c) : STORE_OK;
    if (added != STORE_OK) return added;
    struct sqlite_query q = sqlite_query(d, SQL_END);
    sqlite_bind_progress(&q, j);
    sqlite_bind_int(&q, 8, (int64_t)j->fence);
    sqlite_bind_text(&q, 9, stored_state_name(j->state));
    sqlite_bind_text(&q, 10, j->reason);
    sqlite_bind_int(&q, 11, utc_time_now());
    int64_t seq;
    if (!run_and_read_job(&q, &c->found, &seq)) return sqlite_why_not(d, c, true, "running");
    if (j->result) sqlite_set_result(d, seq, j->result);
    return STORE_OK;
}

enum store_status sqlite_want_cancel(struct sqlite_db *d, struct store_call *c)
{
    struct sqlite_query q = sqlite_query(d, SQL_WANT_CANCEL);
    sqlite_bind_text(&q, 1, c->job.id);
    sqlite_bind_int(&q, 2, utc_time_now());
    sqlite_bind_text(&q, 3, c->job.reason ? c->job.reason : STORED_CANCELLED_BY_CLIENT);
    return run_and_read_job(&q, &c->found, NULL) ? STORE_OK : sqlite_why_not(d, c, false, "pending or running");
}

enum store_status sqlite_change(struct sqlite_db *d, struct store_call *c)
{
    int64_t seq;
    struct sqlite_query q = sqlite_query(d, SQL_CHANGE);
    sqlite_bind_text(&q, 1, c->job.id);
    sqlite_bind_text(&q, 2, c->job.changes);
    if (!run_and_read_job(&q, &c->found, &seq)) return sqlite_why_not(d, c, false, "pending or running");
    read_options(d, seq, &c->found);
    sqlite_read_notice(d, seq, &c->found);
    return STORE_OK;
}

enum store_status sqlite_read_job(struct sqlite_db *d, struct store_call *c)
{
    int64_t seq;
    if (!read_job(d, c->job.id, &c->found, &seq)) return store_no_job(c);
    read_options(d, seq, &c->found);
    sqlite_read_notice(d, seq, &c->found);
    if (c->wants_whole && stored_state_is_end(c->found.state)) sqlite_read_whole(d, seq, c);
    return STORE_OK;
}
