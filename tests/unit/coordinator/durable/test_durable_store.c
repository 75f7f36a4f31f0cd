/* Durable jobs while calls to the store fail or lose their replies. */
#include "common/base/memory_room.h"
#include "unit/coordinator/durable/durable_harness.h"

/* Lets the next `times` calls of this kind take effect, although they end with STORE_AWAY. */
static void lose_replies(struct fake_store *s, enum store_op op, unsigned times)
{
    s->faults[op] = (struct fake_fault){.status = STORE_AWAY, .times = times, .lost = true};
}

Test(durable_store, a_claim_that_fails_is_tried_again)
{
    struct bench b;
    struct fake_job *j = bench_start_job(&b, 2, HARNESS_PLAIN, 10, 10);
    fake_store_fail(b.store, STORE_CLAIM, STORE_AWAY, 2);
    bench_work(&b, 8000);
    harness_expect_end(j, STORED_SUCCEEDED, 10);
    bench_over(&b);
}

Test(durable_store, a_job_is_claimed_although_its_blocks_cannot_be_read_with_it)
{
    struct bench b;
    struct fake_job *j = bench_start_job(&b, 2, HARNESS_PLAIN, 10, 10);
    b.store->whole_fails = true;
    bench_work(&b, 8000);
    harness_expect_end(j, STORED_SUCCEEDED, 10);
    bench_over(&b);
}

Test(durable_store, a_claim_whose_reply_is_lost_is_repeated_when_the_lease_has_ended)
{
    struct bench b;
    struct fake_job *j = bench_start_job(&b, 2, HARNESS_PLAIN, 10, 10);
    lose_replies(b.store, STORE_CLAIM, 1);
    bench_work(&b, 10000);
    cr_assert_eq(j->job.state, STORED_RUNNING);
    bench_work(&b, 10000);
    harness_expect_end(j, STORED_SUCCEEDED, 10);
    cr_assert_eq(j->job.fence, 2);
    bench_over(&b);
}

Test(durable_store, reads_that_fail_are_tried_again)
{
    struct bench b;
    struct fake_job *j = bench_start_job(&b, 2, HARNESS_PLAIN, 100, 10);
    fake_store_fail(b.store, STORE_READ_RANGES, STORE_AWAY, 3);
    fake_store_fail(b.store, STORE_READ_BLOCK, STORE_AWAY, 3);
    bench_work(&b, 6000);
    harness_expect_end(j, STORED_SUCCEEDED, 100);
    cr_assert_eq(j->job.fence, 1);
    bench_over(&b);
}

Test(durable_store, answers_are_recorded_once_when_the_store_was_away_or_full)
{
    struct bench b;
    struct fake_job *j = bench_start_job(&b, 2, HARNESS_PLAIN, 200, 50);
    fake_store_fail(b.store, STORE_ADD_BLOCK, STORE_FULL, 2);
    fake_store_fail(b.store, STORE_END, STORE_FULL, 2); /* STORE_END may record answers, too */
    bench_work(&b, 4000);
    fake_store_fail(b.store, STORE_ADD_BLOCK, STORE_AWAY, 3);
    bench_work(&b, 6000);
    harness_expect_end(j, STORED_SUCCEEDED, 200);
    cr_assert_geq(*b.replica.durable.metrics.failed_calls, 2);
    bench_over(&b);
}

/* If the repeated call had no members `again` and `after`, harness_read() would find answers that are recorded
 * twice. */
Test(durable_store, a_block_whose_reply_is_lost_is_recorded_once)
{
    static const char *const options[] = {HARNESS_PLAIN, HARNESS_UNSURE};
    for (size_t i = 0; i < ARRAY_SIZE(options); i++) {
        struct bench b;
        struct fake_job *j = bench_start_job(&b, 2, options[i], 200, 50);
        lose_replies(b.store, STORE_ADD_BLOCK, 3);
        bench_work(&b, 8000);
        harness_expect_end(j, STORED_SUCCEEDED, 200);
        struct recorded *all = harness_read(j);
        cr_assert_eq(all->sent, i ? 200 : 0, "%llu", (unsigned long long)all->sent);
        recorded_release(all);
        bench_over(&b);
    }
}

