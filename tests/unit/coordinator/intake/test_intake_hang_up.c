/* The client of a durable job disconnects before it has an answer. */
#include "unit/coordinator/intake/intake_harness.h"

Test(intake, a_client_that_goes_during_the_upload_leaves_no_job)
{
    struct bench b;
    struct http_exchange x = {.prefer = "respond-async", .content_type = "application/x-ndjson", .query_task = "echo"};
    struct buf body = {0};
    intake_start(&b);
    add_items(&body, 3);
    post(&b, &x);
    cr_assert_eq(exchange_send(&x, body.data, body.len), body.len);
    fake_store_step(b.store);
    exchange_close(&x, HTTP_CLOSED_HANG_UP);
    buf_release(&body);
    intake_over(&b, 0);
}

Test(intake, a_client_that_goes_before_anything_was_stored_leaves_no_job)
{
    struct bench b;
    struct http_exchange x = {.prefer = "respond-async"};
    intake_start(&b);
    post(&b, &x);
    exchange_send_text(&x, "{\"task\":\"echo\",");
    exchange_close(&x, HTTP_CLOSED_HANG_UP);
    cr_assert_eq(b.store->calls[STORE_ADD_JOB], 0);
    intake_over(&b, 0);
}

Test(intake, a_client_that_goes_while_a_worker_is_asked_leaves_no_job)
{
    struct bench b;
    struct http_exchange x = {.prefer = "respond-async"};
    intake_start(&b);
    stage_has_worker(&b.replica.stage);
    post_body(&b, &x, JOB);
    exchange_close(&x, HTTP_CLOSED_HANG_UP);
    call_body(last_call(), "{\"tasks\":[{\"name\":\"echo\"}]}");
    call_end(last_call(), HTTP_CALL_OK, 200, false);
    intake_over(&b, 0);
}

Test(intake, a_job_that_is_being_accepted_is_kept_although_its_client_has_gone)
{
    struct bench b;
    struct http_exchange x = {.prefer = "respond-async"};
    intake_start(&b);
    post_body(&b, &x, JOB);
    exchange_close(&x, HTTP_CLOSED_HANG_UP);
    fake_store_run(b.store);
    cr_assert_eq(b.store->jobs[0]->job.state, STORED_PENDING);
    intake_over(&b, 1);
}

Test(intake, a_client_that_goes_before_a_refusal_leaves_no_job)
{
    struct bench b;
    struct http_exchange x = {.prefer = "respond-async"};
    intake_start(&b);
    fake_store_fail(b.store, STORE_ADD_BLOCK, STORE_FULL, 1);
    post_body(&b, &x, JOB);
    exchange_close(&x, HTTP_CLOSED_HANG_UP);
    intake_over(&b, 0);
}
