/*
 * The schema. PRAGMA user_version holds the version of the schema. To make a new version, add an entry at the end of
 * `versions`; never change an earlier entry. When a file of an older version is opened, the missing entries are applied
 * in one transaction.
 *
 * When one column of a row changes, SQLite writes the whole row. The options of a job may take megabytes, so they are
 * in a separate table. The lines of a block are in the last column, so SQLite can read the other columns without the
 * lines.
 */
#include <errno.h>

#include "common/base/limits.h"
#include "coordinator/store/sqlite_internal.h"

static const char *const versions[] = {
    "CREATE TABLE job ("
    " seq INTEGER PRIMARY KEY AUTOINCREMENT,"
    " id TEXT NOT NULL UNIQUE,"
    " state TEXT NOT NULL,"
    " task TEXT,"
    " labels TEXT,"
    " priority INTEGER NOT NULL,"
    " items INTEGER NOT NULL,"
    " succeeded INTEGER NOT NULL DEFAULT 0,"
    " failed INTEGER NOT NULL DEFAULT 0,"
    " cancelled INTEGER NOT NULL DEFAULT 0,"
    " retried INTEGER NOT NULL DEFAULT 0,"
    " hedged INTEGER NOT NULL DEFAULT 0,"
    " errors TEXT,"
    " reason TEXT,"
    " redrives INTEGER NOT NULL DEFAULT 0,"
    " cancel_wanted INTEGER NOT NULL DEFAULT 0,"
    " created_ms INTEGER NOT NULL,"
    " started_ms INTEGER,"
    " ended_ms INTEGER,"
    " key TEXT,"
    " key_digest TEXT,"
    " fence INTEGER NOT NULL DEFAULT 0,"
    " holder TEXT,"
    " lease_until_ms INTEGER,"               /* by the monotonic clock */
    " dropped_to INTEGER NOT NULL DEFAULT 0" /* a redrive dropped the error, sent and unsent blocks up to this number */
    ") STRICT;"
    "CREATE UNIQUE INDEX job_key ON job (key) WHERE key IS NOT NULL;"
    "CREATE INDEX job_list ON job (state, id, created_ms, task, labels);"
    "CREATE INDEX job_pending ON job (priority DESC, id) WHERE state = 'pending';"
    "CREATE INDEX job_lease ON job (lease_until_ms) WHERE state = 'running';"
    "CREATE INDEX job_ended ON job (ended_ms, seq) WHERE ended_ms IS NOT NULL;"
    "CREATE TABLE request (job INTEGER PRIMARY KEY, options TEXT) STRICT;"
    "CREATE TABLE block ("
    " number INTEGER PRIMARY KEY AUTOINCREMENT,"
    " job INTEGER NOT NULL,"
    " kind TEXT NOT NULL,"
    " ranges BLOB NOT NULL,"
    " lines BLOB NOT NULL"
    ") STRICT;"
    "CREATE INDEX block_job ON block (job);"
    /* The blocks to remove: all blocks of a job, or only its blocks of errors, of sent items and of unsent items whose
     * number is at most `up_to`. */
    "CREATE TABLE dropped (seq INTEGER PRIMARY KEY, job INTEGER NOT NULL, everything INTEGER NOT NULL, up_to INTEGER)"
    " STRICT;",
    "ALTER TABLE job ADD COLUMN changes TEXT;",
    "ALTER TABLE job ADD COLUMN notify TEXT;"
    "ALTER TABLE job ADD COLUMN needs INTEGER NOT NULL DEFAULT 0;" /* see store.h */
    "CREATE TABLE notice ("
    " seq INTEGER PRIMARY KEY,"
    " id TEXT NOT NULL UNIQUE,"
    " attempts INTEGER NOT NULL DEFAULT 0,"
    " due_ms INTEGER NOT NULL,"
    " url TEXT NOT NULL,"
    " job TEXT NOT NULL,"
    " state TEXT NOT NULL,"
    " items INTEGER NOT NULL,"
    " succeeded INTEGER NOT NULL,"
    " failed INTEGER NOT NULL,"
    " cancelled INTEGER NOT NULL,"
    " retried INTEGER NOT NULL,"
    " hedged INTEGER NOT NULL,"
    " ended_ms INTEGER NOT NULL"
    ") STRICT;"
    "CREATE INDEX notice_due ON notice (due_ms);"
    /* A trigger adds the notice, so that no statement that ends a job can forget it. */
    "CREATE TRIGGER job_end AFTER UPDATE OF ended_ms ON job"
    " WHEN OLD.ended_ms IS NULL AND NEW.ended_ms IS NOT NULL AND NEW.notify IS NOT NULL BEGIN"
    " INSERT INTO notice (id, due_ms, url, job, state, items, succeeded, failed, cancelled, retried, hedged, ended_ms)"
    " VALUES (NEW.id || '_' || NEW.redrives, NEW.ended_ms, NEW.notify, NEW.id, NEW.state, NEW.items, NEW.succeeded,"
    " NEW.failed, NEW.cancelled, NEW.retried, NEW.hedged, NEW.ended_ms) ON CONFLICT DO NOTHING;"
    " END;",
    "ALTER TABLE request ADD COLUMN result TEXT;",
    "ALTER TABLE notice ADD COLUMN failure TEXT;"
    /* The outcome of the notice about the last end of the job. */
    "ALTER TABLE job ADD COLUMN notice_attempts INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE job ADD COLUMN notice_failure TEXT;"
    "ALTER TABLE job ADD COLUMN notice_ended_ms INTEGER;",
};

