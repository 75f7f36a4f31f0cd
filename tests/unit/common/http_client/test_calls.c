/* Calls from start to end: answers, headers, silence, cancels, callbacks. */
#include "unit/common/http_client/http_client_harness.h"
#include "unit/moves.h"

Test(http_client, an_answer_comes_whole_with_its_headers)
{
    struct heard h = {.body = "one\ntwo\n", .body_len = 8};
    start(&h, "/echo");
    run_until(&h.ends, 1);
    cr_assert_eq(h.result.outcome, HTTP_CALL_OK);
    cr_assert_eq(h.result.status, 200);
    cr_assert(h.result.sent_body && !h.result.closes);
    cr_assert_eq(h.heads, 1);
    cr_assert_str_eq(buf_cstr(&h.answer), "one\ntwo\n");
    buf_release(&h.answer);
    tear_down();
}

Test(http_client, every_move_of_a_call_is_in_the_debug_log)
{
    struct heard h = {.body = "x", .body_len = 1}, silent = h, big = {0};
    moves_record();
    start(&h, "/echo");
    run_until(&h.ends, 1);
    assert_moves("call moved", "spare>new new>running running>ended ended>spare");
    moves_forget();
    start(&silent, "/silent");
    uv_run(&loop, UV_RUN_ONCE);
    http_call_cancel(silent.call);
    assert_moves("call moved", "spare>new new>running running>spare");
    start(&big, "/big");
    while (big.answer.len < 100 * 1024) uv_run(&loop, UV_RUN_ONCE);
    http_call_cancel(big.call);
    struct buf moves = moves_of("call flow moved");
    cr_assert_eq(strncmp(buf_cstr(&moves), FIRST_FLOWS, strlen(FIRST_FLOWS)), 0, "%s", moves.data);
    cr_assert_str_eq(moves.data + moves.len - 6, ">short");
    buf_release(&moves);
    moves_forget();
    buf_release(&h.answer);
    buf_release(&big.answer);
    tear_down();
}

static const char *found_header, *missing_header;
static char found[32];

static void read_headers(void *data, struct http_call *call, int status)
{
    found_header = http_call_header(call, "x-name");
    snprintf(found, sizeof found, "%s", found_header ? found_header : "");
    missing_header = http_call_header(call, "x-nam");
}

static bool drop_body(void *data, const char *bytes, size_t len)
{
    return true;
}

Test(http_client, headers_are_found_by_name_in_any_case)
{
    struct heard h = {0};
    char url[64];
    snprintf(url, sizeof url, URL_FORMAT, port, "/echo");
    h.call = http_call_start(
        client,
        &(struct http_call_options){
            .method = "GET", .url = url, .on_head = read_headers, .on_body = drop_body, .on_end = on_end, .data = &h});
    run_until(&h.ends, 1);
    cr_assert(strncmp(found, "value", 5) == 0, "found \"%s\"", found);
    cr_assert_null(missing_header);
    tear_down();
}

Test(http_client, a_connection_is_used_again)
{
    for (int i = 0; i < 20; i++) {
        struct heard h = {.body = "x", .body_len = 1};
        start(&h, "/echo");
        run_until(&h.ends, 1);
        cr_assert_eq(h.result.outcome, HTTP_CALL_OK);
        buf_release(&h.answer);
    }
    cr_assert_eq(connections, 1);
    tear_down();
}

Test(http_client, connect_to_dials_elsewhere_and_keeps_the_host)
{
    struct heard h = {.body = "x", .body_len = 1};
    char to[32];
    snprintf(to, sizeof to, "127.0.0.1:%u", port);
    start_options(
        &h, (struct http_call_options){.url = "http://" URL_USER "no-such-host.invalid/echo", .connect_to = to}, "");
    run_until(&h.ends, 1);
    cr_assert_eq(h.result.outcome, HTTP_CALL_OK, "%s", h.reason);
    buf_release(&h.answer);
    tear_down();
}

Test(http_client, silence_times_out)
{
    struct heard h = {.body = "x", .body_len = 1};
    start_options(&h, (struct http_call_options){.silence_timeout_ms = 30}, "/silent");
    run_until(&h.ends, 1);
    cr_assert_eq(h.result.outcome, HTTP_CALL_TIMED_OUT);
    cr_assert(h.result.sent_body);
    tear_down();
}

Test(http_client, a_body_we_refuse_ends_the_call)
{
    struct heard h = {.body = "x", .body_len = 1, .refuse = true};
    start(&h, "/echo");
    run_until(&h.ends, 1);
    cr_assert_eq(h.result.outcome, HTTP_CALL_REFUSED_BY_US);
    buf_release(&h.answer);
    tear_down();
}

Test(http_client, connection_close_is_noticed)
{
    struct heard h = {.body = "x", .body_len = 1};
    start(&h, "/busy");
    run_until(&h.ends, 1);
    cr_assert_eq(h.result.outcome, HTTP_CALL_OK);
    cr_assert_eq(h.result.status, 429);
    cr_assert(h.result.closes);
    tear_down();
}

Test(http_client, cancel_hangs_up_and_ends_without_on_end)
{
    struct heard h = {.body = "x", .body_len = 1};
    start(&h, "/silent");
    while (!requests) uv_run(&loop, UV_RUN_ONCE);
    http_call_cancel(h.call);
    while (!hang_ups) uv_run(&loop, UV_RUN_ONCE);
    cr_assert_eq(h.ends, 0);
    tear_down();
}

Test(http_client, a_call_cancelled_before_it_began_is_never_sent)
{
    struct heard h = {.body = "x", .body_len = 1}, other = {.body = "x", .body_len = 1};
    start(&h, "/echo");
    http_call_cancel(h.call);
    start(&other, "/echo");
    run_until(&other.ends, 1);
    cr_assert_eq(requests, 1);
    cr_assert_eq(h.ends, 0);
    buf_release(&other.answer);
    tear_down();
}

static bool cancel_in_body(void *data, const char *bytes, size_t len)
{
    struct heard *h = data;
    http_call_cancel(h->call);
    return true;
}

Test(http_client, a_call_may_be_cancelled_inside_its_own_on_body)
{
    struct heard h = {0};
    char url[64];
    snprintf(url, sizeof url, URL_FORMAT, port, "/big");
    h.call = http_call_start(client,
                             &(struct http_call_options){
                                 .method = "GET", .url = url, .on_body = cancel_in_body, .on_end = on_end, .data = &h});
    while (!hang_ups) uv_run(&loop, UV_RUN_ONCE);
    cr_assert_eq(h.ends, 0);
    tear_down();
}

static struct heard chained;

static void start_another(struct heard *h)
{
    start(&chained, "/echo");
}

static void free_client(struct heard *h)
{
    http_client_free(client);
    client = NULL;
}

Test(http_client, on_end_may_start_another_call)
{
    struct heard h = {.body = "x", .body_len = 1, .then = start_another};
    chained = (struct heard){.body = "y", .body_len = 1};
    start(&h, "/echo");
    run_until(&chained.ends, 1);
    cr_assert_str_eq(buf_cstr(&chained.answer), "y");
    buf_release(&h.answer);
    buf_release(&chained.answer);
    tear_down();
}

Test(http_client, on_end_may_free_the_client_with_calls_running)
{
    struct heard silent = {.body = "x", .body_len = 1}, h = {.body = "x", .body_len = 1, .then = free_client};
    start(&silent, "/silent");
    start(&h, "/echo");
    run_until(&h.ends, 1);
    cr_assert_eq(silent.ends, 0);
    buf_release(&h.answer);
    tear_down();
}
