/* A coordinator claims only jobs that its workers can run, or that no coordinator can run. */
#include "unit/coordinator/store/store_harness.h"

static void submit_tasks(struct shop *s, unsigned n, const char *tasks, int priority)
{
    shop_ok(s, shop_new_job(s, shop_id(n), NULL));
    shop_ok(s, shop_block(s, shop_id(n), 0, BLOCK_ITEMS, 0, 2, "1\n2\n"));
    shop_ok(s, shop_acceptance(s, shop_id(n), tasks, priority, 2));
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

/* Claims a job. Returns its number; 0: there is none to claim. */
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
    c->only_tells = true;
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
