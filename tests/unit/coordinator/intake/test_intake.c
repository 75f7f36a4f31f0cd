/* The answer to a POST of a durable job: 202 when the job is committed, otherwise a problem with the reason. */
#include "coordinator/durable/stored_options.h"
#include "unit/coordinator/intake/intake_harness.h"

Test(intake, a_preference_is_found_among_others)
{
    static const struct {
        const char *prefer;
        bool wanted;
    } cases[] = {{NULL, false},
                 {"", false},
                 {"respond-async", true},
                 {"Respond-Async", true},
                 {"return=minimal, respond-async; x=1 , wait=3", true},
                 {"respond-async,wait=3", true},
                 {"respond-asynchronously", false},
                 {"wait=3", true},
                 {"wait=x;respond-async", false}};
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct http_exchange x = {.prefer = cases[i].prefer};
        cr_assert_eq(job_request_prefers_durable(&x), cases[i].wanted, "%s", cases[i].prefer);
    }
    assert_no_leaks();
}

Test(intake, a_client_that_waits_is_given_away_after_the_commit)
{
    static const char *const prefer[] = {"wait=7", "respond-async, wait=7", "wait=0", "respond-async, wait=0"};
    static const char *const applied[] = {"", "", "wait=0", "respond-async, wait=0"};
    for (size_t i = 0; i < ARRAY_SIZE(prefer); i++) {
        struct bench b;
        struct http_exchange x = {.prefer = prefer[i]};
        char header[80];
        intake_start(&b);
        post_body(&b, &x, JOB);
        for (int step = 0; step < 2; step++) cr_assert(fake_store_step(b.store));
        cr_assert_null(b.replica.waiting, "the exchange was handed over before the commit");
        cr_assert_eq(x.status, 0);
        fake_store_run(b.store);
        cr_assert_eq(x.status, i < 2 ? 0 : 202);
        cr_assert_eq(b.replica.waiting, i < 2 ? &x : NULL);
        if (i < 2) cr_assert_eq(b.replica.wait_s, 7);
        if (i < 2) cr_assert_str_eq(b.replica.waits_for, b.store->jobs[0]->job.id);
        if (i < 2) x.ops = NULL; /* a real new owner would set its own operations */
        snprintf(header, sizeof header, "Preference-Applied: %s\n", applied[i]);
        if (i >= 2) expect_header(&x, header);
        exchange_close(&x, HTTP_CLOSED_DONE);
        intake_over(&b, 1);
    }
}

Test(intake, a_job_is_answered_202_only_after_its_commit)
{
    struct bench b;
    struct http_exchange x = {.prefer = "respond-async"};
    intake_start(&b);
    post_body(&b, &x, "{\"task\":\"echo\",\"labels\":[\"night\"],\"priority\":7,\"items\":[1,\"two\",3]}");
    for (int i = 0; i < 2; i++) {
        cr_assert(fake_store_step(b.store));
        cr_assert_eq(x.status, 0, "the request was answered before the commit");
    }
    fake_store_run(b.store);
    cr_assert_eq(x.status, 202);
    struct fake_job *j = b.store->jobs[0];
    char location[80];
    snprintf(location, sizeof location, "Location: /v1/jobs/%s\n", j->job.id);
    expect_header(&x, location);
    expect_header(&x, "Preference-Applied: respond-async\n");
    cr_assert_str_eq(x.job, j->job.id);
    cr_assert_not_null(strstr(buf_cstr(&x.answer), "\"status\":\"pending\""), "%s", buf_cstr(&x.answer));
    cr_assert_eq(j->job.state, STORED_PENDING);
    cr_assert_str_eq(j->job.task, "echo");
    cr_assert_str_eq(j->job.labels, "[\"night\"]");
    cr_assert_eq(j->job.priority, 7);
    cr_assert_eq(j->job.items, 3);
    cr_assert_str_eq(buf_cstr(&j->blocks[0].lines), "1\n\"two\"\n3\n");
    exchange_close(&x, HTTP_CLOSED_DONE);
    intake_over(&b, 1);
}

