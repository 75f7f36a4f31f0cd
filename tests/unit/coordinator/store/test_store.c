/* The life of a job in the store, from ADD_JOB to REMOVE. */
#include "common/json/json_walk.h"
#include "unit/coordinator/store/store_harness.h"

STORE_TEST(store, a_job_goes_its_whole_way)
{
    char id[STORE_ID_SIZE];
    struct store_call *c = shop_new_job(s, shop_id(1), NULL);
    c->job.task = xstrdup("first");
    shop_ok(s, c);
    cr_assert_eq(shop_state(s, shop_id(1)), STORED_RECEIVING);
    shop_ok(s, shop_block(s, shop_id(1), 0, BLOCK_ITEMS, 0, 2, "1\n2\n"));
    c = shop_acceptance(s, shop_id(1), "square,sum", 3, 2);
    c->job.labels = xstrdup("[\"a\"]");
    shop_ok(s, c);
    cr_assert_eq(shop_state(s, shop_id(1)), STORED_PENDING);

    uint64_t fence = shop_claim(s, id);
    cr_assert_eq(fence, 1);
    cr_assert_str_eq(id, shop_id(1));
    cr_assert_eq(shop_claim(s, NULL), 0, "nothing else waits");

    c = shop_block(s, id, fence, BLOCK_VALUES, 0, 2, "{\"value\":1}\n{\"value\":4}\n");
    c->job.counts = (struct stored_counts){.succeeded = 2};
    cr_assert_eq(shop_run(s, c), STORE_OK);
    cr_assert_eq(c->block.number, 2, "the store gives a number");
    store_call_free(c);
    c = shop_read(s, id);
    cr_assert_eq(c->found.counts.succeeded, 2);
    cr_assert_eq(c->found.state, STORED_RUNNING);
    cr_assert_gt(c->found.started_ms, 0);
    cr_assert_eq(c->found.ended_ms, 0);
    store_call_free(c);
    shop_ok(s, shop_ending(s, id, fence, STORED_SUCCEEDED, (struct stored_counts){.succeeded = 2}));

    c = shop_read(s, id);
    cr_assert_eq(c->found.state, STORED_SUCCEEDED);
    cr_assert_str_eq(c->found.task, "square,sum");
    cr_assert_str_eq(c->found.labels, "[\"a\"]");
    cr_assert_str_eq(c->found.options, "{\"task\":\"square\"}");
    cr_assert_eq(c->found.priority, 3);
    cr_assert_eq(c->found.items, 2);
    cr_assert_geq(c->found.ended_ms, c->found.started_ms);
    cr_assert_geq(c->found.started_ms, c->found.created_ms);
    cr_assert_null(c->found.errors);
    store_call_free(c);

    cr_assert_eq(shop_do(s, STORE_REMOVE, id, 0), STORE_OK);
    cr_assert_eq(shop_do(s, STORE_READ_JOB, id, 0), STORE_NOT_FOUND);
    cr_assert_eq(shop_do(s, STORE_READ_RANGES, id, 0), STORE_NOT_FOUND);
    cr_assert_eq(shop_do(s, STORE_REMOVE, id, 0), STORE_NOT_FOUND);
}

STORE_TEST(store, only_a_job_that_is_being_received_is_discarded)
{
    const char *id = shop_id(1);
    shop_ok(s, shop_new_job(s, id, "k1"));
    shop_ok(s, shop_block(s, id, 0, BLOCK_ITEMS, 0, 1, "1\n"));
    cr_assert_eq(shop_do(s, STORE_REMOVE, id, 0), STORE_CONFLICT, "the job has not ended");
    cr_assert_eq(shop_do(s, STORE_DISCARD, id, 0), STORE_OK);
    cr_assert_eq(shop_do(s, STORE_DISCARD, id, 0), STORE_NOT_FOUND);
    shop_ok(s, shop_new_job(s, id, "k1"));
    shop_ok(s, shop_block(s, id, 0, BLOCK_ITEMS, 0, 1, "1\n"));
    shop_ok(s, shop_acceptance(s, id, "square", 0, 1));
    struct store_call *c = shop_call(s, STORE_DISCARD, id);
    cr_assert_eq(shop_run(s, c), STORE_CONFLICT);
    cr_assert_eq(c->found.state, STORED_PENDING);
    store_call_free(c);
    uint64_t fence = shop_claim(s, NULL);
    shop_ok(s, shop_ending(s, id, fence, STORED_SUCCEEDED, (struct stored_counts){0}));
    cr_assert_eq(shop_do(s, STORE_DISCARD, id, 0), STORE_CONFLICT, "the job has ended");
    cr_assert_eq(shop_state(s, id), STORED_SUCCEEDED);
}

