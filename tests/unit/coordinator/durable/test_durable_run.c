/* Durable jobs are claimed, run, resumed and recorded. */
#include "unit/coordinator/durable/durable_harness.h"

Test(durable_run, a_job_with_items_in_several_blocks_ends)
{
    struct bench b;
    struct fake_job *j = bench_start_job(&b, 4, HARNESS_PLAIN, 1000, 300);
    bench_work(&b, 4000);
    harness_expect_end(j, STORED_SUCCEEDED, 1000);
    cr_assert_eq(j->job.fence, 1);
    cr_assert_null(j->job.reason);
    cr_assert_null(j->job.errors);
    cr_assert_gt(b.replica.changes, 0);
    bench_over(&b);
}

Test(durable_run, each_value_is_recorded_with_its_item)
{
    struct bench b;
    struct fake_job *j = bench_start_job(&b, 3, HARNESS_PLAIN, 100, 7);
    bench_work(&b, 4000);
    cr_assert_eq(j->job.state, STORED_SUCCEEDED);
    struct recorded *all = harness_read(j);
    for (int i = 0; i < 100; i++) {
        char line[32];
        snprintf(line, sizeof line, "{\"value\":%d}", i);
        cr_assert_str_eq(all->lines[i], line);
    }
    recorded_release(all);
    bench_over(&b);
}

Test(durable_run, items_are_generated)
{
    struct bench b;
    bench_start(&b, 4);
    struct fake_job *j =
        harness_add_job(b.store, "a", HARNESS_OPTIONS("{\"range\":{\"start\":10,\"stop\":510}}", "false", "null"), 500);
    bench_work(&b, 4000);
    cr_assert_eq(j->job.state, STORED_SUCCEEDED);
    struct recorded *all = harness_read(j);
    cr_assert_eq(all->counts.succeeded, 500);
    cr_assert_str_eq(all->lines[499], "{\"value\":509}");
    recorded_release(all);
    cr_assert_eq(b.store->calls[STORE_READ_BLOCK], 0);
    bench_over(&b);
}

Test(durable_run, a_small_job_is_read_with_its_claim)
{
    struct bench b;
    bench_start(&b, 4);
    b.store->gives_whole = true;
    struct fake_job *j = harness_add_plain(b.store, "a", 10, 4);
    fake_store_add_lines(b.store, j, BLOCK_VALUES, 3, 2, "{\"value\":%u}");
    bench_work(&b, 4000);
    harness_expect_end(j, STORED_SUCCEEDED, 10);
    cr_assert_eq(b.store->calls[STORE_READ_RANGES] + b.store->calls[STORE_READ_BLOCK], 0);
    bench_over(&b);
}

Test(durable_run, a_small_job_that_lacks_an_item_fails)
{
    struct bench b;
    bench_start(&b, 4);
    b.store->gives_whole = true;
    struct fake_job *j = harness_add_plain(b.store, "a", 8, 4);
    j->job.items = 9;
    bench_work(&b, 4000);
    cr_assert_eq(j->job.state, STORED_FAILED);
    cr_assert(strstr(j->job.reason, "item 9 (index 8) is missing"), "%s", j->job.reason);
    bench_over(&b);
}

Test(durable_run, no_further_job_is_claimed_when_none_waits)
{
    struct bench b;
    bench_start_job(&b, 4, HARNESS_PLAIN, 4, 4);
    fake_store_run(b.store);
    cr_assert_eq(b.replica.durable.runs.n, 1);
    cr_assert_eq(b.store->calls[STORE_CLAIM], 1);
    bench_over(&b);
}

static void note_whole(void *data, const struct store_call *end)
{
    struct replica *r = data;
    cr_assert_eq(end->found.state, STORED_SUCCEEDED);
    cr_assert_str_eq(end->found.options, HARNESS_PLAIN);
    cr_assert_eq(end->block_count, 1);
    const struct buf *lines = &end->blocks[0].lines;
    static const char wanted[] = "{\"value\":0}\n{\"value\":1}\n{\"value\":2}\n";
    cr_assert(lines->len == strlen(wanted) && memcmp(lines->data, wanted, lines->len) == 0);
    r->given_whole++;
}

