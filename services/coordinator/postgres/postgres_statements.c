/* The statements of the PostgreSQL back end, and how they are run. */
#include <inttypes.h>

#include "coordinator/postgres/postgres_internal.h"

#define NOW_MS "(extract(epoch FROM clock_timestamp()) * 1000)::bigint"
/* The time when the statement started, which is the same everywhere in one statement. */
#define STATEMENT_MS "(extract(epoch FROM statement_timestamp()) * 1000)::bigint"
/* The columns of a job, in the order in which read_job_row() reads them. */
#define JOB_COLUMNS                                                                                                    \
    "job.id, job.state, job.task, job.labels, job.priority, job.items, job.succeeded, job.failed, job.cancelled,"      \
    " job.errors, job.reason, job.redrives, job.cancel_wanted::int, job.created_ms, job.started_ms, job.ended_ms,"     \
    " job.key, job.key_digest, job.fence, job.retried, job.hedged, job.changes"
/* Selects the job that this coordinator runs with the fence $2. A database that lost the last claims in a failover may
 * use a fence a second time, so the holder is compared too. */
#define MINE          " WHERE job.id = $1 AND job.fence = $2 AND job.holder = $3 AND job.state = 'running'"
#define ADD_BLOCK(at) " INSERT INTO fantail.block (job, kind, ranges, lines) SELECT seq, " at " FROM j RETURNING number"
/* True if the job's coordinator has not updated seen_ms for 60 s. After these 60 s, the uploads to that coordinator
 * count as ended. */
#define GONE                                                                                                           \
    "NOT EXISTS (SELECT 1 FROM fantail.coordinator AS c WHERE c.id = job.holder AND c.seen_ms > " NOW_MS " - 60000)"
/* Whether the list of a coordinator, `serves` or `opens`, has all tasks of the job. */
#define HAS(list) "(to_jsonb(string_to_array(job.task, ',')) <@ " list " AND NOT " list " ? ('!' || job.task))"
/* Whether a live coordinator other than `me` has all tasks of the job in its list, and knows the options of the job. */
#define OTHER_HAS(me, list)                                                                                            \
    "EXISTS (SELECT 1 FROM fantail.coordinator AS c WHERE c.id <> " me " AND c.seen_ms > " NOW_MS                      \
    " - " TEXT_OF(STORE_ANNOUNCED_MS) " AND c.knows >= job.needs AND " HAS("c." list) ")"
/* Whether this coordinator may claim the job: see store.h. $4 is `serves`, $5 is `opens`, $6 is `others`. */
#define MAY_CLAIM                                                                                                      \
    "($4::text IS NULL OR " HAS("$5::jsonb") " OR (" HAS("$4::jsonb") " AND NOT " OTHER_HAS(                           \
        "$1", "opens") ")"                                                                                             \
                       " OR ($6 <> 0 AND NOT " HAS("$4::jsonb") " AND NOT " OTHER_HAS("$1", "serves") "))"
/* The first columns of the index job_task. */
#define KIND_ORDER "task COLLATE \"C\", needs"
#define KIND       "(" KIND_ORDER ")"
#define REMOVE_JOB(condition)                                                                                          \
    "WITH j AS (DELETE FROM fantail.job WHERE id = $1 AND " condition " RETURNING seq),"                               \
    " r AS (DELETE FROM fantail.request USING j WHERE job = j.seq),"                                                   \
    " d AS (INSERT INTO fantail.dropped (job, everything) SELECT seq, true FROM j) SELECT seq FROM j"
#define DROPPED_KINDS "('errors', 'sent', 'unsent')"