/* An additional index needs no new version of the schema: an older fantail does not know the index, but SQLite keeps
 * the index up to date nevertheless. */
#define INDEXES "CREATE INDEX IF NOT EXISTS job_task ON job (task, priority DESC, id) WHERE state = 'pending';"

/* Makes the missing indexes. Drops the jobs that were being uploaded, and makes the running jobs pending. The blocks of
 * dropped jobs are removed later, in small steps. */
static const char recover_text[] =
    INDEXES "INSERT INTO dropped (job, everything) SELECT seq, 1 FROM job WHERE state = 'receiving';"
            "DELETE FROM request WHERE job IN (SELECT seq FROM job WHERE state = 'receiving');"
            "DELETE FROM job WHERE state = 'receiving';"
            "UPDATE job SET state = 'pending', holder = NULL, lease_until_ms = NULL WHERE state = 'running';";

static bool execute(sqlite3 *db, const char *sql)
{
    return sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK;
}

/* Runs a statement whose only row is a number. Returns the number, or -1. */
static int64_t number_of(sqlite3 *db, const char *sql)
{
    sqlite3_stmt *st = NULL;
    int64_t n = -1;
    if (sqlite3_prepare_v2(db, sql, -1, &st, NULL) == SQLITE_OK && sqlite3_step(st) == SQLITE_ROW)
        n = sqlite3_column_int64(st, 0);
    sqlite3_finalize(st);
    return n;
}

/* Writes the failure to `err`, and rolls back the transaction if one is open. */
static bool fail(sqlite3 *db, const char *path, const char *what, char *err, size_t err_size)
{
    snprintf(err, err_size, "the job store %s cannot be %s: %s", path, what, sqlite3_errmsg(db));
    sqlite_set_errno(db);
    int error = errno;
    execute(db, "ROLLBACK");
    errno = error;
    return false;
}

bool sqlite_schema_forward(sqlite3 *db, const char *path, char *err, size_t err_size)
{
    /* BEGIN IMMEDIATE comes first, so that no other process can change the schema at the same time. */
    bool ok = execute(db, "BEGIN IMMEDIATE");
    int64_t version = ok ? number_of(db, "PRAGMA user_version") : -1;
    if (version > (int64_t)ARRAY_SIZE(versions)) {
        snprintf(err, err_size,
                 "the job store %s has schema %lld, and this fantail knows schema %zu: use a newer fantail", path,
                 (long long)version, ARRAY_SIZE(versions));
        execute(db, "ROLLBACK");
        return false;
    }
    ok = ok && version >= 0;
    for (size_t i = (size_t)version; ok && i < ARRAY_SIZE(versions); i++) {
        char set_version[64];
        snprintf(set_version, sizeof set_version, "PRAGMA user_version = %zu", i + 1);
        ok = execute(db, versions[i]) && execute(db, set_version);
    }
    if (ok && execute(db, "COMMIT")) return true;
    return fail(db, path, "brought to this version's schema", err, err_size);
}

bool sqlite_schema_make(sqlite3 *db, const char *path, char *err, size_t err_size)
{
    char first[160];
    snprintf(first, sizeof first, "PRAGMA page_size = %d; PRAGMA auto_vacuum = INCREMENTAL; PRAGMA application_id = %d",
             SQLITE_PAGE_BYTES, SQLITE_APPLICATION_ID);
    if (!execute(db, first)) return fail(db, path, "made", err, err_size);
    return sqlite_schema_forward(db, path, err, err_size);
}

bool sqlite_schema_recover(sqlite3 *db, const char *path, char *err, size_t err_size)
{
    if (execute(db, "BEGIN IMMEDIATE") && execute(db, recover_text) && execute(db, "COMMIT")) return true;
    return fail(db, path, "used", err, err_size);
}