Test(durable_run, the_last_block_is_given_to_clients_if_it_has_all_answers)
{
    struct bench b;
    bench_start(&b, 4);
    b.replica.durable.ended_whole = note_whole;
    struct fake_job *first = harness_add_plain(b.store, "a", 3, 3), *second = harness_add_plain(b.store, "b", 3, 3);
    fake_store_add_lines(b.store, second, BLOCK_VALUES, 1, 1, "{\"value\":%u}");
    bench_work(&b, 4000);
    harness_expect_end(first, STORED_SUCCEEDED, 3);
    harness_expect_end(second, STORED_SUCCEEDED, 3);
    cr_assert_eq(b.replica.given_whole, 1, "job b has an answer in an earlier block");
    bench_over(&b);
}

Test(durable_run, a_job_without_items_ends)
{
    struct bench b;
    struct fake_job *j = bench_start_job(&b, 1, HARNESS_PLAIN, 0, 1);
    bench_pass(&b, 3000);
    harness_expect_end(j, STORED_SUCCEEDED, 0);
    bench_over(&b);
}

Test(durable_run, only_items_without_an_answer_run_again)
{
    struct bench b;
    struct fake_job *j = bench_start_job(&b, 2, HARNESS_PLAIN, 100, 30);
    fake_store_add_lines(b.store, j, BLOCK_VALUES, 70, 20, "{\"value\":\"before\"}");
    fake_store_add_lines(b.store, j, BLOCK_VALUES, 0, 10, "{\"value\":\"before\"}");
    fake_store_add_lines(b.store, j, BLOCK_ERRORS, 25, 10, "{\"error\":{\"name\":\"task_error\"}}");
    j->job.errors = xstrdup("{\"task_error\":10}");
    j->job.fence = 7;
    j->job.started_ms = b.store->now_ms - 1000;
    bench_work(&b, 4000);
    harness_expect_end(j, STORED_PARTIAL, 90);
    cr_assert_str_eq(j->job.errors, "{\"task_error\":10}");
    cr_assert_eq(j->job.fence, 8);
    struct recorded *all = harness_read(j);
    for (int i = 0; i < 100; i++) {
        bool was_before = i < 10 || (i >= 70 && i < 90);
        if (i < 25 || i >= 35) cr_assert_eq(strstr(all->lines[i], "before") != NULL, was_before, "item %d", i);
    }
    recorded_release(all);
    cr_assert_eq(*b.replica.durable.metrics.take_overs, 1);
    bench_over(&b);
}

static void redrive(struct bench *b, struct fake_job *j)
{
    j->job.counts.succeeded--; /* so that the redrive has an item to run */
    struct store_call *call = fake_store_call(STORE_REDRIVE, j->job.id);
    store_start(&b->store->store, call);
}

Test(durable_run, a_redriven_job_is_not_taken_over)
{
    struct bench b;
    struct fake_job *j = bench_start_job(&b, 2, HARNESS_PLAIN, 10, 10);
    bench_work(&b, 1000);
    harness_expect_end(j, STORED_SUCCEEDED, 10);
    redrive(&b, j);
    bench_work(&b, 4000);
    cr_assert_eq(j->job.fence, 2);
    cr_assert_eq(*b.replica.durable.metrics.take_overs, 0);
    bench_over(&b);
}

/* Each store call waits for the disk, so a small job must need few calls. */
Test(durable_run, the_last_answers_and_the_end_of_a_job_are_one_call)
{
    struct bench b;
    bench_start(&b, 2);
    struct fake_job *j = harness_add_plain(b.store, "a", 1, 1);
    while (!stored_state_is_end(j->job.state)) bench_work(&b, 5);
    bench_work(&b, 100);
    harness_expect_end(j, STORED_SUCCEEDED, 1);
    cr_assert_eq(b.store->calls[STORE_END], 1);
    cr_assert_eq(b.store->calls[STORE_ADD_BLOCK], 0);
    cr_assert_gt(*b.replica.durable.metrics.recorded, 0);
    bench_over(&b);
}

