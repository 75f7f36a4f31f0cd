/*
 * What the files of the SQLite back end share. A connection (struct sqlite_db) is used by one thread at a time, and
 * keeps its statements prepared.
 *
 * The example below shows how a statement is run. The connection keeps the first failure of a transaction. After a
 * failure, all later statements of the transaction do nothing.
 *
 *     struct sqlite_query q = sqlite_query(d, SQL_READ_JOB);
 *     sqlite_bind_text(&q, 1, id);
 *     if (sqlite_row(&q)) ... sqlite3_column_...(q.st, 0) ...
 *     sqlite_end(&q);
 */
#ifndef FANTAIL_COORDINATOR_STORE_SQLITE_INTERNAL_H
#define FANTAIL_COORDINATOR_STORE_SQLITE_INTERNAL_H

#include <sqlite3.h>

#include "coordinator/store/block_codec.h"
#include "coordinator/store/store.h"

enum sql {
    SQL_BEGIN,
    SQL_BEGIN_READ,
    SQL_COMMIT,
    SQL_ROLLBACK,
    SQL_ADD_JOB,
    SQL_ADD_REQUEST,
    SQL_ADD_BLOCK,
    SQL_FIND_BLOCK,
    SQL_SET_PROGRESS,
    SQL_ACCEPT,
    SQL_CLAIM,
    SQL_RENEW,
    SQL_HAND_BACK,
    SQL_END,
    SQL_SET_RESULT,
    SQL_WANT_CANCEL,
    SQL_CHANGE,
    SQL_REDRIVE,
    SQL_DROP_ERRORS,
    SQL_REMOVE,
    SQL_DISCARD,
    SQL_REMOVE_REQUEST,
    SQL_DROP_JOB,
    SQL_SWEEP_DROP,
    SQL_SWEEP_REQUESTS,
    SQL_SWEEP_JOBS,
    SQL_TAKE_NOTICE,
    SQL_DELAY_NOTICE,
    SQL_REMOVE_NOTICE,
    SQL_SETTLE_NOTICE,
    SQL_READ_NOTICE,
    SQL_READ_JOB,
    SQL_READ_BY_KEY,
    SQL_READ_OPTIONS,
    SQL_LIST,
    SQL_READ_RANGES,
    SQL_READ_LINES,
    SQL_READ_WHOLE,
    SQL_MORE_PENDING,
    SQL_READ_STATS,
    SQL_NEXT_DROPPED,
    SQL_DROPPED_BLOCKS,
    SQL_REMOVE_BLOCK,
    SQL_END_DROPPED,
    SQL_VACUUM,
    SQL_VACUUM_LITTLE,
    SQL_CHECKPOINT,
    SQL_PAGE_COUNT,
    SQL_FREE_PAGES,
    SQL_COUNT
};

/* The reserve of the store, see sqlite_reserve.c. */
enum sqlite_reserve {
    SQLITE_RESERVE_NONE, /* it cannot be made on this disk, or this connection only reads */
    SQLITE_RESERVE_HELD,
    SQLITE_RESERVE_USED, /* the disk is full: jobs and blocks are refused */
    SQLITE_RESERVE_COUNT
};

/* One connection. */
struct sqlite_db {
    sqlite3 *db;
    const char *path; /* borrowed */
    sqlite3_stmt *statements[SQL_COUNT];
    struct block_codec codec;
    struct buf ranges, lines; /* encoding buffers, kept for the next block */
    uint64_t max_bytes;       /* limit for used_bytes; 0: no limit */
    uint64_t used_bytes;      /* with a limit: bytes of the used pages at BEGIN, plus the bytes that were added since */
    unsigned log_pages;       /* when the log has this many pages, a commit copies the log into the file */
    enum sqlite_reserve reserve;
    uint64_t reserve_ns;  /* when the store last used the reserve, or last tried to make it */
    uint64_t room_bytes;  /* free bytes of the disk at BEGIN */
    uint64_t added_bytes; /* bytes of jobs and blocks that were added since BEGIN */
    int rc;               /* the first failure of this transaction, or SQLITE_OK */
    int system_error;     /* errno of that failure, or 0 */
    char error[200];      /* the message of that failure */
    bool only_reads;
    bool untidy; /* sqlite_tidy() may have work: dropped blocks to remove, or free pages to give back */
};

/* Opens the connection. `path` must contain a slash, so that SQLite does not interpret it as a URI or ":memory:". On
 * failure closes the connection and returns false with a sentence in `err`. */
MUST_CHECK bool sqlite_db_open(struct sqlite_db *d, const char *path, char *err, size_t err_size);
/* Looks for damage. If the file has at most `whole_bytes` bytes, checks the whole file. If the file is larger, checks
 * only the table of jobs. */
MUST_CHECK bool sqlite_db_check(struct sqlite_db *d, uint64_t whole_bytes, char *err, size_t err_size);
/* Limits the size of the file; 0: no limit. */
MUST_CHECK bool sqlite_db_limit(struct sqlite_db *d, uint64_t max_bytes, char *err, size_t err_size);
void sqlite_db_close(struct sqlite_db *d);

