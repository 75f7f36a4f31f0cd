/* Several coordinators with one database: which coordinator claims a job depends on what each coordinator has told the
 * database. */
#include "unit/coordinator/store/store_harness.h"

/* Three coordinators. */
struct trio {
    struct shop a, b, c;
};

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

static void trio_start(struct trio *t)
{
    shop_init_postgres(&t->a);
    shop_open(&t->a);
    open_another(&t->b, &t->a);
    open_another(&t->c, &t->a);
}

static void trio_over(struct trio *t)
{
    close_another(&t->c);
    close_another(&t->b);
    shop_release(&t->a);
    assert_no_leaks();
}

static bool claims_with(struct shop *s, const char *serves, const char *opens, bool others)
{
    struct store_call *c = shop_call(s, STORE_CLAIM, NULL);
    c->holder = "test";
    c->lease_ms = 3600000;
    c->serves = xstrdup(serves);
    c->opens = xstrdup(opens);
    c->others = others;
    c->knows = 1;
    enum store_status status = shop_run(s, c);
    cr_assert(status == STORE_OK || status == STORE_NOT_FOUND, "%s", c->error);
    store_call_free(c);
    return status == STORE_OK;
}

static bool claims(struct shop *s, const char *serves, const char *opens)
{
    return claims_with(s, serves, opens, true);
}

static bool claims_only(struct shop *s, const char *serves, const char *opens)
{
    return claims_with(s, serves, opens, false);
}

static void tell_as(struct shop *s, const char *serves, const char *opens, unsigned knows)
{
    struct store_call *c = shop_call(s, STORE_CLAIM, NULL);
    c->knows = knows;
    c->serves = xstrdup(serves);
    c->opens = xstrdup(opens);
    c->only_announces = true;
    cr_assert_eq(shop_run(s, c), STORE_NOT_FOUND, "%s", c->error);
    store_call_free(c);
}

static void tell(struct shop *s, const char *serves, const char *opens)
{
    tell_as(s, serves, opens, 1);
}

/* Returns whether the coordinator that runs the job learns that another coordinator should run it. */
static bool is_wanted(struct shop *s, uint64_t fence, enum store_yield to)
{
    struct store_call *c = shop_call(s, STORE_RENEW, shop_id(1));
    c->job.fence = fence;
    c->lease_ms = 3600000;
    c->yields = to;
    cr_assert_eq(shop_run(s, c), STORE_OK, "%s", c->error);
    bool wanted = c->wanted_elsewhere;
    store_call_free(c);
    return wanted;
}

#define TASK "[\"square\"]"

Test(postgres_claims, a_coordinator_with_workers_gets_the_job)
{
    struct trio t;
    trio_start(&t);
    shop_submit(&t.a, shop_id(1), 0);
    tell(&t.b, TASK, "[]");
    cr_assert_not(claims(&t.a, "[\"cube\"]", "[\"cube\"]"), "a busy coordinator has the task");
    cr_assert(claims(&t.b, TASK, "[]"), "no coordinator has slots left");
    cr_assert_not(is_wanted(&t.b, 1, YIELD_TO_OPEN));
    cr_assert_not(is_wanted(&t.b, 1, YIELD_TO_SERVING));
    tell(&t.c, TASK, TASK);
    cr_assert(is_wanted(&t.b, 1, YIELD_TO_OPEN));
    cr_assert_not(is_wanted(&t.b, 1, YIELD_NO));
    cr_assert_eq(shop_do(&t.b, STORE_HAND_BACK, shop_id(1), 1), STORE_OK);
    cr_assert_not(claims(&t.b, TASK, "[]"), "another coordinator has slots left");
    cr_assert(claims(&t.c, TASK, TASK));
    trio_over(&t);
}

Test(postgres_claims, a_job_without_workers_waits_at_one_coordinator_until_another_has_them)
{
    struct trio t;
    trio_start(&t);
    shop_submit(&t.a, shop_id(1), 0);
    cr_assert(claims(&t.a, "[]", "[]"));
    cr_assert_not(is_wanted(&t.a, 1, YIELD_TO_SERVING));
    tell(&t.b, "[\"square\",\"cube\"]", "[]");
    cr_assert(is_wanted(&t.a, 1, YIELD_TO_SERVING));
    tell(&t.b, "[\"square\",\"!square\"]", "[]");
    cr_assert_not(is_wanted(&t.a, 1, YIELD_TO_SERVING), "it says that it cannot run the job");
    trio_over(&t);
}

