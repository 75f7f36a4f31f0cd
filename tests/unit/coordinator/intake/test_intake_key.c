/* Requests with the same Idempotency-Key make only one job. */
#include "coordinator/intake/request_key.h"
#include "unit/coordinator/intake/intake_harness.h"

static void post_key(struct bench *b, struct http_exchange *x, const char *key, const char *body)
{
    *x = (struct http_exchange){.prefer = "respond-async", .idempotency_key = key};
    post_body(b, x, body);
    fake_store_run(b->store);
}

Test(intake_key, the_same_key_and_body_is_the_same_job)
{
    struct bench b;
    struct http_exchange x, y;
    intake_start(&b);
    post_key(&b, &x, "k1", JOB);
    post_key(&b, &y, "k1", JOB);
    cr_assert_eq(x.status, 202);
    cr_assert_eq(y.status, 202);
    cr_assert_str_eq(x.job, y.job);
    exchange_close(&x, HTTP_CLOSED_DONE);
    exchange_close(&y, HTTP_CLOSED_DONE);
    post_key(&b, &y, "k2", JOB);
    cr_assert_eq(y.status, 202);
    exchange_close(&y, HTTP_CLOSED_DONE);
    intake_over(&b, 2);
}

Test(intake_key, another_body_or_query_with_the_same_key_is_refused)
{
    struct bench b;
    struct http_exchange x, y = {.prefer = "respond-async", .idempotency_key = "k1", .query_task = "echo"};
    intake_start(&b);
    post_key(&b, &x, "k1", "{\"items\":[1]}");
    expect_problem(&x, 400, "task");
    post_key(&b, &x, "k1", JOB);
    cr_assert_eq(x.status, 202);
    exchange_close(&x, HTTP_CLOSED_DONE);
    post_key(&b, &x, "k1", "{\"task\":\"echo\",\"items\":[1,2,4]}");
    expect_problem(&x, 422, "was used for another job");
    y.content_type = "application/x-ndjson";
    post_body(&b, &y, "1\n2\n3\n");
    fake_store_run(b.store);
    expect_problem(&y, 422, "was used for another job");
    intake_over(&b, 1);
}

Test(intake_key, the_same_bytes_in_another_format_are_another_job)
{
    struct bench b;
    struct http_exchange x = {.prefer = "respond-async", .idempotency_key = "k1", .query_task = "echo"}, y = x;
    intake_start(&b);
    x.content_type = "application/x-ndjson";
    y.content_type = "text/plain";
    post_body(&b, &x, "1\n2\n");
    post_body(&b, &y, "1\n2\n");
    fake_store_run(b.store);
    cr_assert_eq(x.status, 202);
    exchange_close(&x, HTTP_CLOSED_DONE);
    expect_problem(&y, 422, "was used for another job");
    intake_over(&b, 1);
}

/* Begins to post a job with the key k1. The first items of the job are in the store. */
static void begin_long(struct bench *b, struct http_exchange *x)
{
    struct buf body = {0};
    *x = (struct http_exchange){.prefer = "respond-async",
                                .idempotency_key = "k1",
                                .query_task = "echo",
                                .content_type = "application/x-ndjson"};
    add_items(&body, 2);
    post(b, x);
    cr_assert_eq(exchange_send(x, body.data, body.len), body.len);
    fake_store_run(b->store);
    buf_release(&body);
}

static void end_long(struct bench *b, struct http_exchange *x)
{
    exchange_end_body(x);
    fake_store_run(b->store);
}

Test(intake_key, a_key_whose_first_request_is_still_received_is_a_conflict)
{
    struct bench b;
    struct http_exchange first, second;
    intake_start(&b);
    begin_long(&b, &first);
    post_key(&b, &second, "k1", JOB);
    expect_header(&second, "Retry-After: ");
    expect_problem(&second, 409, "still being received");
    end_long(&b, &first);
    cr_assert_eq(first.status, 202);
    exchange_close(&first, HTTP_CLOSED_DONE);
    intake_over(&b, 1);
}

Test(intake_key, a_long_request_is_answered_with_the_job_that_was_accepted_meanwhile)
{
    struct bench b;
    struct http_exchange first, second;
    intake_start(&b);
    begin_long(&b, &first);
    begin_long(&b, &second);
    end_long(&b, &first);
    cr_assert_eq(first.status, 202);
    end_long(&b, &second);
    cr_assert_eq(second.status, 202, "%s", buf_cstr(&second.answer));
    cr_assert_str_eq(second.job, first.job);
    exchange_close(&first, HTTP_CLOSED_DONE);
    exchange_close(&second, HTTP_CLOSED_DONE);
    intake_over(&b, 1);
}

