/* The calls about durable jobs: answers when the store fails, waiting for the end of a job, and clients that hang up.
 */
#include "coordinator/api/api_durable.h"

#include "common/net/prefer_header.h"
#include "coordinator/api/api_wait.h"
#include "unit/coordinator/api/api_harness.h"

static void redrive(struct http_exchange *x, struct coordinator *c)
{
    api_redrive_job(x, c);
}

static const struct {
    void (*handle)(struct http_exchange *x, struct coordinator *c);
    enum store_op op;
    enum stored_state state; /* of the job */
    int status;              /* of the answer if the store succeeds */
} calls[] = {
    {api_show_durable, STORE_READ_JOB, STORED_RUNNING, 200},
    {api_list_durable, STORE_LIST_JOBS, STORED_RUNNING, 200},
    {api_delete_durable, STORE_WANT_CANCEL, STORED_RUNNING, 202},
    {api_delete_durable, STORE_REMOVE, STORED_PARTIAL, 204},
    {redrive, STORE_REDRIVE, STORED_PARTIAL, 202},
    {redrive, STORE_REDRIVE, STORED_RUNNING, 409},
    {api_show_durable, STORE_READ_JOB, STORED_RECEIVING, 404},
    {api_delete_durable, STORE_WANT_CANCEL, STORED_PENDING, 202},
};

static struct fake_job *add_job(struct desk *d, enum stored_state state)
{
    struct fake_job *j = fake_store_add_job(d->store, ID, state, 2);
    if (state == STORED_PARTIAL) j->job.counts = (struct stored_counts){.succeeded = 1, .failed = 1};
    return j;
}

Test(api_durable, each_call_is_answered)
{
    for (size_t i = 0; i < ARRAY_SIZE(calls); i++) {
        struct desk d;
        desk_init(&d);
        add_job(&d, calls[i].state);
        calls[i].handle(&d.x, &d.c);
        cr_assert_eq(d.x.status, 0);
        fake_store_run(d.store);
        cr_assert_eq(d.x.status, calls[i].status, "call %zu: %d, %s", i, d.x.status, buf_cstr(&d.x.answer));
        desk_over(&d);
    }
}

Test(api_durable, the_list_is_written_while_it_is_sent)
{
    for (size_t cap = 1; cap < 5000; cap = 3 * cap) {
        struct desk d;
        desk_init(&d);
        add_job(&d, STORED_RUNNING);
        api_list_durable(&d.x, &d.c);
        fake_store_run(d.store);
        while (!exchange_pull(&d.x, cap)) continue;
        static const char begin[] = "{\"scope\":\"store\",\"jobs\":[{\"id\":",
                          end[] = "],\"next\":null,\"synchronous\":[]}\n";
        const char *text = buf_cstr(&d.x.answer);
        cr_assert_eq(strncmp(text, begin, strlen(begin)), 0, "%s", text);
        cr_assert_str_eq(text + strlen(text) - strlen(end), end);
        desk_over(&d);
    }
}

Test(api_durable, what_the_store_says_becomes_a_status)
{
    static const struct {
        enum store_status store;
        int http;
    } rows[] = {{STORE_NOT_FOUND, 404}, {STORE_FULL, 507}, {STORE_AWAY, 503}, {STORE_UNFIT, 500}, {STORE_BROKEN, 500}};
    for (size_t i = 0; i < ARRAY_SIZE(calls); i++) {
        for (size_t row = 0; row < ARRAY_SIZE(rows); row++) {
            struct desk d;
            desk_init(&d);
            add_job(&d, calls[i].state);
            fake_store_fail(d.store, calls[i].op, rows[row].store, 1);
            calls[i].handle(&d.x, &d.c);
            fake_store_run(d.store);
            cr_assert_eq(d.x.status, rows[row].http, "call %zu: %d", i, d.x.status);
            desk_over(&d);
        }
    }
}

