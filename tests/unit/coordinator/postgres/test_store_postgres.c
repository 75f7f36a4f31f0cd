/* Cases that only PostgreSQL has: several coordinators with one database, and lost connections. */
#include "unit/coordinator/postgres/cutting_proxy.h"
#include "unit/coordinator/store/store_harness.h"

/* Opens a second store in the database of the first one, as another coordinator does. */
static void open_another(struct shop *s, const struct shop *first)
{
    *s = (struct shop){.kind = SHOP_POSTGRES};
    snprintf(s->url, sizeof s->url, "%s", first->url);
    s->source.url = s->url;
    cr_assert_eq(uv_loop_init(&s->loop), 0);
    shop_open(s);
}

static void close_another(struct shop *s)
{
    shop_close(s);
    cr_assert_eq(uv_loop_close(&s->loop), 0);
}

static long ask(const struct shop *s, const char *sql)
{
    return shop_sql(s->url, sql, "", "");
}

static void wait_for(const struct shop *s, const char *sql, long wanted)
{
    for (unsigned i = 0; i < 600 && ask(s, sql) != wanted; i++) usleep(50000);
    cr_assert_eq(ask(s, sql), wanted, "%s", sql);
}

/* Opens the store of `s` with a URL that leads to the proxy, so the store reaches its server only through the proxy. */
static void open_through(struct shop *s, struct cutting_proxy *p)
{
    char port[16];
    int server_port = 0;
    PQconninfoOption *options = PQconninfoParse(s->url, NULL);
    for (PQconninfoOption *o = options; o->keyword; o++)
        if (strcmp(o->keyword, "port") == 0) server_port = (int)strtol(o->val, NULL, 10);
    PQconninfoFree(options);
    cutting_proxy_start(p, server_port);
    snprintf(port, sizeof port, "%d", p->port);
    static char url[300];
    snprintf(url, sizeof url, "postgresql://fantail@127.0.0.1:%s/%s", port, s->database);
    s->source.url = url;
    shop_open(s);
}

static struct store_call *two_values(struct shop *s, const char *id, uint64_t fence)
{
    struct store_call *c = shop_block(s, id, fence, BLOCK_VALUES, 0, 2, "{\"value\":1}\n{\"value\":4}\n");
    c->job.counts = (struct stored_counts){.succeeded = 2};
    return c;
}

Test(store_postgres, one_coordinator_at_a_time_has_a_job)
{
    struct shop a, b;
    char id[STORE_ID_SIZE];
    shop_init_postgres(&a);
    shop_open(&a);
    open_another(&b, &a);
    shop_submit(&a, shop_id(1), 0);
    cr_assert_eq(shop_claim(&b, id), 1, "another coordinator may claim the job");
    cr_assert_eq(shop_claim(&a, NULL), 0);
    cr_assert_eq(shop_do(&b, STORE_HAND_BACK, id, 1), STORE_OK);
    cr_assert_eq(shop_claim_for(&a, NULL, 0), 2, "the claim gets a lease that ends at once");
    cr_assert_eq(shop_claim(&b, NULL), 3);
    struct store_call *c = two_values(&a, id, 2);
    cr_assert_eq(shop_run(&a, c), STORE_FENCED);
    store_call_free(c);
    cr_assert_eq(shop_do(&a, STORE_RENEW, id, 2), STORE_FENCED);
    shop_ok(&b, two_values(&b, id, 3));
    close_another(&b);
    shop_release(&a);
    assert_no_leaks();
}

/* After a failover, the new server may lack the last commits of the old server. So the database may give out the same
 * fence a second time. */
Test(store_postgres, a_fence_of_a_lost_claim_is_no_lease)
{
    struct shop a, b;
    shop_init_postgres(&a);
    shop_open(&a);
    open_another(&b, &a);
    shop_submit(&a, shop_id(1), 0);
    cr_assert_eq(shop_claim(&a, NULL), 1);
    ask(&a, "UPDATE fantail.job SET state = 'pending', fence = 0, holder = NULL, lease_until_ms = NULL");
    cr_assert_eq(shop_claim(&b, NULL), 1);
    struct store_call *c = two_values(&a, shop_id(1), 1);
    cr_assert_eq(shop_run(&a, c), STORE_FENCED, "%s", c->error);
    store_call_free(c);
    cr_assert_eq(shop_do(&a, STORE_HAND_BACK, shop_id(1), 1), STORE_FENCED);
    shop_ok(&b, two_values(&b, shop_id(1), 1));
    close_another(&b);
    shop_release(&a);
    assert_no_leaks();
}