STORE_TEST(store, a_key_is_used_once)
{
    shop_ok(s, shop_new_job(s, shop_id(1), "key"));
    struct store_call *c = shop_new_job(s, shop_id(2), "key");
    cr_assert_eq(shop_run(s, c), STORE_EXISTS);
    cr_assert_str_eq(c->found.id, shop_id(1));
    cr_assert_str_eq(c->found.key_digest, "digest");
    store_call_free(c);
    cr_assert_eq(shop_do(s, STORE_READ_JOB, shop_id(2), 0), STORE_NOT_FOUND);
    shop_ok(s, shop_new_job(s, shop_id(2), NULL));
    shop_ok(s, shop_new_job(s, shop_id(3), NULL));
    c = shop_new_job(s, shop_id(3), NULL);
    cr_assert_eq(shop_run(s, c), STORE_CONFLICT, "the id exists");
    store_call_free(c);
    cr_assert_eq(shop_do(s, STORE_DISCARD, shop_id(1), 0), STORE_OK);
    shop_ok(s, shop_new_job(s, shop_id(4), "key"));
}

STORE_TEST(store, what_does_not_fit_the_state_is_a_conflict)
{
    const char *id = shop_id(1);
    shop_submit(s, id, 0);
    struct store_call *c = shop_acceptance(s, id, "square", 0, 2);
    cr_assert_eq(shop_run(s, c), STORE_CONFLICT);
    cr_assert_eq(c->found.state, STORED_PENDING);
    cr_assert(strstr(c->error, "is pending, and not receiving"), "%s", c->error);
    store_call_free(c);
    c = shop_block(s, id, 0, BLOCK_ITEMS, 2, 1, "3\n");
    cr_assert_eq(shop_run(s, c), STORE_CONFLICT);
    store_call_free(c);
    c = shop_block(s, id, 0, BLOCK_VALUES, 0, 1, "{\"value\":1}\n");
    cr_assert_eq(shop_run(s, c), STORE_CONFLICT);
    store_call_free(c);
    cr_assert_eq(shop_do(s, STORE_REMOVE, id, 0), STORE_CONFLICT);
    cr_assert_eq(shop_do(s, STORE_REDRIVE, id, 0), STORE_CONFLICT);
    cr_assert_eq(shop_do(s, STORE_HAND_BACK, id, 0), STORE_CONFLICT);
    uint64_t fence = shop_claim(s, NULL);
    cr_assert_eq(shop_do(s, STORE_REMOVE, id, 0), STORE_CONFLICT, "the job runs");
    shop_ok(s, shop_ending(s, id, fence, STORED_SUCCEEDED, (struct stored_counts){.succeeded = 2}));
    c = shop_ending(s, id, fence, STORED_FAILED, (struct stored_counts){0});
    cr_assert_eq(shop_run(s, c), STORE_CONFLICT, "the job has ended");
    store_call_free(c);
    cr_assert_eq(shop_do(s, STORE_WANT_CANCEL, id, 0), STORE_CONFLICT);
    cr_assert_eq(shop_do(s, STORE_REDRIVE, id, 0), STORE_OK);
    cr_assert_eq(shop_state(s, id), STORED_SUCCEEDED, "nothing failed");
    cr_assert_eq(shop_state(s, id), STORED_SUCCEEDED);
    for (unsigned op = STORE_ACCEPT; op <= STORE_READ_BLOCK; op++) {
        bool needs_no_job = op == STORE_CLAIM || op == STORE_SWEEP || op == STORE_LIST_JOBS || op == STORE_END;
        if (!needs_no_job) cr_assert_eq(shop_do(s, (enum store_op)op, shop_id(9), 0), STORE_NOT_FOUND, "%u", op);
    }
}