static const struct {
    const char *text;
    bool is_binary; /* the results are in binary format */
} sqls[] = {
    [PG_ADD_JOB] = {"WITH j AS (INSERT INTO fantail.job AS job (id, state, task, labels, priority, items, created_ms,"
                    " key, key_digest, holder) VALUES ($1, 'receiving', $2, $3, $4, $5, " NOW_MS ", $6, $7, $8)"
                    " ON CONFLICT DO NOTHING RETURNING seq),"
                    " r AS (INSERT INTO fantail.request (job, options) SELECT seq, $9::text FROM j"
                    " WHERE $9::text IS NOT NULL) SELECT seq FROM j"},
    [PG_ADD_ITEMS] = {"WITH j AS (SELECT seq FROM fantail.job WHERE id = $1 AND fence = $2 AND state = 'receiving'"
                      " FOR NO KEY UPDATE)" ADD_BLOCK("$3::text, $4::bytea, $5::bytea")},
    [PG_ADD_SENT] = {"WITH j AS (SELECT seq FROM fantail.job AS job" MINE
                     " FOR NO KEY UPDATE)" ADD_BLOCK("$4::text, $5::bytea, $6::bytea")},
    [PG_ADD_ANSWERS] = {"WITH j AS (UPDATE fantail.job AS job SET succeeded = $4, failed = $5, cancelled = $6,"
                        " retried = $7, hedged = $8, errors = $9" MINE
                        " RETURNING seq)" ADD_BLOCK("$10::text, $11::bytea, $12::bytea")},
    [PG_FIND_BLOCK] = {"SELECT b.number FROM fantail.job AS job JOIN fantail.block AS b ON b.job = job.seq"
                       " WHERE job.id = $1 AND job.fence = $2 AND job.holder = $3"
                       " AND job.state IN ('receiving', 'running') AND b.kind = $4 AND b.ranges = $5::bytea"
                       " AND b.number > $6 ORDER BY b.number LIMIT 1"},
    [PG_ACCEPT] = {"WITH j AS (UPDATE fantail.job AS job SET state = 'pending', task = $2, labels = $3, priority = $4,"
                   " items = $5, key_digest = coalesce($6, key_digest), notify = $9, needs = $10, holder = NULL"
                   " WHERE job.id = $1 AND job.state = 'receiving'"
                   " AND $7 = (SELECT count(*) FROM fantail.block AS b WHERE b.job = job.seq) RETURNING job.*),"
                   " r AS (INSERT INTO fantail.request (job, options) SELECT seq, $8 FROM j"
                   " ON CONFLICT (job) DO UPDATE SET options = excluded.options)"
                   " SELECT " JOB_COLUMNS " FROM j AS job"},
    /* Announces the tasks of this coordinator. Finds the first pending job and the first running job whose lease has
     * expired, and claims the one that comes first by priority and then by id. Skips jobs that another coordinator is
     * claiming, jobs whose `needs` is above the `knows` of this coordinator, and jobs that this coordinator may not
     * claim. There may be very many pending jobs that this coordinator may not claim, so the statement does not read
     * them. `kind` finds the pairs of a task and `needs` that pending jobs have, with one lookup in the index job_task
     * for each pair. For each pair that may be claimed, `f` reads only the first jobs. */
    [PG_CLAIM] =
        {"WITH RECURSIVE announced AS (UPDATE fantail.coordinator SET serves = $4::jsonb, opens = $5::jsonb, knows = $3"
         " WHERE id = $1 AND $4::text IS NOT NULL"
         " AND (serves, opens, knows) IS DISTINCT FROM ($4::jsonb, $5::jsonb, $3)),"
         " kind AS ((SELECT task, needs FROM fantail.job WHERE state = 'pending'"
         " ORDER BY " KIND_ORDER " LIMIT 1)"
         " UNION ALL SELECT n.task, n.needs FROM kind AS k CROSS JOIN LATERAL (SELECT task, needs"
         " FROM fantail.job WHERE state = 'pending' AND " KIND " > (k.task, k.needs)"
         " ORDER BY " KIND_ORDER " LIMIT 1) AS n),"
         " f AS (SELECT j.* FROM kind AS job CROSS JOIN LATERAL (SELECT seq, priority, id FROM fantail.job AS i"
         " WHERE state = 'pending' AND " KIND " >= (job.task, job.needs) AND " KIND " <= (job.task, job.needs)"
         " ORDER BY " KIND_ORDER ", priority DESC, id LIMIT 128) AS j"
         " WHERE job.needs <= $3 AND " MAY_CLAIM " ORDER BY j.priority DESC, j.id),"
         " p AS (SELECT l.* FROM f CROSS JOIN LATERAL (SELECT seq, priority, id FROM fantail.job AS i"
         " WHERE i.seq = f.seq AND state = 'pending' FOR NO KEY UPDATE SKIP LOCKED) AS l LIMIT 1),"
         " a AS (SELECT seq, priority, id FROM fantail.job AS job WHERE state = 'running'"
         " AND needs <= $3 AND lease_until_ms <= " NOW_MS " AND " MAY_CLAIM
         " ORDER BY priority DESC, id LIMIT 1 FOR NO KEY UPDATE SKIP LOCKED),"
         " pick AS (SELECT seq FROM (SELECT * FROM p UNION ALL SELECT * FROM a) AS both_parts"
         " ORDER BY priority DESC, id LIMIT 1)"
         " UPDATE fantail.job AS job SET state = 'running', fence = job.fence + 1, knows = $3, holder = $1,"
         " lease_until_ms = " NOW_MS " + $2, started_ms = coalesce(job.started_ms, " STATEMENT_MS ")"
         " FROM pick LEFT JOIN fantail.request AS r ON r.job = pick.seq WHERE job.seq = pick.seq"
         " RETURNING " JOB_COLUMNS ", " STATEMENT_MS ", r.options"},
    /* $5 is `yields`: 1 is YIELD_TO_SERVING, 2 is YIELD_TO_OPEN. */
    [PG_RENEW] = {"UPDATE fantail.job AS job SET lease_until_ms = " NOW_MS " + $4" MINE " RETURNING " JOB_COLUMNS
                  ", " NOW_MS ", CASE $5::int WHEN 1 THEN " OTHER_HAS("$3", "serves") " WHEN 2 THEN " OTHER_HAS(
                      "$3", "opens") " ELSE false END::int"},
    [PG_ANNOUNCE] = {"UPDATE fantail.coordinator SET serves = $2::jsonb, opens = $3::jsonb, knows = $4 WHERE id = $1"
                     " AND (serves, opens, knows) IS DISTINCT FROM ($2::jsonb, $3::jsonb, $4)"},
    [PG_HAND_BACK] = {"UPDATE fantail.job AS job SET state = 'pending', holder = NULL, lease_until_ms = NULL" MINE
                      " RETURNING seq"},
    /* Skips one fence, because the lost server may already have handed out the next fence. Also skips
     * 1,000,000 block numbers, because readers may have read blocks that the database has lost. */
    [PG_LET_GO] = {"WITH j AS (UPDATE fantail.job AS job SET state = 'pending', fence = job.fence + 1, holder = NULL,"
                   " lease_until_ms = NULL WHERE job.holder = $1 AND job.state = 'running' RETURNING seq),"
                   " s AS (SELECT pg_get_serial_sequence('fantail.block', 'number')::regclass AS name)"
                   " SELECT setval(name, nextval(name) + 1000000), (SELECT count(*) FROM j) FROM s"},
    [PG_END] = {"WITH j AS (UPDATE fantail.job AS job SET succeeded = $4, failed = $5, cancelled = $6, retried = $7,"
                " hedged = $8, errors = $9, state = $10, reason = $11, ended_ms = " NOW_MS
                ", holder = NULL, lease_until_ms = NULL" MINE " RETURNING " JOB_COLUMNS ", seq),"
                " r AS (UPDATE fantail.request SET result = $12::text FROM j WHERE request.job = j.seq"
                " AND $12::text IS NOT NULL) SELECT * FROM j"},
    [PG_WANT_CANCEL] = {"UPDATE fantail.job AS job SET cancel_wanted = true,"
                        " state = CASE state WHEN 'pending' THEN 'cancelled' ELSE state END,"
                        " ended_ms = CASE state WHEN 'pending' THEN " NOW_MS " END,"
                        " reason = CASE state WHEN 'pending' THEN $2::text END,"
                        " cancelled = CASE state WHEN 'pending' THEN items - succeeded - failed ELSE cancelled END,"
                        " errors = CASE WHEN state = 'pending' AND items > succeeded + failed"
                        " THEN (coalesce(errors, '{}')::jsonb"
                        " || jsonb_build_object('cancelled', items - succeeded - failed))::text ELSE errors END"
                        " WHERE job.id = $1 AND job.state IN ('pending', 'running') RETURNING " JOB_COLUMNS},
    [PG_CHANGE] = {"UPDATE fantail.job AS job SET changes = (coalesce(job.changes, '{}')::jsonb || $2::jsonb)::text,"
                   " priority = coalesce(($2::jsonb->>'priority')::integer, job.priority)"
                   " FROM fantail.request AS r WHERE r.job = job.seq AND job.id = $1 AND job.state IN ('pending', "
                   "'running') RETURNING " JOB_COLUMNS ", r.options, job.notify"},
    [PG_REDRIVE] = {"WITH j AS (UPDATE fantail.job AS job SET state = 'pending', failed = 0, cancelled = 0,"
                    " errors = NULL, reason = NULL, redrives = redrives + 1, cancel_wanted = false, started_ms = NULL,"
                    " ended_ms = NULL, notice_attempts = 0, notice_failure = NULL, notice_ended_ms = NULL,"
                    " dropped_to = (SELECT coalesce(max(b.number), 0) FROM fantail.block AS b WHERE b.job = job.seq)"
                    " WHERE job.id = $1 AND job.ended_ms IS NOT NULL AND job.succeeded < job.items RETURNING job.*),"
                    " d AS (INSERT INTO fantail.dropped (job, everything, up_to) SELECT seq, false, dropped_to FROM j),"
                    " r AS (UPDATE fantail.request SET result = NULL FROM j WHERE request.job = j.seq"
                    " AND request.result IS NOT NULL)"
                    " SELECT " JOB_COLUMNS " FROM j AS job"},
    [PG_REMOVE] = {REMOVE_JOB("ended_ms IS NOT NULL")},
    [PG_DISCARD] = {REMOVE_JOB("state = 'receiving'")},
    [PG_SWEEP] = {"WITH o AS (SELECT seq FROM fantail.job WHERE ended_ms <= " NOW_MS " - $1 ORDER BY ended_ms"
                  " LIMIT 100 FOR UPDATE SKIP LOCKED),"
                  " j AS (DELETE FROM fantail.job USING o WHERE job.seq = o.seq RETURNING job.seq),"
                  " r AS (DELETE FROM fantail.request USING j WHERE job = j.seq),"
                  " d AS (INSERT INTO fantail.dropped (job, everything) SELECT seq, true FROM j)"
                  " SELECT count(*) FROM j"},
    [PG_TAKE_NOTICE] = {"WITH n AS (SELECT seq FROM fantail.notice WHERE due_ms <= " NOW_MS " ORDER BY due_ms LIMIT 1"
                        " FOR UPDATE SKIP LOCKED)"
                        " UPDATE fantail.notice AS notice SET attempts = attempts + 1, due_ms = " NOW_MS " + $1 FROM n"
                        " WHERE notice.seq = n.seq RETURNING id, attempts, url, job, state, items, succeeded, failed,"
                        " cancelled, retried, hedged, ended_ms"},
    [PG_DELAY_NOTICE] = {"UPDATE fantail.notice SET due_ms = " NOW_MS " + $4, failure = $3"
                         " WHERE id = $1 AND attempts = $2 RETURNING seq"},
    [PG_REMOVE_NOTICE] = {"WITH n AS (DELETE FROM fantail.notice WHERE id = $1 AND attempts = $2 RETURNING seq, job),"
                          " j AS (UPDATE fantail.job AS job SET notice_attempts = $2, notice_failure = $3,"
                          " notice_ended_ms = " NOW_MS " FROM n"
                          " WHERE job.id = n.job AND job.id || '_' || job.redrives = $1)"
                          " SELECT seq FROM n"},
    [PG_READ_JOB] = {"SELECT " JOB_COLUMNS ", r.options, job.notify, r.result, (n.seq IS NOT NULL)::int,"
                     " coalesce(n.attempts, job.notice_attempts), coalesce(n.failure, job.notice_failure),"
                     " job.notice_ended_ms FROM fantail.job AS job"
                     " LEFT JOIN fantail.request AS r ON r.job = job.seq"
                     " LEFT JOIN fantail.notice AS n ON n.id = job.id || '_' || job.redrives WHERE job.id = $1"},
    [PG_READ_BY_KEY] = {"SELECT " JOB_COLUMNS " FROM fantail.job AS job WHERE job.key = $1"},
    [PG_DROP_ABANDONED] = {"WITH j AS (DELETE FROM fantail.job AS job WHERE job.key = $1 AND job.state = 'receiving'"
                           " AND " GONE " RETURNING seq), r AS (DELETE FROM fantail.request USING j WHERE job = j.seq),"
                           " d AS (INSERT INTO fantail.dropped (job, everything) SELECT seq, true FROM j)"
                           " SELECT seq FROM j"},
    [PG_LIST] = {"SELECT " JOB_COLUMNS " FROM unnest($1::text[]) AS s (state) CROSS JOIN LATERAL"
                 " (SELECT * FROM fantail.job AS i WHERE i.state = s.state AND i.id < $2 AND i.created_ms >= $3"
                 " AND i.created_ms < $4 AND ($5::text IS NULL OR $5 = ANY (string_to_array(i.task, ',')))"
                 " AND ($6::text IS NULL OR i.labels::jsonb ? $6) ORDER BY i.id DESC LIMIT $7) AS job"
                 " ORDER BY job.id DESC LIMIT $7"},
    [PG_READ_RANGES] = {"SELECT b.number, b.kind, b.ranges FROM fantail.job AS j"
                        " LEFT JOIN LATERAL (SELECT * FROM fantail.block WHERE job = j.seq AND number > $2"
                        " AND NOT (kind IN " DROPPED_KINDS " AND number <= j.dropped_to)"
                        " ORDER BY number LIMIT $3) AS b ON true WHERE j.id = $1 ORDER BY b.number",
                        true},
    [PG_READ_LINES] = {"SELECT b.lines FROM fantail.block AS b JOIN fantail.job AS j ON j.seq = b.job"
                       " WHERE b.number = $1 AND j.id = $2",
                       true},
    [PG_READ_STATS] =
        {"SELECT (SELECT count(*) FROM (SELECT 1 FROM fantail.job WHERE state = 'pending' LIMIT $1) AS p),"
         " (SELECT " NOW_MS " - min(created_ms) FROM (SELECT created_ms, started_ms, redrives"
         " FROM fantail.job WHERE state = 'pending' ORDER BY id LIMIT $2) AS o"
         " WHERE started_ms IS NULL AND redrives = 0),"
         " (SELECT sum(pg_total_relation_size(c.oid))::bigint FROM pg_class AS c"
         " WHERE c.relnamespace = 'fantail'::regnamespace AND c.relkind = 'r')"},
    [PG_REGISTER] = {"INSERT INTO fantail.coordinator AS c (id, name, batch, seen_ms) VALUES ($1, $2, 0, " NOW_MS ")"
                     " ON CONFLICT (id) DO UPDATE SET seen_ms = excluded.seen_ms RETURNING batch"},
    /* Removes dropped blocks of up to 256 entries of `dropped`: up to 16 blocks of each entry, and up to 1024 blocks
     * and 16 MiB of lines in all. So one step removes many small jobs, which have few blocks each. A step takes no more
     * time for large jobs than for small jobs. Coordinators that run this statement at the same time take different
     * entries. */
    [PG_TIDY] = {"WITH d AS (SELECT * FROM fantail.dropped ORDER BY seq LIMIT 256 FOR UPDATE SKIP LOCKED),"
                 " s AS (SELECT d.seq, i.place, row_number() OVER w AS nth, sum(i.bytes) OVER w AS bytes_so_far"
                 " FROM d CROSS JOIN LATERAL (SELECT ctid AS place, number, pg_column_size(lines) AS bytes"
                 " FROM fantail.block WHERE job = d.job"
                 " AND (d.everything OR (number <= d.up_to AND kind IN " DROPPED_KINDS ")) ORDER BY number LIMIT 16)"
                 " AS i WINDOW w AS (ORDER BY d.seq, i.number)),"
                 " b AS (SELECT seq, place, nth = 1 OR (nth <= 1024 AND bytes_so_far <= 16777216) AS goes FROM s),"
                 " x AS (DELETE FROM fantail.block WHERE ctid = ANY (ARRAY(SELECT place FROM b WHERE goes))),"
                 /* An entry is removed when all of its blocks have been removed. */
                 " n AS (SELECT seq, count(*) < 16 AND bool_and(goes) AS all_go FROM b GROUP BY seq),"
                 " e AS (DELETE FROM fantail.dropped WHERE seq = ANY (ARRAY("
                 "SELECT d.seq FROM d LEFT JOIN n ON n.seq = d.seq WHERE coalesce(n.all_go, true))))"
                 " SELECT 1 FROM d LIMIT 1"},
    [PG_DROP_UPLOADS] = {"WITH j AS (DELETE FROM fantail.job AS job WHERE job.state = 'receiving' AND " GONE
                         " RETURNING seq), r AS (DELETE FROM fantail.request USING j WHERE job = j.seq),"
                         " d AS (INSERT INTO fantail.dropped (job, everything) SELECT seq, true FROM j),"
                         /* Forgets the coordinators that have sent no heartbeat for a day. */
                         " c AS (DELETE FROM fantail.coordinator WHERE seen_ms < " NOW_MS " - 86400000)"
                         " SELECT count(*) FROM j"},
};
static_assert(ARRAY_SIZE(sqls) == PG_COUNT, "each statement has its text");

