/* Connections that are kept for the next call, and answers of all forms. */
#include "unit/common/http_client/http_client_harness.h"

static void assert_echo(bool connected)
{
    struct heard h = {.body = "x", .body_len = 1};
    start(&h, "/echo");
    run_until(&h.ends, 1);
    cr_assert_eq(h.result.outcome, HTTP_CALL_OK, "%s", h.reason);
    cr_assert_eq(h.connected, connected);
    cr_assert_str_eq(buf_cstr(&h.answer), "x");
    buf_release(&h.answer);
}

/* Starts a call. When the server has received the request, the server sends `text`. */
static void start_and_say(struct heard *h, const char *text)
{
    unsigned before = requests;
    start(h, "/held");
    while (requests == before) uv_run(&loop, UV_RUN_ONCE);
    say(held, text);
}

static void assert_answer(const char *text, bool then_hang_up, enum http_call_outcome outcome, const char *body)
{
    struct heard h = {.body = "x", .body_len = 1};
    start_and_say(&h, text);
    while (then_hang_up && h.answer.len < strlen(body)) uv_run(&loop, UV_RUN_ONCE);
    if (then_hang_up) hang_up(held);
    run_until(&h.ends, 1);
    cr_assert_eq(h.result.outcome, outcome, "%s: %s", text, h.reason);
    cr_assert_str_eq(buf_cstr(&h.answer), body);
    buf_release(&h.answer);
}

Test(http_client, answers_of_every_form_are_read)
{
    assert_answer("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n1\r\nd\r\n0\r\n\r\n", false,
                  HTTP_CALL_OK, "abcd");
    assert_answer("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\ny", false, HTTP_CALL_OK,
                  "y");
    assert_answer("HTTP/1.1 204 No\r\n\r\n", false, HTTP_CALL_OK, "");
    cr_assert_eq(connections, 1);
    assert_answer("HTTP/1.1 200 OK\r\n\r\nup to the end", true, HTTP_CALL_OK, "up to the end");
    assert_answer("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\ncut", true, HTTP_CALL_LOST, "cut");
    assert_echo(true);
    tear_down();
}

Test(http_client, an_answer_that_is_no_http_ends_the_call_and_the_connection)
{
    assert_answer("SSH-2.0-OpenSSH_9.2\r\n\r\n", false, HTTP_CALL_LOST, "");
    assert_echo(true);
    tear_down();
}

Test(http_client, a_head_that_is_too_large_ends_the_call)
{
    struct buf text = {0};
    struct heard h = {.body = "x", .body_len = 1};
    buf_add_str(&text, "HTTP/1.1 200 OK\r\n");
    while (text.len < 70000) buf_add_str(&text, "A: 0123456789012345678901234567890123456789\r\n");
    start_and_say(&h, buf_cstr(&text));
    run_until(&h.ends, 1);
    cr_assert_eq(h.result.outcome, HTTP_CALL_LOST);
    if (!BY_CURL) cr_assert(strstr(h.reason, "larger than 65536 bytes"), "%s", h.reason);
    buf_release(&text);
    tear_down();
}

Test(http_client, a_connection_that_the_peer_closed_is_not_used_again)
{
    assert_echo(true);
    hang_up(held);
    assert_echo(true);
    assert_echo(false);
    tear_down();
}

/* If the client did not close the connection, the descriptor of the connection would stay open until the next call to
 * the same address. */
Test(http_client, a_kept_connection_that_the_peer_closes_is_closed_at_once)
{
    if (BY_CURL) cr_skip_test("curl closes such a connection only when it next searches for a connection");
    uv_shutdown_t end;
    assert_echo(true);
    cr_assert_eq(uv_shutdown(&end, (uv_stream_t *)held, NULL), 0);
    while (hang_ups == 0) uv_run(&loop, UV_RUN_ONCE);
    tear_down();
}

Test(http_client, bytes_that_nobody_asked_for_are_no_answer_to_the_next_call)
{
    static const char unasked[] = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nwrong";
    struct heard h = {.body = "x", .body_len = 1};
    assert_echo(true);
    if (!BY_CURL) { /* curl hangs up only when it searches for a connection */
        say(held, unasked);
        while (hang_ups == 0) uv_run(&loop, UV_RUN_ONCE);
        assert_echo(true);
    }
    start_and_say(&h, "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nyHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nwrong");
    run_until(&h.ends, 1);
    cr_assert_str_eq(buf_cstr(&h.answer), "y");
    assert_echo(true);
    buf_release(&h.answer);
    tear_down();
}

Test(http_client, a_get_on_a_connection_that_dies_is_sent_again)
{
    struct heard h = {0};
    assert_echo(true);
    start(&h, "/held");
    while (requests < 2) uv_run(&loop, UV_RUN_ONCE);
    hang_up(held);
    while (requests < 3) uv_run(&loop, UV_RUN_ONCE);
    say(held, "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\ny");
    run_until(&h.ends, 1);
    cr_assert_eq(h.result.outcome, HTTP_CALL_OK, "%s", h.reason);
    cr_assert(h.connected);
    buf_release(&h.answer);
    tear_down();
}

Test(http_client, a_body_that_was_refused_early_is_not_sent_to_its_end)
{
    char *big = xcalloc(1, BIG);
    struct heard h = {.body = big, .body_len = BIG};
    start(&h, "/early");
    run_until(&h.ends, 1);
    cr_assert_eq(h.result.status, 401, "%s", h.reason);
    cr_assert_lt(h.given, BIG);
    assert_echo(true);
    free(big);
    buf_release(&h.answer);
    tear_down();
}

Test(http_client, connections_are_kept_by_address)
{
    char to[32];
    snprintf(to, sizeof to, "127.0.0.1:%u", port);
    struct heard h = {.body = "x", .body_len = 1}, other = h;
    start_options(&h, (struct http_call_options){.url = "http://" URL_USER "one.invalid/echo", .connect_to = to}, "");
    run_until(&h.ends, 1);
    start_options(&other, (struct http_call_options){.url = "http://" URL_USER "one.invalid/echo", .connect_to = to},
                  "");
    run_until(&other.ends, 1);
    cr_assert(h.connected && !other.connected);
    buf_release(&h.answer);
    buf_release(&other.answer);
    tear_down();
}

static void pass_ms(uint64_t ms)
{
    for (uint64_t end = uv_now(&loop) + ms; uv_now(&loop) < end;) uv_run(&loop, UV_RUN_ONCE);
}

/* With the first options the connection is idle for too long. With the second options the connection has existed for
 * too long. curl counts only whole seconds. */
Test(http_client, an_old_connection_is_not_used_again)
{
    static const struct http_client_options options[] = {{.max_idle_connection_ms = 5}, {.max_connection_age_ms = 5}};
    for (size_t i = 0; i < ARRAY_SIZE(options) && !BY_CURL; i++) {
        http_client_free(client);
        client = http_client_new(&loop, &options[i]);
        assert_echo(true);
        pass_ms(6);
        assert_echo(true);
    }
    tear_down();
}
