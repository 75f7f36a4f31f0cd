/*
 * The schema. To make a new version, add an entry at the end of `versions`; never change an earlier entry. A
 * coordinator that finds an older version applies the missing entries in one transaction, while it holds an advisory
 * lock. Coordinators of this version and of the previous version can use the database at the same time. Each version
 * names the oldest version whose coordinators can still use its schema.
 *
 * Columns that change often are in no index. So PostgreSQL can write the new row into the same page (a HOT update) if
 * the page has room (fillfactor). Renewing a lease or recording answers changes no indexed column.
 *
 * The options of a job are in a separate table, because they may take megabytes. The lines of a block are STORAGE
 * EXTERNAL, because fantail has compressed them already.
 */
#include <inttypes.h>

#include "coordinator/postgres/postgres_internal.h"

static const struct {
    const char *text;
    int64_t oldest; /* the oldest schema version whose coordinators can work with this one */
} versions[] = {
    {"CREATE TABLE fantail.job ("
     " seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,"
     " id text COLLATE \"C\" NOT NULL UNIQUE,"
     " state text NOT NULL,"
     " task text,"
     " labels text,"
     " priority integer NOT NULL,"
     " items bigint NOT NULL,"
     " succeeded bigint NOT NULL DEFAULT 0,"
     " failed bigint NOT NULL DEFAULT 0,"
     " cancelled bigint NOT NULL DEFAULT 0,"
     " retried bigint NOT NULL DEFAULT 0,"
     " hedged bigint NOT NULL DEFAULT 0,"
     " errors text,"
     " reason text,"
     " redrives bigint NOT NULL DEFAULT 0,"
     " cancel_wanted boolean NOT NULL DEFAULT false,"
     " created_ms bigint NOT NULL,"
     " started_ms bigint,"
     " ended_ms bigint,"
     " key text COLLATE \"C\","
     " key_digest text,"
     " fence bigint NOT NULL DEFAULT 0,"
     " holder text,"                         /* id of the coordinator that receives or runs the job */
     " lease_until_ms bigint,"               /* by the clock of the database */
     " dropped_to bigint NOT NULL DEFAULT 0" /* a redrive dropped the error, sent and unsent blocks up to this number */
     ") WITH (fillfactor = 60, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 500);"
     "CREATE UNIQUE INDEX job_key ON fantail.job (key) WHERE key IS NOT NULL;"
     "CREATE INDEX job_list ON fantail.job (state, id);"
     "CREATE INDEX job_pending ON fantail.job (priority DESC, id) WHERE state = 'pending';"
     "CREATE INDEX job_running ON fantail.job (priority DESC, id) WHERE state = 'running';"
     "CREATE INDEX job_ended ON fantail.job (ended_ms) WHERE ended_ms IS NOT NULL;"
     "CREATE TABLE fantail.request (job bigint PRIMARY KEY, options text);"
     "CREATE TABLE fantail.block ("
     " number bigint GENERATED ALWAYS AS IDENTITY,"
     " job bigint NOT NULL,"
     " kind text NOT NULL,"
     " ranges bytea NOT NULL,"
     " lines bytea NOT NULL,"
     " PRIMARY KEY (job, number)"
     ") WITH (autovacuum_vacuum_scale_factor = 0.05, toast.autovacuum_vacuum_scale_factor = 0.05);"
     "ALTER TABLE fantail.block ALTER COLUMN lines SET STORAGE EXTERNAL;"
     /* The blocks to remove: all blocks of a job, or only some kinds of blocks up to a block number. These kinds are
      * errors, sent items and unsent items. */
     "CREATE TABLE fantail.dropped (seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, job bigint NOT NULL,"
     " everything boolean NOT NULL, up_to bigint);"
     /* The coordinators, and the number of the last transaction of each. */
     "CREATE TABLE fantail.coordinator (id text PRIMARY KEY, name text, batch bigint NOT NULL, seen_ms bigint NOT NULL)"
     " WITH (fillfactor = 20, autovacuum_vacuum_threshold = 200);",
     1},
    {"ALTER TABLE fantail.job ADD COLUMN changes text;", 1},
    {"ALTER TABLE fantail.job ADD COLUMN notify text;"
     /* See store.h. A claim sets `knows` of the job to the `knows` of the coordinator. Only the trigger job_claim reads
      * `knows` of the job. */
     "ALTER TABLE fantail.job ADD COLUMN needs integer NOT NULL DEFAULT 0;"
     "ALTER TABLE fantail.job ADD COLUMN knows integer NOT NULL DEFAULT 0;"
     "CREATE TABLE fantail.notice ("
     " seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,"
     " id text COLLATE \"C\" NOT NULL UNIQUE,"
     " attempts integer NOT NULL DEFAULT 0,"
     " due_ms bigint NOT NULL,"
     " url text NOT NULL,"
     " job text NOT NULL,"
     " state text NOT NULL,"
     " items bigint NOT NULL,"
     " succeeded bigint NOT NULL,"
     " failed bigint NOT NULL,"
     " cancelled bigint NOT NULL,"
     " retried bigint NOT NULL,"
     " hedged bigint NOT NULL,"
     " ended_ms bigint NOT NULL);"
     "CREATE INDEX notice_due ON fantail.notice (due_ms);"
     /* The triggers act on the statements of all coordinators, including those that know only version 2. */
     "CREATE FUNCTION fantail.add_notice() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN"
     " INSERT INTO fantail.notice (id, due_ms, url, job, state, items, succeeded, failed, cancelled, retried, hedged,"
     " ended_ms) VALUES (NEW.id || ''_'' || NEW.redrives, NEW.ended_ms, NEW.notify, NEW.id, NEW.state, NEW.items,"
     " NEW.succeeded, NEW.failed, NEW.cancelled, NEW.retried, NEW.hedged, NEW.ended_ms) ON CONFLICT DO NOTHING;"
     " RETURN NULL; END';"
     "CREATE TRIGGER job_end AFTER UPDATE OF ended_ms ON fantail.job FOR EACH ROW"
     " WHEN (OLD.ended_ms IS NULL AND NEW.ended_ms IS NOT NULL AND NEW.notify IS NOT NULL)"
     " EXECUTE FUNCTION fantail.add_notice();"
     /* A coordinator of an older version looks only at the first pending job. If that coordinator must not claim this
      * job, it claims no job. */
     "CREATE FUNCTION fantail.check_claim() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN"
     " IF NEW.knows < NEW.needs THEN RETURN NULL; END IF; NEW.knows := 0; RETURN NEW; END';"
     "CREATE TRIGGER job_claim BEFORE UPDATE OF fence ON fantail.job FOR EACH ROW WHEN (NEW.needs > 0)"
     " EXECUTE FUNCTION fantail.check_claim();",
     1},
    {"ALTER TABLE fantail.request ADD COLUMN result text;", 1},
    {"ALTER TABLE fantail.notice ADD COLUMN failure text;"
     /* The outcome of the notice about the last end of the job. */
     "ALTER TABLE fantail.job ADD COLUMN notice_attempts integer NOT NULL DEFAULT 0;"
     "ALTER TABLE fantail.job ADD COLUMN notice_failure text;"
     "ALTER TABLE fantail.job ADD COLUMN notice_ended_ms bigint;",
     1},
    /* The tasks of each coordinator, see store.h. */
    {"ALTER TABLE fantail.coordinator ADD COLUMN serves jsonb NOT NULL DEFAULT '[]',"
     " ADD COLUMN opens jsonb NOT NULL DEFAULT '[]';",
     1},
    /* The pending jobs by task, for PG_CLAIM. The name of a pipeline has at most 2063 bytes, so the name fits into an
     * index. */
    {"CREATE INDEX job_task ON fantail.job (task COLLATE \"C\", needs, priority DESC, id) WHERE state = 'pending';", 1},
    /* The level of options that each coordinator knows: see store.h. A coordinator reports its level together with its
     * tasks. */
    {"ALTER TABLE fantail.coordinator ADD COLUMN knows integer NOT NULL DEFAULT 0;", 1},
};
enum { KNOWN = ARRAY_SIZE(versions) };