/* Failures. */

static void note_failure(struct postgres_db *d, enum store_status status, const char *message)
{
    if (d->failed) return;
    d->failed = true;
    d->failure = status;
    snprintf(d->error, sizeof d->error, "%.*s", (int)strcspn(message, "\n"), message);
}

void postgres_forgive(struct postgres_db *d)
{
    d->failed = d->lost = false;
}

/* Returns the sentence for clients. It does not contain the detail, because the detail may name the host and the
 * user. */
static const char *sentence_of(enum postgres_state state)
{
    static const char *const sentences[] = {
        [POSTGRES_CONNECTING] = "there is no connection to its database yet",
        [POSTGRES_READY] = "the connection to its database was lost",
        [POSTGRES_UNREACHABLE] = "its database cannot be reached",
        [POSTGRES_STARTING] = "its database is starting or shutting down",
        [POSTGRES_NO_LOGIN] = "its database does not admit this coordinator",
        [POSTGRES_NO_TLS] = "there is no TLS connection to its database",
        [POSTGRES_CROWDED] = "its database has no connection left",
        [POSTGRES_READ_ONLY] = "its database is read-only",
        [POSTGRES_SLOW] = "its database did not answer in time",
        [POSTGRES_UNFIT] = "its database cannot be used by this fantail",
    };
    static_assert(ARRAY_SIZE(sentences) == POSTGRES_STATE_COUNT, "one sentence per state");
    return sentences[state];
}

