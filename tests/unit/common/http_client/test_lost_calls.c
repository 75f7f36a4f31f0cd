/* Calls without an answer: the client knows whether the request was delivered, and does not send it twice. */
#include "unit/common/http_client/http_client_harness.h"

Test(http_client, a_refused_connection_is_certainly_not_delivered)
{
    struct heard h = {.body = "x", .body_len = 1};
    start_options(&h, (struct http_call_options){.connect_to = "127.0.0.1:1"}, "/echo");
    run_until(&h.ends, 1);
    cr_assert_eq(h.result.outcome, HTTP_CALL_NOT_CONNECTED);
    cr_assert(!h.result.sent_body);
    cr_assert(strlen(h.reason) > 0);
    tear_down();
}

Test(http_client, a_socket_that_is_not_there_is_certainly_not_delivered)
{
    for (int i = 0; i < 2; i++) {
        struct heard h = {.body = "x", .body_len = 1};
        start_options(&h, (struct http_call_options){.connect_to = "unix:/nowhere/at.all"}, "/echo");
        run_until(&h.ends, 1);
        cr_assert_eq(h.result.outcome, HTTP_CALL_NOT_CONNECTED);
        cr_assert(!h.result.sent_body);
        struct heard by_port = {.body = "x", .body_len = 1};
        start(&by_port, "/echo");
        run_until(&by_port.ends, 1);
        cr_assert_eq(by_port.result.outcome, HTTP_CALL_OK,
                     "the reused curl handle does not connect to the socket path of the earlier call");
        buf_release(&by_port.answer);
    }
    tear_down();
}

Test(http_client, a_bad_url_ends_as_not_connected_and_never_inside_start)
{
    struct heard h = {0};
    start_options(&h, (struct http_call_options){.url = "http://[broken"}, "");
    run_until(&h.ends, 1);
    cr_assert_eq(h.result.outcome, HTTP_CALL_NOT_CONNECTED);
    tear_down();
}

Test(http_client, a_post_whose_reused_connection_dies_is_lost_and_never_sent_twice)
{
    struct heard first = {.body = "x", .body_len = 1}, second = {.body = "y", .body_len = 1};
    start(&first, "/echo");
    run_until(&first.ends, 1);
    start(&second, "/lost");
    run_until(&second.ends, 1);
    cr_assert_eq(second.result.outcome, HTTP_CALL_LOST, "%s", second.reason);
    cr_assert(second.result.sent_body);
    cr_assert_eq(second.result.status, 0);
    cr_assert(strstr(second.reason, "lost after the request was sent"), "%s", second.reason);
    cr_assert_eq(requests, 2);
    buf_release(&first.answer);
    tear_down();
}

/* curl repeats the request on another connection, and reports only the error of that second connection. */
Test(http_client, a_post_whose_server_was_killed_says_that_it_was_delivered)
{
    struct heard first = {.body = "x", .body_len = 1}, second = {.body = "y", .body_len = 1}, third = second;
    start(&first, "/echo");
    run_until(&first.ends, 1);
    start(&second, "/killed");
    run_until(&second.ends, 1);
    cr_assert_eq(requests, 2);
    cr_assert_eq(second.result.outcome, HTTP_CALL_LOST, "%s", second.reason);
    cr_assert(strstr(second.reason, "lost after the request was sent"), "%s", second.reason);
    start(&third, "/echo");
    run_until(&third.ends, 1);
    cr_assert_eq(third.result.outcome, HTTP_CALL_NOT_CONNECTED, "%s", third.reason);
    cr_assert(strstr(third.reason, "onnect"), "%s", third.reason);
    buf_release(&first.answer);
    tear_down();
}

Test(http_client, a_big_post_whose_reused_connection_dies_is_never_sent_twice_either)
{
    char *big = xcalloc(1, BIG);
    struct heard first = {.body = "x", .body_len = 1}, second = {.body = big, .body_len = BIG};
    start(&first, "/echo");
    run_until(&first.ends, 1);
    start(&second, "/lost");
    run_until(&second.ends, 1);
    cr_assert_eq(second.result.outcome, HTTP_CALL_LOST, "%s", second.reason);
    cr_assert_eq(requests, 2);
    free(big);
    buf_release(&first.answer);
    tear_down();
}

Test(http_client, a_post_without_body_is_never_sent_twice_either)
{
    struct heard first = {.body = "x", .body_len = 1}, second = {0};
    start(&first, "/echo");
    run_until(&first.ends, 1);
    start_options(&second, (struct http_call_options){.method = "POST"}, "/lost");
    run_until(&second.ends, 1);
    cr_assert_eq(second.result.outcome, HTTP_CALL_LOST, "%s", second.reason);
    cr_assert_eq(requests, 2);
    buf_release(&first.answer);
    tear_down();
}

Test(http_client, an_answer_cut_in_the_middle_is_lost_but_its_status_is_told)
{
    struct heard h = {.body = "x", .body_len = 1};
    start(&h, "/half");
    while (h.answer.len < 4) uv_run(&loop, UV_RUN_ONCE);
    hang_up(held);
    run_until(&h.ends, 1);
    cr_assert_eq(h.result.outcome, HTTP_CALL_LOST);
    cr_assert_eq(h.result.status, 200);
    cr_assert_str_eq(buf_cstr(&h.answer), "half");
    buf_release(&h.answer);
    tear_down();
}