/* The number of the advisory lock. No other program may use this number in the database. */
static const char lock_text[] = "BEGIN; SELECT pg_advisory_xact_lock(5072671831243)";
/* Returns true if there is no schema yet. The result is certain only while this coordinator holds the lock, because
 * another coordinator may be making the schema. */
static const char is_new_text[] =
    "SELECT NOT EXISTS (SELECT 1 FROM pg_tables WHERE schemaname = 'fantail' AND tablename = 'schema_version')";
static const char read_text[] = "SELECT version, oldest FROM fantail.schema_version";

struct version {
    int64_t number, oldest; /* 0: there is no schema */
};

static bool fail(struct postgres_db *d, const PGresult *r, const char *what)
{
    const char *code = PQresultErrorField(r, PG_DIAG_SQLSTATE),
               *message = PQresultErrorField(r, PG_DIAG_MESSAGE_PRIMARY);
    enum postgres_state state = postgres_state_of(code);
    postgres_report(d, state == POSTGRES_READY ? POSTGRES_UNFIT : state, "the schema cannot be %s: %s", what,
                    message ? message : "the server gave no reason");
    return false;
}

static bool execute(struct postgres_db *d, const char *text)
{
    PGresult *r = postgres_execute(d, text);
    bool ok = r && (PQresultStatus(r) == PGRES_COMMAND_OK || PQresultStatus(r) == PGRES_TUPLES_OK);
    if (r && !ok) fail(d, r, "brought to this version");
    PQclear(r);
    return ok;
}