/* If the call that ended the previous run is repeated, it must not end the redriven job. */
Test(durable_run, a_job_that_is_redriven_before_its_end_is_known_runs_anew)
{
    struct bench b;
    struct fake_job *j = bench_start_job(&b, 2, HARNESS_PLAIN, 10, 10);
    b.store->faults[STORE_END] = (struct fake_fault){.status = STORE_AWAY, .times = 1, .lost = true};
    while (!stored_state_is_end(j->job.state)) bench_work(&b, 10);
    unsigned loads = b.store->calls[STORE_READ_RANGES];
    redrive(&b, j);
    durable_claim_soon(&b.replica.durable);
    bench_work(&b, 4000);
    cr_assert_gt(b.store->calls[STORE_READ_RANGES], loads);
    cr_assert(stored_state_is_end(j->job.state));
    cr_assert_eq(*b.replica.durable.metrics.fenced, 0);
    bench_over(&b);
}

Test(durable_run, a_job_that_is_kept_for_a_short_time_is_removed_soon_after_it)
{
    struct bench b;
    bench_start(&b, 0);
    b.replica.config.job_ttl_s = 2;
    bench_pass(&b, 1000);
    fake_store_add_job(b.store, "a", STORED_SUCCEEDED, 0);
    bench_pass(&b, 1500);
    cr_assert_eq(b.store->job_count, 1);
    bench_pass(&b, 1500);
    cr_assert_eq(b.store->job_count, 0);
    cr_assert_leq(b.store->calls[STORE_SWEEP], 12);
    bench_over(&b);
}

Test(durable_run, a_generated_job_is_resumed)
{
    struct bench b;
    bench_start(&b, 2);
    struct fake_job *j =
        harness_add_job(b.store, "a", HARNESS_OPTIONS("{\"range\":{\"start\":0,\"stop\":100}}", "false", "null"), 100);
    fake_store_add_lines(b.store, j, BLOCK_VALUES, 90, 10, "{\"value\":%u}");
    fake_store_add_lines(b.store, j, BLOCK_VALUES, 10, 50, "{\"value\":%u}");
    bench_work(&b, 4000);
    harness_expect_end(j, STORED_SUCCEEDED, 100);
    bench_over(&b);
}

Test(durable_run, a_job_whose_answers_are_all_recorded_ends)
{
    struct bench b;
    struct fake_job *j = bench_start_job(&b, 0, HARNESS_PLAIN, 20, 30);
    fake_store_add_lines(b.store, j, BLOCK_ERRORS, 0, 1, "{\"error\":{\"name\":\"task_error\"}}");
    fake_store_add_lines(b.store, j, BLOCK_VALUES, 1, 19, "{\"value\":%u}");
    bench_pass(&b, 3000);
    harness_expect_end(j, STORED_PARTIAL, 19);
    cr_assert_eq(b.store->calls[STORE_READ_BLOCK], 0);
    bench_over(&b);
}

Test(durable_run, blocks_are_read_in_several_pages)
{
    struct bench b;
    bench_start(&b, 2);
    b.store->page_blocks = 3;
    struct fake_job *j = harness_add_plain(b.store, "a", 100, 10);
    for (unsigned i = 0; i < 100; i += 20) fake_store_add_lines(b.store, j, BLOCK_VALUES, i, 3, "{\"value\":%u}");
    bench_work(&b, 4000);
    harness_expect_end(j, STORED_SUCCEEDED, 100);
    cr_assert_eq(b.store->calls[STORE_READ_RANGES], 5);
    bench_over(&b);
}

Test(durable_run, items_of_a_large_job_are_read_as_they_are_needed)
{
    struct bench b;
    bench_start(&b, 1);
    struct fake_job *j = harness_add_job(b.store, "a", HARNESS_WITH("{\"max_concurrency\":1}"), 100);
    struct buf format = {0};
    buf_add_str(&format, "\"");
    for (int i = 0; i < 1024 * 1024; i++) buf_add_char(&format, 'x');
    buf_add_str(&format, "\"");
    for (unsigned i = 0; i < 100; i++) fake_store_add_lines(b.store, j, BLOCK_ITEMS, i, 1, buf_cstr(&format));
    buf_release(&format);
    bench_pass(&b, 3000);
    cr_assert_leq(b.store->calls[STORE_READ_BLOCK], 8);
    durable_drain(&b.replica.durable);
    bench_over(&b);
}