void postgres_lose(struct postgres_db *d, enum postgres_state state, const char *detail)
{
    postgres_report(d, state, "%s", detail);
    d->lost = true;
    note_failure(d, STORE_AWAY, sentence_of(state));
}

enum store_status postgres_failure(const struct postgres_db *d, struct store_call *call)
{
    enum postgres_state state = d->news.state;
    store_call_clear(call);
    if (d->failed) return store_refuse(call, d->failure, "the job store cannot be used: %s", d->error);
    if (state == POSTGRES_UNFIT)
        return store_refuse(call, STORE_UNFIT, "the job store cannot be used: %s", d->news.detail);
    return store_refuse(call, STORE_AWAY, "the job store cannot be used: %s", sentence_of(state));
}

static enum store_status status_of(const char *code)
{
    static const char *const away[] = {"40", "53", "55", "57", "08", "25", "26000", "42P05", "58030"};
    if (!code) return STORE_AWAY; /* libpq itself has failed, for example because there is no memory for the result */
    if (strcmp(code, "53100") == 0) return STORE_FULL;
    for (size_t i = 0; i < ARRAY_SIZE(away); i++)
        if (strncmp(code, away[i], strlen(away[i])) == 0) return STORE_AWAY;
    /* Class 42: a privilege, a table or a column is missing. */
    return strncmp(code, "42", 2) == 0 ? STORE_UNFIT : STORE_BROKEN;
}