STORE_TEST(store, a_lease_that_has_ended_changes_nothing)
{
    const char *id = shop_id(1);
    shop_submit(s, id, 0);
    cr_assert_eq(shop_claim_for(s, NULL, 0), 1, "the claim gets a lease that ends at once");
    cr_assert_eq(shop_claim(s, NULL), 2, "another coordinator gets the job");
    cr_assert_eq(shop_claim(s, NULL), 0);
    struct store_call *c = shop_block(s, id, 1, BLOCK_VALUES, 0, 1, "{\"value\":1}\n");
    c->job.counts.succeeded = 1;
    cr_assert_eq(shop_run(s, c), STORE_FENCED);
    store_call_free(c);
    c = shop_ending(s, id, 1, STORED_FAILED, (struct stored_counts){0});
    cr_assert_eq(shop_run(s, c), STORE_FENCED);
    store_call_free(c);
    cr_assert_eq(shop_do(s, STORE_RENEW, id, 1), STORE_FENCED);
    cr_assert_eq(shop_do(s, STORE_HAND_BACK, id, 1), STORE_FENCED);
    c = shop_read(s, id);
    cr_assert_eq(c->found.counts.succeeded, 0);
    cr_assert_eq(c->found.state, STORED_RUNNING);
    store_call_free(c);
    cr_assert_eq(shop_do(s, STORE_HAND_BACK, id, 2), STORE_OK);
    cr_assert_eq(shop_state(s, id), STORED_PENDING);
    cr_assert_eq(shop_do(s, STORE_RENEW, id, 2), STORE_CONFLICT);
    cr_assert_eq(shop_claim_for(s, NULL, 0), 3);
    c = shop_call(s, STORE_RENEW, id);
    c->job.fence = 3;
    c->lease_ms = 3600000;
    cr_assert_eq(shop_run(s, c), STORE_OK);
    cr_assert_not(c->found.cancel_wanted);
    store_call_free(c);
    cr_assert_eq(shop_claim(s, NULL), 0, "the lease was renewed");
}

STORE_TEST(store, claims_go_by_priority_and_then_by_age)
{
    char id[STORE_ID_SIZE];
    shop_submit(s, shop_id(2), 0);
    shop_submit(s, shop_id(1), 0);
    shop_submit(s, shop_id(3), 5);
    shop_submit(s, shop_id(4), -5);
    shop_submit(s, shop_id(5), 5);
    static const unsigned order[] = {3, 5, 1, 2, 4};
    for (unsigned i = 0; i < ARRAY_SIZE(order); i++) {
        cr_assert_eq(shop_claim(s, id), 1);
        cr_assert_str_eq(id, shop_id(order[i]));
    }
    cr_assert_eq(shop_claim(s, id), 0);
}

STORE_TEST(store, a_pending_job_is_cancelled_at_once_and_a_running_one_is_asked_to)
{
    shop_submit(s, shop_id(1), 0);
    struct store_call *c = shop_call(s, STORE_WANT_CANCEL, shop_id(1));
    c->job.reason = xstrdup("a client asked for it");
    cr_assert_eq(shop_run(s, c), STORE_OK);
    cr_assert_eq(c->found.state, STORED_CANCELLED);
    cr_assert_eq(c->found.counts.cancelled, 2);
    cr_assert_gt(c->found.ended_ms, 0);
    cr_assert_str_eq(c->found.reason, "a client asked for it");
    store_call_free(c);
    cr_assert_eq(shop_claim(s, NULL), 0);

    shop_submit(s, shop_id(2), 0);
    uint64_t fence = shop_claim(s, NULL);
    c = shop_call(s, STORE_WANT_CANCEL, shop_id(2));
    cr_assert_eq(shop_run(s, c), STORE_OK);
    cr_assert_eq(c->found.state, STORED_RUNNING);
    store_call_free(c);
    c = shop_call(s, STORE_RENEW, shop_id(2));
    c->job.fence = fence;
    cr_assert_eq(shop_run(s, c), STORE_OK);
    cr_assert(c->found.cancel_wanted);
    store_call_free(c);
}

/* Returns the count of this error in the object `errors`; 0: the object has no such member. */
static uint64_t error_count(const char *errors, const char *error)
{
    struct json_walk walk;
    struct json_slice name, value;
    cr_assert(errors && json_walk_init(&walk, errors, strlen(errors)), "%s", errors);
    while (json_walk_next(&walk, &name, &value))
        if (json_string_is(name, error)) return strtoull(value.data, NULL, 10);
    return 0;
}

/* Cancels a job, and expects that its errors have the count `failed` for "crashed" and the count `cancelled` for
 * "cancelled". */
static void expect_cancelled_errors(struct shop *s, const char *id, unsigned failed, unsigned cancelled)
{
    struct store_call *c = shop_call(s, STORE_WANT_CANCEL, id);
    cr_assert_eq(shop_run(s, c), STORE_OK);
    cr_assert_eq(c->found.state, STORED_CANCELLED);
    cr_assert_eq(c->found.counts.cancelled, cancelled);
    cr_assert_eq(error_count(c->found.errors, "crashed"), failed, "%s", c->found.errors);
    cr_assert_eq(error_count(c->found.errors, "cancelled"), cancelled, "%s", c->found.errors);
    store_call_free(c);
}

