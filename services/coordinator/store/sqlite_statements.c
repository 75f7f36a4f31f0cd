/* The statements of the SQLite back end, and how they are run. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <unistd.h>

#include "common/base/limits.h"
#include "coordinator/store/sqlite_internal.h"

/* The columns of a job, in the order in which sqlite_column_job() reads them. */
#define JOB_COLUMNS                                                                                                    \
    "id, state, task, labels, priority, items, succeeded, failed, cancelled, errors, reason, redrives, cancel_wanted," \
    " created_ms, started_ms, ended_ms, key, key_digest, fence, retried, hedged, changes, seq"
/* Whether the workers have the tasks of the job. ?6 is `serves`. Names of tasks have no characters that JSON escapes.
 * The tasks of a pipeline are compared one by one. */
#define IS_SERVED                                                                                                      \
    "CASE WHEN instr(task, ',') = 0 THEN instr(?6, '\"' || task || '\"') > 0"                                          \
    " ELSE instr(?6, '\"!' || task || '\"') = 0 AND NOT EXISTS (SELECT 1"                                              \
    " FROM json_each('[\"' || replace(task, ',', '\",\"') || '\"]') AS t WHERE instr(?6, '\"' || t.value || '\"') = "  \
    "0) END"
/* There is no other coordinator, so `opens` does not matter. ?7 is `others`. */
#define MAY_CLAIM "(?6 IS NULL OR ?7 OR " IS_SERVED ")"
/* The first pending job of each task whose jobs may be claimed. There may be very many pending jobs that must not be
 * claimed, so the statement does not read them. `tasks` finds the distinct tasks of the pending jobs, with one lookup
 * in the index for each task. */
#define PENDING_OF "job INDEXED BY job_task WHERE state = 'pending'"
#define TASKS                                                                                                          \
    "WITH RECURSIVE tasks (task) AS (SELECT min(task) FROM " PENDING_OF                                                \
    " UNION ALL SELECT (SELECT min(task) FROM " PENDING_OF " AND task > tasks.task) FROM tasks WHERE task NOT NULL) "
#define FIRST_PENDING                                                                                                  \
    TASKS "SELECT seq, priority, id FROM job WHERE seq IN (SELECT (SELECT seq FROM " PENDING_OF                        \
          " AND task = tasks.task AND needs <= ?5 ORDER BY priority DESC, id LIMIT 1) FROM tasks WHERE " MAY_CLAIM ")"
/* ABANDONED selects the running jobs whose lease expires at ?4 or earlier. CLAIMABLE also selects the jobs of
 * FIRST_PENDING. ABANDONED and CLAIMABLE select only jobs that may be claimed. INDEXED BY names the index, because
 * otherwise SQLite would choose another index. */
#define ABANDONED                                                                                                      \
    "SELECT seq, priority, id FROM job INDEXED BY job_lease WHERE state = 'running' AND lease_until_ms <= ?4"          \
    " AND needs <= ?5 AND " MAY_CLAIM
#define CLAIMABLE "(SELECT seq, priority, id FROM (" FIRST_PENDING ") UNION ALL " ABANDONED ")"
/* Selects at most ?2 of the jobs that ended at the time ?1 or before, the earliest first. All three statements of a
 * sweep use this selection. */
#define SWEPT "(SELECT seq FROM job WHERE ended_ms <= ?1 ORDER BY ended_ms, seq LIMIT ?2)"
/* Whether a redrive has dropped the block b of the job j. */
#define IS_DROPPED "(b.kind IN ('errors', 'sent', 'unsent') AND b.number <= j.dropped_to)"