Test(durable_store, a_job_pauses_while_the_store_is_away_and_goes_on)
{
    enum { ITEMS = 60 };
    struct bench b;
    bench_start(&b, 2);
    struct fake_job *j = harness_add_job(b.store, "a", HARNESS_WITH("{\"chunk_size\":1,\"max_concurrency\":2}"), ITEMS);
    struct buf format = {0};
    buf_add_str(&format, "\"");
    for (int i = 0; i < 512 * 1024; i++) buf_add_char(&format, 'x');
    buf_add_str(&format, "\"");
    fake_store_add_lines(b.store, j, BLOCK_ITEMS, 0, ITEMS, buf_cstr(&format));
    buf_release(&format);
    bench_pass(&b, 100);
    b.store->away = true;
    bench_work(&b, 3000);
    struct durable_run *r = replica_run(&b.replica);
    cr_assert(r->job->paused);
    cr_assert_lt(recorder_bytes(&r->recorder) + r->writing_bytes, 10 * 1024 * 1024);
    cr_assert_eq(b.replica.stage.out_n, 0);
    cr_assert_eq(j->job.counts.succeeded, 0);
    b.store->away = false;
    bench_work(&b, 8000);
    harness_expect_end(j, STORED_SUCCEEDED, ITEMS);
    cr_assert_eq(j->job.fence, 1, "the lease was lost");
    bench_over(&b);
}

Test(durable_store, jobs_share_the_memory_for_items_and_answers_while_the_store_is_away)
{
    enum { JOBS = 8, ITEMS = 24, ITEM_BYTES = 256 * 1024, SHARED_BYTES = 4 * 1024 * 1024 };
    struct bench b;
    struct fake_job *jobs[JOBS];
    struct buf format = {0};
    bench_start(&b, JOBS);
    struct memory_budget *items = &b.replica.stage.jobs.item_memory, *answers = &b.replica.stage.jobs.answer_memory;
    items->most = answers->most = SHARED_BYTES;
    buf_add_str(&format, "\"");
    while (format.len < ITEM_BYTES) buf_add_char(&format, 'x');
    buf_add_str(&format, "\"");
    for (unsigned i = 0; i < JOBS; i++) {
        char id[] = {(char)('a' + i), '\0'};
        const char *options = HARNESS_WITH("{\"chunk_size\":1,\"max_concurrency\":1}");
        jobs[i] = harness_add_job(b.store, id, options, ITEMS);
        for (unsigned k = 0; k < ITEMS; k++)
            fake_store_add_lines(b.store, jobs[i], BLOCK_ITEMS, k, 1, buf_cstr(&format));
    }
    buf_release(&format);
    bench_pass(&b, 100);
    cr_assert_gt(items->used, 0);
    cr_assert_leq(items->used, SHARED_BYTES);
    fake_store_fail(b.store, STORE_ADD_BLOCK, STORE_FULL, 100000);
    bench_work(&b, 3000);
    cr_assert_gt(answers->used, SHARED_BYTES / 4);
    /* The answers of the items in flight may exceed the limit. */
    cr_assert_leq(answers->used, SHARED_BYTES + JOBS * ITEM_BYTES, "%zu bytes", answers->used);
    fake_store_fail(b.store, STORE_ADD_BLOCK, STORE_FULL, 0);
    bench_work(&b, 20000);
    for (unsigned i = 0; i < JOBS; i++) harness_expect_end(jobs[i], STORED_SUCCEEDED, ITEMS);
    bench_pass(&b, 1000);
    cr_assert_eq(items->used, 0);
    cr_assert_eq(answers->used, 0);
    bench_over(&b);
}

static bool refuse_memory(size_t bytes)
{
    return false;
}

