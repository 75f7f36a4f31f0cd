/* Notices: when a job has ended, its end must be POSTed to a URL. */
#include "unit/coordinator/store/store_harness.h"

static void submit_with_notify(struct shop *s, const char *id)
{
    shop_ok(s, shop_new_job(s, id, NULL));
    shop_ok(s, shop_block(s, id, 0, BLOCK_ITEMS, 0, 2, "1\n2\n"));
    struct store_call *c = shop_acceptance(s, id, "square", 0, 2);
    c->job.notify = xstrdup("https://a.example/hook");
    shop_ok(s, c);
}

/* Takes a notice that is due; the caller frees the call. */
static struct store_call *take(struct shop *s, uint64_t lease_ms)
{
    struct store_call *c = shop_call(s, STORE_TAKE_NOTICE, NULL);
    c->lease_ms = lease_ms;
    shop_run(s, c);
    return c;
}

static void assert_none_is_due(struct shop *s)
{
    struct store_call *c = take(s, 0);
    cr_assert_eq(c->status, STORE_NOT_FOUND, "%s", c->notice.id);
    store_call_free(c);
}

static enum store_status settle(struct shop *s, enum store_op op, const char *id, unsigned attempts)
{
    struct store_call *c = shop_call(s, op, NULL);
    snprintf(c->notice_id, sizeof c->notice_id, "%s", id);
    c->attempts = attempts;
    enum store_status status = shop_run(s, c);
    store_call_free(c);
    return status;
}

/* Checks that the notice of the job is the only one that is due, and removes it. */
static void assert_notice(struct shop *s, const char *job, unsigned redrives, enum stored_state state)
{
    char id[STORE_NOTICE_SIZE];
    snprintf(id, sizeof id, "%s_%u", job, redrives);
    struct store_call *c = take(s, 60000);
    cr_assert_eq(c->status, STORE_OK, "%s", c->error);
    cr_assert_str_eq(c->notice.id, id);
    cr_assert_str_eq(c->notice.job, job);
    cr_assert_eq(c->notice.state, state);
    store_call_free(c);
    cr_assert_eq(settle(s, STORE_REMOVE_NOTICE, id, 1), STORE_OK);
    assert_none_is_due(s);
}

STORE_TEST(store_notices, the_end_of_a_job_is_taken_until_it_is_removed)
{
    const char *id = shop_id(1);
    submit_with_notify(s, id);
    assert_none_is_due(s);
    uint64_t fence = shop_claim(s, NULL);
    assert_none_is_due(s);
    struct stored_counts counts = {.succeeded = 1, .failed = 1, .retried = 3, .hedged = 4};
    shop_ok(s, shop_ending(s, id, fence, STORED_PARTIAL, counts));
    cr_assert_eq(shop_do(s, STORE_REMOVE, id, 0), STORE_OK, "the notice outlives its job");

    struct store_call *first = take(s, 0);
    cr_assert_eq(first->status, STORE_OK, "%s", first->error);
    const struct stored_notice *n = &first->notice;
    cr_assert_str_eq(n->url, "https://a.example/hook");
    cr_assert_str_eq(n->job, id);
    cr_assert_eq(n->state, STORED_PARTIAL);
    cr_assert_eq(n->items, 2);
    cr_assert_eq(memcmp(&n->counts, &counts, sizeof counts), 0);
    cr_assert_gt(n->ended_ms, 0);
    cr_assert_eq(n->attempts, 1);

    struct store_call *second = take(s, 60000);
    cr_assert_eq(second->status, STORE_OK, "the lease of the notice has expired");
    cr_assert_str_eq(second->notice.id, n->id);
    cr_assert_eq(second->notice.attempts, 2);
    assert_none_is_due(s);
    cr_assert_eq(settle(s, STORE_DELAY_NOTICE, n->id, 1), STORE_NOT_FOUND, "the notice was taken again");
    cr_assert_eq(settle(s, STORE_REMOVE_NOTICE, n->id, 1), STORE_NOT_FOUND);
    cr_assert_eq(settle(s, STORE_DELAY_NOTICE, n->id, 2), STORE_OK);
    store_call_free(second);
    second = take(s, 60000);
    cr_assert_eq(second->notice.attempts, 3, "the notice was due at once");
    cr_assert_eq(settle(s, STORE_REMOVE_NOTICE, n->id, 3), STORE_OK);
    cr_assert_eq(settle(s, STORE_REMOVE_NOTICE, n->id, 3), STORE_NOT_FOUND);
    store_call_free(second);
    store_call_free(first);
}

STORE_TEST(store_notices, each_end_of_a_job_has_one)
{
    const char *id = shop_id(1);
    submit_with_notify(s, id);
    cr_assert_eq(shop_do(s, STORE_WANT_CANCEL, id, 0), STORE_OK);
    assert_notice(s, id, 0, STORED_CANCELLED);
    cr_assert_eq(shop_do(s, STORE_REDRIVE, id, 0), STORE_OK);
    assert_none_is_due(s);
    uint64_t fence = shop_claim(s, NULL);
    shop_ok(s, shop_ending(s, id, fence, STORED_SUCCEEDED, (struct stored_counts){.succeeded = 2}));
    assert_notice(s, id, 1, STORED_SUCCEEDED);
}

