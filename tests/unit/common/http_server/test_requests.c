/* Requests, routes and answers. */
#include <sys/resource.h>

#include "unit/common/http_server/http_server_harness.h"
#include "unit/moves.h"

Test(http_server, answers_a_request_and_keeps_the_connection)
{
    start();
    int fd = client();
    for (int i = 0; i < 3; i++) {
        say(fd, "GET / HTTP/1.1\r\n" HOST "\r\n");
        assert_hears(fd, "hello");
    }
    cr_assert_eq(saw.dones, 3);
    cr_assert_eq(saw.done_status, 200);
    cr_assert_str_eq(saw.done_route, "/");
    close(fd);
    stop();
}

Test(http_server, answers_pipelined_requests_in_order)
{
    start();
    int fd = client();
    bool closed;
    say(fd, "GET / HTTP/1.1\r\n" HOST "\r\nGET /nothing HTTP/1.1\r\n" HOST "\r\nPOST /count HTTP/1.1\r\n" HOST
            "Content-Length: 3\r\n\r\nabcGET /v1/echo/last HTTP/1.1\r\n" HOST "\r\n");
    struct buf got = hear(fd, "name=last", &closed);
    char *hello = strstr(got.data, "hello"), *missing = strstr(got.data, "404"), *last = strstr(got.data, "name=last");
    cr_assert(hello && missing && last && hello < missing && missing < last);
    cr_assert_eq(saw.body_bytes, 3);
    buf_release(&got);
    close(fd);
    stop();
}

Test(http_server, routes_by_template_and_decodes_params_and_query)
{
    start();
    assert_exchange("GET /v1/echo/a%2Fb%20c?q=1%262+3&none2&q=4 HTTP/1.1\r\n" HOST "X-Thing: yes\r\n\r\n", "200",
                    "name=a/b c q=1&2 3 none=absent header=yes");
    cr_assert_str_eq(saw.seen, "[q=1&2 3][none2=][q=4]");
    assert_exchange("GET /v1/%65cho/z HTTP/1.1\r\n" HOST "\r\n", "200", "name=z q=(null)");
    assert_exchange("GET /v1/echo/%2500?q=%2500%c3%a9 HTTP/1.1\r\n" HOST "\r\n", "200", "name=%00 q=%00\xc3\xa9");
    assert_exchange("GET /v1/echo/ HTTP/1.1\r\n" HOST "\r\n", "404", "nothing at");
    assert_exchange("GET /v1/echo/a/b HTTP/1.1\r\n" HOST "\r\n", "404", "nothing at");
    stop();
}

Test(http_server, a_path_or_a_parameter_that_is_not_text_is_refused_by_name)
{
    start();
    assert_exchange("GET /v1/echo/%00 HTTP/1.1\r\n" HOST "\r\n", "400", "the decoded path /v1/echo/%00 has a NUL byte");
    assert_exchange("GET /v1/echo/caf%E9 HTTP/1.1\r\n" HOST "\r\n", "400", "/v1/echo/caf%E9 is not valid UTF-8");
    assert_exchange("GET /nothing/%ED%A0%80 HTTP/1.1\r\n" HOST "\r\n", "400", "is not valid UTF-8");
    assert_exchange("GET /v1/echo/a?b=1&q=caf%E9 HTTP/1.1\r\n" HOST "\r\n", "400",
                    "\\\"q\\\" is not valid UTF-8\",\"pointer\":\"/q\"");
    assert_exchange("GET /v1/echo/a?q=\xff HTTP/1.1\r\n" HOST "\r\n", "400", "\\\"q\\\" is not valid UTF-8");
    assert_exchange("GET /v1/echo/a?q=a%00b HTTP/1.1\r\n" HOST "\r\n", "400", "\\\"q\\\" has a NUL byte");
    assert_exchange("GET /v1/echo/a?a.b~=%c3 HTTP/1.1\r\n" HOST "\r\n", "400", "\"pointer\":\"/a/b~0\"");
    assert_exchange("GET /v1/echo/a?%E9=1 HTTP/1.1\r\n" HOST "\r\n", "400",
                    "the name of a query parameter is not valid UTF-8");
    assert_exchange("POST /count HTTP/1.1\r\n" HOST "Content-Length: 0\r\nContent-Type: a;charset=\xe9\r\n\r\n", "400",
                    "Content-Type is not valid UTF-8");
    stop();
}

