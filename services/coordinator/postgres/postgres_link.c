/*
 * Connections to the database.
 *
 * These functions run on the threads of the store, because libpq blocks while it looks up a host name. Every wait
 * except that lookup has a time limit. So a connection to a server that does not answer is closed, and closing the
 * store does not take long.
 */
#include <ctype.h>
#include <poll.h>
#include <stdarg.h>

#include "coordinator/postgres/postgres_internal.h"

#define CONNECT_NS (5 * NS_PER_S)  /* time limit for connecting, for each host of the URL */
#define ANSWER_NS  (12 * NS_PER_S) /* time limit for a statement; longer than the statement_timeout of the server */
#define CLOSING_NS (2 * NS_PER_S)  /* time limit for connecting and for a statement while the store is closing */
enum { SLICE_MS = 50, VERSION_LEAST = 140000 };

/* Sets up a session, and asks whether the server is read-only. The time limits are short: if a coordinator stops in the
 * middle of a transaction, the locks on its jobs must be released before its leases expire. */
static const char session[] = "SET statement_timeout = '10s'; SET lock_timeout = '5s';"
                              "SET idle_in_transaction_session_timeout = '4s'; SET client_min_messages = 'error';"
                              "SELECT set_config('synchronous_commit', 'on', false)"
                              " WHERE current_setting('synchronous_commit') = 'off';"
                              "SELECT pg_is_in_recovery() OR current_setting('transaction_read_only') = 'on'";

void postgres_report(struct postgres_db *d, enum postgres_state state, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    d->news.state = state;
    vsnprintf(d->news.detail, sizeof d->news.detail, fmt, args);
    va_end(args);
    d->has_news = true;
}

enum postgres_state postgres_state_of(const char *sqlstate)
{
    static const struct {
        const char *code; /* the beginning of the SQLSTATE */
        enum postgres_state state;
    } table[] = {
        {"08", POSTGRES_UNREACHABLE}, {"28", POSTGRES_NO_LOGIN},     {"3D000", POSTGRES_NO_LOGIN},
        {"53300", POSTGRES_CROWDED},  {"57P01", POSTGRES_STARTING},  {"57P02", POSTGRES_STARTING},
        {"57P03", POSTGRES_STARTING}, {"25006", POSTGRES_READ_ONLY}, {"57014", POSTGRES_SLOW},
        {"55P03", POSTGRES_SLOW},     {"25P03", POSTGRES_SLOW},      {"42501", POSTGRES_UNFIT},
    };
    for (size_t i = 0; sqlstate && i < ARRAY_SIZE(table); i++)
        if (strncmp(sqlstate, table[i].code, strlen(table[i].code)) == 0) return table[i].state;
    return POSTGRES_READY;
}

/* Finds the SQLSTATE in the verbose message of a failed connection: "FATAL:  28P01: password ...". The server may
 * write the rest of the message in any language. */
static const char *find_sqlstate(const char *message)
{
    for (const char *at = strstr(message, ":  "); at; at = strstr(at + 1, ":  ")) {
        const char *code = at + 3;
        int n = 0;
        while (n < 5 && (isdigit((unsigned char)code[n]) || isupper((unsigned char)code[n]))) n++;
        if (n == 5 && code[5] == ':') return code;
    }
    return NULL;
}

/* `step` is the last step that the connection reached. A failure of TLS has no SQLSTATE, so a failure of TLS is
 * recognised by `step`. */
static void report_failed_connection(struct postgres_db *d, bool in_time, ConnStatusType step)
{
    const char *message = PQerrorMessage(d->conn), *code = find_sqlstate(message);
    enum postgres_state state = postgres_state_of(code);
    if (PQconnectionNeedsPassword(d->conn)) state = POSTGRES_NO_LOGIN;
    if (!code && step == CONNECTION_SSL_STARTUP) state = POSTGRES_NO_TLS;
    if (state == POSTGRES_READY || state == POSTGRES_UNFIT) state = code ? POSTGRES_NO_LOGIN : POSTGRES_UNREACHABLE;
    if (!in_time)
        postgres_report(d, POSTGRES_SLOW, "the server did not accept the connection in time");
    else
        postgres_report(d, state, "%.*s", (int)strcspn(message, "\n"), message);
}