STORE_TEST(store, the_errors_of_a_job_cancelled_while_it_is_pending_include_its_cancelled_items)
{
    shop_submit(s, shop_id(1), 0);
    expect_cancelled_errors(s, shop_id(1), 0, 2);
    cr_assert_eq(shop_do(s, STORE_REDRIVE, shop_id(1), 0), STORE_OK);
    expect_cancelled_errors(s, shop_id(1), 0, 2);
    for (unsigned failed = 1; failed <= 2; failed++) {
        const char *id = shop_id(failed + 1);
        shop_submit(s, id, 0);
        uint64_t fence = shop_claim(s, NULL);
        struct store_call *c = shop_block(s, id, fence, BLOCK_ERRORS, 0, failed, "{\"error\":{}}\n");
        c->job.counts.failed = failed;
        c->job.errors = xstrdup(failed == 1 ? "{\"crashed\":1}" : "{\"crashed\":2}");
        shop_ok(s, c);
        cr_assert_eq(shop_do(s, STORE_HAND_BACK, id, fence), STORE_OK);
        expect_cancelled_errors(s, id, failed, 2 - failed);
    }
}

static enum store_status change(struct shop *s, const char *id, const char *changes, struct stored_job *found)
{
    struct store_call *c = shop_call(s, STORE_CHANGE, id);
    c->job.changes = xstrdup(changes);
    enum store_status status = shop_run(s, c);
    if (found) stored_job_copy(found, &c->found);
    store_call_free(c);
    return status;
}

/* Checks that the changes of the job contain both texts. Spaces in the changes are ignored. */
static void assert_changes(const struct stored_job *j, const char *one, const char *other)
{
    struct buf text = {0};
    cr_assert_not_null(j->changes);
    for (const char *at = j->changes; *at; at++)
        if (*at != ' ') buf_add_char(&text, *at);
    cr_assert(strstr(buf_cstr(&text), one), "%s", buf_cstr(&text));
    cr_assert(strstr(buf_cstr(&text), other), "%s", buf_cstr(&text));
    buf_release(&text);
}

STORE_TEST(store, changes_are_merged_and_every_reader_of_the_job_has_them)
{
    const char *id = shop_id(1);
    struct stored_job found = {0};
    shop_submit(s, id, 3);
    for (int again = 0; again < 2; again++) {
        cr_assert_eq(change(s, id, "{\"deadline_s\":1.5,\"priority\":7}", &found), STORE_OK);
        assert_changes(&found, "\"deadline_s\":1.5", "\"priority\":7");
        cr_assert_eq(found.priority, 7);
        cr_assert_not_null(found.options);
        stored_job_release(&found);
    }
    uint64_t fence = shop_claim(s, NULL);
    cr_assert_eq(change(s, id, "{\"deadline_s\":0}", NULL), STORE_OK);
    static const enum store_op readers[] = {STORE_RENEW, STORE_READ_JOB};
    for (size_t i = 0; i < ARRAY_SIZE(readers); i++) {
        struct store_call *c = shop_call(s, readers[i], id);
        c->job.fence = fence;
        cr_assert_eq(shop_run(s, c), STORE_OK);
        assert_changes(&c->found, "\"deadline_s\":0", "\"priority\":7");
        cr_assert_eq(c->found.priority, 7);
        store_call_free(c);
    }
}

STORE_TEST(store, only_a_job_that_has_not_ended_is_changed)
{
    struct stored_job found = {0};
    cr_assert_eq(change(s, shop_id(9), "{\"priority\":7}", NULL), STORE_NOT_FOUND);
    shop_partial(s, shop_id(1));
    cr_assert_eq(change(s, shop_id(1), "{\"priority\":7}", &found), STORE_CONFLICT);
    cr_assert_eq(found.state, STORED_PARTIAL);
    cr_assert_null(found.changes);
    stored_job_release(&found);
}

