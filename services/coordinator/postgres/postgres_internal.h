/*
 * What the files of the PostgreSQL back end share. A connection (struct postgres_db) is used by one thread. The
 * statements of a connection are prepared when they are first used.
 *
 * The example below shows how a statement is run. Bind the parameters of a statement in order. The connection keeps the
 * first failure of a transaction. After a failure, all later statements of the transaction do nothing.
 *
 *     struct postgres_query q = postgres_query(d, PG_READ_JOB);
 *     postgres_bind_text(&q, id);
 *     if (postgres_run(&q)) ... postgres_int(&q, row, column) ...
 *     postgres_end(&q);
 */
#ifndef FANTAIL_COORDINATOR_POSTGRES_POSTGRES_INTERNAL_H
#define FANTAIL_COORDINATOR_POSTGRES_POSTGRES_INTERNAL_H

#include <postgresql/libpq-fe.h>

#include "common/observe/uuid.h"
#include "coordinator/postgres/store_postgres.h"
#include "coordinator/store/block_codec.h"
#include "coordinator/store/store_threads.h"

enum postgres_sql {
    PG_ADD_JOB,
    PG_ADD_ITEMS,
    PG_ADD_ANSWERS,
    PG_ADD_SENT,
    PG_FIND_BLOCK,
    PG_ACCEPT,
    PG_CLAIM,
    PG_RENEW,
    PG_ANNOUNCE,
    PG_HAND_BACK,
    PG_LET_GO,
    PG_END,
    PG_WANT_CANCEL,
    PG_CHANGE,
    PG_REDRIVE,
    PG_REMOVE,
    PG_DISCARD,
    PG_SWEEP,
    PG_TAKE_NOTICE,
    PG_DELAY_NOTICE,
    PG_REMOVE_NOTICE,
    PG_READ_JOB,
    PG_READ_BY_KEY,
    PG_DROP_ABANDONED,
    PG_LIST,
    PG_READ_RANGES,
    PG_READ_LINES,
    PG_READ_STATS,
    PG_REGISTER,
    PG_TIDY,
    PG_DROP_UPLOADS,
    PG_COUNT
};

/* The last change of the connection's state, for the thread of the loop. */
struct postgres_news {
    enum postgres_state state;
    char detail[300]; /* for the log; it may name the host and the user */
};

/* One connection. */
struct postgres_db {
    struct store_side *side;
    const struct postgres_source *source;
    const char *owner; /* id of this coordinator in the database */
    const char *name;  /* name of this coordinator, for people */
    bool only_reads;
    PGconn *conn; /* NULL: there is none */
    bool prepared[PG_COUNT];
    struct postgres_news news;
    bool has_news;
    struct block_codec codec;
    struct buf ranges, lines; /* encoding buffers, kept for the next block */

    /* The transaction. */
    bool failed, lost;         /* lost: the connection has ended, or must be closed after a fault */
    enum store_status failure; /* status of the first failed statement */
    char error[200];           /* the message of this failure, for clients */
    uint64_t batch;            /* number of the last transaction that was begun */
    uint64_t committed;        /* number of the last committed transaction, as read after connecting */
    uint64_t reported;         /* number of the last transaction whose commit the database has reported */
    bool lacks_commits;        /* the database has lost reported transactions; postgres_publish() clears this */
    uint64_t closing_ns;       /* when this thread noticed that the store is closing; 0: it is not closing */
};

enum { POSTGRES_PARAMETERS = 14 };

struct postgres_query {
    struct postgres_db *d;
    enum postgres_sql sql;
    int n;
    const char *values[POSTGRES_PARAMETERS];
    int lengths[POSTGRES_PARAMETERS], formats[POSTGRES_PARAMETERS];
    char numbers[POSTGRES_PARAMETERS][24]; /* the text of a number; "": the parameter is not a number */
    PGresult *result;
};

/* postgres_link.c: connections. */

/* Connects, checks the server, migrates the schema to this version, and registers this coordinator. On failure returns
 * false, writes the reason to d->news, and leaves no connection. */
MUST_CHECK bool postgres_connect(struct postgres_db *d);
void postgres_disconnect(struct postgres_db *d);
/* Waits for the result of the query that was sent. Returns NULL if the connection was lost. */
PGresult *postgres_await(struct postgres_db *d);
/* Runs one or several statements without parameters. Does not count the statements as a transaction in d->batch.
 * Returns the last result, or NULL. */
PGresult *postgres_execute(struct postgres_db *d, const char *text);
/* Writes the state of the connection to d->news, with a detail for the log. */
void postgres_report(struct postgres_db *d, enum postgres_state state, const char *fmt, ...) PRINTF_LIKE(3, 4);
/* Returns the state for an SQLSTATE such as "28P01". Returns POSTGRES_READY if the SQLSTATE is about one statement, and
 * not about the server. */
enum postgres_state postgres_state_of(const char *sqlstate);

/* postgres_source.c */

/* Returns the URL, which the caller frees. On failure, returns NULL, with a sentence in err. */
MUST_CHECK char *postgres_source_read(const struct postgres_source *source, char *err, size_t err_size);
/* Returns how many hosts the URL names. */
unsigned postgres_source_hosts(const char *url);