static const char *const sql_texts[] = {
    [SQL_BEGIN] = "BEGIN IMMEDIATE",
    [SQL_BEGIN_READ] = "BEGIN",
    [SQL_COMMIT] = "COMMIT",
    [SQL_ROLLBACK] = "ROLLBACK",
    [SQL_ADD_JOB] = "INSERT INTO job (id, state, task, labels, priority, items, created_ms, key, key_digest)"
                    " VALUES (?1, 'receiving', ?2, ?3, ?4, ?5, ?6, ?7, ?8) ON CONFLICT DO NOTHING RETURNING seq",
    [SQL_ADD_REQUEST] = "INSERT OR REPLACE INTO request (job, options) VALUES (?1, ?2)",
    [SQL_ADD_BLOCK] = "INSERT INTO block (job, kind, ranges, lines) SELECT seq, ?4, ?5, ?6 FROM job"
                      " WHERE id = ?1 AND fence = ?2 AND state = ?3 RETURNING number",
    [SQL_FIND_BLOCK] = "SELECT b.number FROM job j JOIN block b ON b.job = j.seq"
                       " WHERE j.id = ?1 AND j.fence = ?2 AND j.state = ?3 AND b.kind = ?4 AND b.ranges = ?5"
                       " AND b.number > ?6 ORDER BY b.number LIMIT 1",
    [SQL_SET_PROGRESS] = "UPDATE job SET succeeded = ?2, failed = ?3, cancelled = ?4, retried = ?5,"
                         " hedged = ?6, errors = ?7 WHERE id = ?1",
    [SQL_ACCEPT] =
        "UPDATE job SET state = 'pending', task = ?2, labels = ?3, priority = ?4, items = ?5,"
        " key_digest = coalesce(?6, key_digest), notify = ?8, needs = ?9 WHERE id = ?1 AND state = 'receiving'"
        " AND ?7 = (SELECT count(*) FROM block WHERE block.job = job.seq) RETURNING " JOB_COLUMNS,
    [SQL_CLAIM] = "UPDATE job SET state = 'running', fence = fence + 1, holder = ?1, lease_until_ms = ?2,"
                  " started_ms = coalesce(started_ms, ?3)"
                  " WHERE seq = (SELECT seq FROM " CLAIMABLE " ORDER BY priority DESC, id LIMIT 1)"
                  " RETURNING " JOB_COLUMNS,
    [SQL_RENEW] = "UPDATE job SET lease_until_ms = ?3 WHERE id = ?1 AND fence = ?2 AND state = 'running'"
                  " RETURNING " JOB_COLUMNS,
    [SQL_HAND_BACK] = "UPDATE job SET state = 'pending', holder = NULL, lease_until_ms = NULL"
                      " WHERE id = ?1 AND fence = ?2 AND state = 'running' RETURNING seq",
    [SQL_END] = "UPDATE job SET succeeded = ?2, failed = ?3, cancelled = ?4, retried = ?5, hedged = ?6, errors = ?7,"
                " state = ?9, reason = ?10, ended_ms = ?11, holder = NULL, lease_until_ms = NULL"
                " WHERE id = ?1 AND fence = ?8 AND state = 'running' RETURNING " JOB_COLUMNS,
    [SQL_SET_RESULT] = "UPDATE request SET result = ?2 WHERE job = ?1 AND result IS NOT ?2",
    [SQL_WANT_CANCEL] = "UPDATE job SET cancel_wanted = 1, state = iif(state = 'pending', 'cancelled', state),"
                        " ended_ms = iif(state = 'pending', ?2, NULL), reason = iif(state = 'pending', ?3, NULL),"
                        " cancelled = iif(state = 'pending', items - succeeded - failed, cancelled),"
                        " errors = iif(state = 'pending' AND items > succeeded + failed, json_patch(coalesce(errors,"
                        " '{}'), json_object('cancelled', items - succeeded - failed)), errors)"
                        " WHERE id = ?1 AND state IN ('pending', 'running') RETURNING " JOB_COLUMNS,
    [SQL_CHANGE] = "UPDATE job SET changes = json_patch(coalesce(changes, '{}'), ?2),"
                   " priority = coalesce(json_extract(?2, '$.priority'), priority)"
                   " WHERE id = ?1 AND state IN ('pending', 'running') RETURNING " JOB_COLUMNS,
    [SQL_REDRIVE] = "UPDATE job SET state = 'pending', failed = 0, cancelled = 0, errors = NULL, reason = NULL,"
                    " redrives = redrives + 1, cancel_wanted = 0, started_ms = NULL, ended_ms = NULL,"
                    " notice_attempts = 0, notice_failure = NULL, notice_ended_ms = NULL,"
                    " dropped_to = (SELECT coalesce(max(number), 0) FROM block WHERE block.job = job.seq)"
                    " WHERE id = ?1 AND ended_ms IS NOT NULL AND succeeded < items RETURNING " JOB_COLUMNS,
    [SQL_DROP_ERRORS] =
        "INSERT INTO dropped (job, everything, up_to) SELECT seq, 0, dropped_to FROM job WHERE seq = ?1",
    [SQL_REMOVE] = "DELETE FROM job WHERE id = ?1 AND ended_ms IS NOT NULL RETURNING seq",
    [SQL_DISCARD] = "DELETE FROM job WHERE id = ?1 AND state = 'receiving' RETURNING seq",
    [SQL_REMOVE_REQUEST] = "DELETE FROM request WHERE job = ?1",
    [SQL_DROP_JOB] = "INSERT INTO dropped (job, everything) VALUES (?1, 1)",
    [SQL_SWEEP_DROP] = "INSERT INTO dropped (job, everything) SELECT seq, 1 FROM job WHERE seq IN " SWEPT,
    [SQL_SWEEP_REQUESTS] = "DELETE FROM request WHERE job IN " SWEPT,
    [SQL_SWEEP_JOBS] = "DELETE FROM job WHERE seq IN " SWEPT,
    [SQL_TAKE_NOTICE] = "UPDATE notice SET attempts = attempts + 1, due_ms = ?2"
                        " WHERE seq = (SELECT seq FROM notice WHERE due_ms <= ?1 ORDER BY due_ms LIMIT 1)"
                        " RETURNING id, attempts, url, job, state, items, succeeded, failed, cancelled, retried,"
                        " hedged, ended_ms",
    [SQL_DELAY_NOTICE] = "UPDATE notice SET due_ms = ?4, failure = ?3 WHERE id = ?1 AND attempts = ?2 RETURNING job",
    [SQL_REMOVE_NOTICE] = "DELETE FROM notice WHERE id = ?1 AND attempts = ?2 RETURNING job",
    [SQL_SETTLE_NOTICE] = "UPDATE job SET notice_attempts = ?2, notice_failure = ?3, notice_ended_ms = ?4"
                          " WHERE id = ?5 AND id || '_' || redrives = ?1",
    [SQL_READ_NOTICE] = "SELECT j.notify, n.seq IS NOT NULL, coalesce(n.attempts, j.notice_attempts),"
                        " coalesce(n.failure, j.notice_failure), j.notice_ended_ms FROM job j"
                        " LEFT JOIN notice n ON n.id = j.id || '_' || j.redrives WHERE j.seq = ?1",
    [SQL_READ_JOB] = "SELECT " JOB_COLUMNS " FROM job WHERE id = ?1",
    [SQL_READ_BY_KEY] = "SELECT " JOB_COLUMNS " FROM job WHERE key = ?1",
    [SQL_READ_OPTIONS] = "SELECT options, result FROM request WHERE job = ?1",
    [SQL_LIST] = "SELECT id FROM job WHERE state = ?1 AND id < ?2 AND created_ms >= ?3 AND created_ms < ?4"
                 " AND (?5 IS NULL OR (instr(task, ?5) > 0 AND instr(',' || task || ',', ',' || ?5 || ',') > 0))"
                 /* A list of labels is parsed only if it contains the text of ?6 or a backslash. */
                 " AND (?6 IS NULL OR ((instr(labels, ?6) > 0 OR instr(labels, '\\') > 0)"
                 " AND EXISTS (SELECT 1 FROM json_each(labels) WHERE value = ?6)))"
                 " ORDER BY id DESC LIMIT ?7",
    [SQL_READ_RANGES] = "SELECT b.number, b.kind, b.ranges FROM job j CROSS JOIN block b ON b.job = j.seq"
                        " WHERE j.id = ?1 AND b.number > ?2"
                        " AND NOT " IS_DROPPED " ORDER BY b.number LIMIT ?3",
    [SQL_READ_LINES] = "SELECT b.lines FROM block b JOIN job j ON j.seq = b.job WHERE b.number = ?1 AND j.id = ?2",
    [SQL_READ_WHOLE] = "SELECT b.number, b.kind, b.ranges, CASE WHEN length(b.lines) <= ?2 THEN b.lines END"
                       " FROM job j CROSS JOIN block b ON b.job = j.seq WHERE j.seq = ?1"
                       " AND NOT " IS_DROPPED " ORDER BY b.number LIMIT ?3",
    /* Whether there is a pending job, or a running job whose lease expires at ?1 or earlier. */
    [SQL_MORE_PENDING] = "SELECT EXISTS (SELECT 1 FROM job INDEXED BY job_pending WHERE state = 'pending')"
                         " OR EXISTS (SELECT 1 FROM job INDEXED BY job_lease WHERE state = 'running'"
                         " AND lease_until_ms <= ?1)",
    [SQL_READ_STATS] =
        "SELECT (SELECT count(*) FROM (SELECT 1 FROM job INDEXED BY job_pending WHERE state = 'pending' LIMIT ?1)),"
        " (SELECT min(created_ms) FROM (SELECT created_ms, started_ms, redrives FROM job INDEXED BY job_list"
        " WHERE state = 'pending' ORDER BY id LIMIT ?2) WHERE started_ms IS NULL AND redrives = 0)",
    [SQL_NEXT_DROPPED] = "SELECT seq, job, everything, up_to FROM dropped ORDER BY seq LIMIT 1",
    [SQL_DROPPED_BLOCKS] =
        "SELECT number, length(lines) FROM block WHERE job = ?1"
        " AND (?2 OR (number <= ?3 AND kind IN ('errors', 'sent', 'unsent'))) ORDER BY number DESC LIMIT ?4",
    [SQL_REMOVE_BLOCK] = "DELETE FROM block WHERE number = ?1",
    [SQL_END_DROPPED] = "DELETE FROM dropped WHERE seq = ?1",
    [SQL_VACUUM] = "PRAGMA incremental_vacuum(256)",
    [SQL_VACUUM_LITTLE] = "PRAGMA incremental_vacuum(16)",
    [SQL_CHECKPOINT] = "PRAGMA wal_checkpoint(PASSIVE)",
    [SQL_PAGE_COUNT] = "PRAGMA page_count",
    [SQL_FREE_PAGES] = "PRAGMA freelist_count",
};
static_assert(ARRAY_SIZE(sql_texts) == SQL_COUNT, "each statement has its text");