Test(http_server, an_absolute_target_is_served_like_its_path)
{
    start();
    assert_exchange("GET http://h/ HTTP/1.1\r\n" HOST "\r\n", "200", "hello");
    assert_exchange("GET HTTP://[::1]:80/v1/echo/a%2Fb?q=1 HTTP/1.1\r\n" HOST "\r\n", "200", "name=a/b q=1");
    assert_exchange("GET https://h HTTP/1.1\r\n" HOST "\r\n", "200", "hello");
    assert_exchange("GET http://h?q=1 HTTP/1.1\r\n" HOST "\r\n", "200", "hello");
    assert_exchange("GET http:///v1/echo/a HTTP/1.1\r\n" HOST "\r\n", "400", "no valid host");
    assert_exchange("GET http://:80/ HTTP/1.1\r\n" HOST "\r\n", "400", "no valid host");
    assert_exchange("GET http://u@h/ HTTP/1.1\r\n" HOST "\r\n", "400", "no valid host");
    assert_exchange("GET //h/ HTTP/1.1\r\n" HOST "\r\n", "404", "nothing at");
    assert_exchange("GET ftp://h/ HTTP/1.1\r\n" HOST "\r\n", "404", "nothing at");
    stop();
}

Test(http_server, wrong_method_gets_405_with_allow)
{
    start();
    assert_exchange("POST /v1/echo/a HTTP/1.1\r\n" HOST "Content-Length: 0\r\n\r\n", "405",
                    "Allow: GET, HEAD, DELETE\r\n");
    assert_exchange("BREW / HTTP/1.1\r\n" HOST "\r\n", "405", "\"status\":405");
    stop();
}

Test(http_server, head_is_get_without_a_body)
{
    start();
    int fd = client();
    bool closed;
    say(fd, "HEAD / HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n");
    struct buf got = hear(fd, NULL, &closed);
    cr_assert(strstr(got.data, "Content-Length: 5\r\n"));
    cr_assert(!strstr(got.data, "hello"));
    buf_release(&got);
    close(fd);
    stop();
}

Test(http_server, a_route_that_does_nothing_gets_500)
{
    start();
    assert_exchange("GET /forget HTTP/1.1\r\n" HOST "\r\n", "500", "application/problem+json");
    stop();
}

Test(http_server, every_move_of_an_exchange_is_in_the_debug_log)
{
    start();
    moves_record();
    int fd = client();
    say(fd, "POST /hold HTTP/1.1\r\n" HOST "Content-Length: 3\r\n\r\nabc");
    TURN_UNTIL(saw.ends == 1);
    for (int i = 0; i < 5; i++) turn();
    http_answer(saw.held, 200, "text/plain", "patience", 8);
    assert_hears(fd, "patience");
    TURN_UNTIL(saw.closes == 1);
    assert_moves("exchange moved", "head>body body>whole whole>answer");
    assert_moves("exchange flow moved", "runs>waits waits>woken woken>runs");
    cr_assert(strstr(moves_log.data, "\"msg\":\"exchange closed\""));
    cr_assert(strstr(moves_log.data, "\"stage\":\"answer\",\"how\":\"done\""));
    moves_forget();
    close(fd);
    stop();
}

Test(http_server, serves_a_thousand_connections)
{
    enum { CONNECTIONS = 1000 };
    static int fds[CONNECTIONS];
    struct rlimit files = {4096, 4096};
    setrlimit(RLIMIT_NOFILE, &files);
    start();
    for (int i = 0; i < CONNECTIONS; i++) {
        fds[i] = client();
        if (i % 100 == 0) turn();
    }
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < CONNECTIONS; i++) say(fds[i], "GET / HTTP/1.1\r\n" HOST "\r\n");
        for (int i = 0; i < CONNECTIONS; i++) assert_hears(fds[i], "hello");
    }
    cr_assert_eq(saw.dones, 2 * CONNECTIONS);
    for (int i = 0; i < CONNECTIONS; i++) close(fds[i]);
    stop();
}

Test(http_server, a_request_that_closes_the_connection_is_answered_whatever_follows)
{
    static char more[300000];
    memset(more, 'x', sizeof more);
    start();
    for (size_t len = 1; len <= sizeof more; len = len * 17 + 1) {
        int fd = client();
        struct buf b = {0};
        buf_add_str(&b, "GET / HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n");
        buf_add(&b, more, len < sizeof more ? len : sizeof more);
        ssize_t sent = send(fd, b.data, b.len, MSG_NOSIGNAL);
        cr_assert_gt(sent, 0);
        assert_hears(fd, "hello");
        assert_hears_end(fd);
        buf_release(&b);
        close(fd);
    }
    stop();
}