/* postgres_schema.c: migrates the schema to this version. On failure returns false and writes the reason to d->news. */
MUST_CHECK bool postgres_schema_forward(struct postgres_db *d);

/* postgres_statements.c: statements and transactions. */

struct postgres_query postgres_query(struct postgres_db *d, enum postgres_sql sql);
void postgres_bind_int(struct postgres_query *q, int64_t n);
/* The bytes are borrowed until postgres_end(). NULL binds NULL. */
void postgres_bind_text(struct postgres_query *q, const char *text);
void postgres_bind_bytes(struct postgres_query *q, const struct buf *bytes);
/* Runs the statement. Returns whether the result has at least one row. */
bool postgres_run(struct postgres_query *q);
void postgres_end(struct postgres_query *q);
int postgres_rows(const struct postgres_query *q);
int64_t postgres_int(const struct postgres_query *q, int row, int column);
/* Like postgres_int(), for a statement with binary results. */
uint64_t postgres_binary_int(const struct postgres_query *q, int row, int column);
/* The caller frees the text. Returns NULL if the value is NULL. */
MUST_CHECK char *postgres_text(const struct postgres_query *q, int row, int column);

/* Begins a transaction and writes its number to the database. Returns false if that fails. */
MUST_CHECK bool postgres_begin(struct postgres_db *d);
enum postgres_outcome {
    POSTGRES_COMMITTED,
    POSTGRES_FAILED, /* a statement failed; nothing was changed */
    POSTGRES_LOST,   /* the connection was lost before the commit; nothing was changed */
    POSTGRES_DOUBT   /* the connection was lost during the commit; after the next connection, d->committed shows the
                        outcome */
};
MUST_CHECK enum postgres_outcome postgres_finish(struct postgres_db *d);
/* Forgets the failure of the previous transaction. Call it before a single statement outside a transaction. */
void postgres_forgive(struct postgres_db *d);
/* Writes the message of the transaction's first failure to `call->error`. Returns the status that the call gets because
 * of this failure. */
enum store_status postgres_failure(const struct postgres_db *d, struct store_call *call);
/* Marks the connection as lost. */
void postgres_lose(struct postgres_db *d, enum postgres_state state, const char *detail);

/* Each function carries out one call. If a statement fails, the returned status has no meaning. */
enum store_status postgres_add_job(struct postgres_db *d, struct store_call *c);
enum store_status postgres_accept(struct postgres_db *d, struct store_call *c);
enum store_status postgres_claim(struct postgres_db *d, struct store_call *c);
enum store_status postgres_renew(struct postgres_db *d, struct store_call *c);
enum store_status postgres_hand_back(struct postgres_db *d, struct store_call *c);
enum store_status postgres_end_job(struct postgres_db *d, struct store_call *c);
enum store_status postgres_want_cancel(struct postgres_db *d, struct store_call *c);
enum store_status postgres_change(struct postgres_db *d, struct store_call *c);
enum store_status postgres_redrive(struct postgres_db *d, struct store_call *c);
enum store_status postgres_remove(struct postgres_db *d, struct store_call *c);
enum store_status postgres_discard(struct postgres_db *d, struct store_call *c);
enum store_status postgres_sweep(struct postgres_db *d, struct store_call *c);
enum store_status postgres_take_notice(struct postgres_db *d, struct store_call *c);
enum store_status postgres_delay_notice(struct postgres_db *d, struct store_call *c);
enum store_status postgres_remove_notice(struct postgres_db *d, struct store_call *c);
enum store_status postgres_read_job(struct postgres_db *d, struct store_call *c);
enum store_status postgres_list_jobs(struct postgres_db *d, struct store_call *c);
enum store_status postgres_read_stats(struct postgres_db *d, struct store_call *c);
enum store_status postgres_add_block(struct postgres_db *d, struct store_call *c);
enum store_status postgres_read_ranges(struct postgres_db *d, struct store_call *c);
enum store_status postgres_read_block(struct postgres_db *d, struct store_call *c);

/* The first function binds the id, the fence and the holder. The second function binds the same parameters, and then
 * the counts and errors. */
void postgres_bind_lease(struct postgres_query *q, const struct stored_job *j);
void postgres_bind_progress(struct postgres_query *q, const struct stored_job *j);
/* Call it when a statement found no job to change. Returns the reason: NOT_FOUND, CONFLICT with c->found, or (only if
 * `is_fenced`) FENCED. `wanted` names the states in which the job could be changed. */
enum store_status postgres_why_not(struct postgres_db *d, struct store_call *c, bool is_fenced, const char *wanted);

/* Removes some dropped blocks. Returns whether more dropped blocks may remain. */
MUST_CHECK bool postgres_tidy(struct postgres_db *d);
/* Sends a heartbeat, which shows the other coordinators that this coordinator is alive. Also removes the unfinished
 * uploads of coordinators that have ended. */
void postgres_beat(struct postgres_db *d);

#endif