Test(intake, a_parameter_that_older_coordinators_do_not_know_is_not_stored)
{
    struct bench b;
    struct http_exchange x = {.prefer = "respond-async",
                              .content_type = "application/x-ndjson",
                              .query_task = "echo",
                              .query = {"first_line", "options", "tolerated_failure_count", "3"}};
    intake_start(&b);
    post_body(&b, &x, "{\"common\":5}\n1\n2\n");
    fake_store_run(b.store);
    cr_assert_eq(x.status, 202, "%s", buf_cstr(&x.answer));
    struct fake_job *j = b.store->jobs[0];
    cr_assert_eq(j->job.items, 2);
    cr_assert_null(strstr(j->job.options, "first_line"), "%s", j->job.options);
    cr_assert_not_null(strstr(j->job.options, "tolerated_failure_count"), "%s", j->job.options);
    cr_assert_not_null(strstr(j->job.options, "common"), "%s", j->job.options);
    exchange_close(&x, HTTP_CLOSED_DONE);
    intake_over(&b, 1);
}

Test(intake, the_stored_options_say_where_a_long_common_is)
{
    struct bench b;
    struct http_exchange x = {.prefer = "respond-async"};
    struct buf body = {0};
    struct jobspec spec = {0};
    enum idempotency idempotent;
    char err[300], *damaged;
    buf_add_str(&body, "{\"task\":\"echo\",\"common\":\"");
    while (body.len < 100000) buf_add_char(&body, 'c');
    buf_add_str(&body, "\",\"items\":[1],\"priority\":3}");
    intake_start(&b);
    post_body(&b, &x, buf_cstr(&body));
    fake_store_run(b.store);
    cr_assert_eq(x.status, 202, "%s", buf_cstr(&x.answer));
    const char *options = b.store->jobs[0]->job.options;
    cr_assert(stored_options_read(options, &spec, &idempotent, err, sizeof err), "%s", err);
    cr_assert(spec.common_len > 99900 && strspn(spec.common + 1, "c") == spec.common_len - 2);
    jobspec_release(&spec);
    damaged = xstrdup(options);
    strstr(damaged, "cc")[1] = '"';
    cr_assert(stored_options_read_facts(damaged, &spec, &idempotent, err, sizeof err), "%s", err);
    cr_assert_eq(spec.priority, 3);
    jobspec_release(&spec);
    free(damaged);
    buf_release(&body);
    exchange_close(&x, HTTP_CLOSED_DONE);
    intake_over(&b, 1);
}

Test(intake, all_calls_of_a_small_job_are_started_together)
{
    struct bench b;
    struct http_exchange x = {.prefer = "respond-async"};
    intake_start(&b);
    post_body(&b, &x, JOB);
    fake_store_run(b.store);
    cr_assert_eq(x.status, 202);
    cr_assert_eq(b.store->holds, 1);
    cr_assert_eq(b.store->unheld_writes, 0);
    cr_assert(!b.store->is_holding);
    exchange_close(&x, HTTP_CLOSED_DONE);
    intake_over(&b, 1);
}

/* The 202 answer comes before any item can fail, so only a later answer can have a hint about a failed item. */
Test(intake, an_only_item_that_looks_like_a_job_object_gets_a_hint)
{
    static const struct {
        const char *body;
        enum job_likeness likeness;
    } cases[] = {
        {"{\"task\":\"echo\",\"items\":[1]}\n", LIKE_JOB},
        {"\n {\"task\":\"echo\",\"range\":{}}", LIKE_JOB},
        {"{\"items\":[1]}\n", LIKE_SOURCE},
        {"[1,2]\n", LIKE_ITEMS},
        {"{\"task\":\"echo\",\"items\":[1]}\n2\n", LIKE_NOTHING},
        {"1\n", LIKE_NOTHING},
    };
    for (size_t i = 0; i < 2 * ARRAY_SIZE(cases); i++) {
        bool waits = i % 2;
        struct bench b;
        struct http_exchange x = {
            .prefer = waits ? "wait=7" : "respond-async", .content_type = "application/x-ndjson", .query_task = "echo"};
        intake_start(&b);
        post_body(&b, &x, cases[i / 2].body);
        fake_store_run(b.store);
        cr_assert_eq(x.status, waits ? 0 : 202, "%s: %d", cases[i / 2].body, x.status);
        bool hinted = strstr(buf_cstr(&x.answer), "\"hint\":\"the only item looks like a job object") != NULL;
        cr_assert_eq(hinted, !waits && cases[i / 2].likeness == LIKE_JOB, "%s: %s", cases[i / 2].body, x.answer.data);
        if (waits) cr_assert_eq(b.replica.likeness, cases[i / 2].likeness, "%s", cases[i / 2].body);
        if (waits) x.ops = NULL; /* a real new owner would set its own operations */
        exchange_close(&x, HTTP_CLOSED_DONE);
        intake_over(&b, 1);
    }
}