struct sqlite_query {
    struct sqlite_db *d;
    sqlite3_stmt *st; /* NULL: the statement could not be prepared */
};
struct sqlite_query sqlite_query(struct sqlite_db *d, enum sql sql);
void sqlite_bind_int(struct sqlite_query *q, int at, int64_t n);
/* The bytes are borrowed until sqlite_end(). NULL binds NULL. */
void sqlite_bind_text(struct sqlite_query *q, int at, const char *text);
void sqlite_bind_bytes(struct sqlite_query *q, int at, const struct buf *bytes);
/* Returns whether there is a next row. */
MUST_CHECK bool sqlite_row(struct sqlite_query *q);
/* Ends the query; the connection keeps the statement. Returns false if a statement of the transaction has failed. */
bool sqlite_end(struct sqlite_query *q);
/* Runs a statement without parameters, and ignores its rows. Returns the same as sqlite_end(). */
bool sqlite_run(struct sqlite_db *d, enum sql sql);
/* Runs a statement without parameters that gives one row with a number. Returns the number, or 0 if the statement
 * failed. */
int64_t sqlite_number(struct sqlite_db *d, enum sql sql);
/* The two functions below read a column of the row. sqlite_text() returns NULL if the column is NULL; the caller frees
 * the text. The bytes of sqlite_column_block() are borrowed until the next row. */
MUST_CHECK char *sqlite_text(const struct sqlite_query *q, int column);
void sqlite_column_block(struct sqlite_query *q, int column, const void **bytes, size_t *len);

/* Writes the message of the transaction's first failure to `call->error`. Returns the status for the first failure of
 * the transaction. */
enum store_status sqlite_failure(const struct sqlite_db *d, struct store_call *call);

/* Each function below carries out one call within a transaction. If a statement fails, the returned status has no
 * meaning. */
enum store_status sqlite_add_job(struct sqlite_db *d, struct store_call *c);
enum store_status sqlite_accept(struct sqlite_db *d, struct store_call *c);
enum store_status sqlite_claim(struct sqlite_db *d, struct store_call *c);
enum store_status sqlite_renew(struct sqlite_db *d, struct store_call *c);
enum store_status sqlite_hand_back(struct sqlite_db *d, struct store_call *c);
enum store_status sqlite_end_job(struct sqlite_db *d, struct store_call *c);
enum store_status sqlite_want_cancel(struct sqlite_db *d, struct store_call *c);
enum store_status sqlite_change(struct sqlite_db *d, struct store_call *c);
enum store_status sqlite_read_job(struct sqlite_db *d, struct store_call *c);
enum store_status sqlite_list_jobs(struct sqlite_db *d, struct store_call *c);
enum store_status sqlite_add_block(struct sqlite_db *d, struct store_call *c);
enum store_status sqlite_read_ranges(struct sqlite_db *d, struct store_call *c);
enum store_status sqlite_read_block(struct sqlite_db *d, struct store_call *c);
enum store_status sqlite_read_stats(struct sqlite_db *d, struct store_call *c);
enum store_status sqlite_redrive(struct sqlite_db *d, struct store_call *c);
enum store_status sqlite_remove(struct sqlite_db *d, struct store_call *c);
enum store_status sqlite_discard(struct sqlite_db *d, struct store_call *c);
enum store_status sqlite_sweep(struct sqlite_db *d, struct store_call *c);
enum store_status sqlite_take_notice(struct sqlite_db *d, struct store_call *c);
enum store_status sqlite_delay_notice(struct sqlite_db *d, struct store_call *c);
enum store_status sqlite_remove_notice(struct sqlite_db *d, struct store_call *c);
/* Fills c->whole and c->blocks if the job with this number is small. */
void sqlite_read_whole(struct sqlite_db *d, int64_t seq, struct store_call *c);
/* Fills in the notify URL of the job, and the delivery of the job's notice. */
void sqlite_read_notice(struct sqlite_db *d, int64_t seq, struct stored_job *j);

/* Fills j from the first columns, which are the same in all statements about jobs. */
void sqlite_column_job(const struct sqlite_query *q, struct stored_job *j);
/* The column after those of sqlite_column_job(): the number of the job in this database. */
#define SQLITE_JOB_COLUMN_SEQ 22
/* Sets the result of the job with this number. `result` NULL: the job has no result. */
void sqlite_set_result(struct sqlite_db *d, int64_t seq, const char *result);
/* Binds id, counts and errors to ?1 .. ?7. */
void sqlite_bind_progress(struct sqlite_query *q, const struct stored_job *j);
/* Call it when a statement found no job to change. Returns the reason: NOT_FOUND, CONFLICT with c->found, or (only if
 * `is_fenced`) FENCED. `wanted` names the states in which the job could be changed. It becomes a part of the error
 * message. */
