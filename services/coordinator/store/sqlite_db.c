/* Opens and closes a connection. */
#include <errno.h>
#include <inttypes.h>

#include "common/base/limits.h"
#include "coordinator/store/sqlite_internal.h"

#define BUSY_MS 3000 /* how long to wait while another process has the file locked */
/* The size of the page cache. Changed pages that do not fit into the cache are written to the log before the commit. */
#define CACHE_KIB    4096
#define LOGS_KEPT    4         /* after a checkpoint, the file of the log is cut to at most this many times log_pages */
#define BEYOND_BYTES (4 * MIB) /* room beyond the limit, so that jobs of a full store can end and be removed */

static bool execute(struct sqlite_db *d, const char *sql)
{
    return sqlite3_exec(d->db, sql, NULL, NULL, NULL) == SQLITE_OK;
}

/* Copies the only row of a PRAGMA to `answer`. If there is no row, copies SQLite's error message and returns false. */
static bool ask(struct sqlite_db *d, const char *pragma, char *answer, size_t size)
{
    sqlite3_stmt *st = NULL;
    bool ok = sqlite3_prepare_v2(d->db, pragma, -1, &st, NULL) == SQLITE_OK && sqlite3_step(st) == SQLITE_ROW;
    const char *text = ok ? (const char *)sqlite3_column_text(st, 0) : NULL;
    snprintf(answer, size, "%s", text ? text : sqlite3_errmsg(d->db));
    sqlite3_finalize(st);
    return text;
}

bool sqlite_db_open(struct sqlite_db *d, const char *path, char *err, size_t err_size)
{
    *d = (struct sqlite_db){.path = path, .log_pages = sqlite_reserve_log_pages(path)};
    char settings[400];
    /* Debian's SQLite overwrites removed rows with zeros (secure_delete). With secure_delete = FAST, SQLite overwrites
     * removed rows only where this needs no extra write. */
    snprintf(settings, sizeof settings,
             "PRAGMA synchronous = FULL; PRAGMA cache_size = -%d; PRAGMA wal_autocheckpoint = %u;"
             "PRAGMA journal_size_limit = %u; PRAGMA secure_delete = FAST; PRAGMA temp_store = MEMORY;"
             "PRAGMA trusted_schema = OFF",
             CACHE_KIB, d->log_pages, LOGS_KEPT * d->log_pages * SQLITE_PAGE_BYTES);
    bool ok = sqlite3_open_v2(path, &d->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, sqlite_log_file_vfs()) ==
                  SQLITE_OK &&
              sqlite3_extended_result_codes(d->db, 1) == SQLITE_OK &&
              sqlite3_busy_timeout(d->db, BUSY_MS) == SQLITE_OK && execute(d, settings);
    char mode[200];
    bool is_told = ok && ask(d, "PRAGMA journal_mode = WAL", mode, sizeof mode);
    if (is_told && strcmp(mode, "wal") == 0) return true;
    snprintf(err, err_size, "cannot open the job store %s: %s", path,
             is_told ? "its file system does not support a write-ahead log" : sqlite3_errmsg(d->db));
    sqlite_set_errno(d->db);
    int error = errno;
    sqlite_db_close(d);
    errno = error;
    return false;
}

bool sqlite_db_check(struct sqlite_db *d, uint64_t whole_bytes, char *err, size_t err_size)
{
    char pages[32], found[200];
    bool is_small = ask(d, "PRAGMA page_count", pages, sizeof pages) &&
                    strtoull(pages, NULL, 10) <= whole_bytes / SQLITE_PAGE_BYTES;
    const char *check = is_small ? "PRAGMA quick_check(1)" : "PRAGMA quick_check(job)";
    if (ask(d, check, found, sizeof found) && strcmp(found, "ok") == 0) return true;
    snprintf(err, err_size, "the job store %s is damaged: %s; move it away, or restore it from a backup", d->path,
             found);
    return false;
}

bool sqlite_db_limit(struct sqlite_db *d, uint64_t max_bytes, char *err, size_t err_size)
{
    d->max_bytes = max_bytes;
    if (max_bytes == 0) return true;
    char limit[64];
    snprintf(limit, sizeof limit, "PRAGMA max_page_count = %" PRIu64,
             (max_bytes + BEYOND_BYTES) / SQLITE_PAGE_BYTES + 1);
    if (execute(d, limit)) return true;
    snprintf(err, err_size, "cannot limit the size of the job store %s: %s", d->path, sqlite3_errmsg(d->db));
    return false;
}

void sqlite_db_close(struct sqlite_db *d)
{
    for (unsigned i = 0; i < SQL_COUNT; i++) sqlite3_finalize(d->statements[i]);
    sqlite3_close(d->db);
    block_codec_release(&d->codec);
    buf_release(&d->ranges);
    buf_release(&d->lines);
    *d = (struct sqlite_db){0};
}