/* Returns true for a full disk, for a used-up quota, and for a file that has reached its size limit (RLIMIT_FSIZE). */
static bool means_full(int system_error)
{
    return system_error == ENOSPC || system_error == EDQUOT || system_error == EFBIG;
}

/* Returns the errno of the last failed call on the file, or 0. */
static int last_errno(sqlite3_file *file)
{
    int error = 0;
    if (file && file->pMethods) file->pMethods->xFileControl(file, SQLITE_FCNTL_LAST_ERRNO, &error);
    return error;
}

/* Returns the errno of the last failed statement. SQLite itself may lose this errno, because after a failed write it
 * makes other calls before it reads errno. So if SQLite's errno does not say that the disk is full, the function also
 * asks for the last errno of the database file and of the log file (SQLITE_FCNTL_LAST_ERRNO). */
static int system_error_of(sqlite3 *db)
{
    static const int pointers[] = {SQLITE_FCNTL_FILE_POINTER, SQLITE_FCNTL_JOURNAL_POINTER};
    int error = sqlite3_system_errno(db);
    for (size_t i = 0; i < ARRAY_SIZE(pointers) && !means_full(error); i++) {
        sqlite3_file *file = NULL;
        sqlite3_file_control(db, NULL, pointers[i], &file);
        int other = last_errno(file);
        if (means_full(other)) error = other;
    }
    return error;
}