Test(intake, an_accepted_job_is_claimed_at_once_and_runs)
{
    struct bench b;
    struct http_exchange x = {.prefer = "respond-async", .content_type = "application/x-ndjson", .query_task = "echo"};
    bench_start(&b, 2);
    bench_pass(&b, 500);
    post_body(&b, &x, "1\n2\n3\n4\n");
    bench_work(&b, 200);
    cr_assert_eq(x.status, 202);
    harness_expect_end(b.store->jobs[0], STORED_SUCCEEDED, 4);
    exchange_close(&x, HTTP_CLOSED_DONE);
    bench_over(&b);
}

Test(intake, generated_items_are_counted_and_not_stored)
{
    struct bench b;
    struct http_exchange x = {.prefer = "respond-async"};
    bench_start(&b, 2);
    post_body(&b, &x, "{\"task\":\"echo\",\"range\":{\"start\":0,\"stop\":50}}");
    fake_store_run(b.store);
    cr_assert_eq(x.status, 202);
    cr_assert_eq(b.store->jobs[0]->job.items, 50);
    cr_assert_eq(b.store->jobs[0]->block_count, 0);
    bench_work(&b, 4000);
    harness_expect_end(b.store->jobs[0], STORED_SUCCEEDED, 50);
    exchange_close(&x, HTTP_CLOSED_DONE);
    bench_over(&b);
}

Test(intake, wrong_bodies_leave_no_job)
{
    static const struct {
        const char *body, *detail;
        int status;
    } cases[] = {{"{\"task\":\"echo\",\"items\":[1,}", "", 400},
                 {"{\"task\":\"echo\",\"items\":[1", "", 400},
                 {"{\"items\":[1]}", "task", 400},
                 {"{\"task\":\"echo\"}", "items", 400},
                 {"", "", 400},
                 {"{\"task\":\"echo\",\"items\":[1],\"unheard_of\":1}", "field", 400},
                 {"{\"task\":\"echo\",\"notify\":{\"url\":\"https://a\"},\"items\":[1]}", "--notify-allow", 400},
                 {"{\"task\":\"echo\",\"labels\":7,\"items\":[1]}", "labels", 400}};
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct bench b;
        struct http_exchange x = {.prefer = "respond-async"};
        intake_start(&b);
        post_body(&b, &x, cases[i].body);
        fake_store_run(b.store);
        expect_problem(&x, cases[i].status, cases[i].detail);
        intake_over(&b, 0);
    }
}

Test(intake, a_fault_after_some_blocks_removes_them)
{
    struct bench b;
    struct http_exchange x = {.prefer = "respond-async", .content_type = "application/x-ndjson", .query_task = "echo"};
    struct buf body = {0};
    intake_start(&b);
    add_items(&body, 3);
    post(&b, &x);
    cr_assert_eq(exchange_send(&x, body.data, body.len), body.len);
    fake_store_run(b.store);
    cr_assert_eq(b.store->job_count, 1);
    exchange_send_text(&x, "1\n{]\n");
    cr_assert_eq(x.status, 400);
    fake_store_run(b.store);
    cr_assert_gt(b.store->calls[STORE_DISCARD], 0);
    cr_assert_eq(b.store->job_count, 0);
    exchange_close(&x, HTTP_CLOSED_DONE);
    buf_release(&body);
    intake_over(&b, 0);
}