/* Call it when a statement has failed. If the fault is in the statement, the connection stays open. If another server
 * may be able to run the statement, the connection is closed. */
static void note_error(struct postgres_db *d, const PGresult *r)
{
    const char *code = PQresultErrorField(r, PG_DIAG_SQLSTATE),
               *message = PQresultErrorField(r, PG_DIAG_MESSAGE_PRIMARY);
    enum postgres_state state = postgres_state_of(code);
    bool knows_no_statement = code && (strcmp(code, "26000") == 0 || strcmp(code, "42P05") == 0);
    note_failure(d, status_of(code), message ? message : "the server gave no reason");
    if (state == POSTGRES_READ_ONLY || knows_no_statement || (code && strncmp(code, "57P", 3) == 0))
        postgres_lose(d, state == POSTGRES_READY ? POSTGRES_UNREACHABLE : state, d->error);
    else if (state == POSTGRES_SLOW)
        postgres_report(d, state, "%s", d->error);
}

/* Statements. */

struct postgres_query postgres_query(struct postgres_db *d, enum postgres_sql sql)
{
    return (struct postgres_query){.d = d, .sql = sql};
}

static void add_parameter(struct postgres_query *q, const char *value, size_t len, int format)
{
    if (q->n >= POSTGRES_PARAMETERS) BUG("statement %d has too many parameters", (int)q->sql);
    q->values[q->n] = value;
    q->lengths[q->n] = (int)len;
    q->formats[q->n++] = format;
}