/* Waits until the socket is ready, but at most SLICE_MS. Returns false after `deadline_ns`. */
static bool wait_for_socket(struct postgres_db *d, short events, uint64_t deadline_ns)
{
    struct pollfd p = {.fd = PQsocket(d->conn), .events = events};
    uint64_t now = now_ns();
    if (!d->closing_ns && store_side_is_closing(d->side)) d->closing_ns = now;
    if (d->closing_ns && deadline_ns > d->closing_ns + CLOSING_NS) deadline_ns = d->closing_ns + CLOSING_NS;
    if (now >= deadline_ns) return false;
    poll(&p, 1, SLICE_MS);
    return true;
}

static bool wait_until_connected(struct postgres_db *d, uint64_t deadline_ns)
{
    PostgresPollingStatusType wants = PGRES_POLLING_WRITING;
    ConnStatusType step = CONNECTION_STARTED;
    while (wants != PGRES_POLLING_OK && wants != PGRES_POLLING_FAILED) {
        struct pollfd p = {.fd = PQsocket(d->conn), .events = wants == PGRES_POLLING_READING ? POLLIN : POLLOUT};
        if (!wait_for_socket(d, p.events, deadline_ns)) {
            report_failed_connection(d, false, step);
            return false;
        }
        /* PQconnectPoll() may be called only when the socket is ready. */
        step = PQstatus(d->conn);
        if (poll(&p, 1, 0) > 0) wants = PQconnectPoll(d->conn);
    }
    if (wants == PGRES_POLLING_FAILED) report_failed_connection(d, true, step);
    return wants == PGRES_POLLING_OK;
}

static void ignore_notice(void *data, const PGresult *notice)
{
}

static bool open_connection(struct postgres_db *d)
{
    char err[256];
    char *url = postgres_source_read(d->source, err, sizeof err);
    if (!url) {
        postgres_report(d, POSTGRES_NO_LOGIN, "%s", err);
        return false;
    }
    /* The URL comes last, so its parameters override the defaults before it. tcp_user_timeout ends a connection to a
     * host that does not answer. */
    const char *const names[] = {"application_name",
                                 "gssencmode",
                                 "client_encoding",
                                 "keepalives_idle",
                                 "keepalives_interval",
                                 "keepalives_count",
                                 "tcp_user_timeout",
                                 "dbname",
                                 NULL};
    const char *const values[] = {"fantail-coordinator", "disable", "UTF8", "10", "5", "3", "4000", url, NULL};
    static_assert(ARRAY_SIZE(names) == ARRAY_SIZE(values), "each name has its value");
    uint64_t deadline_ns = now_ns() + CONNECT_NS * postgres_source_hosts(url);
    d->conn = PQconnectStartParams(names, values, 1);
    free(url);
    if (!d->conn) return false;
    PQsetErrorVerbosity(d->conn, PQERRORS_VERBOSE);
    PQsetNoticeReceiver(d->conn, ignore_notice, NULL);
    if (PQstatus(d->conn) == CONNECTION_BAD) {
        report_failed_connection(d, true, CONNECTION_STARTED);
        return false;
    }
    return wait_until_connected(d, deadline_ns);
}

/* Results. */

static bool send_all(struct postgres_db *d, uint64_t deadline_ns)
{
    int left;
    while ((left = PQflush(d->conn)) > 0) {
        if (!wait_for_socket(d, POLLIN | POLLOUT, deadline_ns)) return false;
        if (PQconsumeInput(d->conn) == 0) return false;
    }
    return left == 0;
}

/* Waits for the next result. Returns false if the result does not arrive. */
static bool wait_for_result(struct postgres_db *d, uint64_t deadline_ns, bool *in_time)
{
    while (PQisBusy(d->conn)) {
        *in_time = wait_for_socket(d, POLLIN, deadline_ns);
        if (!*in_time || PQconsumeInput(d->conn) == 0) return false;
    }
    return true;
}

