/* Requests that break the rules of HTTP or exceed a limit. */
#include "unit/common/http_server/http_server_harness.h"

Test(http_server, doubtful_framing_gets_400_and_the_connection_ends)
{
    static const char *const bad[] = {
        "POST /count HTTP/1.1\r\n" HOST "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "POST /count HTTP/1.1\r\n" HOST "Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc",
        "POST /count HTTP/1.1\r\n" HOST "Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
        "POST /count HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "POST /count HTTP/1.1\r\n" HOST "Transfer-Encoding: gzip\r\n\r\nabc",
        "POST /count HTTP/1.1\r\n" HOST "Content-Length : 3\r\n\r\nabc",
        "GET / HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1\r\n" HOST HOST "\r\n",
    };
    start();
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        assert_exchange(bad[i], "400", "\"status\":400");
        int fd = client();
        say(fd, bad[i]);
        assert_hears_end(fd);
        close(fd);
    }
    cr_assert_eq(saw.ends, 0);
    stop();
}

Test(http_server, a_packed_body_gets_415_and_is_told_what_is_taken)
{
    start();
    assert_exchange("POST /count HTTP/1.1\r\n" HOST "Content-Length: 3\r\nContent-Encoding: gzip\r\n\r\nabc", "415",
                    "Accept-Encoding: identity\r\n");
    assert_exchange("POST /count HTTP/1.1\r\n" HOST "Content-Length: 3\r\nContent-Encoding: identity\r\n\r\nabc", "200",
                    "\r\n\r\n3");
    stop();
}

Test(http_server, a_body_over_the_cap_gets_413_by_its_length_or_while_it_comes)
{
    start_with((struct http_server_options){.max_body_bytes = 1000});
    assert_exchange("POST /count HTTP/1.1\r\n" HOST "Content-Length: 1001\r\n\r\n", "413", "\"status\":413");
    assert_exchange("POST /count HTTP/1.1\r\n" HOST "Content-Length: 99999999999999999999999\r\n\r\n", "413", "413");
    assert_exchange("POST /count HTTP/1.1\r\n" HOST "Content-Length: 3\r\n\r\nabc", "200", "\r\n\r\n3");
    int fd = client();
    char data[1200];
    memset(data, 'a', sizeof data);
    say(fd, "POST /count HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n4b0\r\n");
    say_bytes(fd, data, sizeof data);
    assert_hears(fd, "\"status\":413");
    TURN_UNTIL(saw.closes == 2);
    cr_assert_eq(saw.how, HTTP_CLOSED_HANG_UP);
    close(fd);
    stop();
}

static bool admit_none(void *data, struct http_exchange *x)
{
    http_answer_problem(x, 401, NULL, "no");
    return false;
}

Test(http_server, each_answer_repeats_the_headers_that_name_its_request)
{
    static const char *const names[] = {"X-Name", "X-Number", NULL};
    struct http_server_options options = {.max_body_bytes = 1000, .repeated_headers = names};
    start_with(options);
    assert_exchange("GET / HTTP/1.1\r\n" HOST "x-name: a/1\r\n\r\n", "200", "X-Name: a/1\r\n");
    assert_exchange("GET /none HTTP/1.1\r\n" HOST "X-Number: 7\r\n\r\n", "404", "X-Number: 7\r\n");
    assert_exchange("POST /count HTTP/1.1\r\n" HOST "X-Name: b\r\nContent-Length: 1001\r\n\r\n", "413",
                    "X-Name: b\r\n");
    int fd = client();
    char data[1200];
    memset(data, 'a', sizeof data);
    say(fd, "POST /count HTTP/1.1\r\n" HOST "X-Name: c\r\nTransfer-Encoding: chunked\r\n\r\n4b0\r\n");
    say_bytes(fd, data, sizeof data);
    assert_hears(fd, "X-Name: c\r\n");
    close(fd);
    stop();
    options.admit = admit_none;
    start_with(options);
    assert_exchange("GET / HTTP/1.1\r\n" HOST "X-Name: d\r\n\r\n", "401", "X-Name: d\r\n");
    stop();
}