static long rows_read(const struct shop *s)
{
    return shop_sql(s->url,
                    "SELECT coalesce(sum(idx_tup_read), 0) + coalesce(max(t.seq_tup_read), 0)"
                    " FROM pg_stat_user_tables AS t JOIN pg_stat_user_indexes AS i USING (relid)"
                    " WHERE t.schemaname = 'fantail' AND t.relname = 'job'",
                    "", "");
}

/* A claim does not read the jobs that it must not take. A job that must not be taken waits for a task that no worker
 * has, or for a coordinator that has slots left. */
Test(postgres_claims, a_claim_does_not_read_the_many_jobs_that_it_must_leave)
{
    struct shop s, other;
    shop_init_postgres(&s);
    shop_open(&s);
    open_another(&other, &s);
    tell(&other, "[\"other0\"]", "[\"other0\"]");
    shop_sql(s.url,
             "INSERT INTO fantail.job (id, state, task, priority, items, created_ms)"
             " SELECT '00000000-0000-7000-8000-' || lpad(n::text, 12, '0'), 'pending', 'other' || n % 3, 1, 2, 1"
             " FROM generate_series(1, 20000) AS n",
             "", "");
    shop_submit(&s, shop_id(1), 0);
    /* A server process reports its reads only when it ends. */
    shop_reopen(&s);
    long before = rows_read(&s);
    cr_assert(claims_only(&s, "[\"square\",\"other0\"]", "[\"square\"]"));
    cr_assert_not(claims_only(&s, "[\"square\",\"other0\"]", "[\"square\"]"));
    shop_close(&s);
    long read = rows_read(&s) - before;
    cr_assert_lt(read, 2000, "%ld rows", read);
    close_another(&other);
    shop_release(&s);
    assert_no_leaks();
}

Test(postgres_claims, a_coordinator_that_is_silent_keeps_no_job_from_others)
{
    struct trio t;
    trio_start(&t);
    shop_submit(&t.a, shop_id(1), 0);
    tell(&t.b, TASK, TASK);
    cr_assert_not(claims(&t.a, TASK, "[]"));
    cr_assert_not(claims(&t.a, "[]", "[]"));
    shop_sql(t.a.url, "UPDATE fantail.coordinator SET seen_ms = seen_ms - 11000 WHERE serves <> '[]'", "", "");
    cr_assert(claims(&t.a, "[]", "[]"));
    trio_over(&t);
}

/* While a fleet is being updated, the coordinators of the older version must not claim all jobs. */
Test(postgres_claims, a_coordinator_keeps_no_job_from_others_that_it_must_not_claim)
{
    struct trio t;
    trio_start(&t);
    shop_ok(&t.a, shop_new_job(&t.a, shop_id(1), NULL));
    shop_ok(&t.a, shop_block(&t.a, shop_id(1), 0, BLOCK_ITEMS, 0, 2, "1\n2\n"));
    struct store_call *c = shop_acceptance(&t.a, shop_id(1), "square", 0, 2);
    c->job.needs = 1;
    shop_ok(&t.a, c);
    tell_as(&t.b, TASK, TASK, 0);
    cr_assert(claims(&t.a, TASK, "[]"), "the coordinator with slots left does not know the options of the job");
    cr_assert_not(is_wanted(&t.a, 1, YIELD_TO_OPEN));
    cr_assert_not(is_wanted(&t.a, 1, YIELD_TO_SERVING));
    cr_assert_eq(shop_do(&t.a, STORE_HAND_BACK, shop_id(1), 1), STORE_OK);
    cr_assert(claims(&t.a, "[]", "[]"), "the coordinator with the task does not know the options of the job");
    tell_as(&t.b, TASK, TASK, 1);
    cr_assert(is_wanted(&t.a, 2, YIELD_TO_SERVING), "the coordinator was updated");
    trio_over(&t);
}