static void note_failure(struct sqlite_db *d, int rc)
{
    int error = errno, noted = system_error_of(d->db);
    if (d->rc != SQLITE_OK) return;
    d->rc = rc;
    d->system_error = noted ? noted : error; /* SQLite does not note the errno of a COMMIT that fails */
    snprintf(d->error, sizeof d->error, "%s", sqlite3_errmsg(d->db));
}

struct sqlite_query sqlite_query(struct sqlite_db *d, enum sql sql)
{
    struct sqlite_query q = {d, NULL};
    if (d->rc != SQLITE_OK) return q;
    if (!d->statements[sql]) {
        int rc = sqlite3_prepare_v3(d->db, sql_texts[sql], -1, SQLITE_PREPARE_PERSISTENT, &d->statements[sql], NULL);
        if (rc != SQLITE_OK) note_failure(d, rc);
    }
    q.st = d->statements[sql];
    return q;
}

static void check_bound(struct sqlite_query *q, int rc)
{
    if (rc != SQLITE_OK) note_failure(q->d, rc);
}

void sqlite_bind_int(struct sqlite_query *q, int at, int64_t n)
{
    if (q->st) check_bound(q, sqlite3_bind_int64(q->st, at, n));
}

void sqlite_bind_text(struct sqlite_query *q, int at, const char *text)
{
    if (q->st) check_bound(q, sqlite3_bind_text(q->st, at, text, -1, SQLITE_STATIC));
}

