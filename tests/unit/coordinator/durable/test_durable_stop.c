/* Durable jobs that are cancelled or handed back, and durable jobs whose items must not run twice. */
#include "unit/coordinator/durable/durable_harness.h"

/* Cancels the job as DELETE does. */
static void want_cancel(struct bench *b, const char *id)
{
    struct store_call *call = fake_store_call(STORE_WANT_CANCEL, id);
    store_start(&b->store->store, call);
}

static void expect_cancelled(struct fake_job *j, uint64_t values)
{
    harness_expect_end(j, STORED_CANCELLED, values);
    cr_assert_eq(j->job.counts.cancelled, j->job.items - values);
    cr_assert_not_null(strstr(j->job.reason, "cancelled by a client"));
}

Test(durable_cancel, a_running_job_is_cancelled_at_once_by_its_own_coordinator)
{
    struct bench b;
    struct fake_job *j = bench_start_job(&b, 2, HARNESS_PLAIN, 100, 10);
    bench_pass(&b, 100);
    stage_answer(&b.replica.stage, 1);
    durable_cancel(&b.replica.durable, "a");
    durable_cancel(&b.replica.durable, "unknown");
    bench_pass(&b, 200);
    expect_cancelled(j, 1);
    bench_over(&b);
}

Test(durable_cancel, a_cancellation_by_another_coordinator_is_seen_with_the_next_renewal)
{
    struct bench b;
    struct fake_job *j = bench_start_job(&b, 2, HARNESS_PLAIN, 100, 10);
    bench_pass(&b, 100);
    want_cancel(&b, "a");
    bench_pass(&b, 5000);
    expect_cancelled(j, 0);
    cr_assert_eq(b.replica.stage.out_n, 0);
    bench_over(&b);
}

Test(durable_cancel, a_job_is_cancelled_while_it_loads)
{
    struct bench b;
    struct fake_job *j = bench_start_job(&b, 2, HARNESS_PLAIN, 100, 10);
    fake_store_fail(b.store, STORE_READ_RANGES, STORE_AWAY, 1);
    bench_pass(&b, 100);
    durable_cancel(&b.replica.durable, "a");
    bench_pass(&b, 2000);
    expect_cancelled(j, 0);
    bench_over(&b);
}

Test(durable_cancel, a_job_is_claimed_after_its_cancellation)
{
    struct bench b;
    struct fake_job *j = bench_start_job(&b, 2, HARNESS_PLAIN, 100, 10);
    j->job.cancel_wanted = true;
    bench_pass(&b, 100);
    expect_cancelled(j, 0);
    bench_over(&b);
}

/* Adds a job whose cancellation has been requested, so it must not run again. Every second item already has its answer.
 */
static struct fake_job *add_job_of_many_ranges(struct bench *b, unsigned items)
{
    struct fake_job *j = harness_add_plain(b->store, "a", items, 512);
    for (unsigned i = 0; i < items; i += 2) fake_store_add_lines(b->store, j, BLOCK_VALUES, i, 1, "{\"value\":%u}");
    j->job.cancel_wanted = true;
    return j;
}

Test(durable_cancel, items_in_many_ranges_get_their_errors_in_steps)
{
    struct bench b;
    bench_start(&b, 2);
    struct fake_job *j = add_job_of_many_ranges(&b, 4096);
    bench_pass(&b, 3000);
    harness_expect_end(j, STORED_CANCELLED, 2048);
    cr_assert_eq(j->job.counts.cancelled, 2048);
    for (size_t i = 0; i < j->block_count; i++) cr_assert_leq(j->blocks[i].range_count, 2000);
    bench_over(&b);
}

Test(durable_drain, a_job_whose_items_are_getting_their_errors_is_handed_back)
{
    struct bench b;
    bench_start(&b, 2);
    struct fake_job *j = add_job_of_many_ranges(&b, 4096);
    fake_store_fail(b.store, STORE_ADD_BLOCK, STORE_AWAY, 2);
    bench_pass(&b, 100);
    durable_drain(&b.replica.durable);
    bench_pass(&b, 3000);
    cr_assert(durable_is_idle(&b.replica.durable));
    cr_assert_eq(j->job.state, STORED_PENDING);
    struct recorded *all = harness_read(j);
    cr_assert_eq(all->counts.cancelled, 2000);
    recorded_release(all);
    bench_over(&b);
}

