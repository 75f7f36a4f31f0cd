/* A coordinator claims only jobs that its workers can run, or that no coordinator can run. */
#include <sqlite3.h>
#include <stdatomic.h>

#include "unit/coordinator/store/store_harness.h"

static void submit_level(struct shop *s, unsigned n, const char *tasks, int priority, unsigned level)
{
    shop_ok(s, shop_new_job(s, shop_id(n), NULL));
    shop_ok(s, shop_block(s, shop_id(n), 0, BLOCK_ITEMS, 0, 2, "1\n2\n"));
    struct store_call *c = shop_acceptance(s, shop_id(n), tasks, priority, 2);
    c->job.needs = level;
    shop_ok(s, c);
}

static void submit_tasks(struct shop *s, unsigned n, const char *tasks, int priority)
{
    submit_level(s, n, tasks, priority, 0);
}

static struct store_call *offer(struct shop *s, const char *serves, const char *opens, bool others)
{
    struct store_call *c = shop_call(s, STORE_CLAIM, NULL);
    c->holder = "test";
    c->lease_ms = 3600000;
    c->serves = xstrdup(serves);
    c->opens = xstrdup(opens);
    c->others = others;
    return c;
}

/* Claims a job. Returns the number of the job; 0: there is no job to claim. */
static unsigned claim(struct shop *s, const char *serves, const char *opens, bool others)
{
    struct store_call *c = offer(s, serves, opens, others);
    enum store_status status = shop_run(s, c);
    cr_assert(status == STORE_OK || status == STORE_NOT_FOUND, "%s", c->error);
    unsigned n = status == STORE_OK ? (unsigned)strtoul(c->found.id + 24, NULL, 10) : 0;
    store_call_free(c);
    return n;
}

STORE_TEST(store_claims, the_first_job_whose_task_is_served_is_claimed)
{
    submit_tasks(s, 1, "a", 9);
    submit_tasks(s, 2, "b", 5);
    submit_tasks(s, 3, "b", 7);
    submit_tasks(s, 4, "ab", 9);
    cr_assert_eq(claim(s, "[]", "[]", false), 0);
    cr_assert_eq(claim(s, "[\"b\"]", "[\"b\"]", false), 3);
    cr_assert_eq(claim(s, "[\"b\",\"c\"]", "[]", false), 2, "no other coordinator has slots left");
    cr_assert_eq(claim(s, "[\"b\"]", "[\"b\"]", false), 0);
    cr_assert_eq(claim(s, "[\"b\"]", "[\"b\"]", true), 1, "no coordinator has the task");
    cr_assert_eq(claim(s, "[\"ab\"]", "[\"ab\"]", false), 4);
}

STORE_TEST(store_claims, the_first_of_all_tasks_that_may_be_claimed_is_claimed)
{
    submit_level(s, 1, "b", 9, 1);
    submit_level(s, 2, "b", 3, 0);
    submit_level(s, 3, "c", 8, 0);
    submit_level(s, 4, "a", 3, 0);
    submit_level(s, 5, "d", 9, 0);
    submit_level(s, 6, "c", 3, 0);
    submit_level(s, 7, "c,a", 9, 1);
    const unsigned order[] = {3, 2, 4, 6, 0};
    for (size_t i = 0; i < ARRAY_SIZE(order); i++)
        cr_assert_eq(claim(s, "[\"a\",\"b\",\"c\"]", "[\"c\"]", false), order[i], "%zu", i);
}

/* The number of jobs that must not be claimed. With so many jobs, it would take too long to read each of them at each
 * claim. */
enum { OTHER_JOBS = 20000 };

static atomic_ulong steps;

static int count_steps(void *data)
{
    (void)data;
    atomic_fetch_add(&steps, 100);
    return 0;
}

static int watch_steps(sqlite3 *db, char **err, const void *api)
{
    (void)err;
    (void)api;
    sqlite3_progress_handler(db, 100, count_steps, NULL);
    return SQLITE_OK;
}

