/* The result of a job whose values are reduced. */
#include "unit/coordinator/store/store_harness.h"

static void assert_result(struct shop *s, const char *id, const char *wanted)
{
    struct store_call *c = shop_read(s, id);
    cr_assert_eq(c->status, STORE_OK, "%s", c->error);
    if (wanted)
        cr_assert_str_eq(c->found.result, wanted);
    else
        cr_assert_null(c->found.result, "%s", c->found.result);
    cr_assert_not_null(c->found.options);
    store_call_free(c);
}

static void end_with(struct shop *s, const char *id, enum stored_state state, uint64_t succeeded, const char *result)
{
    uint64_t fence = shop_claim(s, NULL);
    struct store_call *c = shop_ending(s, id, fence, state, (struct stored_counts){.succeeded = succeeded});
    c->job.result = result ? xstrdup(result) : NULL;
    shop_ok(s, c);
}

STORE_TEST(store_results, a_result_is_kept_until_the_job_is_redriven)
{
    const char *id = shop_id(1);
    shop_submit(s, id, 0);
    assert_result(s, id, NULL);
    end_with(s, id, STORED_PARTIAL, 1, "[1,\"\\u0000\u00e9\"]");
    assert_result(s, id, "[1,\"\\u0000\u00e9\"]");
    cr_assert_eq(shop_do(s, STORE_REDRIVE, id, 0), STORE_OK);
    assert_result(s, id, NULL);
    end_with(s, id, STORED_SUCCEEDED, 2, "7");
    assert_result(s, id, "7");
    cr_assert_eq(shop_do(s, STORE_REDRIVE, id, 0), STORE_OK, "the job has only values, so it stays as it is");
    assert_result(s, id, "7");
}

STORE_TEST(store_results, a_job_need_not_have_one)
{
    shop_submit(s, shop_id(1), 0);
    end_with(s, shop_id(1), STORED_SUCCEEDED, 2, NULL);
    assert_result(s, shop_id(1), NULL);
}
