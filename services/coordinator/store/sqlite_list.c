/*
 * The list of jobs, and figures about the jobs. An index orders the jobs by state and then by id. So the newest jobs of
 * each wanted state are read separately and then merged. The cost does not depend on the number of jobs in other
 * states.
 */
#include "common/observe/utc_time.h"
#include "coordinator/store/sqlite_internal.h"

/* The ids of the first jobs of one state. The struct has room for one id more than the limit, because the additional id
 * shows whether there are more jobs. */
struct ids {
    char id[STORE_LIST_MAX + 1][STORE_ID_SIZE];
    unsigned n, next;
};

static void read_ids(struct sqlite_db *d, const struct store_filter *f, enum stored_state state, struct ids *ids)
{
    struct sqlite_query q = sqlite_query(d, SQL_LIST);
    sqlite_bind_text(&q, 1, stored_state_name(state));
    sqlite_bind_text(&q, 2, f->below[0] ? f->below : "~"); /* "~" sorts after every id */
    sqlite_bind_int(&q, 3, f->created_from_ms);
    sqlite_bind_int(&q, 4, f->created_before_ms ? f->created_before_ms : INT64_MAX);
    sqlite_bind_text(&q, 5, f->task);
    sqlite_bind_text(&q, 6, f->label);
    sqlite_bind_int(&q, 7, f->limit + 1);
    while (ids->n <= f->limit && sqlite_row(&q)) {
        const char *id = (const char *)sqlite3_column_text(q.st, 0);
        snprintf(ids->id[ids->n++], STORE_ID_SIZE, "%s", id ? id : "");
    }
    sqlite_end(&q);
}

/* Takes and returns the newest id that has not been taken yet. Returns NULL at the end. */
static const char *take_newest(struct ids *all)
{
    struct ids *newest = NULL;
    for (unsigned s = 0; s < STORED_STATE_COUNT; s++) {
        struct ids *i = &all[s];
        if (i->next == i->n) continue;
        if (!newest || strcmp(i->id[i->next], newest->id[newest->next]) > 0) newest = i;
    }
    return newest ? newest->id[newest->next++] : NULL;
}

static void add_job(struct sqlite_db *d, struct store_call *c, const char *id)
{
    struct sqlite_query q = sqlite_query(d, SQL_READ_JOB);
    sqlite_bind_text(&q, 1, id);
    if (sqlite_row(&q)) sqlite_column_job(&q, &c->list[c->list_count++]);
    sqlite_end(&q);
}

enum store_status sqlite_list_jobs(struct sqlite_db *d, struct store_call *c)
{
    struct store_filter *f = &c->filter;
    if (f->limit < 1 || f->limit > STORE_LIST_MAX) BUG("a page of %u jobs", f->limit);
    bool every_state = true;
    for (unsigned s = 0; s < STORED_STATE_COUNT; s++) every_state = every_state && !f->with_state[s];
    struct ids *all = xcalloc(STORED_STATE_COUNT, sizeof *all);
    for (unsigned s = 0; s < STORED_STATE_COUNT; s++)
        if (every_state ? s != STORED_RECEIVING : f->with_state[s]) read_ids(d, f, (enum stored_state)s, &all[s]);
    c->list = xcalloc(f->limit, sizeof *c->list);
    const char *id = take_newest(all);
    for (; id && c->list_count < f->limit; id = take_newest(all)) add_job(d, c, id);
    c->more = id != NULL;
    free(all);
    return STORE_OK;
}

enum store_status sqlite_read_stats(struct sqlite_db *d, struct store_call *c)
{
    struct sqlite_query q = sqlite_query(d, SQL_READ_STATS);
    sqlite_bind_int(&q, 1, STORE_STATS_JOBS);
    sqlite_bind_int(&q, 2, STORE_STATS_OLDEST);
    if (sqlite_row(&q)) {
        int64_t created_ms = sqlite3_column_int64(q.st, 1), now_ms = utc_time_now();
        c->stats.pending = (uint64_t)sqlite3_column_int64(q.st, 0);
        if (created_ms > 0 && created_ms < now_ms) c->stats.waits_ms = now_ms - created_ms;
    }
    sqlite_end(&q);
    c->stats.bytes = (uint64_t)sqlite_number(d, SQL_PAGE_COUNT) * SQLITE_PAGE_BYTES;
    return STORE_OK;
}