Test(durable_cancel, a_generated_job_is_cancelled)
{
    struct bench b;
    bench_start(&b, 0);
    struct fake_job *j = harness_add_job(
        b.store, "a", HARNESS_OPTIONS("{\"range\":{\"start\":0,\"stop\":3000}}", "false", "null"), 3000);
    bench_pass(&b, 100);
    durable_cancel(&b.replica.durable, "a");
    bench_pass(&b, 500);
    expect_cancelled(j, 0);
    cr_assert_leq(j->block_count, 2);
    bench_over(&b);
}

Test(durable_cancel, a_job_whose_end_is_being_recorded_keeps_its_end)
{
    struct bench b;
    struct fake_job *j = bench_start_job(&b, 2, HARNESS_PLAIN, 10, 10);
    fake_store_fail(b.store, STORE_END, STORE_AWAY, 3);
    bench_work(&b, 500);
    cr_assert_eq(replica_run(&b.replica)->state, RUN_ENDING);
    durable_cancel(&b.replica.durable, "a");
    bench_pass(&b, 3000);
    harness_expect_end(j, STORED_SUCCEEDED, 10);
    bench_over(&b);
}

Test(durable_drain, a_job_is_handed_back_with_its_answers_and_goes_on_after_the_next_claim)
{
    struct bench b;
    struct fake_job *j = bench_start_job(&b, 2, HARNESS_WITH("{\"chunk_size\":10}"), 100, 10);
    bench_pass(&b, 100);
    stage_answer(&b.replica.stage, 3);
    durable_drain(&b.replica.durable);
    bench_pass(&b, 1000);
    cr_assert(!durable_is_idle(&b.replica.durable), "the drain does not wait for the items in flight");
    stage_answer(&b.replica.stage, 1);
    bench_pass(&b, 2000);
    cr_assert(durable_is_idle(&b.replica.durable));
    cr_assert_eq(j->job.state, STORED_PENDING);
    cr_assert_eq(harness_read(j)->counts.succeeded, 4);
    b.replica.durable.draining = false;
    for (size_t i = 0; i < j->block_count; i++)
        if (j->blocks[i].kind == BLOCK_VALUES) cr_assert_leq(j->blocks[i].ranges[0].n, 4);
    bench_work(&b, 5000);
    harness_expect_end(j, STORED_SUCCEEDED, 100);
    cr_assert_eq(j->job.fence, 2);
    bench_over(&b);
}

Test(durable_drain, a_job_is_handed_back_when_what_is_in_flight_is_answered)
{
    struct bench b;
    struct fake_job *j = bench_start_job(&b, 2, HARNESS_WITH("{\"chunk_size\":1}"), 100, 10);
    bench_pass(&b, 100);
    unsigned in_flight = b.replica.stage.out_n;
    durable_drain(&b.replica.durable);
    bench_work(&b, 500);
    cr_assert(durable_is_idle(&b.replica.durable));
    cr_assert_eq(j->job.state, STORED_PENDING);
    cr_assert_eq(harness_read(j)->counts.succeeded, in_flight);
    bench_over(&b);
}

Test(durable_drain, a_job_that_loads_is_handed_back_at_once)
{
    struct bench b;
    struct fake_job *j = bench_start_job(&b, 2, HARNESS_PLAIN, 100, 10);
    fake_store_fail(b.store, STORE_READ_RANGES, STORE_AWAY, 1);
    bench_pass(&b, 100);
    durable_drain(&b.replica.durable);
    bench_pass(&b, 1000);
    cr_assert(durable_is_idle(&b.replica.durable));
    cr_assert_eq(j->job.state, STORED_PENDING);
    bench_over(&b);
}