Test(durable_store, a_job_waits_for_memory_before_it_reads_items)
{
    struct bench b;
    bool (*probe)(size_t bytes) = memory_probe;
    struct fake_job *j = bench_start_job(&b, 2, HARNESS_PLAIN, 100, 10);
    memory_probe = refuse_memory;
    bench_work(&b, 2000);
    cr_assert_eq(j->job.state, STORED_RUNNING);
    cr_assert_eq(b.store->calls[STORE_READ_BLOCK], 0);
    memory_probe = probe;
    bench_work(&b, 4000);
    harness_expect_end(j, STORED_SUCCEEDED, 100);
    bench_over(&b);
}

Test(durable_store, an_end_that_fails_is_recorded_later)
{
    struct bench b;
    struct fake_job *j = bench_start_job(&b, 2, HARNESS_PLAIN, 10, 10);
    fake_store_fail(b.store, STORE_END, STORE_AWAY, 3);
    bench_work(&b, 6000);
    harness_expect_end(j, STORED_SUCCEEDED, 10);
    cr_assert_eq(b.store->calls[STORE_END], 4);
    bench_over(&b);
}

Test(durable_store, an_end_whose_reply_is_lost_counts)
{
    struct bench b;
    struct fake_job *j = bench_start_job(&b, 2, HARNESS_PLAIN, 10, 10);
    lose_replies(b.store, STORE_END, 1);
    bench_work(&b, 6000);
    harness_expect_end(j, STORED_SUCCEEDED, 10);
    cr_assert(durable_is_idle(&b.replica.durable));
    bench_over(&b);
}

static const char *reason_to_wait(struct bench *b)
{
    struct durable_live live;
    return durable_live_of(&b->replica.durable, "a", &live) ? live.waiting.reason : NULL;
}

Test(durable_store, a_job_waits_for_the_store_while_one_of_its_calls_fails)
{
    static const enum store_op ops[] = {STORE_READ_RANGES, STORE_READ_BLOCK, STORE_ADD_BLOCK, STORE_END};
    for (size_t i = 0; i < ARRAY_SIZE(ops); i++) {
        struct bench b;
        struct durable_live live;
        struct fake_job *j = bench_start_job(&b, 2, HARNESS_PLAIN, 100, 10);
        fake_store_fail(b.store, ops[i], STORE_FULL, 1000);
        bench_pass(&b, 100);
        if (b.replica.stage.out_n) stage_answer(&b.replica.stage, 1); /* without this answer, STORE_END is not called */
        bench_pass(&b, 500);
        bench_work(&b, 2000);
        cr_assert(durable_live_of(&b.replica.durable, "a", &live), "%zu", i);
        cr_assert_str_eq(live.waiting.reason, WAITING_FOR_STORE);
        cr_assert(live.waiting.detail && live.waiting.detail[0]);
        cr_assert_not_null(durable_lacks_room(&b.replica.durable, "a"));
        fake_store_fail(b.store, ops[i], STORE_FULL, 0);
        bench_pass(&b, 600);
        cr_assert_null(reason_to_wait(&b), "%zu", i);
        bench_work(&b, 6000);
        harness_expect_end(j, STORED_SUCCEEDED, 100);
        bench_over(&b);
    }
}

Test(durable_store, a_job_waits_for_the_store_while_its_lease_has_ended)
{
    struct bench b;
    struct fake_job *j = bench_start_job(&b, 1, HARNESS_PLAIN, 10, 10);
    bench_pass(&b, 100);
    fake_store_fail(b.store, STORE_RENEW, STORE_AWAY, 1000);
    bench_pass(&b, 5000);
    cr_assert_null(reason_to_wait(&b));
    fake_store_fail(b.store, STORE_CLAIM, STORE_AWAY, 1000);
    bench_pass(&b, 6000);
    cr_assert_str_eq(reason_to_wait(&b), WAITING_FOR_STORE);
    cr_assert_null(durable_lacks_room(&b.replica.durable, "a"));
    fake_store_fail(b.store, STORE_RENEW, STORE_AWAY, 0);
    fake_store_fail(b.store, STORE_CLAIM, STORE_AWAY, 0);
    bench_pass(&b, 4000);
    cr_assert_null(reason_to_wait(&b));
    bench_work(&b, 4000);
    harness_expect_end(j, STORED_SUCCEEDED, 10);
    bench_over(&b);
}