Test(store_postgres, a_key_is_used_once_even_at_the_same_moment)
{
    struct shop a, b;
    shop_init_postgres(&a);
    shop_open(&a);
    open_another(&b, &a);
    for (unsigned i = 0; i < 30; i++) {
        char key[16];
        snprintf(key, sizeof key, "key-%u", i);
        struct store_call *mine = shop_new_job(&a, shop_id(2 * i), key),
                          *other = shop_new_job(&b, shop_id(2 * i + 1), key);
        unsigned done = a.done + b.done;
        store_start(a.store, mine);
        store_start(b.store, other);
        while (a.done + b.done < done + 2) {
            uv_run(&a.loop, UV_RUN_NOWAIT);
            uv_run(&b.loop, UV_RUN_NOWAIT);
        }
        cr_assert((mine->status == STORE_OK) != (other->status == STORE_OK), "%s %s", mine->error, other->error);
        cr_assert((mine->status == STORE_EXISTS) != (other->status == STORE_EXISTS));
        store_call_free(mine);
        store_call_free(other);
    }
    close_another(&b);
    shop_release(&a);
    assert_no_leaks();
}

static void lose_a_commit(enum cut cut)
{
    struct shop s;
    struct cutting_proxy p;
    shop_init_postgres(&s);
    open_through(&s, &p);
    shop_submit(&s, shop_id(1), 0);
    uint64_t fence = shop_claim(&s, NULL);
    p.cut = cut;
    shop_ok(&s, two_values(&s, shop_id(1), fence));
    cr_assert_eq(p.cut, CUT_NOTHING, "the connection was cut");
    struct store_call *c = shop_ranges(&s, shop_id(1), 0);
    cr_assert_eq(c->block_count, 2, "one block of items, and one block of values");
    store_call_free(c);
    p.cut = cut;
    shop_ok(&s, shop_ending(&s, shop_id(1), fence, STORED_SUCCEEDED, (struct stored_counts){.succeeded = 2}));
    cr_assert_eq(p.cut, CUT_NOTHING);
    cr_assert_eq(shop_state(&s, shop_id(1)), STORED_SUCCEEDED);
    shop_close(&s);
    cutting_proxy_stop(&p);
    shop_release(&s);
    assert_no_leaks();
}

Test(store_postgres, a_commit_whose_reply_was_lost_takes_effect_once)
{
    lose_a_commit(CUT_REPLY);
}

Test(store_postgres, a_commit_that_did_not_arrive_is_carried_out_again)
{
    lose_a_commit(CUT_COMMIT);
}

/* The connection is lost at a commit, so the store cannot know whether the database has committed. */
Test(store_postgres, a_submission_in_doubt_is_answered_and_answers_in_doubt_wait)
{
    struct shop s;
    struct cutting_proxy p;
    shop_init_postgres(&s);
    open_through(&s, &p);
    shop_submit(&s, shop_id(1), 0);
    uint64_t fence = shop_claim(&s, NULL);
    struct store_call *values = two_values(&s, shop_id(1), fence), *job = shop_new_job(&s, shop_id(2), NULL);
    unsigned done = s.done;
    p.refuses = true;
    p.cut = CUT_REPLY;
    store_start(s.store, values);
    store_start(s.store, job);
    while (s.done == done) uv_run(&s.loop, UV_RUN_ONCE);
    cr_assert_eq(job->status, STORE_AWAY, "%s", job->error);
    cr_assert_eq(s.done, done + 1);
    cr_assert_eq(shop_do(&s, STORE_RENEW, shop_id(1), fence), STORE_AWAY);
    p.refuses = false;
    while (s.done < done + 3) uv_run(&s.loop, UV_RUN_ONCE);
    cr_assert_eq(values->status, STORE_OK, "%s", values->error);
    cr_assert_eq(ask(&s, "SELECT count(*) FROM fantail.block WHERE kind = 'values'"), 1);
    store_call_free(values);
    store_call_free(job);
    shop_close(&s);
    cutting_proxy_stop(&p);
    shop_release(&s);
    assert_no_leaks();
}