Test(durable_drain, a_job_that_is_claimed_during_the_drain_is_handed_back)
{
    struct bench b;
    struct fake_job *j = bench_start_job(&b, 2, HARNESS_PLAIN, 100, 10);
    durable_drain(&b.replica.durable); /* the claim that was made at the start has not ended yet */
    cr_assert(!durable_is_idle(&b.replica.durable));
    bench_pass(&b, 1000);
    cr_assert(durable_is_idle(&b.replica.durable));
    cr_assert_eq(j->job.state, STORED_PENDING);
    cr_assert_eq(j->job.fence, 1);
    bench_over(&b);
}

Test(durable_drain, an_ending_job_records_its_end)
{
    struct bench b;
    struct fake_job *j = bench_start_job(&b, 2, HARNESS_PLAIN, 10, 10);
    fake_store_fail(b.store, STORE_END, STORE_AWAY, 2);
    bench_work(&b, 500);
    durable_drain(&b.replica.durable);
    bench_pass(&b, 3000);
    harness_expect_end(j, STORED_SUCCEEDED, 10);
    bench_over(&b);
}

Test(durable_drain, a_cut_does_not_wait_for_a_store_that_is_away)
{
    struct bench b;
    struct fake_job *j = bench_start_job(&b, 2, HARNESS_PLAIN, 100, 10);
    bench_pass(&b, 100);
    stage_answer(&b.replica.stage, 1);
    b.store->away = true;
    bench_pass(&b, 1000);
    durable_drain(&b.replica.durable);
    bench_pass(&b, 4000);
    cr_assert(!durable_is_idle(&b.replica.durable));
    durable_cut(&b.replica.durable);
    bench_pass(&b, 1000);
    cr_assert(durable_is_idle(&b.replica.durable));
    cr_assert_eq(j->job.state, STORED_RUNNING);
    b.store->away = false;
    bench_over(&b);
}

Test(durable_drain, a_drain_gives_up_when_the_lease_ends_while_the_store_is_away)
{
    struct bench b;
    struct fake_job *j = bench_start_job(&b, 2, HARNESS_PLAIN, 100, 10);
    bench_pass(&b, 100);
    stage_answer(&b.replica.stage, 1);
    b.store->away = true;
    durable_drain(&b.replica.durable);
    bench_pass(&b, 5000);
    cr_assert(!durable_is_idle(&b.replica.durable), "the drain waits, because the store may come back");
    bench_pass(&b, 6000);
    cr_assert(durable_is_idle(&b.replica.durable));
    cr_assert_eq(b.replica.stage.jobs.count, 0);
    cr_assert_eq(j->job.state, STORED_RUNNING);
    b.store->away = false;
    bench_over(&b);
}

Test(durable_drain, a_drain_does_not_wait_for_a_store_that_cannot_be_used)
{
    struct bench b;
    bench_start_job(&b, 2, HARNESS_PLAIN, 100, 10);
    bench_pass(&b, 100);
    stage_answer(&b.replica.stage, 1);
    fake_store_fail(b.store, STORE_ADD_BLOCK, STORE_BROKEN, 1000);
    fake_store_fail(b.store, STORE_HAND_BACK, STORE_BROKEN, 1000);
    durable_drain(&b.replica.durable);
    bench_pass(&b, 3000);
    cr_assert(durable_is_idle(&b.replica.durable));
    cr_assert_eq(b.replica.stage.jobs.count, 0);
    bench_over(&b);
}

/* Items that must not run twice. */

Test(durable_at_most_once, items_are_recorded_as_sent_before_they_are_sent)
{
    struct bench b;
    struct fake_job *j = bench_start_job(&b, 2, HARNESS_UNSURE, 1000, 300);
    for (int i = 0; i < 400 && j->job.state != STORED_SUCCEEDED; i++) {
        bench_pass(&b, 10);
        for (unsigned k = 0; k < b.replica.stage.out_n; k++) {
            const struct sched_attempt *a = b.replica.stage.out[k];
            uint64_t first = a->chunk->first, last = a->chunk->first + a->to - 1;
            bool found_first = false, found_last = false;
            for (size_t n = 0; n < j->block_count; n++) {
                const struct block *s = &j->blocks[n];
                if (s->kind != BLOCK_SENT) continue;
                found_first |= first >= s->ranges[0].first && first < s->ranges[0].first + s->ranges[0].n;
                found_last |= last >= s->ranges[0].first && last < s->ranges[0].first + s->ranges[0].n;
            }
            cr_assert(found_first && found_last, "item %d is sent, but not recorded", (int)first);
        }
        stage_answer_all(&b.replica.stage);
    }
    harness_expect_end(j, STORED_SUCCEEDED, 1000);
    cr_assert_eq(harness_read(j)->sent, 1000);
    bench_over(&b);
}