Test(intake_key, a_long_request_whose_first_one_failed_meanwhile_is_to_be_sent_again)
{
    struct bench b;
    struct http_exchange first, second;
    intake_start(&b);
    begin_long(&b, &first);
    begin_long(&b, &second);
    exchange_close(&first, HTTP_CLOSED_HANG_UP);
    fake_store_run(b.store);
    end_long(&b, &second);
    expect_header(&second, "Retry-After: ");
    expect_problem(&second, 409, "send this request again");
    begin_long(&b, &second);
    end_long(&b, &second);
    cr_assert_eq(second.status, 202);
    exchange_close(&second, HTTP_CLOSED_DONE);
    intake_over(&b, 1);
}

Test(intake_key, a_store_that_cannot_read_the_job_of_a_key_is_said_to_be_away)
{
    struct bench b;
    struct http_exchange x, y;
    intake_start(&b);
    post_key(&b, &x, "k1", JOB);
    exchange_close(&x, HTTP_CLOSED_DONE);
    fake_store_fail(b.store, STORE_READ_JOB, STORE_AWAY, 1);
    post_key(&b, &y, "k1", JOB);
    expect_header(&y, "Retry-After: ");
    expect_problem(&y, 503, "did not accept the job");
    intake_over(&b, 1);
}

Test(intake_key, two_requests_with_one_key_at_the_same_moment_make_one_job)
{
    struct bench b;
    struct http_exchange x = {.prefer = "respond-async", .idempotency_key = "k1"}, y = x;
    intake_start(&b);
    post_body(&b, &x, JOB);
    post_body(&b, &y, JOB);
    fake_store_run(b.store);
    cr_assert_eq(x.status, 202);
    cr_assert_eq(y.status, 202);
    cr_assert_str_eq(x.job, y.job);
    exchange_close(&x, HTTP_CLOSED_DONE);
    exchange_close(&y, HTTP_CLOSED_DONE);
    intake_over(&b, 1);
}

/* Posts a job. The store call that accepts the job takes effect, but its reply is lost. */
static void post_and_lose(struct bench *b, struct http_exchange *x)
{
    *x = (struct http_exchange){.prefer = "respond-async", .idempotency_key = "k1"};
    b->store->faults[STORE_ACCEPT] = (struct fake_fault){.status = STORE_AWAY, .times = 1, .lost = true};
    post_body(b, x, JOB);
    while (b->store->calls[STORE_ACCEPT] == 0) cr_assert(fake_store_step(b->store));
    cr_assert_eq(x->status, 0, "the outcome is not known yet");
}

Test(intake_key, an_acceptance_whose_reply_is_lost_is_found_and_answered)
{
    struct bench b;
    struct http_exchange x, y;
    intake_start(&b);
    post_and_lose(&b, &x);
    fake_store_run(b.store);
    cr_assert_eq(x.status, 202);
    post_key(&b, &y, "k1", JOB);
    cr_assert_eq(y.status, 202);
    cr_assert_str_eq(x.job, y.job);
    exchange_close(&x, HTTP_CLOSED_DONE);
    exchange_close(&y, HTTP_CLOSED_DONE);
    intake_over(&b, 1);
}

/* Another coordinator may run the job before this coordinator learns that the store has accepted the job. */
Test(intake_key, a_job_that_has_ended_before_its_acceptance_is_known_stays)
{
    struct bench b;
    struct http_exchange x;
    intake_start(&b);
    post_and_lose(&b, &x);
    b.store->jobs[0]->job.state = STORED_SUCCEEDED;
    fake_store_run(b.store);
    cr_assert_eq(x.status, 202);
    exchange_close(&x, HTTP_CLOSED_DONE);
    intake_over(&b, 1);
}

Test(intake_key, a_job_of_which_nobody_knows_whether_it_was_accepted_is_found_by_its_key)
{
    struct bench b;
    struct http_exchange x, y;
    intake_start(&b);
    post_and_lose(&b, &x);
    fake_store_fail(b.store, STORE_DISCARD, STORE_AWAY, 1);
    fake_store_run(b.store);
    expect_header(&x, "Retry-After: ");
    expect_problem(&x, 503, "the job may or may not have been accepted");
    bench_pass(&b, 1000);
    post_key(&b, &y, "k1", JOB);
    cr_assert_eq(y.status, 202);
    cr_assert_str_eq(y.job, b.store->jobs[0]->job.id);
    exchange_close(&y, HTTP_CLOSED_DONE);
    intake_over(&b, 1);
}