void postgres_bind_int(struct postgres_query *q, int64_t n)
{
    snprintf(q->numbers[q->n], sizeof q->numbers[0], "%" PRId64, n);
    add_parameter(q, NULL, 0, 0);
}

void postgres_bind_text(struct postgres_query *q, const char *text)
{
    add_parameter(q, text, 0, 0);
}

void postgres_bind_bytes(struct postgres_query *q, const struct buf *bytes)
{
    /* A NULL pointer would bind NULL. */
    add_parameter(q, bytes->len > 0 ? bytes->data : "", bytes->len, 1);
}

static void name_of(enum postgres_sql sql, char name[16])
{
    snprintf(name, 16, "fantail%d", (int)sql);
}

/* Waits for the result of the query that was sent. Returns the result only if the query succeeded. */
static PGresult *await_result(struct postgres_db *d, int was_sent)
{
    if (!was_sent) {
        postgres_lose(d, POSTGRES_UNREACHABLE, "the connection was lost");
        return NULL;
    }
    PGresult *r = postgres_await(d);
    if (!r) return NULL;
    ExecStatusType status = PQresultStatus(r);
    if (status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK) return r;
    note_error(d, r);
    PQclear(r);
    return NULL;
}

static bool prepare(struct postgres_db *d, enum postgres_sql sql)
{
    char name[16];
    if (d->prepared[sql]) return true;
    name_of(sql, name);
    PGresult *r = await_result(d, PQsendPrepare(d->conn, name, sqls[sql].text, 0, NULL));
    d->prepared[sql] = r != NULL;
    PQclear(r);
    return d->prepared[sql];
}

