/* How a server ends: it drains, stops listening, closes idle connections, and stops. */
#include <arpa/inet.h>
#include <linux/filter.h>
#include <poll.h>

#include "unit/common/http_server/http_server_harness.h"
#include "unit/held_port.h"
#include "unit/moves.h"

Test(http_server, draining_answers_say_close)
{
    start();
    int fd = client();
    say(fd, "GET / HTTP/1.1\r\n" HOST "\r\n");
    assert_hears(fd, "hello");
    http_server_drain(server);
    say(fd, "GET / HTTP/1.1\r\n" HOST "\r\n");
    assert_hears(fd, "Connection: close\r\n");
    assert_hears_end(fd);
    close(fd);
    stop();
}

Test(http_server, after_stop_listening_running_exchanges_go_on)
{
    start_with((struct http_server_options){.port = hold_port()});
    int fd = client();
    say(fd, "POST /hold HTTP/1.1\r\n" HOST "Content-Length: 0\r\n\r\n");
    TURN_UNTIL(saw.ends == 1);
    uint16_t port = http_server_port(server);
    TURN_UNTIL(http_server_stop_listening(server));
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int refused = socket(AF_INET, SOCK_STREAM, 0);
    cr_assert_eq(connect(refused, (struct sockaddr *)&to, sizeof to), -1);
    http_answer(saw.held, 200, "text/plain", "still here", 10);
    assert_hears(fd, "still here");
    close(refused);
    close(fd);
    stop();
}

/* Begins to connect. */
static int client_under_way(uint16_t port)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    cr_assert(connect(fd, (struct sockaddr *)&to, sizeof to) == 0 || errno == EINPROGRESS, "%s", strerror(errno));
    return fd;
}

static int error_of(int fd)
{
    int error = 0;
    socklen_t size = sizeof error;
    getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size);
    return error;
}

/* Returns whether a socket filter can be attached. Some sandboxes forbid this. */
static bool filters_are_permitted(void)
{
    struct sock_filter take_all = BPF_STMT(BPF_RET | BPF_K, UINT32_MAX);
    const struct sock_fprog program = {.len = 1, .filter = &take_all};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    bool permitted = setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program) == 0;
    close(fd);
    return permitted;
}

Test(http_server, whoever_was_connecting_when_listening_stops_is_served)
{
    static const char request[] = "GET / HTTP/1.1\r\n" HOST "\r\n";
    start_with((struct http_server_options){.port = hold_port()});
    int waiting = client(); /* connected, but not accepted yet, because the loop has not run */
    cr_assert_eq(send(waiting, request, sizeof request - 1, 0), (ssize_t)(sizeof request - 1));
    cr_assert(!http_server_stop_listening(server));
    int late = client_under_way(http_server_port(server));
    TURN_UNTIL(http_server_stop_listening(server));
    assert_hears(waiting, "hello");
    /* The server has not accepted the connection `late`, so the next use of this connection fails. */
    struct pollfd p = {.fd = late, .events = POLLOUT};
    TURN_UNTIL(poll(&p, 1, 0) > 0);
    if (filters_are_permitted()) cr_assert_eq(error_of(late), ECONNREFUSED);
    close(waiting);
    close(late);
    stop();
}

Test(http_server, a_kept_connection_is_ended_by_an_answer_that_a_crossing_request_takes_for_its_own)
{
    static char body[1024 * 1024];
    char head[200];
    start_with((struct http_server_options){.unasked_header = "X-Name: none\r\n"});
    int kept = client(), fresh = client(), running = client(), silent = client();
    say(kept, "GET / HTTP/1.1\r\n" HOST "\r\n");
    assert_hears(kept, "hello");
    say(silent, "GET / HTTP/1.1\r\n" HOST "\r\n");
    assert_hears(silent, "hello");
    say(running, "POST /hold HTTP/1.1\r\n" HOST "Content-Length: 0\r\n\r\n");
    TURN_UNTIL(saw.ends == 1);
    http_server_drain(server);
    moves_record();
    cr_assert(!http_server_close_idle(server));
    assert_moves("connection moved", "open>close_sent open>close_sent open>close_sent");
    moves_forget();
    /* The client sends its whole request after the answer, and the request does not reach the route. */
    snprintf(head, sizeof head, "POST /count HTTP/1.1\r\n" HOST "Content-Length: %zu\r\n\r\n", sizeof body);
    say(kept, head);
    say_bytes(kept, body, sizeof body);
    assert_hears(kept, "HTTP/1.1 503 Service Unavailable\r\n");
    assert_hears_end(kept);
    assert_hears(fresh, "Connection: close\r\n");
    cr_assert_eq(saw.ends, 1);
    cr_assert_eq(saw.bodies, 0);
    http_answer(saw.held, 200, "text/plain", "still here", 10);
    assert_hears(running, "still here");
    close(running);
    close(kept);
    close(fresh);
    TURN_UNTIL(http_server_close_idle(server)); /* the server does not wait for ever for `silent` */
    assert_hears(silent, "X-Name: none\r\n");
    close(silent);
    stop();
}

Test(http_server, stopping_ends_suspended_exchanges)
{
    start();
    int answer = client(), upload = client(), stream = client(), idle = client();
    say(answer, "POST /hold HTTP/1.1\r\n" HOST "Content-Length: 0\r\n\r\n");
    TURN_UNTIL(saw.ends == 1);
    saw.body_room = 0;
    say(upload, "POST /hold HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\nabc");
    TURN_UNTIL(saw.bodies == 1);
    say(stream, "GET /stream HTTP/1.1\r\n" HOST "\r\n");
    TURN_UNTIL(saw.ends == 2);
    cr_assert_eq(http_server_open_exchanges(server), 3);
    http_server_stop(server);
    server = NULL;
    cr_assert_eq(saw.closes, 3);
    cr_assert_eq(saw.how, HTTP_CLOSED_SHUTDOWN);
    stop();
    close(answer), close(upload), close(stream), close(idle);
}