Test(durable_run, many_jobs_end_although_few_run_at_once)
{
    struct bench b;
    bench_start(&b, 8);
    for (int i = 0; i < 300; i++) {
        char id[16];
        snprintf(id, sizeof id, "job-%03d", i);
        harness_add_plain(b.store, id, 3, 2);
    }
    bench_work(&b, 1000);
    for (size_t i = 0; i < 300; i++) harness_expect_end(b.store->jobs[i], STORED_SUCCEEDED, 3);
    bench_over(&b);
}

Test(durable_run, options_that_cannot_be_read_end_the_job)
{
    struct bench b;
    struct fake_job *j = bench_start_job(&b, 2, "{\"query\":{\"unheard_of\":\"1\"}}", 20, 5);
    fake_store_add_lines(b.store, j, BLOCK_VALUES, 3, 2, "{\"value\":%u}");
    bench_work(&b, 3000);
    harness_expect_end(j, STORED_FAILED, 2);
    cr_assert_not_null(strstr(j->job.reason, "stored options cannot be read"));
    bench_over(&b);
}

Test(durable_run, a_deadline_counts_from_the_creation_of_the_job)
{
    struct bench b;
    bench_start(&b, 1);
    struct fake_job *late = harness_add_items(b.store, "late", HARNESS_WITH("{\"deadline_s\":60}"), 20, 5);
    struct fake_job *in_time = harness_add_items(b.store, "in time", HARNESS_WITH("{\"deadline_s\":60}"), 20, 5);
    late->job.created_ms -= 61000;
    in_time->job.created_ms -= 50000;
    bench_work(&b, 3000);
    cr_assert_eq(late->job.state, STORED_TIMED_OUT);
    harness_expect_end(late, STORED_TIMED_OUT, 0);
    harness_expect_end(in_time, STORED_SUCCEEDED, 20);
    cr_assert_eq(late->job.counts.failed, 20);
    cr_assert_not_null(strstr(late->job.errors, "deadline_exceeded"));
    bench_over(&b);
}

Test(durable_run, a_redriven_job_has_its_whole_deadline_again)
{
    struct bench b;
    struct fake_job *j = bench_start_job(&b, 1, HARNESS_WITH("{\"deadline_s\":60}"), 20, 5);
    j->job.created_ms -= 100000;
    j->job.redrives = 1;
    bench_work(&b, 3000);
    harness_expect_end(j, STORED_SUCCEEDED, 20);
    bench_over(&b);
}

Test(durable_run, errors_are_recorded_and_counted)
{
    struct bench b;
    struct fake_job *j = bench_start_job(&b, 1, HARNESS_PLAIN, 10, 10);
    bench_pass(&b, 100);
    while (b.replica.stage.out_n > 0) {
        struct sched_attempt *a = b.replica.stage.out[0];
        while (a->from + a->received < a->to) {
            uint64_t at = a->chunk->first + a->from + a->received;
            if (at % 3 == 0)
                stage_answer_error(a);
            else
                stage_answer_of(a, 1);
        }
        stage_complete(&b.replica.stage, a);
        bench_pass(&b, 100);
    }
    bench_pass(&b, 1000);
    harness_expect_end(j, STORED_PARTIAL, 6);
    cr_assert_str_eq(j->job.errors, "{\"task_error\":4}");
    bench_over(&b);
}