Test(durable_at_most_once, generated_items_are_recorded_as_sent)
{
    struct bench b;
    bench_start(&b, 2);
    struct fake_job *j =
        harness_add_job(b.store, "a", HARNESS_OPTIONS("{\"range\":{\"start\":0,\"stop\":300}}", "false", "false"), 300);
    bench_work(&b, 4000);
    harness_expect_end(j, STORED_SUCCEEDED, 300);
    cr_assert_eq(harness_read(j)->sent, 300);
    bench_over(&b);
}

Test(durable_at_most_once, items_that_may_have_run_get_an_error_after_a_take_over)
{
    struct bench b;
    struct fake_job *j = bench_start_job(&b, 2, HARNESS_UNSURE, 100, 100);
    fake_store_add_lines(b.store, j, BLOCK_SENT, 0, 20, "");
    buf_clear(&j->blocks[j->block_count - 1].lines);
    fake_store_add_lines(b.store, j, BLOCK_VALUES, 5, 10, "{\"value\":%u}");
    bench_work(&b, 4000);
    harness_expect_end(j, STORED_PARTIAL, 90);
    cr_assert_eq(j->job.counts.failed, 10);
    cr_assert_str_eq(j->job.errors, "{\"worker_lost\":10}");
    struct recorded *all = harness_read(j);
    for (int i = 0; i < 20; i++)
        cr_assert_eq(strstr(all->lines[i], "may have been running") != NULL, i < 5 || i >= 15, "item %d", i);
    cr_assert_eq(all->sent, 100);
    recorded_release(all);
    bench_over(&b);
}

Test(durable_at_most_once, a_job_with_only_unknown_items_ends_as_partial)
{
    struct bench b;
    struct fake_job *j = bench_start_job(&b, 2, HARNESS_UNSURE, 10, 10);
    fake_store_add_lines(b.store, j, BLOCK_SENT, 0, 10, "");
    buf_clear(&j->blocks[j->block_count - 1].lines);
    bench_pass(&b, 4000);
    harness_expect_end(j, STORED_PARTIAL, 0);
    bench_over(&b);
}

Test(durable_at_most_once, marks_do_not_change_the_counts)
{
    struct bench b;
    struct fake_job *j = bench_start_job(&b, 2, HARNESS_UNSURE, 100, 100);
    fake_store_add_lines(b.store, j, BLOCK_VALUES, 0, 10, "{\"value\":%u}");
    bench_pass(&b, 100);
    cr_assert_gt(harness_read(j)->sent, 0);
    cr_assert_eq(j->job.counts.succeeded, 10);
    recorded_release(harness_read(j));
    bench_work(&b, 2000);
    harness_expect_end(j, STORED_SUCCEEDED, 100);
    bench_over(&b);
}

Test(durable_at_most_once, a_mark_that_fails_is_tried_again)
{
    struct bench b;
    struct fake_job *j = bench_start_job(&b, 2, HARNESS_UNSURE, 100, 100);
    fake_store_fail(b.store, STORE_ADD_BLOCK, STORE_AWAY, 2);
    bench_work(&b, 6000);
    harness_expect_end(j, STORED_SUCCEEDED, 100);
    bench_over(&b);
}