Test(store_claims, jobs_that_must_not_be_claimed_cost_no_steps_of_sqlite)
{
    struct shop s;
    sqlite3 *db;
    shop_init(&s);
    shop_open(&s);
    shop_close(&s);
    cr_assert_eq(sqlite3_open(s.path, &db), SQLITE_OK);
    char sql[400];
    snprintf(sql, sizeof sql,
             "DROP INDEX job_task;" /* files of older versions do not have this index */
             "WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < %d)"
             " INSERT INTO job (id, state, task, priority, items, created_ms)"
             " SELECT printf('00000000-0000-7000-8000-%%012d', n), 'pending', 'other' || (n %% 7), 1, 2, 1 FROM n",
             OTHER_JOBS);
    cr_assert_eq(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK, "%s", sqlite3_errmsg(db));
    sqlite3_close(db);
    sqlite3_auto_extension((void (*)(void))watch_steps);
    shop_open(&s);
    submit_tasks(&s, 1, "a", 0);
    atomic_store(&steps, 0);
    cr_assert_eq(claim(&s, "[\"a\"]", "[\"a\"]", false), 1);
    cr_assert_eq(claim(&s, "[\"a\"]", "[\"a\"]", false), 0);
    cr_assert_lt(atomic_load(&steps), OTHER_JOBS, "%lu steps", atomic_load(&steps));
    shop_release(&s);
    sqlite3_reset_auto_extension();
    assert_no_leaks();
}

STORE_TEST(store_claims, all_tasks_of_a_pipeline_must_be_served)
{
    submit_tasks(s, 1, "a,b,c", 5);
    cr_assert_eq(claim(s, "[\"a\",\"c\"]", "[\"a\",\"c\"]", false), 0);
    cr_assert_eq(claim(s, "[\"a\",\"b\",\"c\",\"!a,b,c\"]", "[\"a\",\"b\",\"c\",\"!a,b,c\"]", false), 0);
    cr_assert_eq(claim(s, "[\"c\",\"x\",\"b\",\"a\",\"!a,b\"]", "[]", false), 1);
}

STORE_TEST(store_claims, an_abandoned_job_is_for_those_who_can_run_it)
{
    submit_tasks(s, 1, "a", 5);
    cr_assert_eq(shop_claim_for(s, NULL, 0), 1, "the lease ends at once");
    cr_assert_eq(claim(s, "[\"b\"]", "[\"b\"]", false), 0);
    cr_assert_eq(claim(s, "[\"a\"]", "[\"a\"]", false), 1);
}

STORE_TEST(store_claims, a_coordinator_may_only_tell)
{
    submit_tasks(s, 1, "a", 5);
    struct store_call *c = offer(s, "[\"a\"]", "[\"a\"]", true);
    c->only_announces = true;
    cr_assert_eq(shop_run(s, c), STORE_NOT_FOUND);
    store_call_free(c);
    cr_assert_eq(claim(s, "[\"a\"]", "[\"a\"]", true), 1);
}

STORE_TEST(store_claims, a_single_coordinator_is_told_of_no_other)
{
    submit_tasks(s, 1, "a", 5);
    cr_assert_eq(claim(s, "[\"a\"]", "[\"a\"]", true), 1);
    for (enum store_yield y = YIELD_NO; y <= YIELD_TO_OPEN; y++) {
        struct store_call *c = shop_call(s, STORE_RENEW, shop_id(1));
        c->job.fence = 1;
        c->lease_ms = 3600000;
        c->yields = y;
        cr_assert_eq(shop_run(s, c), STORE_OK, "%s", c->error);
        cr_assert_not(c->wanted_elsewhere);
        store_call_free(c);
    }
}

static struct store_call *claim_whole(struct shop *s)
{
    struct store_call *c = offer(s, "[\"square\"]", "[\"square\"]", true);
    c->wants_whole = true;
    cr_assert_eq(shop_run(s, c), STORE_OK, "%s", c->error);
    return c;
}