Test(intake_key, a_key_is_free_again_when_the_store_has_come_back)
{
    struct bench b;
    struct http_exchange x;
    intake_start(&b);
    fake_store_fail(b.store, STORE_ACCEPT, STORE_AWAY, 1);
    fake_store_fail(b.store, STORE_DISCARD, STORE_AWAY, 3);
    post_key(&b, &x, "k1", JOB);
    expect_problem(&x, 503, "may or may not have been accepted");
    post_key(&b, &x, "k1", JOB);
    expect_problem(&x, 409, "still being received");
    bench_pass(&b, 3000);
    cr_assert_eq(b.store->calls[STORE_DISCARD], 4);
    post_key(&b, &x, "k1", JOB);
    cr_assert_eq(x.status, 202);
    exchange_close(&x, HTTP_CLOSED_DONE);
    intake_over(&b, 1);
}

Test(intake_key, a_large_body_with_a_known_key_is_not_stored_again)
{
    struct bench b;
    struct http_exchange x, y;
    struct buf body = {0};
    intake_start(&b);
    add_items(&body, 3);
    for (int i = 0; i < 2; i++) {
        struct http_exchange *e = i ? &y : &x;
        *e = (struct http_exchange){.prefer = "respond-async",
                                    .idempotency_key = "k1",
                                    .query_task = "echo",
                                    .content_type = "application/x-ndjson"};
        post(&b, e);
        for (size_t at = 0; at < body.len; fake_store_run(b.store)) {
            size_t len = body.len - at < 1000000 ? body.len - at : 1000000;
            at += exchange_send(e, body.data + at, len);
        }
        exchange_end_body(e);
        fake_store_run(b.store);
        cr_assert_eq(e->status, 202);
    }
    cr_assert_str_eq(x.job, y.job);
    cr_assert_leq(b.store->calls[STORE_ADD_BLOCK], 5);
    exchange_close(&x, HTTP_CLOSED_DONE);
    exchange_close(&y, HTTP_CLOSED_DONE);
    buf_release(&body);
    intake_over(&b, 1);
}

Test(intake_key, two_keys_in_one_request_are_refused)
{
    struct bench b;
    struct http_exchange x = {.prefer = "respond-async", .idempotency_key = "k1", .more_keys = 1};
    intake_start(&b);
    post(&b, &x);
    expect_problem(&x, 400, "more than one Idempotency-Key");
    intake_over(&b, 0);
}

Test(intake_key, a_key_in_quotes_is_decoded)
{
    static const struct {
        const char *header, *key;
    } rows[] = {
        {"k1", "k1"},           {"\"k1\"", "k1"}, {"\" k 1 \"", " k 1 "}, {"\"a\\\"b\"", "a\"b"}, {"a\"b", "a\"b"},
        {"\"a\\\\b\"", "a\\b"}, {"a\\b", "a\\b"}, {"\"\\\"\"", "\""},     {"\"\\\\\"", "\\"},     {"a\"", "a\""},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct bench b;
        struct http_exchange x;
        intake_start(&b);
        post_key(&b, &x, rows[i].header, JOB);
        cr_assert_eq(x.status, 202, "%s: %s", rows[i].header, buf_cstr(&x.answer));
        cr_assert_str_eq(b.store->jobs[0]->job.key, rows[i].key);
        exchange_close(&x, HTTP_CLOSED_DONE);
        intake_over(&b, 1);
    }
}

/* Fills `header` with a quoted string that has n escaped quotes. */
static void make_quotes(char *header, size_t n)
{
    *header++ = '"';
    while (n-- > 0) {
        *header++ = '\\';
        *header++ = '"';
    }
    memcpy(header, "\"", 2);
}

Test(intake_key, only_the_characters_of_the_key_count)
{
    char header[2 * REQUEST_KEY_BYTES + 5];
    make_quotes(header, REQUEST_KEY_BYTES);
    cr_assert(request_key_is_valid(header));
    make_quotes(header, REQUEST_KEY_BYTES + 1);
    cr_assert_not(request_key_is_valid(header));
}

Test(intake_key, wrong_keys_are_refused)
{
    char long_key[300];
    struct bench b;
    intake_start(&b);
    memset(long_key, 'k', sizeof long_key);
    long_key[256] = '\0';
    const char *wrong[] = {"",    "caf\xc3\xa9", "a\tb",     long_key,  "\"",       "\"\"",
                           "\"a", "\"a\"b\"",    "\"a\\b\"", "\"a\\\"", "\"a\";b=1"};
    for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
        struct http_exchange x = {.prefer = "respond-async", .idempotency_key = wrong[i]};
        post(&b, &x);
        expect_problem(&x, 400, "Idempotency-Key");
    }
    intake_over(&b, 0);
}
