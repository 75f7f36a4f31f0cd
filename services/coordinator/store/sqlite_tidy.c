/*
 * Removes jobs and blocks. A removed job disappears immediately. Removing 10 GB of blocks takes a long time, so the
 * blocks of the job are only noted in the table `dropped`. The writer removes dropped blocks in small steps: between
 * two transactions (at most one step in 100 ms), and while no call waits. While no call waits, the writer also gives
 * free pages back to the file system.
 */
#include "common/base/limits.h"
#include "common/observe/utc_time.h"
#include "coordinator/store/sqlite_internal.h"

#define SWEEP_JOBS  100       /* one STORE_SWEEP removes up to this many jobs */
#define STEP_JOBS   256       /* one step removes the blocks of up to this many jobs */
#define STEP_BLOCKS 128       /* one step removes up to this many blocks */
#define STEP_BYTES  (4 * MIB) /* a step adds no further block when its blocks have this many bytes of lines */
#define SPARE_PAGES 256       /* this many free pages stay in the file, for the next blocks */
#define MANY_PAGES  32768     /* with this many free pages, giving back a page is slow: a step gives back fewer pages */

/* Returns the number of the job in the row, or -1 if there is no row. Ends the query. */
static int64_t read_seq_or_none(struct sqlite_query *q)
{
    int64_t seq = sqlite_row(q) ? sqlite3_column_int64(q->st, 0) : -1;
    sqlite_end(q);
    return seq;
}

static void run_with_number(struct sqlite_db *d, enum sql sql, int64_t n)
{
    struct sqlite_query q = sqlite_query(d, sql);
    sqlite_bind_int(&q, 1, n);
    while (sqlite_row(&q)) continue;
    sqlite_end(&q);
}

enum store_status sqlite_redrive(struct sqlite_db *d, struct store_call *c)
{
    struct sqlite_query q = sqlite_query(d, SQL_REDRIVE);
    sqlite_bind_text(&q, 1, c->job.id);
    bool is_there = sqlite_row(&q);
    int64_t seq = 0;
    if (is_there) {
        sqlite_column_job(&q, &c->found);
        seq = sqlite3_column_int64(q.st, SQLITE_JOB_COLUMN_SEQ);
    }
    sqlite_end(&q);
    if (!is_there) {
        enum store_status status = sqlite_why_not(d, c, false, "ended");
        bool has_only_values = status == STORE_CONFLICT && stored_state_is_end(c->found.state);
        return has_only_values ? STORE_OK : status;
    }
    run_with_number(d, SQL_DROP_ERRORS, seq);
    sqlite_set_result(d, seq, NULL);
    d->untidy = true;
    return STORE_OK;
}

static enum store_status remove_job(struct sqlite_db *d, struct store_call *c, enum sql sql, const char *wanted)
{
    struct sqlite_query q = sqlite_query(d, sql);
    sqlite_bind_text(&q, 1, c->job.id);
    int64_t seq = read_seq_or_none(&q);
    if (seq < 0) return sqlite_why_not(d, c, false, wanted);
    run_with_number(d, SQL_REMOVE_REQUEST, seq);
    run_with_number(d, SQL_DROP_JOB, seq);
    d->untidy = true;
    return STORE_OK;
}

enum store_status sqlite_remove(struct sqlite_db *d, struct store_call *c)
{
    return remove_job(d, c, SQL_REMOVE, "ended");
}

enum store_status sqlite_discard(struct sqlite_db *d, struct store_call *c)
{
    return remove_job(d, c, SQL_DISCARD, "receiving");
}

enum store_status sqlite_sweep(struct sqlite_db *d, struct store_call *c)
{
    int64_t before_ms = utc_time_now() - c->ttl_ms;
    static const enum sql steps[] = {SQL_SWEEP_DROP, SQL_SWEEP_REQUESTS, SQL_SWEEP_JOBS};
    for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
        struct sqlite_query q = sqlite_query(d, steps[i]);
        sqlite_bind_int(&q, 1, before_ms);
        sqlite_bind_int(&q, 2, SWEEP_JOBS);
        while (sqlite_row(&q)) continue;
        sqlite_end(&q);
    }
    int removed = sqlite3_changes(d->db);
    d->untidy = d->untidy || removed > 0;
    c->more = removed == SWEEP_JOBS;
    return STORE_OK;
}

/* The blocks that this step removes. */
struct step {
    int64_t numbers[STEP_BLOCKS];
    unsigned n;
    uint64_t bytes;
};

/* Adds blocks of one entry of the table `dropped` to the step. Returns whether the entry has no more blocks. */
static bool choose_blocks(struct sqlite_query *entry, struct step *s)
{
    struct sqlite_query q = sqlite_query(entry->d, SQL_DROPPED_BLOCKS);
    for (int i = 1; i <= 3; i++) sqlite_bind_int(&q, i, sqlite3_column_int64(entry->st, i));
    sqlite_bind_int(&q, 4, STEP_BLOCKS + 1);
    bool all = true;
    while (all && sqlite_row(&q)) {
        all = s->n < STEP_BLOCKS && s->bytes < STEP_BYTES;
        if (!all) break;
        s->numbers[s->n++] = sqlite3_column_int64(q.st, 0);
        s->bytes += (uint64_t)sqlite3_column_int64(q.st, 1);
    }
    sqlite_end(&q);
    return all;
}

/* Removes dropped blocks. Returns whether there were any dropped blocks. */
static bool remove_blocks(struct sqlite_db *d)
{
    struct step s = {0};
    bool all = true, any = false;
    for (unsigned jobs = 0; all && jobs < STEP_JOBS && s.n < STEP_BLOCKS; jobs++) {
        struct sqlite_query entry = sqlite_query(d, SQL_NEXT_DROPPED);
        bool is_there = sqlite_row(&entry);
        int64_t seq = is_there ? sqlite3_column_int64(entry.st, 0) : 0;
        if (is_there) all = choose_blocks(&entry, &s);
        sqlite_end(&entry);
        if (!is_there) break;
        any = true;
        if (all) run_with_number(d, SQL_END_DROPPED, seq);
    }
    for (unsigned i = 0; i < s.n; i++) run_with_number(d, SQL_REMOVE_BLOCK, s.numbers[i]);
    return any;
}

/* Gives some free pages back to the file system. Returns false if no more pages can be given back. */
static bool shrink(struct sqlite_db *d)
{
    d->rc = SQLITE_OK;
    int64_t before = sqlite_number(d, SQL_FREE_PAGES);
    if (before <= SPARE_PAGES) return false;
    return sqlite_run(d, before < MANY_PAGES ? SQL_VACUUM : SQL_VACUUM_LITTLE) &&
           sqlite_number(d, SQL_FREE_PAGES) < before;
}

/* To give back one page, SQLite searches the list of all free pages. So free pages are given back first, before the
 * removal of blocks frees more pages. The blocks that were added last are removed first: their pages are mostly at the
 * end of the file, so few other pages must move. */
void sqlite_tidy(struct sqlite_db *d, bool is_idle)
{
    if (is_idle && shrink(d)) return;
    bool any = sqlite_begin(d) && remove_blocks(d);
    bool ok = sqlite_finish(d);
    d->untidy = ok ? any || !is_idle : sqlite_reserve_use(d);
    /* The file becomes shorter only at a checkpoint. */
    if (!d->untidy) sqlite_run(d, SQL_CHECKPOINT);
}