Test(store_postgres, a_connection_that_was_lost_while_idle_costs_no_call)
{
    struct shop s;
    shop_init_postgres(&s);
    shop_open(&s);
    shop_submit(&s, shop_id(1), 0);
    for (unsigned i = 0; i < 3; i++) {
        shop_sql(shop_server(), "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = '",
                 s.database, "'");
        cr_assert_eq(shop_do(&s, STORE_READ_JOB, shop_id(1), 0), STORE_OK);
        shop_submit(&s, shop_id(2 + i), 0);
    }
    shop_release(&s);
    assert_no_leaks();
}

/* The statements with which a coordinator of schema 2 claims the first pending job and ends it. */
#define OLD_CLAIM                                                                                                      \
    "WITH j AS (UPDATE fantail.job SET state = 'running', fence = fence + 1 WHERE seq = (SELECT seq FROM fantail.job"  \
    " WHERE state = 'pending' ORDER BY priority DESC, id LIMIT 1) RETURNING seq) SELECT count(*) FROM j"
#define OLD_END "UPDATE fantail.job SET state = 'succeeded', ended_ms = 7 WHERE state = 'running'"

Test(store_postgres, a_coordinator_of_the_last_version_runs_only_jobs_that_it_can_read)
{
    struct shop s;
    shop_init_postgres(&s);
    shop_open(&s);
    shop_ok(&s, shop_new_job(&s, shop_id(1), NULL));
    shop_ok(&s, shop_block(&s, shop_id(1), 0, BLOCK_ITEMS, 0, 2, "1\n2\n"));
    struct store_call *c = shop_acceptance(&s, shop_id(1), "square", 0, 2);
    c->job.notify = xstrdup("https://a.example/hook");
    shop_ok(&s, c);
    cr_assert_eq(ask(&s, OLD_CLAIM), 1);
    ask(&s, OLD_END);
    cr_assert_eq(ask(&s, "SELECT count(*) FROM fantail.notice WHERE due_ms = 7"), 1, "the job's end makes a notice");

    shop_ok(&s, shop_new_job(&s, shop_id(2), NULL));
    shop_ok(&s, shop_block(&s, shop_id(2), 0, BLOCK_ITEMS, 0, 2, "1\n2\n"));
    c = shop_acceptance(&s, shop_id(2), "square", 0, 2);
    c->job.needs = 1;
    shop_ok(&s, c);
    cr_assert_eq(ask(&s, OLD_CLAIM), 0);
    c = shop_call(&s, STORE_CLAIM, NULL);
    c->holder = "test";
    c->knows = 1;
    shop_ok(&s, c);
    cr_assert_eq(shop_do(&s, STORE_HAND_BACK, shop_id(2), 1), STORE_OK);
    cr_assert_eq(ask(&s, OLD_CLAIM), 0,
                 "an old coordinator cannot claim the job, even after a newer one has claimed it");
    shop_release(&s);
    assert_no_leaks();
}

Test(store_postgres, a_schema_that_is_too_new_is_refused_by_its_number)
{
    struct shop s;
    shop_init_postgres(&s);
    shop_open(&s);
    shop_submit(&s, shop_id(1), 0);
    shop_close(&s);
    ask(&s, "UPDATE fantail.schema_version SET version = 99, oldest = 1");
    shop_open(&s);
    cr_assert_eq(shop_state(&s, shop_id(1)), STORED_PENDING, "this version can still use the newer schema");
    shop_close(&s);
    ask(&s, "UPDATE fantail.schema_version SET version = 99, oldest = 98");
    shop_open(&s);
    struct store_call *c = shop_read(&s, shop_id(1));
    cr_assert_eq(c->status, STORE_UNFIT);
    cr_assert(strstr(c->error, "it has schema 99"), "%s", c->error);
    store_call_free(c);
    shop_release(&s);
    assert_no_leaks();
}

