/*
 * A real store, with a real loop. Each function below waits until its store call has ended. The SQLite store is in a
 * temporary folder. The PostgreSQL store is in a database of its own, on the server whose URL is in the variable
 * FANTAIL_TEST_POSTGRES; tests/run starts such a server. Without this variable the tests of PostgreSQL are skipped.
 *
 * STORE_TEST(suite, name) is a test that every back end must pass. The test gets an open store.
 */
#ifndef FANTAIL_TEST_STORE_HARNESS_H
#define FANTAIL_TEST_STORE_HARNESS_H

#include <criterion/criterion.h>
#include <ftw.h>
#include <postgresql/libpq-fe.h>
#include <unistd.h>
#include <uv.h>

#include "coordinator/postgres/store_postgres.h"
#include "coordinator/store/store.h"
#include "unit/leaks.h"

enum shop_kind { SHOP_SQLITE, SHOP_POSTGRES };

struct shop {
    enum shop_kind kind;
    char folder[64], path[128];
    struct postgres_source source;
    char url[300], database[64];
    uv_loop_t loop;
    struct store *store;
    unsigned done; /* calls that were reported */
};

static inline void shop_open_limited(struct shop *s, uint64_t max_bytes)
{
    char err[300] = "";
    s->store = store_sqlite_open(&s->loop, s->path, max_bytes, err, sizeof err);
    cr_assert(s->store, "%s", err);
}

static inline void shop_open(struct shop *s)
{
    char err[300] = "";
    if (s->kind == SHOP_SQLITE)
        shop_open_limited(s, 0);
    else
        s->store = store_postgres_open(&s->loop, &s->source, NULL, err, sizeof err);
    cr_assert(s->store, "%s", err);
}

/* Expects that the store refuses the file at s->path with a message that contains `part`. */
static inline void shop_refused(struct shop *s, const char *part)
{
    char err[300] = "";
    struct store *store = store_sqlite_open(&s->loop, s->path, 0, err, sizeof err);
    cr_assert_null(store);
    cr_assert(strstr(err, part), "%s", err);
    cr_assert(strstr(err, s->folder), "the message names the file: %s", err);
}

/* Makes the folder and the loop, but no store. */
static inline void shop_init(struct shop *s)
{
    *s = (struct shop){.folder = "/tmp/fantail-store-XXXXXX"};
    cr_assert(mkdtemp(s->folder));
    snprintf(s->path, sizeof s->path, "%s/jobs.db", s->folder);
    cr_assert_eq(uv_loop_init(&s->loop), 0);
}

/* Runs one statement on the server, on a connection of its own. The text of the statement is given in three parts.
 * Returns the first value of the result as a number. */
static inline long shop_sql(const char *url, const char *first, const char *second, const char *third)
{
    char sql[600];
    snprintf(sql, sizeof sql, "%s%s%s", first, second, third);
    PGconn *conn = PQconnectdb(url);
    cr_assert_eq(PQstatus(conn), CONNECTION_OK, "%s", PQerrorMessage(conn));
    PGresult *r = PQexec(conn, sql);
    ExecStatusType status = PQresultStatus(r);
    cr_assert(status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK, "%s", PQresultErrorMessage(r));
    long value = PQntuples(r) > 0 ? strtol(PQgetvalue(r, 0, 0), NULL, 10) : 0;
    PQclear(r);
    PQfinish(conn);
    return value;
}

static inline const char *shop_server(void)
{
    const char *server = getenv("FANTAIL_TEST_POSTGRES");
    if (!server || !server[0]) cr_skip_test("no PostgreSQL server (package postgresql; tests/run starts it)");
    return server;
}

/* Makes the database and the loop, but no store. */
static inline void shop_init_postgres(struct shop *s)
{
    const char *server = shop_server();
    *s = (struct shop){.kind = SHOP_POSTGRES};
    snprintf(s->database, sizeof s->database, "unit_%ld", (long)getpid());
    shop_sql(server, "DROP DATABASE IF EXISTS ", s->database, " WITH (FORCE)");
    shop_sql(server, "CREATE DATABASE ", s->database, "");
    snprintf(s->url, sizeof s->url, "%.*s/%s", (int)(strrchr(server, '/') - server), server, s->database);
    s->source.url = s->url;
    cr_assert_eq(uv_loop_init(&s->loop), 0);
}

