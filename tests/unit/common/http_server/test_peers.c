/* Clients that close the connection, that shut down only their sending side, or that are too slow. */
#include "unit/common/http_server/http_server_harness.h"
#include "unit/moves.h"

Test(http_server, a_hang_up_is_noticed_while_the_answer_is_awaited)
{
    start();
    moves_record();
    int fd = client();
    say(fd, "POST /hold HTTP/1.1\r\n" HOST "Content-Length: 3\r\n\r\nabc");
    TURN_UNTIL(saw.ends == 1);
    close(fd);
    TURN_UNTIL(saw.closes == 1);
    cr_assert_eq(saw.how, HTTP_CLOSED_HANG_UP);
    assert_moves("exchange moved", "head>body body>whole whole>gone");
    moves_forget();
    cr_assert_eq(http_server_open_exchanges(server), 0);
    stop();
}

Test(http_server, a_hang_up_is_noticed_while_the_upload_is_suspended)
{
    start();
    saw.body_room = 1;
    int fd = client();
    say(fd, "POST /hold HTTP/1.1\r\n" HOST "Content-Length: 6\r\n\r\nabc");
    TURN_UNTIL(saw.body_bytes == 1);
    close(fd);
    TURN_UNTIL(saw.closes == 1);
    cr_assert_eq(saw.how, HTTP_CLOSED_HANG_UP);
    stop();
}

Test(http_server, a_hang_up_is_noticed_while_a_stream_waits)
{
    start();
    saw.pull_room = 10;
    int fd = client();
    say(fd, "GET /stream HTTP/1.1\r\n" HOST "\r\n");
    assert_hears(fd, "xxxxxxxxxx");
    close(fd);
    TURN_UNTIL(saw.closes == 1);
    cr_assert_eq(saw.how, HTTP_CLOSED_HANG_UP);
    stop();
}

Test(http_server, a_client_that_only_closes_its_sending_side_still_gets_its_answer)
{
    start();
    moves_record();
    int fd = client();
    say(fd, "POST /hold HTTP/1.1\r\n" HOST "Content-Length: 3\r\n\r\nabc");
    shutdown(fd, SHUT_WR);
    TURN_UNTIL(saw.ends == 1);
    for (int i = 0; i < 100; i++) turn();
    cr_assert_eq(saw.closes, 0);
    assert_moves("connection peer moved", "here>shut shut>probed");
    moves_forget();
    http_answer(saw.held, 200, "text/plain", "patience", 8);
    assert_hears(fd, "patience");
    close(fd);
    stop();
}

Test(http_server, a_slow_head_gets_408)
{
    start_with((struct http_server_options){.header_timeout_ms = 100, .keepalive_timeout_ms = 100000});
    static const char *const starts[] = {"", "GE", "GET / HTTP/1.1\r\n", "GET / HTTP/1.1\r\nHost:"};
    for (size_t i = 0; i < ARRAY_SIZE(starts); i++) {
        int fd = client();
        say(fd, starts[i]);
        assert_hears(fd, "\"status\":408");
        assert_hears_end(fd);
        close(fd);
        fd = client();
        say(fd, "GET / HTTP/1.1\r\n" HOST "\r\n");
        assert_hears(fd, "hello");
        for (int turns = 0; turns < 50; turns++) turn();
        if (!*starts[i]) {
            close(fd);
            continue; /* this client sends nothing */
        }
        say(fd, starts[i]);
        assert_hears(fd, "\"status\":408");
        close(fd);
    }
    stop();
}

Test(http_server, an_idle_kept_connection_is_closed)
{
    start_with((struct http_server_options){.keepalive_timeout_ms = 50});
    int fd = client();
    say(fd, "GET / HTTP/1.1\r\n" HOST "\r\n");
    assert_hears(fd, "hello");
    assert_hears_end(fd);
    close(fd);
    stop();
}

Test(http_server, idle_connections_make_room_when_most_connections_are_in_use)
{
    int idle[4];
    start_with(
        (struct http_server_options){.header_timeout_ms = 100, .keepalive_timeout_ms = 100000, .max_connections = 4});
    for (unsigned i = 0; i < ARRAY_SIZE(idle); i++) {
        idle[i] = client();
        say(idle[i], "GET / HTTP/1.1\r\n" HOST "\r\n");
        assert_hears(idle[i], "hello");
    }
    int another = client();
    say(another, "GET / HTTP/1.1\r\n" HOST "\r\n");
    assert_hears(another, "hello");
    for (unsigned i = 0; i < ARRAY_SIZE(idle); i++) close(idle[i]);
    close(another);
    stop();
}