STORE_TEST(store, a_redrive_drops_errors_and_keeps_values)
{
    const char *id = shop_id(1);
    shop_partial(s, id);
    struct store_call *c = shop_ranges(s, id, 0);
    cr_assert_eq(c->block_count, 3);
    uint64_t last = c->blocks[2].number;
    store_call_free(c);

    c = shop_call(s, STORE_REDRIVE, id);
    cr_assert_eq(shop_run(s, c), STORE_OK, "%s", c->error);
    cr_assert_eq(c->found.state, STORED_PENDING);
    cr_assert_eq(c->found.redrives, 1);
    cr_assert_eq(c->found.counts.succeeded, 1);
    cr_assert_eq(c->found.counts.failed, 0);
    cr_assert_null(c->found.errors);
    cr_assert_eq(c->found.ended_ms, 0);
    store_call_free(c);
    c = shop_ranges(s, id, 0);
    cr_assert_eq(c->block_count, 2);
    cr_assert_eq(c->blocks[0].kind, BLOCK_ITEMS);
    cr_assert_eq(c->blocks[1].kind, BLOCK_VALUES);
    store_call_free(c);

    uint64_t fence = shop_claim(s, NULL);
    c = shop_block(s, id, fence, BLOCK_ERRORS, 1, 1, "{\"error\":{}}\n");
    cr_assert_eq(shop_run(s, c), STORE_OK);
    cr_assert_gt(c->block.number, last, "a number is never used again");
    store_call_free(c);
    c = shop_ranges(s, id, 0);
    cr_assert_eq(c->block_count, 3, "a new error is there");
    store_call_free(c);
}

/* Claims the job. Returns whether this is the first claim after the job was accepted or redriven. */
static bool is_first_claim(struct shop *s, uint64_t *fence)
{
    struct store_call *c = shop_call(s, STORE_CLAIM, NULL);
    c->holder = "test";
    c->lease_ms = 3600000;
    cr_assert_eq(shop_run(s, c), STORE_OK);
    bool is_first = c->found.started_ms == c->now_ms;
    *fence = c->found.fence;
    store_call_free(c);
    return is_first;
}

STORE_TEST(store, the_first_claim_since_a_redrive_is_known_by_its_time)
{
    uint64_t fence;
    const char *id = shop_id(1);
    shop_submit(s, id, 0);
    cr_assert(is_first_claim(s, &fence));
    for (uint64_t begun = now_ns(); now_ns() - begun < 3 * NS_PER_MS;) continue;
    cr_assert_eq(shop_do(s, STORE_HAND_BACK, id, fence), STORE_OK);
    cr_assert(!is_first_claim(s, &fence));
    shop_ok(s, shop_ending(s, id, fence, STORED_FAILED, (struct stored_counts){.failed = 2}));
    cr_assert_eq(shop_do(s, STORE_REDRIVE, id, 0), STORE_OK);
    cr_assert(is_first_claim(s, &fence));
}

STORE_TEST(store, a_sweep_removes_old_ended_jobs_in_steps)
{
    for (unsigned i = 1; i <= 150; i++) {
        shop_submit(s, shop_id(i), 0);
        if (i <= 120) cr_assert_eq(shop_do(s, STORE_WANT_CANCEL, shop_id(i), 0), STORE_OK);
    }
    struct store_call *c = shop_call(s, STORE_SWEEP, NULL);
    c->ttl_ms = 3600000;
    cr_assert_eq(shop_run(s, c), STORE_OK);
    cr_assert_not(c->more);
    cr_assert_eq(shop_state(s, shop_id(1)), STORED_CANCELLED, "the job is not old enough");
    c->ttl_ms = 0;
    unsigned steps = 0;
    do {
        cr_assert_eq(shop_run(s, c), STORE_OK);
        steps++;
    } while (c->more);
    store_call_free(c);
    cr_assert_eq(steps, 2);
    cr_assert_eq(shop_do(s, STORE_READ_JOB, shop_id(1), 0), STORE_NOT_FOUND);
    cr_assert_eq(shop_do(s, STORE_READ_JOB, shop_id(120), 0), STORE_NOT_FOUND);
    cr_assert_eq(shop_state(s, shop_id(121)), STORED_PENDING);
}

STORE_TEST(store, a_job_whose_blocks_are_not_all_there_is_not_accepted)
{
    const char *id = shop_id(1);
    shop_ok(s, shop_new_job(s, id, "key"));
    shop_ok(s, shop_block(s, id, 0, BLOCK_ITEMS, 0, 2, "1\n2\n"));
    struct store_call *c = shop_acceptance(s, id, "square", 0, 4);
    c->job.item_blocks = 2;
    cr_assert_eq(shop_run(s, c), STORE_CONFLICT);
    cr_assert(strstr(c->error, "lacks blocks"), "%s", c->error);
    cr_assert_eq(c->found.state, STORED_RECEIVING);
    shop_ok(s, shop_block(s, id, 0, BLOCK_ITEMS, 2, 2, "3\n4\n"));
    c->job.key_digest = xstrdup("of the whole body");
    cr_assert_eq(shop_run(s, c), STORE_OK);
    cr_assert_eq(c->found.state, STORED_PENDING);
    cr_assert_str_eq(c->found.key_digest, "of the whole body");
    cr_assert_eq(c->found.items, 4);
    store_call_free(c);
}