static inline void shop_closed(void *data)
{
    *(struct store **)data = NULL;
}

static inline void shop_close(struct shop *s)
{
    if (!s->store) return;
    store_close(s->store, shop_closed, &s->store);
    uv_run(&s->loop, UV_RUN_DEFAULT);
    cr_assert_null(s->store);
}

static inline void shop_reopen(struct shop *s)
{
    shop_close(s);
    shop_open(s);
}

static inline int shop_unlink(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
    return remove(path);
}

static inline void shop_release(struct shop *s)
{
    shop_close(s);
    cr_assert_eq(uv_loop_close(&s->loop), 0);
    if (s->kind == SHOP_POSTGRES)
        shop_sql(shop_server(), "DROP DATABASE ", s->database, " WITH (FORCE)");
    else
        nftw(s->folder, shop_unlink, 8, FTW_DEPTH | FTW_PHYS);
}

static inline void shop_on_done(struct store_call *c)
{
    struct shop *s = c->data;
    s->done++;
}

static inline struct store_call *shop_call(struct shop *s, enum store_op op, const char *id)
{
    struct store_call *c = store_call_new(op, shop_on_done, s);
    if (id) snprintf(c->job.id, sizeof c->job.id, "%s", id);
    return c;
}

static inline enum store_status shop_run(struct shop *s, struct store_call *c)
{
    unsigned before = s->done;
    store_start(s->store, c);
    while (s->done == before) uv_run(&s->loop, UV_RUN_ONCE);
    return c->status;
}

/* Runs a call that needs only an id and a fence, frees the call, and returns its status. */
static inline enum store_status shop_do(struct shop *s, enum store_op op, const char *id, uint64_t fence)
{
    struct store_call *c = shop_call(s, op, id);
    c->job.fence = fence;
    enum store_status status = shop_run(s, c);
    store_call_free(c);
    return status;
}

/* Returns the id with the number n. A larger number gives a newer id. */
static inline const char *shop_id(unsigned n)
{
    static char ids[8][STORE_ID_SIZE];
    static unsigned next;
    char *id = ids[next++ % 8];
    snprintf(id, STORE_ID_SIZE, "01930000-0000-7000-8000-%012u", n);
    return id;
}

static inline struct store_call *shop_block(struct shop *s, const char *id, uint64_t fence, enum block_kind kind,
                                            uint64_t first, uint64_t n, const char *lines)
{
    struct store_call *c = shop_call(s, STORE_ADD_BLOCK, id);
    c->job.fence = fence;
    c->block.kind = kind;
    c->block.ranges = xcalloc(1, sizeof *c->block.ranges);
    c->block.ranges[0] = (struct block_range){first, n, false};
    c->block.range_count = 1;
    buf_add_str(&c->block.lines, lines);
    return c;
}

static inline struct store_call *shop_new_job(struct shop *s, const char *id, const char *key)
{
    struct store_call *c = shop_call(s, STORE_ADD_JOB, id);
    if (key) c->job.key = xstrdup(key);
    if (key) c->job.key_digest = xstrdup("digest");
    return c;
}

static inline struct store_call *shop_acceptance(struct shop *s, const char *id, const char *task, int priority,
                                                 uint64_t items)
{
    struct store_call *c = shop_call(s, STORE_ACCEPT, id);
    c->job.task = xstrdup(task);
    c->job.options = xstrdup("{\"task\":\"square\"}");
    c->job.priority = priority;
    c->job.items = items;
    c->job.item_blocks = 1;
    return c;
}

static inline void shop_ok(struct shop *s, struct store_call *c)
{
    cr_assert_eq(shop_run(s, c), STORE_OK, "%d: %s", c->status, c->error);
    store_call_free(c);
}

/* Adds a job with one block of two items, and accepts it. */
static inline void shop_submit(struct shop *s, const char *id, int priority)
{
    shop_ok(s, shop_new_job(s, id, NULL));
    shop_ok(s, shop_block(s, id, 0, BLOCK_ITEMS, 0, 2, "1\n2\n"));
    shop_ok(s, shop_acceptance(s, id, "square", priority, 2));
}

/* Claims a job with a lease of lease_ms. Returns the job's fence, or 0 if no job waits. If `id` is not NULL, also
 * returns the id of the job in `id`. */