void sqlite_bind_bytes(struct sqlite_query *q, int at, const struct buf *bytes)
{
    /* If the pointer were NULL, SQLite would bind NULL, and not an empty blob. */
    const char *data = bytes->len > 0 ? bytes->data : "";
    if (q->st) check_bound(q, sqlite3_bind_blob64(q->st, at, data, bytes->len, SQLITE_STATIC));
}

bool sqlite_row(struct sqlite_query *q)
{
    if (!q->st || q->d->rc != SQLITE_OK) return false;
    int rc = sqlite3_step(q->st);
    if (rc != SQLITE_ROW && rc != SQLITE_DONE) note_failure(q->d, rc);
    return rc == SQLITE_ROW;
}

bool sqlite_end(struct sqlite_query *q)
{
    if (q->st) {
        sqlite3_reset(q->st);
        sqlite3_clear_bindings(q->st);
        q->st = NULL;
    }
    return q->d->rc == SQLITE_OK;
}

bool sqlite_run(struct sqlite_db *d, enum sql sql)
{
    struct sqlite_query q = sqlite_query(d, sql);
    while (sqlite_row(&q)) continue;
    return sqlite_end(&q);
}

int64_t sqlite_number(struct sqlite_db *d, enum sql sql)
{
    struct sqlite_query q = sqlite_query(d, sql);
    int64_t n = sqlite_row(&q) ? sqlite3_column_int64(q.st, 0) : 0;
    sqlite_end(&q);
    return n;
}

char *sqlite_text(const struct sqlite_query *q, int column)
{
    const char *text = (const char *)sqlite3_column_text(q->st, column);
    return text ? xstrdup(text) : NULL;
}

void sqlite_column_block(struct sqlite_query *q, int column, const void **bytes, size_t *len)
{
    *bytes = sqlite3_column_blob(q->st, column);
    *len = (size_t)sqlite3_column_bytes(q->st, column);
    /* SQLite returns NULL for an empty blob, and also if it could not read the blob or had no memory for it. */
    if (!*bytes && sqlite3_errcode(q->d->db) != SQLITE_ROW) note_failure(q->d, sqlite3_extended_errcode(q->d->db));
}

static enum store_status status_of(int rc, int system_error)
{
    switch (rc & 0xff) {
    case SQLITE_FULL: return STORE_FULL;
    case SQLITE_READONLY: return rc == SQLITE_READONLY_DBMOVED ? STORE_UNFIT : STORE_BROKEN;
    case SQLITE_IOERR:
        if (means_full(system_error)) return STORE_FULL;
        return rc == SQLITE_IOERR_CORRUPTFS || rc == SQLITE_IOERR_DATA ? STORE_BROKEN : STORE_AWAY;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
    case SQLITE_PROTOCOL:
    case SQLITE_NOMEM:
    case SQLITE_CANTOPEN:
    case SQLITE_INTERRUPT: return STORE_AWAY;
    default: return STORE_BROKEN;
    }
}