PGresult *postgres_await(struct postgres_db *d)
{
    uint64_t deadline_ns = now_ns() + ANSWER_NS;
    PGresult *last = NULL;
    bool in_time = true;
    if (!send_all(d, deadline_ns)) in_time = now_ns() < deadline_ns && !d->closing_ns;
    while (in_time && PQstatus(d->conn) == CONNECTION_OK && wait_for_result(d, deadline_ns, &in_time)) {
        PGresult *next = PQgetResult(d->conn);
        if (!next) break;
        PQclear(last);
        last = next;
    }
    if (in_time && PQstatus(d->conn) == CONNECTION_OK && last) return last;
    const char *code = last ? PQresultErrorField(last, PG_DIAG_SQLSTATE) : NULL;
    enum postgres_state state = postgres_state_of(code);
    if (state == POSTGRES_READY) state = in_time ? POSTGRES_UNREACHABLE : POSTGRES_SLOW;
    const char *message = PQerrorMessage(d->conn);
    char detail[200];
    snprintf(detail, sizeof detail, "%.*s", (int)strcspn(message, "\n"), message);
    PQclear(last);
    postgres_lose(d, state, in_time ? detail : "the server did not answer in time");
    return NULL;
}

PGresult *postgres_execute(struct postgres_db *d, const char *text)
{
    if (!PQsendQuery(d->conn, text)) {
        postgres_lose(d, POSTGRES_UNREACHABLE, "the connection was lost");
        return NULL;
    }
    return postgres_await(d);
}

/* A new connection. */

static bool begin_session(struct postgres_db *d)
{
    PQsetErrorVerbosity(d->conn, PQERRORS_DEFAULT);
    if (PQserverVersion(d->conn) < VERSION_LEAST) {
        postgres_report(d, POSTGRES_UNFIT, "the server is older than PostgreSQL 14");
        return false;
    }
    if (PQsetnonblocking(d->conn, 1) != 0) return false;
    PGresult *r = postgres_execute(d, session);
    if (!r) return false;
    bool ok = PQresultStatus(r) == PGRES_TUPLES_OK && PQntuples(r) == 1;
    bool is_standby = ok && strcmp(PQgetvalue(r, 0, 0), "t") == 0;
    if (!ok) postgres_report(d, POSTGRES_UNFIT, "a session cannot be set up: %s", PQresultErrorMessage(r));
    if (is_standby) postgres_report(d, POSTGRES_READ_ONLY, "the server is a standby, or read-only");
    PQclear(r);
    return ok && !is_standby;
}

/* Call it when this server lacks transactions whose commits were reported: a failover went to a server that had not
 * received all commits. After the failover, this coordinator has answers of its running jobs that the database lacks.
 * Ends the leases of the running jobs of this coordinator. So the next runs of these jobs continue from the answers in
 * the database. */
static bool let_go(struct postgres_db *d)
{
    struct postgres_query q = postgres_query(d, PG_LET_GO);
    postgres_bind_text(&q, d->owner);
    bool ok = postgres_run(&q);
    postgres_end(&q);
    if (!ok) return false;
    d->reported = d->committed;
    d->lacks_commits = true;
    return true;
}

/* Registers this coordinator, and reads the number of its last committed transaction. If a transaction of a lost
 * connection still runs, this statement waits until that transaction ends. */
static bool register_coordinator(struct postgres_db *d)
{
    if (d->only_reads) return true;
    struct postgres_query q = postgres_query(d, PG_REGISTER);
    postgres_bind_text(&q, d->owner);
    postgres_bind_text(&q, d->name);
    bool ok = postgres_run(&q);
    if (ok) d->committed = (uint64_t)postgres_int(&q, 0, 0);
    postgres_end(&q);
    ok = ok && (d->committed >= d->reported || let_go(d));
    if (!ok && !d->lost) postgres_report(d, POSTGRES_SLOW, "%s", d->error);
    return ok;
}

bool postgres_connect(struct postgres_db *d)
{
    postgres_disconnect(d);
    postgres_forgive(d);
    if (open_connection(d) && begin_session(d) && postgres_schema_forward(d) && register_coordinator(d)) {
        postgres_report(d, POSTGRES_READY, "%s", "");
        return true;
    }
    postgres_disconnect(d);
    return false;
}

void postgres_disconnect(struct postgres_db *d)
{
    PQfinish(d->conn);
    d->conn = NULL;
    memset(d->prepared, 0, sizeof d->prepared);
}