/* Makes the next call of this kind fail, and sends a small job. Returns the status of the answer. */
static int fail(struct bench *b, enum store_op op, enum store_status status, struct http_exchange *x)
{
    *x = (struct http_exchange){.prefer = "respond-async"};
    fake_store_fail(b->store, op, status, 1);
    post_body(b, x, JOB);
    fake_store_run(b->store);
    return x->status;
}

Test(intake, a_store_that_fails_refuses_the_job_and_keeps_none_of_it)
{
    static const enum store_op ops[] = {STORE_ADD_JOB, STORE_ADD_BLOCK, STORE_ACCEPT};
    struct bench b;
    struct http_exchange x;
    intake_start(&b);
    for (size_t i = 0; i < ARRAY_SIZE(ops); i++) {
        cr_assert_eq(fail(&b, ops[i], STORE_AWAY, &x), 503);
        expect_header(&x, "Retry-After: ");
        expect_problem(&x, 503, "the job store did not accept the job");
        cr_assert_eq(fail(&b, ops[i], STORE_FULL, &x), 507);
        expect_problem(&x, 507, "the job store did not accept the job");
        cr_assert_eq(fail(&b, ops[i], STORE_BROKEN, &x), 500);
        expect_problem(&x, 500, "the job store did not accept the job");
        fake_store_run(b.store);
        cr_assert_eq(b.store->job_count, 0, "operation %d", (int)ops[i]);
    }
    intake_over(&b, 0);
}

/* After one of these failures, the store has certainly committed nothing, so the answer names the cause. */
Test(intake, a_store_that_cannot_be_used_at_all_is_told_as_such)
{
    static const enum store_status failures[] = {STORE_BROKEN, STORE_UNFIT, STORE_FULL};
    static const int statuses[] = {500, 500, 507};
    struct bench b;
    struct http_exchange x;
    intake_start(&b);
    for (size_t i = 0; i < ARRAY_SIZE(failures); i++) {
        fake_store_fail(b.store, STORE_DISCARD, failures[i], 1);
        cr_assert_eq(fail(&b, STORE_ACCEPT, failures[i], &x), statuses[i]);
        expect_problem(&x, statuses[i], "the job store did not accept the job");
    }
    bench_pass(&b, 2000); /* the received blocks are discarded later */
    intake_over(&b, 0);
}

Test(intake, an_unknown_task_is_refused)
{
    struct bench b;
    struct http_exchange x = {.prefer = "respond-async"};
    intake_start(&b);
    stage_has_worker(&b.replica.stage);
    post_body(&b, &x, "{\"task\":\"ecko\",\"items\":[1]}");
    fake_store_run(b.store);
    cr_assert_eq(x.status, 0);
    call_body(last_call(), "{\"tasks\":[{\"name\":\"echo\"}]}");
    call_end(last_call(), HTTP_CALL_OK, 200, false);
    expect_problem(&x, 404, "ecko");
    intake_over(&b, 0);
}

Test(intake, a_job_is_accepted_when_no_worker_can_say_which_tasks_there_are)
{
    struct bench b;
    struct http_exchange x = {.prefer = "respond-async"};
    intake_start(&b);
    stage_has_worker(&b.replica.stage);
    post_body(&b, &x, JOB);
    call_end(last_call(), HTTP_CALL_NOT_CONNECTED, 0, false);
    fake_store_run(b.store);
    cr_assert_eq(x.status, 202);
    exchange_close(&x, HTTP_CLOSED_DONE);
    intake_over(&b, 1);
}

Test(intake, a_coordinator_that_drains_accepts_no_job)
{
    struct bench b;
    struct http_exchange x = {.prefer = "respond-async"};
    intake_start(&b);
    durable_drain(&b.replica.durable);
    post(&b, &x);
    expect_header(&x, "Retry-After: ");
    expect_problem(&x, 503, "shutting down");
    intake_over(&b, 0);
}