static void assert_delivery(struct shop *s, const char *job, bool is_open, unsigned attempts, const char *failure,
                            bool has_ended)
{
    struct store_call *c = shop_call(s, STORE_READ_JOB, job);
    cr_assert_eq(shop_run(s, c), STORE_OK, "%s", c->error);
    const struct stored_delivery *d = &c->found.delivery;
    cr_assert_str_eq(c->found.notify, "https://a.example/hook");
    cr_assert_eq(d->is_open, is_open);
    cr_assert_eq(d->attempts, attempts);
    cr_assert_eq(d->ended_ms > 0, has_ended);
    cr_assert_eq(!d->failure, !failure);
    if (failure) cr_assert_str_eq(d->failure, failure);
    store_call_free(c);
}

/* Takes the notice of the job and settles this notice. If `failure` is "", the notice was delivered. */
static void attempt(struct shop *s, enum store_op op, const char *failure)
{
    struct store_call *taken = take(s, 60000), *c = shop_call(s, op, NULL);
    cr_assert_eq(taken->status, STORE_OK, "%s", taken->error);
    memcpy(c->notice_id, taken->notice.id, sizeof c->notice_id);
    c->attempts = taken->notice.attempts;
    snprintf(c->notice_failure, sizeof c->notice_failure, "%s", failure);
    store_call_free(taken);
    cr_assert_eq(shop_run(s, c), STORE_OK, "%s", c->error);
    store_call_free(c);
}

STORE_TEST(store_notices, a_job_keeps_the_outcome_of_its_last_notice)
{
    const char *id = shop_id(1);
    submit_with_notify(s, id);
    assert_delivery(s, id, false, 0, NULL, false);
    cr_assert_eq(shop_do(s, STORE_WANT_CANCEL, id, 0), STORE_OK);
    assert_delivery(s, id, true, 0, NULL, false);
    attempt(s, STORE_DELAY_NOTICE, "no answer");
    assert_delivery(s, id, true, 1, "no answer", false);
    attempt(s, STORE_REMOVE_NOTICE, "");
    assert_delivery(s, id, false, 2, NULL, true);
    cr_assert_eq(shop_do(s, STORE_REDRIVE, id, 0), STORE_OK);
    assert_delivery(s, id, false, 0, NULL, false);
    cr_assert_eq(shop_do(s, STORE_WANT_CANCEL, id, 0), STORE_OK);
    attempt(s, STORE_REMOVE_NOTICE, "given up");
    assert_delivery(s, id, false, 1, "given up", true);
}

STORE_TEST(store_notices, the_notice_of_an_earlier_end_does_not_change_the_job)
{
    const char *id = shop_id(1);
    submit_with_notify(s, id);
    cr_assert_eq(shop_do(s, STORE_WANT_CANCEL, id, 0), STORE_OK);
    cr_assert_eq(shop_do(s, STORE_REDRIVE, id, 0), STORE_OK);
    attempt(s, STORE_REMOVE_NOTICE, "given up");
    assert_delivery(s, id, false, 0, NULL, false);
}

STORE_TEST(store_notices, a_job_without_a_url_has_none)
{
    shop_partial(s, shop_id(1));
    assert_none_is_due(s);
}

STORE_TEST(store_notices, they_outlive_a_restart)
{
    submit_with_notify(s, shop_id(1));
    uint64_t fence = shop_claim(s, NULL);
    shop_ok(s, shop_ending(s, shop_id(1), fence, STORED_FAILED, (struct stored_counts){0}));
    shop_reopen(s);
    assert_notice(s, shop_id(1), 0, STORED_FAILED);
}

/* Adds a job that a newer fantail has accepted. */
static void submit_with_needs(struct shop *s, const char *id, int priority, unsigned needs)
{
    shop_ok(s, shop_new_job(s, id, NULL));
    shop_ok(s, shop_block(s, id, 0, BLOCK_ITEMS, 0, 2, "1\n2\n"));
    struct store_call *c = shop_acceptance(s, id, "square", priority, 2);
    c->job.needs = needs;
    shop_ok(s, c);
}

static enum store_status claim(struct shop *s, unsigned knows, uint64_t lease_ms, char id[STORE_ID_SIZE])
{
    struct store_call *c = shop_call(s, STORE_CLAIM, NULL);
    c->holder = "test";
    c->lease_ms = lease_ms;
    c->knows = knows;
    enum store_status status = shop_run(s, c);
    snprintf(id, STORE_ID_SIZE, "%s", c->found.id);
    store_call_free(c);
    return status;
}

STORE_TEST(store_needs, a_job_that_needs_more_is_passed_over)
{
    char id[STORE_ID_SIZE];
    submit_with_needs(s, shop_id(1), 9, 2);
    submit_with_needs(s, shop_id(2), 0, 1);
    cr_assert_eq(claim(s, 1, 3600000, id), STORE_OK);
    cr_assert_str_eq(id, shop_id(2));
    cr_assert_eq(claim(s, 1, 3600000, id), STORE_NOT_FOUND);
    cr_assert_eq(claim(s, 2, 0, id), STORE_OK);
    cr_assert_str_eq(id, shop_id(1));
    cr_assert_eq(claim(s, 1, 3600000, id), STORE_NOT_FOUND, "the job is not claimed, even if its lease has expired");
    cr_assert_eq(claim(s, 2, 3600000, id), STORE_OK);
}