Test(api_durable, a_client_may_hang_up_while_a_call_is_open_and_the_call_takes_effect)
{
    for (size_t i = 0; i < ARRAY_SIZE(calls); i++) {
        struct desk d;
        desk_init(&d);
        add_job(&d, calls[i].state);
        calls[i].handle(&d.x, &d.c);
        exchange_close(&d.x, HTTP_CLOSED_HANG_UP);
        fake_store_run(d.store);
        if (calls[i].status == 204) cr_assert_null(fake_store_find(d.store, ID));
        desk_over(&d);
    }
}

Test(api_durable, an_id_that_is_too_long_is_no_job)
{
    struct desk d;
    desk_init(&d);
    add_job(&d, STORED_PARTIAL);
    d.x.id = ID "0";
    api_delete_durable(&d.x, &d.c);
    fake_store_run(d.store);
    cr_assert_eq(d.x.status, 404);
    cr_assert(fake_store_find(d.store, ID));
    desk_over(&d);
}

/* Waiting. */

static struct fake_job *begin_wait(struct desk *d, const char *wait_s)
{
    desk_init(d);
    d->x.query[0] = "wait_s";
    d->x.query[1] = wait_s;
    struct fake_job *j = add_job(d, STORED_RUNNING);
    api_show_durable(&d->x, &d->c);
    fake_store_run(d->store);
    cr_assert_eq(d->x.status, 0, "the job has not ended");
    return j;
}

Test(api_durable, a_client_waits_for_the_end_of_a_job_and_is_woken)
{
    struct desk d;
    struct fake_job *j = begin_wait(&d, "60");
    job_watches_poke(&d.c.watches, ID);
    fake_store_run(d.store);
    cr_assert_eq(d.x.status, 0);
    j->job.state = STORED_SUCCEEDED;
    job_watches_poke(&d.c.watches, "another");
    fake_store_run(d.store);
    cr_assert_eq(d.x.status, 0);
    job_watches_poke(&d.c.watches, ID);
    fake_store_run(d.store);
    cr_assert_eq(d.x.status, 200);
    cr_assert(strstr(buf_cstr(&d.x.answer), "\"succeeded\""));
    desk_over(&d);
}

Test(api_durable, an_end_on_another_coordinator_is_noticed)
{
    struct desk d;
    struct fake_job *j = begin_wait(&d, "60");
    j->job.state = STORED_SUCCEEDED;
    tick(&d, 100 * NS_PER_MS);
    cr_assert_eq(d.x.status, 0, "the store is not asked all the time");
    tick(&d, 600 * NS_PER_MS);
    cr_assert_eq(d.x.status, 200);
    desk_over(&d);
}

Test(api_durable, while_a_client_waits_the_store_may_be_away)
{
    struct desk d;
    struct fake_job *j = begin_wait(&d, "60");
    d.store->away = true;
    tick(&d, 600 * NS_PER_MS);
    cr_assert_eq(d.x.status, 0);
    d.store->away = false;
    j->job.state = STORED_SUCCEEDED;
    tick(&d, 1200 * NS_PER_MS);
    cr_assert_eq(d.x.status, 200);
    desk_over(&d);
}

Test(api_durable, a_wait_ends_at_its_time_at_a_drain_and_when_the_job_is_removed)
{
    for (unsigned how = 0; how < 3; how++) {
        struct desk d;
        begin_wait(&d, how == 0 ? "0.2" : "60");
        if (how == 0) fake_clock_pass(300);
        if (how == 1) job_watches_drain(&d.c.watches);
        if (how == 2) fake_store_fail(d.store, STORE_READ_JOB, STORE_NOT_FOUND, 1);
        if (how != 1) tick(&d, 600 * NS_PER_MS);
        fake_store_run(d.store);
        cr_assert_eq(d.x.status, how == 2 ? 404 : 200);
        desk_over(&d);
    }
}