static inline uint64_t shop_claim_for(struct shop *s, char id[STORE_ID_SIZE], uint64_t lease_ms)
{
    struct store_call *c = shop_call(s, STORE_CLAIM, NULL);
    c->holder = "test";
    c->lease_ms = lease_ms;
    uint64_t fence = shop_run(s, c) == STORE_OK ? c->found.fence : 0;
    if (id) snprintf(id, STORE_ID_SIZE, "%s", c->found.id);
    store_call_free(c);
    return fence;
}

static inline uint64_t shop_claim(struct shop *s, char id[STORE_ID_SIZE])
{
    return shop_claim_for(s, id, 3600000);
}

static inline struct store_call *shop_ending(struct shop *s, const char *id, uint64_t fence, enum stored_state state,
                                             struct stored_counts counts)
{
    struct store_call *c = shop_call(s, STORE_END, id);
    c->job.fence = fence;
    c->job.state = state;
    c->job.counts = counts;
    return c;
}

/* Reads the job; the caller frees the call. */
static inline struct store_call *shop_read(struct shop *s, const char *id)
{
    struct store_call *c = shop_call(s, STORE_READ_JOB, id);
    shop_run(s, c);
    return c;
}

static inline enum stored_state shop_state(struct shop *s, const char *id)
{
    struct store_call *c = shop_read(s, id);
    cr_assert_eq(c->status, STORE_OK, "%s", c->error);
    enum stored_state state = c->found.state;
    store_call_free(c);
    return state;
}

/* Reads the ranges of all blocks whose number is larger than `after`. The caller frees the call. */
static inline struct store_call *shop_ranges(struct shop *s, const char *id, uint64_t after)
{
    struct store_call *c = shop_call(s, STORE_READ_RANGES, id);
    c->block.number = after;
    cr_assert_eq(shop_run(s, c), STORE_OK, "%s", c->error);
    return c;
}

/* Makes a job that has ended as PARTIAL, with one value and one error. */
static inline void shop_partial(struct shop *s, const char *id)
{
    char got[STORE_ID_SIZE];
    shop_submit(s, id, 0);
    uint64_t fence = shop_claim(s, got);
    cr_assert_str_eq(got, id);
    struct store_call *c = shop_block(s, id, fence, BLOCK_VALUES, 0, 1, "{\"value\":1}\n");
    c->job.counts = (struct stored_counts){.succeeded = 1};
    shop_ok(s, c);
    c = shop_block(s, id, fence, BLOCK_ERRORS, 1, 1, "{\"error\":{}}\n");
    c->job.counts = (struct stored_counts){.succeeded = 1, .failed = 1};
    c->job.errors = xstrdup("{\"task_error\":1}");
    shop_ok(s, c);
    c = shop_ending(s, id, fence, STORED_PARTIAL, (struct stored_counts){.succeeded = 1, .failed = 1});
    c->job.errors = xstrdup("{\"task_error\":1}");
    shop_ok(s, c);
}

/* Defines the test for each back end, in the suites suite_sqlite and suite_postgres. */
#define STORE_TEST(suite, name)                                                                                        \
    static void name(struct shop *s);                                                                                  \
    Test(suite##_sqlite, name)                                                                                         \
    {                                                                                                                  \
        struct shop shop;                                                                                              \
        shop_init(&shop);                                                                                              \
        shop_open(&shop);                                                                                              \
        name(&shop);                                                                                                   \
        shop_release(&shop);                                                                                           \
        assert_no_leaks();                                                                                             \
    }                                                                                                                  \
    Test(suite##_postgres, name)                                                                                       \
    {                                                                                                                  \
        struct shop shop;                                                                                              \
        shop_init_postgres(&shop);                                                                                     \
        shop_open(&shop);                                                                                              \
        name(&shop);                                                                                                   \
        shop_release(&shop);                                                                                           \
        assert_no_leaks();                                                                                             \
    }                                                                                                                  \
    static void name(struct shop *s)

/* After the store was opened, the writer makes one checkpoint when it first has no calls. The checkpoint and the commit
 * after it have more syncs and writes. If the threads are slow, they fall into the counts of two commits of a test. */
enum { SHOP_COMMITS_THAT_DIFFER = 2 };

#endif