Test(http_server, a_head_over_the_cap_gets_431_and_a_uri_414)
{
    static const size_t sizes[] = {33 * KIB, 40 * KIB, 100 * KIB, 1000 * KIB};
    start();
    for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
        struct buf b = {0};
        buf_add_str(&b, "GET / HTTP/1.1\r\n" HOST "X: ");
        cr_assert(buf_reserve(&b, sizes[i]));
        memset(b.data + b.len, 'a', sizes[i]);
        b.len += sizes[i];
        buf_add_str(&b, "\r\n\r\n");
        assert_exchange(buf_cstr(&b), "431", "\"status\":431");
        b.len = 0;
        buf_add_str(&b, "GET /");
        memset(b.data + b.len, 'a', sizes[i]);
        b.len += sizes[i];
        buf_add_str(&b, " HTTP/1.1\r\n" HOST "\r\n");
        assert_exchange(buf_cstr(&b), "414", "\"status\":414");
        buf_release(&b);
    }
    stop();
}

Test(http_server, many_small_headers_get_431)
{
    start();
    struct buf b = {0};
    buf_add_str(&b, "GET / HTTP/1.1\r\n" HOST);
    for (int i = 0; i < 6000; i++) buf_add_str(&b, "a:b\r\n");
    buf_add_str(&b, "\r\n");
    assert_exchange(buf_cstr(&b), "431", "\"status\":431");
    buf_release(&b);
    stop();
}

Test(http_server, garbage_gets_400_as_a_problem)
{
    static const char *const bad[] = {
        "GET / HTTP/9\r\n\r\n",
        "GET / HTTP/1.1\r\n" HOST "no colon here\r\n\r\n",
        "POST /count HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\nzz\r\n",
        "POST /count HTTP/1.1\r\n" HOST "Content-Length: -1\r\n\r\n",
        "POST /count HTTP/1.1\r\n" HOST "Content-Length: 1x\r\n\r\n",
    };
    start();
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) assert_exchange(bad[i], "400", "\"status\":400");
    assert_exchange("GET / HTTP/2.0\r\n" HOST "\r\n", "505", "\"status\":505");
    /* Some versions of the library do not answer these requests, but every version closes the connection. */
    static const char *const hopeless[] = {"GARBAGE IN\r\n\r\n", "GARBAGE\r\n\r\n", "GET /\r\n\r\n",
                                           "\x16\x03\x01\x02\r\n\r\n"};
    for (size_t i = 0; i < ARRAY_SIZE(hopeless); i++) {
        int fd = client();
        say(fd, hopeless[i]);
        assert_hears_end(fd);
        close(fd);
    }
    stop();
}

Test(http_server, garbage_beside_innocent_connections_harms_none_of_them)
{
    start();
    int held = client(), idle = client(), half = client();
    say(held, "POST /hold HTTP/1.1\r\n" HOST "Content-Length: 0\r\n\r\n");
    say(idle, "GET / HTTP/1.1\r\n" HOST "\r\n");
    assert_hears(idle, "hello");
    TURN_UNTIL(saw.ends == 1);
    for (int i = 0; i < 20; i++) {
        say(half, i == 0 ? "GET / HTTP/1.1\r\n" : "X: y\r\n");
        int fd = client();
        bool closed;
        say(fd, "GET / HTTP/1.1\r\nno colon\r\n\r\n");
        struct buf got = hear(fd, NULL, &closed);
        cr_assert_eq(strncmp(got.data, "HTTP/1.1 400", 12), 0, "%s", got.data);
        buf_release(&got);
        close(fd);
    }
    say(half, HOST "\r\n");
    assert_hears(half, "hello");
    say(idle, "GET / HTTP/1.1\r\n" HOST "\r\n");
    assert_hears(idle, "hello");
    http_answer(saw.held, 200, "text/plain", "patience", 8);
    assert_hears(held, "patience");
    close(held), close(idle), close(half);
    stop();
}