static bool read_version(struct postgres_db *d, struct version *v)
{
    PGresult *r = postgres_execute(d, is_new_text);
    *v = (struct version){0};
    bool ok = r && PQresultStatus(r) == PGRES_TUPLES_OK, is_new = ok && strcmp(PQgetvalue(r, 0, 0), "t") == 0;
    if (r && !ok) fail(d, r, "read");
    PQclear(r);
    if (!ok || is_new) return ok;
    r = postgres_execute(d, read_text);
    ok = r && PQresultStatus(r) == PGRES_TUPLES_OK;
    if (r && !ok) fail(d, r, "read");
    if (ok && PQntuples(r) == 1)
        *v = (struct version){strtoll(PQgetvalue(r, 0, 0), NULL, 10), strtoll(PQgetvalue(r, 0, 1), NULL, 10)};
    PQclear(r);
    return ok;
}

static bool is_known(struct postgres_db *d, const struct version *v)
{
    if (v->oldest <= KNOWN) return true;
    postgres_report(d, POSTGRES_UNFIT,
                    "it has schema %" PRId64 ", and this fantail knows schema %d: use a newer fantail", v->number,
                    (int)KNOWN);
    return false;
}

static bool go_forward(struct postgres_db *d, int64_t from)
{
    char text[256];
    if (from == 0 && !execute(d, "CREATE SCHEMA IF NOT EXISTS fantail; CREATE TABLE fantail.schema_version"
                                 " (version integer NOT NULL, oldest integer NOT NULL);"
                                 "INSERT INTO fantail.schema_version VALUES (0, 0)"))
        return false;
    for (int64_t i = from; i < KNOWN; i++) {
        snprintf(text, sizeof text, "UPDATE fantail.schema_version SET version = %" PRId64 ", oldest = %" PRId64, i + 1,
                 versions[i].oldest);
        if (!execute(d, versions[i].text) || !execute(d, text)) return false;
    }
    return execute(d, "COMMIT");
}

/* On failure the connection is closed, which rolls the transaction back. */
bool postgres_schema_forward(struct postgres_db *d)
{
    struct version v;
    if (!read_version(d, &v) || !is_known(d, &v)) return false;
    if (v.number >= KNOWN) return true;
    if (!execute(d, lock_text) || !read_version(d, &v) || !is_known(d, &v)) return false;
    if (v.number >= KNOWN) return execute(d, "COMMIT");
    return go_forward(d, v.number);
}