Test(durable_at_most_once, a_cancelled_job_settles_the_items_that_are_being_marked)
{
    struct bench b;
    struct fake_job *j = bench_start_job(&b, 2, HARNESS_UNSURE, 1000, 100);
    fake_store_fail(b.store, STORE_ADD_BLOCK, STORE_AWAY, 1);
    bench_pass(&b, 100);
    durable_cancel(&b.replica.durable, "a");
    bench_pass(&b, 3000);
    expect_cancelled(j, 0);
    bench_over(&b);
}

Test(durable_at_most_once, a_drain_takes_back_the_marks_of_items_that_were_not_sent)
{
    struct bench b;
    struct fake_job *j = bench_start_job(&b, 2, HARNESS_UNSURE, 1000, 100);
    bench_pass(&b, 100);
    stage_answer_all(&b.replica.stage);
    bench_pass(&b, 20);
    stage_run(&b.replica.stage);
    cr_assert_gt(b.replica.stage.out_n, 0);
    durable_drain(&b.replica.durable);
    bench_work(&b, 500);
    cr_assert(durable_is_idle(&b.replica.durable));
    cr_assert_eq(j->job.state, STORED_PENDING);
    struct recorded *all = harness_read(j);
    cr_assert_eq(all->sent, j->job.counts.succeeded, "%d items are said to be sent", (int)all->sent);
    cr_assert_lt(j->job.counts.succeeded, 1000);
    cr_assert_gt(j->job.counts.succeeded, 0);
    b.replica.durable.draining = false;
    bench_work(&b, 5000);
    harness_expect_end(j, STORED_SUCCEEDED, 1000);
    bench_over(&b);
}

Test(durable_at_most_once, a_drain_takes_back_a_mark_that_is_being_made)
{
    struct bench b;
    struct fake_job *j = bench_start_job(&b, 2, HARNESS_UNSURE, 300, 100);
    fake_store_fail(b.store, STORE_ADD_BLOCK, STORE_AWAY, 1);
    bench_pass(&b, 100);
    durable_drain(&b.replica.durable);
    bench_pass(&b, 1500);
    cr_assert(durable_is_idle(&b.replica.durable));
    cr_assert_eq(j->job.state, STORED_PENDING);
    cr_assert_eq(harness_read(j)->sent, 0);
    b.replica.durable.draining = false;
    bench_work(&b, 5000);
    harness_expect_end(j, STORED_SUCCEEDED, 300);
    bench_over(&b);
}

Test(durable_at_most_once, items_that_were_in_flight_at_the_end_of_a_drain_get_an_error)
{
    struct bench b;
    struct fake_job *j = bench_start_job(&b, 2, HARNESS_UNSURE, 100, 100);
    bench_pass(&b, 100);
    uint64_t in_flight = 0;
    for (unsigned i = 0; i < b.replica.stage.out_n; i++) in_flight += b.replica.stage.out[i]->chunk->count;
    cr_assert_gt(in_flight, 0);
    durable_drain(&b.replica.durable);
    bench_pass(&b, 3000);
    cr_assert(!durable_is_idle(&b.replica.durable), "the drain does not wait for the items in flight");
    durable_cut(&b.replica.durable); /* the time limit of the drain has passed */
    bench_pass(&b, 1000);
    cr_assert(durable_is_idle(&b.replica.durable));
    b.replica.durable.draining = b.replica.durable.cutting = false;
    bench_work(&b, 5000);
    harness_expect_end(j, STORED_PARTIAL, 100 - in_flight);
    bench_over(&b);
}

Test(durable_at_most_once, a_drain_takes_back_a_mark_whose_reply_was_lost)
{
    struct bench b;
    struct fake_job *j = bench_start_job(&b, 2, HARNESS_UNSURE, 100, 100);
    b.store->faults[STORE_ADD_BLOCK] = (struct fake_fault){.status = STORE_AWAY, .times = 1, .lost = true};
    bench_pass(&b, 100);
    durable_drain(&b.replica.durable);
    bench_pass(&b, 1500);
    cr_assert(durable_is_idle(&b.replica.durable));
    cr_assert_eq(j->job.state, STORED_PENDING);
    b.replica.durable.draining = false;
    bench_work(&b, 5000);
    harness_expect_end(j, STORED_SUCCEEDED, 100);
    bench_over(&b);
}
