/* Requests that are refused because of their head while the client still sends the body. */
#include "unit/common/http_server/http_server_harness.h"

Test(http_server, who_is_not_admitted_is_answered_before_the_body_and_before_the_route)
{
    unsigned asked = 0;
    start_with((struct http_server_options){.admit = admit, .admit_data = &asked});
    int fd = client();
    say(fd, "POST /count HTTP/1.1\r\n" HOST "Content-Length: 100000000\r\n\r\n");
    assert_hears(fd, "not you");
    assert_hears_end(fd);
    close(fd);
    fd = client();
    say(fd, "POST /count HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n5\r\nabc");
    assert_hears(fd, "not you");
    assert_hears_end(fd);
    close(fd);
    assert_exchange("DELETE /count HTTP/1.1\r\n" HOST "\r\n", "401", "not you");
    assert_exchange("GET / HTTP/1.1\r\n" HOST "\r\n", "200", "hello");
    assert_exchange("GET /nothing HTTP/1.1\r\n" HOST "\r\n", "404", "nothing");
    cr_assert_eq(asked, 5);
    cr_assert_eq(saw.bodies + saw.ends, 0);
    stop();
}

Test(http_server, without_a_body_the_connection_of_one_who_is_not_admitted_is_kept)
{
    unsigned asked = 0;
    start_with((struct http_server_options){.admit = admit, .admit_data = &asked});
    int fd = client();
    say(fd, "DELETE /count HTTP/1.1\r\n" HOST "\r\n");
    assert_hears(fd, "not you");
    say(fd, "GET / HTTP/1.1\r\n" HOST "\r\n");
    assert_hears(fd, "hello");
    close(fd);
    stop();
}

/* Sends `len` bytes after the refusal. The server must read all of these bytes. */
static void send_on(int fd, size_t len)
{
    static const char zeros[64 * KIB];
    for (size_t sent = 0; sent < len;) {
        ssize_t n = send(fd, zeros, len - sent < sizeof zeros ? len - sent : sizeof zeros, MSG_NOSIGNAL);
        cr_assert(n >= 0 || errno == EAGAIN, "after %zu bytes: %s", sent, strerror(errno));
        if (n > 0) sent += (size_t)n;
        turn();
    }
}

/* If the server closed the socket with unread bytes, the kernel would reset the connection, and the client could lose
 * the answer. */
Test(http_server, a_client_that_sends_on_after_the_refusal_still_reads_it)
{
    static const struct {
        const char *request, *answer;
    } refused[] = {
        {"POST /count HTTP/1.1\r\n" HOST "Content-Length: 1000\r\n\r\n", "not you"},
        {"POST /hold HTTP/1.1\r\n" HOST "Content-Length: 2000000\r\n\r\n", "2000000 bytes; 1000 are"},
        {"POST /hold HTTP/1.1\r\n" HOST "Content-Length: 9\r\nTransfer-Encoding: chunked\r\n\r\n", "\"status\":400"},
        {"POST /hold HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\nno size\r\n", "\"status\":400"},
        {"POST /hold HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n7d0\r\n",
         "longer than the 1000 bytes that are allowed"},
        {"no http at all\r\n\r\n", "\"status\":400"},
    };
    unsigned asked = 0;
    start_with((struct http_server_options){.admit = admit, .admit_data = &asked, .max_body_bytes = 1000});
    for (size_t i = 0; i < ARRAY_SIZE(refused); i++) {
        int fd = client();
        say(fd, refused[i].request);
        if (strstr(refused[i].request, "7d0")) send_on(fd, 1200);
        while (recv(fd, (char[1]){0}, 1, MSG_PEEK) <= 0) turn();
        send_on(fd, LIMIT_LINGER_BYTES);
        assert_hears(fd, refused[i].answer);
        assert_hears_end(fd);
        close(fd);
    }
    stop();
}

Test(http_server, a_server_that_stops_leaves_no_refused_client_behind)
{
    unsigned asked = 0;
    start_with((struct http_server_options){.admit = admit, .admit_data = &asked});
    int fds[8];
    for (size_t i = 0; i < ARRAY_SIZE(fds); i++) {
        fds[i] = client();
        say(fds[i], "POST /count HTTP/1.1\r\n" HOST "Content-Length: 1000000\r\n\r\nabc");
    }
    while (saw.dones < ARRAY_SIZE(fds)) turn();
    stop();
    for (size_t i = 0; i < ARRAY_SIZE(fds); i++) close(fds[i]);
}