Test(http_server, a_body_that_pauses_for_too_long_gets_408)
{
    start_with((struct http_server_options){.upload_pause_ms = 100});
    static const char *const begun[] = {
        "Content-Length: 9\r\n\r\n",
        "Content-Length: 9\r\n\r\nabc",
        "Transfer-Encoding: chunked\r\n\r\n",
        "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
        "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n",
    };
    for (size_t i = 0; i < ARRAY_SIZE(begun); i++) {
        int fd = client();
        say(fd, "POST /count HTTP/1.1\r\n" HOST);
        say(fd, begun[i]);
        assert_hears(fd, "\"status\":408,\"detail\":\"no byte of the body arrived for 0.1 s\"");
        TURN_UNTIL(saw.closes == i + 1);
        cr_assert_eq(saw.how, HTTP_CLOSED_HANG_UP);
        close(fd);
        fd = client();
        say(fd, "POST /early HTTP/1.1\r\n" HOST); /* the answer of this route waits for the end of the body */
        say(fd, begun[i]);
        assert_hears(fd, "\"status\":408");
        assert_hears_end(fd);
        close(fd);
    }
    stop();
}

/* The whole body takes longer than upload_pause_ms, but no pause is that long. */
Test(http_server, a_body_of_single_bytes_without_a_long_pause_is_whole_in_the_end)
{
    enum { PAUSE_MS = 2000, BYTES = 300, TAKES_MS = PAUSE_MS * 3 / 2 };
    start_with((struct http_server_options){.upload_pause_ms = PAUSE_MS});
    int fd = client();
    say(fd, "POST /count HTTP/1.1\r\n" HOST "Content-Length: 300\r\n\r\n");
    saw.body_room = BYTES;
    for (int i = 0; i < BYTES; i++) {
        uint64_t until = now_ns() + TAKES_MS / BYTES * NS_PER_MS;
        say(fd, "a");
        TURN_UNTIL(now_ns() > until);
    }
    assert_hears(fd, "\r\n\r\n300");
    close(fd);
    stop();
}

Test(http_server, a_body_that_the_route_does_not_take_yet_may_wait)
{
    start_with((struct http_server_options){.upload_pause_ms = 100});
    int suspended = client();
    saw.body_room = 1;
    say(suspended, "POST /hold HTTP/1.1\r\n" HOST "Content-Length: 6\r\n\r\nabc");
    TURN_UNTIL(saw.held);
    uint64_t until = now_ns() + 400 * NS_PER_MS;
    TURN_UNTIL(now_ns() > until);
    cr_assert_eq(saw.closes, 0);
    close(suspended);
    stop();
}

/* The keep-alive time is longer than the timeout of the test, so the keep-alive time does not end these connections. */
Test(http_server, a_connection_that_its_client_has_half_closed_ends_after_the_last_answer)
{
    static const char *const requests[] = {
        "GET / HTTP/1.1\r\n" HOST "\r\n",
        "GET / HTTP/1.1\r\n" HOST "\r\nGET / HTTP/1.1\r\n" HOST "\r\n",
        "POST /count HTTP/1.1\r\n" HOST "Content-Length: 3\r\n\r\nabc",
        "GET / HTTP/1.1\r\n" HOST "\r\nGET / HT",
        "GET / HT",
        "POST /early HTTP/1.1\r\n" HOST "Content-Length: 9\r\n\r\nabc",
        "POST /early HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n3\r\nabc",
        "POST /early HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n0\r\nA: b",
        "POST /count HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n3;a=",
        "",
    };
    start();
    for (size_t i = 0; i < ARRAY_SIZE(requests); i++) {
        int fd = client();
        say(fd, requests[i]);
        shutdown(fd, SHUT_WR);
        assert_hears_end(fd);
        close(fd);
        fd = client();
        say(fd, requests[i]);
        for (int turns = 0; turns < 20; turns++) turn();
        shutdown(fd, SHUT_WR);
        assert_hears_end(fd);
        close(fd);
    }
    int fd = client();
    say(fd, "POST /hold HTTP/1.1\r\n" HOST "Content-Length: 0\r\n\r\n");
    shutdown(fd, SHUT_WR);
    TURN_UNTIL(saw.held);
    for (int turns = 0; turns < 20; turns++) turn();
    http_answer(saw.held, 200, "text/plain", "late", 4);
    assert_hears(fd, "late");
    assert_hears_end(fd);
    close(fd);
    stop();
}

/* The clients cause more events than one call of epoll_wait() reports. When the server shuts down the receiving side of
 * a connection, there is another event for the client of this connection. */
Test(http_server, many_clients_that_leave_together_do_not_hold_up_the_others)
{
    enum { CLIENTS = 200 };
    start_with((struct http_server_options){.header_timeout_ms = 100000, .keepalive_timeout_ms = 100000});
    int fds[CLIENTS];
    static const char *const said[] = {"", "GET / HT", "GET / HTTP/1.1\r\n" HOST "\r\n"};
    for (unsigned i = 0; i < CLIENTS; i++) {
        fds[i] = client();
        say(fds[i], said[i % ARRAY_SIZE(said)]);
        if (i % ARRAY_SIZE(said) == 2) assert_hears(fds[i], "hello");
    }
    const struct linger reset = {.l_onoff = 1};
    for (unsigned i = 0; i < CLIENTS; i++) {
        if (i % 2) setsockopt(fds[i], SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
        close(fds[i]);
    }
    int fd = client();
    say(fd, "GET / HTTP/1.1\r\n" HOST "\r\n");
    assert_hears(fd, "hello");
    close(fd);
    stop();
}