/* Returns false if the disk or the quota has no room for one more file. When SQLite cannot make its log or its journal,
 * it tries to open an existing file instead. The errno of this second failure only says that there is no such file. */
static bool has_room_for_file(sqlite3 *db)
{
    char name[PATH_MAX];
    const char *path = sqlite3_db_filename(db, NULL);
    if (!path || !path[0]) return true;
    snprintf(name, sizeof name, "%s.room", path);
    int fd = open(name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0) return !means_full(errno);
    close(fd);
    unlink(name);
    return true;
}

void sqlite_set_errno(sqlite3 *db)
{
    int rc = sqlite3_extended_errcode(db), error = system_error_of(db);
    bool is_full = status_of(rc, error) == STORE_FULL;
    if ((rc & 0xff) == SQLITE_CANTOPEN && !has_room_for_file(db)) return; /* errno says why */
    errno = !is_full ? 0 : means_full(error) ? error : ENOSPC;
}

enum store_status sqlite_failure(const struct sqlite_db *d, struct store_call *call)
{
    store_call_clear(call);
    /* Clients read this text too, so it does not contain the path. */
    return store_refuse(call, status_of(d->rc, d->system_error), "the job store cannot be used: %s", d->error);
}

/* Returns whether the file is still at its path. SQLite would go on using a file that was removed or replaced. Writes
 * to such a file would be lost. A job that is read from such a file would seem to run for ever, because the end of the
 * job could not be recorded. */
static bool is_in_place(struct sqlite_db *d)
{
    int has_moved = 0;
    sqlite3_file_control(d->db, NULL, SQLITE_FCNTL_HAS_MOVED, &has_moved);
    if (!has_moved) return true;
    d->rc = SQLITE_READONLY_DBMOVED;
    d->system_error = 0;
    snprintf(d->error, sizeof d->error, "its file was removed or replaced while it was in use");
    return false;
}

bool sqlite_begin(struct sqlite_db *d)
{
    d->rc = SQLITE_OK;
    if (!is_in_place(d)) return false;
    if (!d->only_reads) sqlite_reserve_look(d);
    if (d->max_bytes > 0) {
        int64_t pages = sqlite_number(d, SQL_PAGE_COUNT) - sqlite_number(d, SQL_FREE_PAGES);
        d->used_bytes = (uint64_t)pages * SQLITE_PAGE_BYTES;
    }
    return sqlite_run(d, d->only_reads ? SQL_BEGIN_READ : SQL_BEGIN);
}

bool sqlite_finish(struct sqlite_db *d)
{
    if (sqlite_run(d, SQL_COMMIT)) return true;
    /* After some failures, SQLite itself has already rolled back the transaction. */
    int rc = d->rc;
    d->rc = SQLITE_OK;
    char error[sizeof d->error];
    memcpy(error, d->error, sizeof error);
    int system_error = d->system_error;
    if (!sqlite3_get_autocommit(d->db)) sqlite_run(d, SQL_ROLLBACK);
    d->rc = rc;
    d->system_error = system_error;
    memcpy(d->error, error, sizeof error);
    return false;
}

bool sqlite_has_room(struct sqlite_db *d, struct store_call *c, size_t bytes)
{
    if (!sqlite_reserve_allows(d, bytes)) {
        store_refuse(c, STORE_FULL,
                     "the job store is full: its disk is full; remove ended jobs, or give the disk more room");
        return false;
    }
    if (d->max_bytes == 0) return true;
    d->used_bytes += bytes;
    if (d->used_bytes <= d->max_bytes) return true;
    d->used_bytes -= bytes;
    store_refuse(c, STORE_FULL,
                 "the job store is full: it has reached --store-max-bytes; remove ended jobs, or shorten --job-ttl-s");
    return false;
}
