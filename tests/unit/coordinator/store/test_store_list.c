/* The list of jobs in the store: filters, order and pages. The file also tests the figures of the store. */
#include "unit/coordinator/store/store_harness.h"

/* Runs the call, and compares the numbers of the listed ids with a text such as "5 3 1". `more`: whether there must be
 * more jobs. Frees the call. */
static void assert_list(struct shop *s, struct store_call *c, const char *wanted, bool more)
{
    struct buf got = {0};
    if (c->filter.limit == 0) c->filter.limit = STORE_LIST_MAX;
    cr_assert_eq(shop_run(s, c), STORE_OK, "%s", c->error);
    for (size_t i = 0; i < c->list_count; i++)
        buf_addf(&got, "%s%ld", i > 0 ? " " : "", strtol(c->list[i].id + 24, NULL, 10));
    cr_assert_str_eq(buf_cstr(&got), wanted);
    cr_assert_eq(c->more, more);
    buf_release(&got);
    store_call_free(c);
}

static struct store_call *list(struct shop *s)
{
    return shop_call(s, STORE_LIST_JOBS, NULL);
}

static void submit_labelled(struct shop *s, unsigned n, const char *task, const char *labels)
{
    shop_ok(s, shop_new_job(s, shop_id(n), NULL));
    struct store_call *c = shop_acceptance(s, shop_id(n), task, 0, 1);
    c->job.item_blocks = 0;
    c->job.labels = labels ? xstrdup(labels) : NULL;
    shop_ok(s, c);
}

STORE_TEST(store_list, jobs_are_listed_newest_first_and_by_filters)
{
    assert_list(s, list(s), "", false);
    submit_labelled(s, 1, "square", "[\"a\",\"b\"]");
    submit_labelled(s, 3, "square,sum", NULL);
    submit_labelled(s, 2, "sum", "[\"b\"]");
    submit_labelled(s, 4, "sums", "[\"ab\",\"\\u0063\"]");
    shop_ok(s, shop_new_job(s, shop_id(5), NULL));
    cr_assert_eq(shop_do(s, STORE_WANT_CANCEL, shop_id(3), 0), STORE_OK);
    char id[STORE_ID_SIZE];
    shop_claim(s, id);
    cr_assert_str_eq(id, shop_id(1));

    assert_list(s, list(s), "4 3 2 1", false);
    struct store_call *c = list(s);
    c->filter.with_state[STORED_PENDING] = c->filter.with_state[STORED_CANCELLED] = true;
    assert_list(s, c, "4 3 2", false);
    c = list(s);
    c->filter.with_state[STORED_RECEIVING] = true;
    assert_list(s, c, "5", false);
    c = list(s);
    c->filter.task = "sum";
    assert_list(s, c, "3 2", false);
    c = list(s);
    c->filter.label = "b";
    assert_list(s, c, "2 1", false);
    c = list(s);
    c->filter.label = "c";
    assert_list(s, c, "4", false);
    c = list(s);
    c->filter.label = "b";
    c->filter.task = "square";
    assert_list(s, c, "1", false);
    c = list(s);
    c->filter.created_before_ms = 1000;
    assert_list(s, c, "", false);
    c = list(s);
    c->filter.created_from_ms = 1000;
    assert_list(s, c, "4 3 2 1", false);
}

STORE_TEST(store_list, pages_follow_each_other_without_gaps)
{
    for (unsigned i = 1; i <= 7; i++) submit_labelled(s, i, "square", NULL);
    cr_assert_eq(shop_do(s, STORE_WANT_CANCEL, shop_id(4), 0), STORE_OK);
    struct store_call *c = list(s);
    c->filter.limit = 3;
    assert_list(s, c, "7 6 5", true);
    c = list(s);
    c->filter.limit = 3;
    snprintf(c->filter.below, STORE_ID_SIZE, "%s", shop_id(5));
    assert_list(s, c, "4 3 2", true);
    c = list(s);
    c->filter.limit = 3;
    snprintf(c->filter.below, STORE_ID_SIZE, "%s", shop_id(2));
    assert_list(s, c, "1", false);
    c = list(s);
    c->filter.limit = 7;
    assert_list(s, c, "7 6 5 4 3 2 1", false);
}

static struct store_stats read_stats(struct shop *s)
{
    struct store_call *c = shop_call(s, STORE_READ_STATS, NULL);
    cr_assert_eq(shop_run(s, c), STORE_OK, "%s", c->error);
    struct store_stats stats = c->stats;
    store_call_free(c);
    return stats;
}

STORE_TEST(store_list, pending_jobs_are_counted_and_only_those_that_never_ran_wait)
{
    cr_assert_eq(read_stats(s).pending, 0);
    cr_assert_eq(read_stats(s).waits_ms, 0);
    shop_ok(s, shop_new_job(s, shop_id(1), NULL));
    cr_assert_eq(read_stats(s).pending, 0, "the job is being received");
    shop_submit(s, shop_id(2), 0);
    shop_submit(s, shop_id(3), 0);
    cr_assert_eq(read_stats(s).pending, 2);
    while (read_stats(s).waits_ms < 2) usleep(1000);
    cr_assert_gt(read_stats(s).bytes, 0);

    uint64_t fence = shop_claim(s, NULL);
    cr_assert_eq(read_stats(s).pending, 1);
    cr_assert_eq(shop_do(s, STORE_HAND_BACK, shop_id(2), fence), STORE_OK);
    cr_assert_eq(shop_do(s, STORE_WANT_CANCEL, shop_id(3), 0), STORE_OK);
    cr_assert_eq(read_stats(s).pending, 1);
    cr_assert_eq(read_stats(s).waits_ms, 0, "the job has run already");
    cr_assert_eq(shop_do(s, STORE_REDRIVE, shop_id(3), 0), STORE_OK);
    cr_assert_eq(read_stats(s).pending, 2);
    cr_assert_eq(read_stats(s).waits_ms, 0, "the job was added long before it was redriven");
}

STORE_TEST(store_list, each_transaction_has_one_first_call)
{
    struct store_call *calls[20];
    for (unsigned i = 0; i < ARRAY_SIZE(calls); i++) calls[i] = shop_new_job(s, shop_id(i + 1), NULL);
    for (unsigned i = 0; i < ARRAY_SIZE(calls); i++) store_start(s->store, calls[i]);
    while (s->done < ARRAY_SIZE(calls)) uv_run(&s->loop, UV_RUN_ONCE);
    cr_assert(calls[0]->is_first_of_commit);
    for (unsigned i = 0; i < ARRAY_SIZE(calls); i++) store_call_free(calls[i]);
    struct store_call *read = shop_read(s, shop_id(1));
    cr_assert_not(read->is_first_of_commit, "a reading call commits nothing");
    store_call_free(read);
    struct store_call *one = shop_new_job(s, shop_id(30), NULL);
    cr_assert_eq(shop_run(s, one), STORE_OK);
    cr_assert(one->is_first_of_commit);
    store_call_free(one);
}