Test(api_durable, news_that_comes_while_the_store_is_asked_is_not_lost)
{
    struct desk d;
    struct fake_job *j = begin_wait(&d, "60");
    job_watches_poke(&d.c.watches, ID);
    job_watches_poke(&d.c.watches, ID); /* the open call may have read the job before this poke */
    cr_assert(fake_store_step(d.store));
    j->job.state = STORED_SUCCEEDED;
    fake_store_run(d.store);
    cr_assert_eq(d.x.status, 200);
    desk_over(&d);
}

/* A POST whose client waits. */

static struct fake_job *post_and_wait_for(struct desk *d, bool async, enum job_likeness likeness)
{
    const struct preferences wanted = {.respond_async = async, .waits = true, .wait_s = 60};
    desk_init(d);
    struct fake_job *j = add_job(d, STORED_RUNNING);
    api_wait_for_accepted(&d->x, &d->c, &j->job, &wanted, likeness);
    fake_store_run(d->store);
    cr_assert_eq(d->x.status, 0);
    return j;
}

static struct fake_job *post_and_wait(struct desk *d, bool async)
{
    return post_and_wait_for(d, async, LIKE_NOTHING);
}

static void expect_header(struct desk *d, const char *line, bool is_there)
{
    cr_assert_eq(strstr(buf_cstr(&d->x.headers), line) != NULL, is_there, "%s: %s", line, buf_cstr(&d->x.headers));
}

Test(api_durable, a_client_that_waits_gets_the_results)
{
    struct desk d;
    struct fake_job *j = post_and_wait(&d, true);
    fake_store_add_lines(d.store, j, BLOCK_VALUES, 0, 2, "{\"value\":%u}");
    j->job.state = STORED_SUCCEEDED;
    job_watches_poke(&d.c.watches, ID);
    for (bool ended = false; !ended; ended = exchange_pull(&d.x, 4096)) fake_store_run(d.store);
    cr_assert_eq(d.x.status, 200);
    expect_header(&d, "Preference-Applied: wait=60\n", true);
    expect_header(&d, "Location", false);
    cr_assert(strstr(buf_cstr(&d.x.answer), "\"results\":[0,1],\"errors\":[],"), "%s", buf_cstr(&d.x.answer));
    desk_over(&d);
}

/* In every case of this test, the job has already been committed. */
Test(api_durable, a_client_that_waited_long_enough_gets_202)
{
    for (unsigned how = 0; how < 4; how++) {
        struct desk d;
        post_and_wait(&d, how == 0);
        if (how < 2) fake_clock_pass(60 * 1000 + 1);
        if (how == 1) d.store->away = true;
        if (how == 2) job_watches_drain(&d.c.watches);
        if (how == 3) fake_store_fail(d.store, STORE_READ_JOB, STORE_BROKEN, 1);
        if (how != 2) tick(&d, 600 * NS_PER_MS);
        fake_store_run(d.store);
        cr_assert_eq(d.x.status, 202, "%u: %d", how, d.x.status);
        expect_header(&d, "Location: /v1/jobs/" ID "\n", true);
        expect_header(&d, how == 0 ? "Preference-Applied: respond-async, wait=60\n" : "Preference-Applied: wait=60\n",
                      true);
        cr_assert(strstr(buf_cstr(&d.x.answer), "\"status\":\"running\""));
        desk_over(&d);
    }
}

/* If the only item looks like a job object, each answer has the hint. If the only item looks like an array of items, an
 * answer has the hint only if the item has failed. */
Test(api_durable, a_client_that_waits_gets_the_hint_about_its_only_item)
{
    for (unsigned how = 0; how < 4; how++) {
        bool ends = how > 0, fails = how == 3;
        struct desk d;
        struct fake_job *j = post_and_wait_for(&d, true, how < 2 ? LIKE_JOB : LIKE_ITEMS);
        j->job.items = 1;
        fake_store_add_lines(d.store, j, fails ? BLOCK_ERRORS : BLOCK_VALUES, 0, 1,
                             fails ? "{\"error\":{}}" : "{\"value\":1}");
        j->job.counts.failed = fails;
        if (ends)
            j->job.state = STORED_PARTIAL;
        else
            job_watches_drain(&d.c.watches);
        if (ends) job_watches_poke(&d.c.watches, ID);
        for (bool ended = false; !ended; ended = exchange_pull(&d.x, 4096)) fake_store_run(d.store);
        cr_assert_eq(d.x.status, ends ? 200 : 202, "%u", how);
        cr_assert_eq(strstr(buf_cstr(&d.x.answer), "\"hint\":") != NULL, how != 2, "%u: %s", how,
                     buf_cstr(&d.x.answer));
        desk_over(&d);
    }
}