Test(store_postgres, the_blocks_of_removed_jobs_disappear_in_steps)
{
    struct shop s;
    shop_init_postgres(&s);
    shop_open(&s);
    for (unsigned i = 1; i <= 20; i++) {
        shop_submit(&s, shop_id(i), 0);
        cr_assert_eq(shop_do(&s, STORE_WANT_CANCEL, shop_id(i), 0), STORE_OK);
        cr_assert_eq(shop_do(&s, STORE_REMOVE, shop_id(i), 0), STORE_OK);
    }
    shop_ok(&s, shop_new_job(&s, shop_id(30), NULL));
    for (unsigned i = 0; i < 40; i++) shop_ok(&s, shop_block(&s, shop_id(30), 0, BLOCK_ITEMS, i, 1, "1\n"));
    cr_assert_eq(shop_do(&s, STORE_DISCARD, shop_id(30), 0), STORE_OK);
    wait_for(&s, "SELECT count(*) FROM fantail.block", 0);
    wait_for(&s, "SELECT count(*) FROM fantail.dropped", 0);
    cr_assert_eq(ask(&s, "SELECT count(*) FROM fantail.request"), 0);
    shop_release(&s);
    assert_no_leaks();
}

/* From now on, the table `step` gets a row for each statement that removes blocks, or entries of the table
 * `dropped`. */
static void note_steps(const struct shop *s)
{
    ask(s, "CREATE TABLE fantail.step (entries bigint, bytes bigint)");
    ask(s, "CREATE FUNCTION fantail.note_entries() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN"
           " INSERT INTO fantail.step SELECT count(*), 0 FROM gone HAVING count(*) > 0; RETURN NULL; END'");
    ask(s, "CREATE FUNCTION fantail.note_bytes() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN"
           " INSERT INTO fantail.step SELECT 0, sum(length(lines)) FROM gone HAVING count(*) > 0; RETURN NULL; END'");
    ask(s, "CREATE TRIGGER note_entries AFTER DELETE ON fantail.dropped REFERENCING OLD TABLE AS gone"
           " FOR EACH STATEMENT EXECUTE FUNCTION fantail.note_entries()");
    ask(s, "CREATE TRIGGER note_bytes AFTER DELETE ON fantail.block REFERENCING OLD TABLE AS gone"
           " FOR EACH STATEMENT EXECUTE FUNCTION fantail.note_bytes()");
}

Test(store_postgres, many_small_jobs_are_removed_in_one_step)
{
    struct shop s;
    shop_init_postgres(&s);
    shop_open(&s);
    cr_assert_eq(shop_claim(&s, NULL), 0, "the schema is there");
    note_steps(&s);
    ask(&s, "WITH b AS (INSERT INTO fantail.block (job, kind, ranges, lines) SELECT n, 'items', '', '' FROM"
            " generate_series(1, 300) AS n, generate_series(1, 2)) INSERT INTO fantail.dropped (job, everything)"
            " SELECT n, true FROM generate_series(1, 300) AS n");
    wait_for(&s, "SELECT count(*) FROM fantail.dropped", 0);
    cr_assert_eq(ask(&s, "SELECT count(*) FROM fantail.block"), 0);
    cr_assert_eq(ask(&s, "SELECT count(*) FROM fantail.step WHERE entries > 0"), 2);
    shop_release(&s);
    assert_no_leaks();
}