Test(durable_run, a_job_that_fails_more_than_it_tolerates_has_an_answer_to_each_item)
{
    struct bench b;
    struct fake_job *j =
        bench_start_job(&b, 1, HARNESS_WITH("{\"tolerated_failure_count\":0,\"chunk_size\":1}"), 50, 10);
    bench_pass(&b, 100);
    cr_assert_gt(b.replica.stage.out_n, 0);
    stage_answer_error(b.replica.stage.out[0]);
    stage_complete(&b.replica.stage, b.replica.stage.out[0]);
    bench_pass(&b, 1000);
    harness_expect_end(j, STORED_FAILED, 0);
    cr_assert_eq(j->job.counts.failed, 1);
    cr_assert_eq(j->job.counts.cancelled, 49);
    cr_assert_not_null(strstr(j->job.reason, "tolerates"));
    bench_over(&b);
}

Test(durable_run, earlier_failures_count_for_the_tolerance)
{
    struct bench b;
    struct fake_job *j = bench_start_job(&b, 1, HARNESS_WITH("{\"tolerated_failure_count\":4}"), 50, 10);
    fake_store_add_lines(b.store, j, BLOCK_ERRORS, 0, 5, "{\"error\":{\"name\":\"task_error\"}}");
    bench_work(&b, 3000);
    cr_assert_eq(j->job.state, STORED_FAILED);
    bench_over(&b);
}

/* Options that change while the job runs. */

/* Changes the job in the store. `here`: the client sent the change to this coordinator, and not to another one. */
static void change(struct bench *b, const char *id, const char *changes, bool here)
{
    struct store_call *call = fake_store_call(STORE_CHANGE, id);
    call->job.changes = xstrdup(changes);
    store_start(&b->store->store, call);
    fake_store_run(b->store);
    if (here) durable_change(&b->replica.durable, &fake_store_find(b->store, id)->job);
}

Test(durable_run, changes_reach_a_job_wherever_it_is)
{
    static const char limit[] = "{\"max_concurrency\":1,\"priority\":2,\"tolerated_failure_count\":3}";
    for (unsigned when = 0; when < 3; when++) {
        struct bench b;
        struct fake_job *j = bench_start_job(&b, 4, HARNESS_PLAIN, 8, 100);
        if (when == 0) change(&b, "a", limit, true); /* it is pending */
        bench_pass(&b, 100);
        if (when == 1) change(&b, "a", limit, true); /* it runs here */
        if (when == 2)
            change(&b, "a", limit,
                   false); /* another coordinator got the change; this one reads it with the next renewal */
        if (when == 2) bench_pass(&b, 5000);
        const struct jobspec *spec = &replica_run(&b.replica)->job->spec;
        cr_assert_eq(spec->max_concurrency, 1, "%u", when);
        cr_assert_eq(spec->priority, 2);
        cr_assert_eq(spec->tolerated_failure_count, 3);
        cr_assert_eq(j->job.priority, 2);
        bench_work(&b, 4000);
        harness_expect_end(j, STORED_SUCCEEDED, 8);
        bench_over(&b);
    }
}

Test(durable_run, a_deadline_that_is_changed_counts_from_the_creation_of_the_job)
{
    struct bench b;
    struct fake_job *j = bench_start_job(&b, 1, HARNESS_WITH("{\"deadline_s\":100}"), 8, 100);
    bench_pass(&b, 1000);
    change(&b, "a", "{\"deadline_s\":3}", true);
    change(&b, "a", "{\"priority\":4}", true); /* this change leaves the deadline as it is */
    bench_pass(&b, 1000);
    cr_assert_eq(j->job.state, STORED_RUNNING);
    change(&b, "a", "{\"deadline_s\":5}", true);
    bench_pass(&b, 2000);
    cr_assert_eq(j->job.state, STORED_RUNNING);
    bench_pass(&b, 3000);
    cr_assert_eq(j->job.state, STORED_TIMED_OUT);
    bench_over(&b);
}

Test(durable_run, a_deadline_that_has_passed_ends_the_job_at_once)
{
    struct bench b;
    struct fake_job *j = bench_start_job(&b, 1, HARNESS_PLAIN, 8, 100);
    bench_pass(&b, 1000);
    change(&b, "a", "{\"deadline_s\":0.5}", true);
    bench_pass(&b, 200);
    cr_assert_eq(j->job.state, STORED_TIMED_OUT);
    bench_over(&b);
}