Test(durable_store, a_damaged_block_of_items_fails_the_job)
{
    struct bench b;
    struct fake_job *j = bench_start_job(&b, 2, HARNESS_PLAIN, 100, 10);
    fake_store_fail(b.store, STORE_READ_BLOCK, STORE_BROKEN, 1);
    bench_work(&b, 4000);
    harness_expect_end(j, STORED_FAILED, 0);
    cr_assert_eq(j->job.counts.cancelled, 100);
    bench_over(&b);
}

Test(durable_store, a_damaged_list_of_blocks_fails_the_job)
{
    struct bench b;
    struct fake_job *j = bench_start_job(&b, 2, HARNESS_PLAIN, 100, 10);
    fake_store_fail(b.store, STORE_READ_RANGES, STORE_BROKEN, 1);
    bench_work(&b, 4000);
    cr_assert_eq(j->job.state, STORED_FAILED);
    cr_assert_not_null(j->job.reason);
    bench_over(&b);
}

Test(durable_store, a_store_that_is_unfit_for_a_while_fails_no_job)
{
    static const enum store_op reads[] = {STORE_READ_RANGES, STORE_READ_BLOCK};
    for (size_t i = 0; i < ARRAY_SIZE(reads); i++) {
        struct bench b;
        struct fake_job *j = bench_start_job(&b, 2, HARNESS_PLAIN, 100, 10);
        fake_store_fail(b.store, reads[i], STORE_UNFIT, 3);
        bench_work(&b, 8000);
        harness_expect_end(j, STORED_SUCCEEDED, 100);
        bench_over(&b);
    }
}

Test(durable_store, missing_items_fail_the_job)
{
    struct bench b;
    bench_start(&b, 2);
    struct fake_job *end = harness_add_plain(b.store, "no end", 20, 10);
    struct fake_job *middle = harness_add_plain(b.store, "no middle", 10, 10);
    struct fake_job *lines = harness_add_plain(b.store, "too few lines", 10, 10);
    end->job.items = 30;
    fake_store_add_lines(b.store, middle, BLOCK_ITEMS, 20, 10, "%u");
    middle->job.items = 30;
    lines->blocks[0].lines.len -= 4;
    bench_work(&b, 4000);
    harness_expect_end(end, STORED_FAILED, 0);
    cr_assert_str_eq(end->job.reason, "item 21 (index 20) is missing in the job store");
    harness_expect_end(middle, STORED_FAILED, 0);
    harness_expect_end(lines, STORED_FAILED, 0);
    bench_over(&b);
}

Test(durable_store, a_block_that_arrives_after_the_decision_to_fail_is_settled)
{
    struct bench b;
    struct fake_job *j =
        bench_start_job(&b, 1, HARNESS_WITH("{\"tolerated_failure_count\":0,\"chunk_size\":1}"), 30, 10);
    /* Carries out store calls one by one until the first block has been read. At that point, the other blocks have not
     * been read. */
    replica_turn(&b.replica);
    while (b.store->calls[STORE_READ_BLOCK] < 1) cr_assert(fake_store_step(b.store));
    replica_turn(&b.replica);
    cr_assert_gt(b.replica.stage.out_n, 0);
    stage_answer_error(b.replica.stage.out[0]);
    fake_store_run(b.store);
    stage_complete(&b.replica.stage, b.replica.stage.out[0]);
    bench_pass(&b, 2000);
    harness_expect_end(j, STORED_FAILED, 0);
    cr_assert_eq(j->job.counts.cancelled, 29);
    bench_over(&b);
}