Test(store_postgres, a_step_of_a_removal_removes_only_so_many_bytes)
{
    struct shop s;
    shop_init_postgres(&s);
    shop_open(&s);
    cr_assert_eq(shop_claim(&s, NULL), 0, "the schema is there");
    note_steps(&s);
    ask(&s, "WITH b AS (INSERT INTO fantail.block (job, kind, ranges, lines) SELECT n, 'items', '',"
            " convert_to(repeat('x', 1048576), 'UTF8') FROM generate_series(1, 4) AS n, generate_series(1, 10))"
            " INSERT INTO fantail.dropped (job, everything) SELECT n, true FROM generate_series(1, 4) AS n");
    wait_for(&s, "SELECT count(*) FROM fantail.dropped", 0);
    cr_assert_eq(ask(&s, "SELECT count(*) FROM fantail.block"), 0);
    cr_assert_leq(ask(&s, "SELECT max(bytes) FROM fantail.step"), 16 * 1024 * 1024);
    cr_assert_eq(ask(&s, "SELECT sum(bytes) FROM fantail.step"), 40 * 1024 * 1024);
    shop_release(&s);
    assert_no_leaks();
}

Test(store_postgres, the_upload_of_a_dead_coordinator_keeps_no_key)
{
    struct shop a, b;
    shop_init_postgres(&a);
    shop_open(&a);
    open_another(&b, &a);
    shop_ok(&b, shop_new_job(&b, shop_id(1), "key"));
    shop_ok(&b, shop_new_job(&b, shop_id(2), NULL));
    shop_ok(&b, shop_block(&b, shop_id(2), 0, BLOCK_ITEMS, 0, 1, "1\n"));
    shop_close(&b);
    struct store_call *c = shop_new_job(&a, shop_id(3), "key");
    cr_assert_eq(shop_run(&a, c), STORE_EXISTS, "the coordinator that has the key may still live");
    ask(&a, "UPDATE fantail.coordinator SET seen_ms = seen_ms - 3600000"
            " WHERE id = (SELECT holder FROM fantail.job LIMIT 1)");
    cr_assert_eq(shop_run(&a, c), STORE_OK, "%s", c->error);
    store_call_free(c);
    wait_for(&a, "SELECT count(*) FROM fantail.job", 1);
    wait_for(&a, "SELECT count(*) FROM fantail.block", 0);
    close_another(&b);
    shop_release(&a);
    assert_no_leaks();
}

Test(store_postgres, a_server_that_is_away_is_told_and_comes_back)
{
    struct shop s;
    struct cutting_proxy p;
    shop_init_postgres(&s);
    open_through(&s, &p);
    shop_submit(&s, shop_id(1), 0);
    p.refuses = true;
    shop_sql(shop_server(), "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = '",
             s.database, "'");
    struct store_call *c = shop_read(&s, shop_id(1));
    cr_assert_eq(c->status, STORE_AWAY);
    cr_assert(strstr(c->error, "its database "), "%s", c->error);
    store_call_free(c);
    cr_assert_eq(shop_do(&s, STORE_WANT_CANCEL, shop_id(1), 0), STORE_AWAY);
    p.refuses = false;
    while (shop_do(&s, STORE_WANT_CANCEL, shop_id(1), 0) == STORE_AWAY) usleep(20000);
    cr_assert_eq(shop_state(&s, shop_id(1)), STORED_CANCELLED);
    shop_close(&s);
    cutting_proxy_stop(&p);
    shop_release(&s);
    assert_no_leaks();
}

Test(store_postgres, a_read_only_database_is_told)
{
    struct shop s;
    shop_init_postgres(&s);
    shop_open(&s);
    shop_submit(&s, shop_id(1), 0);
    shop_sql(s.url, "ALTER DATABASE ", s.database, " SET default_transaction_read_only = on");
    shop_reopen(&s);
    struct store_call *c = shop_new_job(&s, shop_id(2), NULL);
    cr_assert_eq(shop_run(&s, c), STORE_AWAY);
    cr_assert(strstr(c->error, "read-only"), "%s", c->error);
    store_call_free(c);
    shop_release(&s);
    assert_no_leaks();
}

Test(store_postgres, no_message_about_a_url_quotes_it)
{
    static const char *const wrong[] = {"postgresql://u:secret@[h/d", "postgresql://u:se@secret:9x9/d?secret",
                                        "mysql://u:secret@h/d"};
    for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
        char err[300] = "";
        struct postgres_source source = {.url = wrong[i]};
        cr_assert_not(postgres_source_check(&source, err, sizeof err), "%s", wrong[i]);
        cr_assert_not(strstr(err, "secret"), "%s", err);
    }
}