enum store_status sqlite_why_not(struct sqlite_db *d, struct store_call *c, bool is_fenced, const char *wanted);
/* Returns whether the store's limit and the disk have room for `bytes` more bytes. If the result is false, the call has
 * been refused. */
bool sqlite_has_room(struct sqlite_db *d, struct store_call *c, size_t bytes);

/* The functions below are for the connection that writes. */
/* Makes the reserve, or finds the existing one. */
void sqlite_reserve_start(struct sqlite_db *d);
/* Call it after a transaction has failed. If the disk was full and there is a reserve, uses the reserve and returns
 * true. If the result is true, the caller tries the transaction again. */
MUST_CHECK bool sqlite_reserve_use(struct sqlite_db *d);
/* Call it at the start of a transaction. Measures the free room on the disk. If the reserve was used and there is
 * enough room again, makes a new one. */
void sqlite_reserve_look(struct sqlite_db *d);
/* Returns whether the transaction may add this many more bytes of jobs and blocks. If it may, counts them. */
MUST_CHECK bool sqlite_reserve_allows(struct sqlite_db *d, size_t bytes);
const char *sqlite_reserve_name(enum sqlite_reserve state);
/* Returns how many pages the log of the store at this path should have. */
unsigned sqlite_reserve_log_pages(const char *path);

/* Begins a transaction. Returns false if the transaction cannot be begun. */
MUST_CHECK bool sqlite_begin(struct sqlite_db *d);
/* Commits the transaction, or rolls it back if a statement has failed. Returns whether the transaction was
 * committed. */
MUST_CHECK bool sqlite_finish(struct sqlite_db *d);

/* Does one step: removes a few dropped blocks, or, if no call waits (is_idle), gives a few free pages back to the file
 * system. Call it again until d->untidy is false. After a failure for which the reserve is not used, d->untidy is false
 * until a call drops blocks again. */
void sqlite_tidy(struct sqlite_db *d, bool is_idle);

/* If the last call to SQLite failed because the disk is full, a quota is used up or the file may not grow, sets errno
 * to ENOSPC, EDQUOT or EFBIG. In all other cases, sets errno to 0. */
void sqlite_set_errno(sqlite3 *db);

/* sqlite_log_file.c: returns the name of the file system (VFS) for the store. The base of this file system, unix-excl,
 * locks the file for this process. So the index of the log is in the memory of the process, and not in a mapped file
 * (-shm). If someone truncated a mapped file, SIGBUS would end the process. */
const char *sqlite_log_file_vfs(void);

/* If the functions below fail because the disk is full, they set errno to ENOSPC. */

/* sqlite_file.c: returns an absolute path without symbolic links. The file need not exist. If the folder of the file
 * cannot be found, returns a path at which opening fails. `path` must have a slash. The caller frees the result. */
MUST_CHECK char *sqlite_file_real_path(const char *path);
/* Refuses a folder that cannot be written to, and a file that is not fantail's. Changes nothing. */
MUST_CHECK bool sqlite_file_check(const char *path, char *err, size_t err_size);
/* Makes the same check as sqlite_file_check(), locks the store, and makes the file if there is none. */
MUST_CHECK bool sqlite_file_prepare(const char *path, int *lock_fd, char *err, size_t err_size);
/* sqlite_schema.c: makes the schema of a new file, and migrates an older schema to this version. */
MUST_CHECK bool sqlite_schema_make(sqlite3 *db, const char *path, char *err, size_t err_size);
MUST_CHECK bool sqlite_schema_forward(sqlite3 *db, const char *path, char *err, size_t err_size);
/* Repairs the jobs that had not ended when the last process ended: drops the RECEIVING jobs, and makes the RUNNING jobs
 * PENDING. */
MUST_CHECK bool sqlite_schema_recover(sqlite3 *db, const char *path, char *err, size_t err_size);
#define SQLITE_APPLICATION_ID 0x46616e74 /* "Fant" */
#define SQLITE_PAGE_BYTES     4096

/* ---- sqlite_open.c ---- */

/* Which parts of a store are open. If its disk is full when it is opened, some parts are opened later. */
enum sqlite_opened {
    SQLITE_OPENED_NOTHING,
    SQLITE_OPENED_FOR_READING, /* the jobs that were running when the store was last closed are not pending yet */
    SQLITE_OPENED,
};

struct sqlite_files {
    char *path;
    uint64_t max_bytes;
    int lock_fd;                     /* -1: none */
    struct sqlite_db writer, reader; /* each is used only by its own thread */
};

/* Opens those parts of the store that were not open before. If a part cannot be opened because the disk is full, a
 * quota is used up or the file may not grow, sets errno to ENOSPC, EDQUOT or EFBIG. In all other cases, sets errno to
 * 0. */
enum sqlite_opened sqlite_open_files(struct sqlite_files *f, enum sqlite_opened before, char *err, size_t err_size);
void sqlite_close_files(struct sqlite_files *f);

#endif