Test(api_durable, a_client_that_waits_may_hang_up)
{
    struct desk d;
    struct fake_job *j = post_and_wait(&d, false);
    job_watches_poke(&d.c.watches, ID);
    exchange_close(&d.x, HTTP_CLOSED_HANG_UP);
    j->job.state = STORED_SUCCEEDED;
    job_watches_poke(&d.c.watches, ID);
    fake_store_run(d.store);
    desk_over(&d);
}

Test(api_durable, a_job_that_is_removed_while_its_client_waits_is_gone)
{
    struct desk d;
    post_and_wait(&d, false);
    fake_store_fail(d.store, STORE_READ_JOB, STORE_NOT_FOUND, 1);
    job_watches_poke(&d.c.watches, ID);
    fake_store_run(d.store);
    cr_assert_eq(d.x.status, 404);
    desk_over(&d);
}

/* PATCH. */

static void patch(struct desk *d, enum stored_state state, const char *body)
{
    desk_init(d);
    d->x.content_type = "application/merge-patch+json";
    add_job(d, state);
    api_change_durable(&d->x, &d->c);
    if (d->x.status == 0) exchange_send_text(&d->x, body);
    if (d->x.ops) exchange_end_body(&d->x);
    fake_store_run(d->store);
}

Test(api_durable, a_job_that_has_not_ended_is_changed)
{
    static const struct {
        enum stored_state state;
        int status;
    } rows[] = {{STORED_PENDING, 200},   {STORED_RUNNING, 200},   {STORED_PARTIAL, 409},
                {STORED_CANCELLED, 409}, {STORED_RECEIVING, 404}, {STORED_TIMED_OUT, 409}};
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct desk d;
        patch(&d, rows[i].state, "{\"priority\":9}");
        cr_assert_eq(d.x.status, rows[i].status, "%zu: %d", i, d.x.status);
        if (rows[i].status == 200) cr_assert(strstr(buf_cstr(&d.x.answer), "\"priority\":9"));
        desk_over(&d);
    }
}

Test(api_durable, a_wrong_change_is_told_with_its_place)
{
    struct desk d;
    patch(&d, STORED_RUNNING, "{\"max_concurrency\":\"many\"}");
    cr_assert_eq(d.x.status, 400);
    cr_assert_str_eq(buf_cstr(&d.x.members), "\"pointer\":\"/max_concurrency\"");
    cr_assert_null(fake_store_find(d.store, ID)->job.changes);
    desk_over(&d);
}

Test(api_durable, a_change_that_is_too_long_or_of_another_type_is_refused)
{
    struct desk d;
    struct buf body = {0};
    while (body.len < 20000) buf_add_str(&body, "          ");
    patch(&d, STORED_RUNNING, "");
    cr_assert_eq(d.x.status, 400);
    desk_over(&d);

    desk_init(&d);
    d.x.content_type = "application/json";
    add_job(&d, STORED_RUNNING);
    api_change_durable(&d.x, &d.c);
    exchange_send(&d.x, body.data, body.len);
    cr_assert_eq(d.x.status, 413);
    desk_over(&d);

    desk_init(&d);
    d.x.content_type = "text/plain";
    api_change_durable(&d.x, &d.c);
    cr_assert_eq(d.x.status, 415);
    d.x.ops = NULL;
    desk_over(&d);
    buf_release(&body);
}