bool postgres_run(struct postgres_query *q)
{
    struct postgres_db *d = q->d;
    char name[16];
    if (d->failed || !prepare(d, q->sql)) return false;
    name_of(q->sql, name);
    /* The pointers to the numbers are set only now: the query may have been copied, and earlier pointers would point
     * into the first copy. */
    for (int i = 0; i < q->n; i++)
        if (q->numbers[i][0]) q->values[i] = q->numbers[i];
    q->result = await_result(
        d, PQsendQueryPrepared(d->conn, name, q->n, q->values, q->lengths, q->formats, sqls[q->sql].is_binary));
    return q->result && PQntuples(q->result) > 0;
}

void postgres_end(struct postgres_query *q)
{
    PQclear(q->result);
    q->result = NULL;
}

int postgres_rows(const struct postgres_query *q)
{
    return q->result ? PQntuples(q->result) : 0;
}

int64_t postgres_int(const struct postgres_query *q, int row, int column)
{
    return strtoll(PQgetvalue(q->result, row, column), NULL, 10);
}

uint64_t postgres_binary_int(const struct postgres_query *q, int row, int column)
{
    const unsigned char *bytes = (const unsigned char *)PQgetvalue(q->result, row, column);
    uint64_t n = 0;
    for (int i = 0; i < PQgetlength(q->result, row, column) && i < 8; i++) n = n << 8 | bytes[i];
    return n;
}