/* Checks that the call has all blocks of the job, and that their number is `blocks`; 0: the call must have no blocks.
 * PostgreSQL returns no blocks with a claim. */
static void expect_whole(const struct shop *s, const struct store_call *c, size_t blocks)
{
    cr_assert_eq(c->whole, s->kind != SHOP_POSTGRES && blocks > 0);
    cr_assert_eq(c->block_count, c->whole ? blocks : 0);
    for (size_t i = 0; i < c->block_count; i++)
        cr_assert(c->blocks[i].range_count > 0 && c->blocks[i].lines.len > 0 && c->blocks[i].number > 0);
}

STORE_TEST(store_claims, a_small_job_is_returned_with_its_blocks)
{
    shop_submit(s, shop_id(1), 0);
    struct store_call *c = claim_whole(s);
    uint64_t fence = c->found.fence;
    expect_whole(s, c, 1);
    if (c->whole) cr_assert_eq(memcmp(c->blocks[0].lines.data, "1\n2\n", 4), 0);
    store_call_free(c);
    c = shop_block(s, shop_id(1), fence, BLOCK_VALUES, 0, 2, "{\"value\":1}\n{\"value\":4}\n");
    shop_ok(s, c);
    c = shop_call(s, STORE_READ_JOB, shop_id(1));
    c->wants_whole = true;
    cr_assert_eq(shop_run(s, c), STORE_OK);
    cr_assert(!c->whole, "the job has not ended");
    store_call_free(c);
    c = shop_ending(s, shop_id(1), fence, STORED_SUCCEEDED, (struct stored_counts){.succeeded = 2});
    cr_assert_eq(shop_run(s, c), STORE_OK);
    cr_assert_eq(c->found.state, STORED_SUCCEEDED);
    cr_assert_eq(c->found.counts.succeeded, 2);
    cr_assert_gt(c->found.ended_ms, 0);
    store_call_free(c);
    c = shop_call(s, STORE_READ_JOB, shop_id(1));
    c->wants_whole = true;
    cr_assert_eq(shop_run(s, c), STORE_OK);
    expect_whole(s, c, 2);
    store_call_free(c);
}

STORE_TEST(store_claims, a_job_with_many_blocks_or_bytes_is_returned_without_them)
{
    shop_ok(s, shop_new_job(s, shop_id(1), NULL));
    for (unsigned i = 0; i <= STORE_WHOLE_BLOCKS; i++)
        shop_ok(s, shop_block(s, shop_id(1), 0, BLOCK_ITEMS, i, 1, "1\n"));
    struct store_call *c = shop_acceptance(s, shop_id(1), "square", 5, STORE_WHOLE_BLOCKS + 1);
    c->job.item_blocks = STORE_WHOLE_BLOCKS + 1;
    shop_ok(s, c);
    shop_ok(s, shop_new_job(s, shop_id(2), NULL));
    c = shop_block(s, shop_id(2), 0, BLOCK_ITEMS, 0, 1, "");
    while (c->block.lines.len <= STORE_WHOLE_BYTES) buf_add_char(&c->block.lines, '1');
    buf_add_char(&c->block.lines, '\n');
    shop_ok(s, c);
    shop_ok(s, shop_acceptance(s, shop_id(2), "square", 5, 1));
    for (int i = 0; i < 2; i++) {
        c = claim_whole(s);
        expect_whole(s, c, 0);
        cr_assert_str_eq(c->error, "");
        store_call_free(c);
    }
}

STORE_TEST(store_claims, a_claim_says_whether_more_jobs_may_wait)
{
    shop_submit(s, shop_id(1), 0);
    shop_submit(s, shop_id(2), 0);
    struct store_call *c = claim_whole(s);
    cr_assert(c->more);
    store_call_free(c);
    c = claim_whole(s);
    cr_assert(!c->more || s->kind == SHOP_POSTGRES, "PostgreSQL does not look");
    store_call_free(c);
}