char *postgres_text(const struct postgres_query *q, int row, int column)
{
    if (PQgetisnull(q->result, row, column)) return NULL;
    return xstrdup(PQgetvalue(q->result, row, column));
}

/* Transactions. */

bool postgres_begin(struct postgres_db *d)
{
    char text[256];
    postgres_forgive(d);
    if (!d->conn) {
        d->lost = true;
        return false;
    }
    /* One round trip. The row of this coordinator stays locked until the end of the transaction. */
    snprintf(text, sizeof text,
             "BEGIN; UPDATE fantail.coordinator SET batch = %" PRIu64 ", seen_ms = " NOW_MS " WHERE id = '%s'",
             ++d->batch, d->owner);
    PGresult *r = await_result(d, PQsendQuery(d->conn, text));
    bool ok = r && strcmp(PQcmdTuples(r), "1") == 0;
    if (r && !ok) postgres_lose(d, POSTGRES_UNREACHABLE, "the database does not know this coordinator any more");
    PQclear(r);
    return ok;
}

static void roll_back(struct postgres_db *d)
{
    PGresult *r = postgres_execute(d, "ROLLBACK");
    PQclear(r);
}

enum postgres_outcome postgres_finish(struct postgres_db *d)
{
    if (d->failed) {
        if (!d->lost) roll_back(d);
        return d->lost ? POSTGRES_LOST : POSTGRES_FAILED;
    }
    if (d->lost) return POSTGRES_LOST;
    PGresult *r = await_result(d, PQsendQuery(d->conn, "COMMIT"));
    bool is_committed = r && strcmp(PQcmdStatus(r), "COMMIT") == 0;
    PQclear(r);
    if (is_committed) d->reported = d->batch;
    if (is_committed) return POSTGRES_COMMITTED;
    if (d->lost) return POSTGRES_DOUBT;
    note_failure(d, STORE_AWAY, "the transaction was rolled back");
    return POSTGRES_FAILED;
}
