/* The server and its clients are in one thread: the sockets of clients do not block, and a test that waits runs the
 * loop. */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <linux/filter.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/limits.h"
#include "common/http_server/http_server.h"
#include "common/net/unix_address.h"
#include "unit/held_port.h"
#include "unit/leaks.h"

TestSuite(http_server, .timeout = 60);

static uv_loop_t loop;
static struct http_server *server;
static const char *listens_at; /* its socket file; NULL: it has a port of 127.0.0.1 */

/* What the routes below recorded. */
static struct {
    struct http_exchange *held; /* the exchange of a route that answers later */
    unsigned bodies, ends, closes, dones;
    size_t body_bytes, body_room, pull_room, pulled;
    size_t whole_bytes;
    bool pull_ends, pull_aborts;
    bool slow; /* handling a body or a pull takes longer than an exchange may use before others get their turn */
    unsigned pulls;
    enum http_closed how;
    int done_status;
    char done_route[64], seen[256];
} saw;

static void be_slow(void)
{
    uint64_t until = uv_hrtime() + NS_PER_MS;
    while (uv_hrtime() < until) {
    }
}

static size_t on_body(struct http_exchange *x, const char *data, size_t len)
{
    if (saw.slow) be_slow();
    size_t taken = len < saw.body_room ? len : saw.body_room;
    saw.bodies++;
    saw.body_bytes += taken;
    saw.body_room -= taken;
    return taken;
}

static void on_body_end(struct http_exchange *x)
{
    char text[32];
    saw.ends++;
    snprintf(text, sizeof text, "%zu", saw.body_bytes);
    http_answer(x, 200, "text/plain", text, strlen(text));
}

static void on_end_hold(struct http_exchange *x)
{
    saw.ends++;
}

static void on_closed(struct http_exchange *x, enum http_closed how)
{
    saw.closes++;
    saw.how = how;
    saw.held = NULL;
}

static ssize_t on_pull(struct http_exchange *x, char *dst, size_t cap)
{
    size_t n = cap < saw.pull_room ? cap : saw.pull_room;
    if (n == 0) return saw.pull_aborts ? HTTP_PULL_ABORT : saw.pull_ends ? HTTP_PULL_END : HTTP_PULL_WAIT;
    saw.pulls++;
    if (saw.slow) be_slow();
    memset(dst, 'x', n);
    saw.pull_room -= n;
    saw.pulled += n;
    return (ssize_t)n;
}

static bool on_whole(struct http_exchange *x, struct buf *answer)
{
    if (!saw.whole_bytes || !buf_reserve(answer, saw.whole_bytes)) return false;
    memset(answer->data, 'w', saw.whole_bytes);
    answer->len = saw.whole_bytes;
    return true;
}

static void on_end_stream(struct http_exchange *x)
{
    saw.ends++;
    http_answer_stream(x, 200, "application/x-ndjson");
}

static const struct http_exchange_ops count_ops = {.body = on_body, .body_end = on_body_end, .closed = on_closed};
static const struct http_exchange_ops hold_ops = {.body = on_body, .body_end = on_end_hold, .closed = on_closed};
static const struct http_exchange_ops stream_ops = {
    .body_end = on_end_stream, .pull = on_pull, .whole = on_whole, .closed = on_closed};

static void handle_hello(struct http_exchange *x, void *data)
{
    http_answer(x, 200, "text/plain", "hello", 5);
}

static void handle_count(struct http_exchange *x, void *data)
{
    saw.held = x;
    http_exchange_accept(x, &count_ops, NULL);
}

static void handle_hold(struct http_exchange *x, void *data)
{
    saw.held = x;
    http_exchange_accept(x, &hold_ops, &saw);
}

static void handle_stream(struct http_exchange *x, void *data)
{
    saw.held = x;
    http_exchange_accept(x, &stream_ops, NULL);
}

static void handle_early(struct http_exchange *x, void *data)
{
    http_answer_problem(x, 422, "\"pointer\":\"/items\"", "no %s", "thanks");
}

static void note_query(void *data, const char *name, const char *value)
{
    size_t len = strlen(saw.seen);
    snprintf(saw.seen + len, sizeof saw.seen - len, "[%s=%s]", name, value);
}

static void handle_echo(struct http_exchange *x, void *data)
{
    const char *header = http_exchange_header(x, "x-thing"), *q = http_exchange_query(x, "q");
    char text[512];
    http_exchange_each_query(x, note_query, NULL);
    snprintf(text, sizeof text, "name=%s q=%s none=%s header=%s", http_exchange_param(x, "name"), q ? q : "(null)",
             http_exchange_query(x, "none") ? "there" : "absent", header ? header : "(null)");
    http_exchange_set_header(x, "X-Answer", "yes");
    http_answer(x, 200, "text/plain", text, strlen(text));
}

static void handle_forget(struct http_exchange *x, void *data)
{
}

static const struct http_route routes[] = {{"GET", "/", handle_hello},
                                           {"POST", "/count", handle_count},
                                           {"POST", "/hold", handle_hold},
                                           {"GET", "/stream", handle_stream},
                                           {"POST", "/early", handle_early},
                                           {"GET", "/v1/echo/{name}", handle_echo},
                                           {"DELETE", "/v1/echo/{name}", handle_echo},
                                           {"GET", "/forget", handle_forget},
                                           {0}};

static void on_done(void *data, const char *method, const char *route, int status, uint64_t duration_ns)
{
    saw.dones++;
    saw.done_status = status;
    snprintf(saw.done_route, sizeof saw.done_route, "%s", route);
}

/* Accepts every request except POST /count. */
static bool admit(void *data, struct http_exchange *x)
{
    unsigned *asked = data;
    ++*asked;
    if (strcmp(http_exchange_path(x), "/count") != 0) return true;
    http_exchange_leave_body(x);
    http_answer_problem(x, 401, NULL, "not you");
    return false;
}

static void start_with(struct http_server_options options)
{
    char err[200];
    memset(&saw, 0, sizeof saw);
    saw.body_room = SIZE_MAX;
    options.routes = routes;
    options.on_done = on_done;
    cr_assert_eq(uv_loop_init(&loop), 0);
    server = http_server_start(&loop, &options, err, sizeof err);
    cr_assert(server, "%s", err);
    listens_at = unix_address_path(options.host);
    cr_assert_eq(http_server_port(server) == 0, listens_at != NULL);
}

static void start(void)
{
    start_with((struct http_server_options){0});
}

static void stop(void)
{
    http_server_stop(server);
    server = NULL;
    cr_assert_eq(uv_run(&loop, UV_RUN_DEFAULT), 0);
    cr_assert_eq(uv_loop_close(&loop), 0);
    assert_no_leaks();
}

static void turn(void)
{
    uv_run(&loop, UV_RUN_NOWAIT);
    usleep(200);
}

#define TURN_UNTIL(condition)                                                                                          \
    while (!(condition)) turn()

static int client_of_file(const char *path)
{
    struct sockaddr_un to;
    socklen_t len = unix_address_fill(&to, path);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    cr_assert_eq(connect(fd, (struct sockaddr *)&to, len), 0, "%s", strerror(errno));
    fcntl(fd, F_SETFL, O_NONBLOCK);
    return fd;
}

static int client(void)
{
    if (listens_at) return client_of_file(listens_at);
    struct sockaddr_in to = {
        .sin_family = AF_INET, .sin_port = htons(http_server_port(server)), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    cr_assert_eq(connect(fd, (struct sockaddr *)&to, sizeof to), 0, "%s", strerror(errno));
    fcntl(fd, F_SETFL, O_NONBLOCK);
    return fd;
}

/* Sends all bytes while the server runs. Stops without an error if the server closes the connection first. */
static void say_bytes(int fd, const char *data, size_t len)
{
    while (len > 0) {
        ssize_t n = send(fd, data, len, MSG_NOSIGNAL);
        if (n < 0 && errno != EAGAIN) return;
        if (n > 0) data += n, len -= (size_t)n;
        if (len > 0) turn();
    }
}

static void say(int fd, const char *text)
{
    say_bytes(fd, text, strlen(text));
}

/* Reads until `needle` has come or the server has closed the connection, which sets *closed. */
static struct buf hear(int fd, const char *needle, bool *closed)
{
    struct buf got = {0};
    buf_add_char(&got, '\0');
    got.len = 0;
    for (*closed = false; !*closed && !(needle && strstr(buf_cstr(&got), needle));) {
        char piece[65536];
        ssize_t n = recv(fd, piece, sizeof piece, 0);
        if (n > 0) buf_add(&got, piece, (size_t)n);
        if (n == 0 || (n < 0 && errno != EAGAIN)) *closed = true;
        if (n < 0) turn();
    }
    buf_cstr(&got);
    return got;
}

static void assert_hears(int fd, const char *needle)
{
    bool closed;
    struct buf got = hear(fd, needle, &closed);
    cr_assert(strstr(got.data, needle), "wanted %s, got %s", needle, got.data);
    buf_release(&got);
}

static void assert_hears_end(int fd)
{
    bool closed;
    struct buf got = hear(fd, NULL, &closed);
    buf_release(&got);
}

/* Sends one request on its own connection and checks that the answer has all of these texts. */
static void assert_exchange(const char *request, const char *status, const char *needle)
{
    int fd = client();
    bool closed;
    say(fd, request);
    struct buf got = hear(fd, needle, &closed);
    cr_assert_eq(strncmp(got.data, "HTTP/1.1 ", 9), 0, "%s got %s", request, got.data);
    cr_assert_eq(strncmp(got.data + 9, status, 3), 0, "wanted %s, got %s", status, got.data);
    cr_assert(strstr(got.data, needle), "wanted %s, got %s", needle, got.data);
    if (status[0] == '4') cr_assert(strstr(got.data, "application/problem+json"), "%s", got.data);
    buf_release(&got);
    close(fd);
}

#define HOST "Host: x\r\n"

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
    assert_exchange("GET /v1/echo/%00%zz HTTP/1.1\r\n" HOST "\r\n", "200", "name=%00%zz");
    assert_exchange("GET /v1/echo/ HTTP/1.1\r\n" HOST "\r\n", "404", "nothing at");
    assert_exchange("GET /v1/echo/a/b HTTP/1.1\r\n" HOST "\r\n", "404", "nothing at");
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
    /* Not all versions of the library answer these requests, but all close the connection. */
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

Test(http_server, a_body_is_suspended_when_not_taken_and_goes_on_when_woken)
{
    enum { LEN = 3000000 };
    start();
    saw.body_room = 100000;
    char *data = xcalloc(1, LEN);
    int fd = client();
    say(fd, "POST /count HTTP/1.1\r\n" HOST "Content-Length: 3000000\r\n\r\n");
    size_t sent = 0;
    while (saw.body_bytes < 100000) {
        ssize_t n = send(fd, data, 65536, MSG_NOSIGNAL);
        if (n > 0) sent += (size_t)n;
        turn();
    }
    for (int i = 0; i < 100; i++) turn();
    cr_assert_eq(saw.body_bytes, 100000);
    cr_assert_leq(saw.bodies, 5);
    saw.body_room = 0;
    http_exchange_wake(saw.held); /* no answer yet: waits again */
    for (int i = 0; i < 100; i++) turn();
    cr_assert_eq(saw.body_bytes, 100000);
    saw.body_room = SIZE_MAX;
    http_exchange_wake(saw.held);
    http_exchange_wake(saw.held);
    say_bytes(fd, data, LEN - sent);
    assert_hears(fd, "\r\n\r\n3000000");
    free(data);
    close(fd);
    stop();
}

Test(http_server, a_chunked_body_arrives_whole)
{
    start();
    saw.body_room = 2;
    int fd = client();
    say(fd, "POST /count HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n");
    TURN_UNTIL(saw.body_bytes == 2);
    saw.body_room = SIZE_MAX;
    http_exchange_wake(saw.held);
    say(fd, "0\r\nTrailer: yes\r\n\r\n");
    assert_hears(fd, "\r\n\r\n5");
    close(fd);
    stop();
}

Test(http_server, expect_continue_is_told_to_go_on)
{
    start();
    int fd = client();
    say(fd, "POST /count HTTP/1.1\r\n" HOST "Content-Length: 3\r\nExpect: 100-continue\r\n\r\n");
    assert_hears(fd, "HTTP/1.1 100 Continue\r\n\r\n");
    say(fd, "abc");
    assert_hears(fd, "\r\n\r\n3");
    close(fd);
    assert_exchange("POST /early HTTP/1.1\r\n" HOST "Content-Length: 9\r\nExpect: 100-continue\r\n\r\n", "422",
                    "\"detail\":\"no thanks\",\"pointer\":\"/items\"}");
    stop();
}

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

/* Sends this many bytes after the refusal; the server must read them all. */
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

/* Closing a socket with unread bytes resets the connection, and then the client may lose the answer. */
Test(http_server, a_client_that_sends_on_after_the_refusal_still_reads_it)
{
    static const struct {
        const char *request, *answer;
    } refused[] = {
        {"POST /count HTTP/1.1\r\n" HOST "Content-Length: 1000\r\n\r\n", "not you"},
        {"POST /hold HTTP/1.1\r\n" HOST "Content-Length: 2000000\r\n\r\n", "2000000 bytes; 1000 are"},
        {"POST /hold HTTP/1.1\r\n" HOST "Content-Length: 9\r\nTransfer-Encoding: chunked\r\n\r\n", "\"status\":400"},
        {"POST /hold HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\nno size\r\n", "\"status\":400"},
        {"POST /hold HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n7d0\r\n", "longer than allowed"},
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

Test(http_server, an_answer_before_the_body_is_whole_waits_for_its_end)
{
    start();
    int fd = client();
    say(fd, "POST /early HTTP/1.1\r\n" HOST "Content-Length: 6\r\n\r\nabc");
    for (int i = 0; i < 50; i++) turn();
    cr_assert_eq(saw.dones, 0);
    say(fd, "def");
    assert_hears(fd, "no thanks");
    say(fd, "GET / HTTP/1.1\r\n" HOST "\r\n");
    assert_hears(fd, "hello");
    close(fd);
    stop();
}

Test(http_server, an_answer_while_the_upload_is_suspended_drops_the_rest)
{
    start();
    saw.body_room = 1;
    int fd = client();
    say(fd, "POST /hold HTTP/1.1\r\n" HOST "Content-Length: 6\r\n\r\nabcdef");
    TURN_UNTIL(saw.body_bytes == 1);
    cr_assert_eq(http_exchange_data(saw.held), &saw);
    http_answer_problem(saw.held, 400, NULL, "enough");
    assert_hears(fd, "enough");
    TURN_UNTIL(saw.closes == 1);
    cr_assert_eq(saw.how, HTTP_CLOSED_DONE);
    cr_assert_eq(saw.ends, 0);
    close(fd);
    stop();
}

Test(http_server, a_short_streamed_answer_has_a_length)
{
    start();
    saw.pull_room = 5;
    saw.pull_ends = true;
    assert_exchange("GET /stream HTTP/1.1\r\n" HOST "\r\n", "200", "Content-Length: 5\r\n\r\nxxxxx");
    TURN_UNTIL(saw.closes == 1);
    stop();
}

Test(http_server, an_answer_that_is_whole_before_it_begins_has_a_length_and_is_not_pulled)
{
    enum { LEN = 3 * MIB };
    start();
    int fd = client();
    saw.whole_bytes = LEN;
    saw.pull_room = 5;
    for (int i = 0; i < 2; i++) {
        bool closed;
        say(fd, "GET /stream HTTP/1.1\r\n" HOST "\r\n");
        struct buf head = hear(fd, "\r\n\r\n", &closed), body = {0};
        cr_assert(strstr(buf_cstr(&head), "Content-Length: 3145728\r\n"));
        const char *at = strstr(buf_cstr(&head), "\r\n\r\n") + 4;
        buf_add(&body, at, head.len - (size_t)(at - head.data));
        while (body.len < LEN) {
            struct buf more = hear(fd, "w", &closed);
            cr_assert(!closed);
            buf_add(&body, more.data, more.len);
            buf_release(&more);
        }
        cr_assert_eq(body.len, LEN);
        cr_assert_eq(strspn(buf_cstr(&body), "w"), LEN);
        buf_release(&head);
        buf_release(&body);
        TURN_UNTIL(saw.closes == (unsigned)i + 1);
        cr_assert_eq(saw.how, HTTP_CLOSED_DONE);
    }
    cr_assert_eq(saw.pulled, 0);
    assert_exchange("HEAD /stream HTTP/1.1\r\n" HOST "\r\n", "200", "\r\n\r\n");
    close(fd);
    stop();
}

Test(http_server, a_client_that_leaves_a_whole_answer_half_read_has_hung_up)
{
    start();
    int fd = client();
    saw.whole_bytes = 64 * MIB;
    say(fd, "GET /stream HTTP/1.1\r\n" HOST "\r\n");
    assert_hears(fd, "ww");
    close(fd);
    TURN_UNTIL(saw.closes == 1);
    cr_assert_eq(saw.how, HTTP_CLOSED_HANG_UP);
    stop();
}

Test(http_server, a_streamed_answer_waits_and_goes_on_when_woken)
{
    start();
    int fd = client();
    say(fd, "GET /stream HTTP/1.1\r\n" HOST "\r\n");
    TURN_UNTIL(saw.ends == 1);
    for (int i = 0; i < 3; i++) {
        saw.pull_room = 10;
        http_exchange_wake(saw.held);
        assert_hears(fd, "\r\nxxxxxxxxxx\r\n");
    }
    saw.pull_ends = true;
    http_exchange_wake(saw.held);
    assert_hears(fd, "0\r\n\r\n");
    TURN_UNTIL(saw.closes == 1);
    cr_assert_eq(saw.how, HTTP_CLOSED_DONE);
    close(fd);
    stop();
}

Test(http_server, the_head_of_a_stream_leaves_alone_when_it_must_not_wait)
{
    start();
    int fd = client();
    say(fd, "GET /stream HTTP/1.1\r\n" HOST "\r\n");
    TURN_UNTIL(saw.ends == 1);
    http_exchange_send_head(saw.held);
    assert_hears(fd, "Transfer-Encoding: chunked\r\n");
    http_exchange_send_head(saw.held);
    saw.pull_room = 10;
    http_exchange_wake(saw.held);
    assert_hears(fd, "\r\nxxxxxxxxxx\r\n");
    http_exchange_send_head(saw.held);
    saw.pull_ends = true;
    http_exchange_wake(saw.held);
    assert_hears(fd, "0\r\n\r\n");
    TURN_UNTIL(saw.closes == 1);
    cr_assert_eq(saw.how, HTTP_CLOSED_DONE);
    close(fd);
    stop();
}

Test(http_server, a_client_that_does_not_read_holds_the_stream_back)
{
    enum { LEN = 64 * MIB };
    start();
    saw.pull_room = LEN;
    saw.pull_ends = true;
    int fd = client();
    say(fd, "GET /stream HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n");
    size_t before;
    do {
        before = saw.pulled;
        for (int i = 0; i < 50; i++) turn();
    } while (saw.pulled != before || saw.pulled == 0);
    cr_assert_lt(saw.pulled, LEN);
    bool closed;
    struct buf got = hear(fd, NULL, &closed);
    cr_assert_gt(got.len, LEN);
    cr_assert_eq(memcmp(got.data + got.len - 5, "0\r\n\r\n", 5), 0);
    buf_release(&got);
    close(fd);
    stop();
}

/* One iteration of the loop may run one step of the long exchange, not more. */
static void assert_small_turn(const unsigned *steps)
{
    unsigned before = *steps;
    turn();
    cr_assert_leq(*steps - before, 1, "%u steps in one turn", *steps - before);
}

static void drink(int fd)
{
    char piece[65536];
    while (recv(fd, piece, sizeof piece, 0) > 0) {
    }
}

Test(http_server, a_long_answer_has_one_slow_step_in_a_turn_and_a_short_one_is_whole_in_it)
{
    start();
    saw.pull_room = SIZE_MAX;
    int slow = client(), quick = client();
    say(slow, "GET /stream HTTP/1.1\r\n" HOST "\r\n");
    assert_hears(slow, "\r\nxxxxxxxxxx");
    saw.slow = true;
    for (int i = 0; i < 50; i++) {
        assert_small_turn(&saw.pulls);
        drink(slow);
        if (i % 10 != 0) continue;
        unsigned before = saw.pulls;
        cr_assert_eq(send(quick, "GET / HTTP/1.1\r\n" HOST "\r\n", 27, MSG_NOSIGNAL), 27);
        assert_hears(quick, "hello");
        cr_assert_leq(saw.pulls - before, 2, "it waited for %u steps", saw.pulls - before);
    }
    cr_assert_gt(saw.pulls, 10);
    saw.slow = false;
    saw.pull_room = 0;
    saw.pull_ends = true;
    assert_hears(slow, "0\r\n\r\n");
    TURN_UNTIL(saw.closes == 1);
    cr_assert_eq(saw.how, HTTP_CLOSED_DONE);
    close(slow);
    close(quick);
    stop();
}

Test(http_server, a_long_body_has_one_slow_step_in_a_turn)
{
    enum { LEN = 4 * MIB };
    static char body[LEN];
    start();
    int fd = client();
    say(fd, "POST /count HTTP/1.1\r\n" HOST "Content-Length: 4194304\r\n\r\n");
    saw.slow = true;
    for (size_t sent = 0; saw.body_bytes < LEN;) {
        ssize_t n = sent < LEN ? send(fd, body + sent, LEN - sent, MSG_NOSIGNAL) : 0;
        if (n > 0) sent += (size_t)n;
        assert_small_turn(&saw.bodies);
    }
    assert_hears(fd, "4194304");
    TURN_UNTIL(saw.closes == 1);
    close(fd);
    stop();
}

Test(http_server, stopping_and_hanging_up_end_what_waits_for_its_next_step)
{
    for (int hang_up = 0; hang_up < 2; hang_up++) {
        start();
        saw.pull_room = SIZE_MAX;
        int fd = client();
        say(fd, "GET /stream HTTP/1.1\r\n" HOST "\r\n");
        assert_hears(fd, "\r\nxxxxxxxxxx");
        saw.slow = true;
        unsigned before = saw.pulls;
        TURN_UNTIL(saw.pulls > before);
        if (hang_up) close(fd);
        if (hang_up) TURN_UNTIL(saw.closes == 1);
        stop();
        cr_assert_eq(saw.closes, 1);
        cr_assert_eq(saw.how, hang_up ? HTTP_CLOSED_HANG_UP : HTTP_CLOSED_SHUTDOWN);
        if (!hang_up) close(fd);
    }
}

Test(http_server, an_aborted_stream_is_seen_as_cut)
{
    start();
    saw.pull_room = 100000;
    saw.pull_aborts = true;
    int fd = client();
    bool closed;
    say(fd, "GET /stream HTTP/1.1\r\n" HOST "\r\n");
    struct buf got = hear(fd, "\r\n0\r\n\r\n", &closed);
    cr_assert(closed);
    cr_assert(!strstr(got.data, "\r\n0\r\n\r\n"));
    TURN_UNTIL(saw.closes == 1);
    cr_assert_eq(saw.how, HTTP_CLOSED_HANG_UP);
    buf_release(&got);
    close(fd);
    stop();
}

Test(http_server, http_1_0_gets_a_stream_that_ends_with_the_connection)
{
    start();
    saw.pull_room = 300000;
    saw.pull_ends = true;
    int fd = client();
    bool closed;
    say(fd, "GET /stream HTTP/1.0\r\n\r\n");
    struct buf got = hear(fd, NULL, &closed);
    cr_assert(!strstr(got.data, "chunked"));
    cr_assert_gt(got.len, 300000);
    buf_release(&got);
    close(fd);
    stop();
}

Test(http_server, a_hang_up_is_noticed_while_the_answer_is_awaited)
{
    start();
    int fd = client();
    say(fd, "POST /hold HTTP/1.1\r\n" HOST "Content-Length: 3\r\n\r\nabc");
    TURN_UNTIL(saw.ends == 1);
    close(fd);
    TURN_UNTIL(saw.closes == 1);
    cr_assert_eq(saw.how, HTTP_CLOSED_HANG_UP);
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
    int fd = client();
    say(fd, "POST /hold HTTP/1.1\r\n" HOST "Content-Length: 3\r\n\r\nabc");
    shutdown(fd, SHUT_WR);
    TURN_UNTIL(saw.ends == 1);
    for (int i = 0; i < 100; i++) turn();
    cr_assert_eq(saw.closes, 0);
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
            continue; /* idle */
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

Test(http_server, a_body_that_trickles_gets_408_but_a_suspended_one_waits)
{
    start_with((struct http_server_options){.body_timeout_ms = 100});
    int fd = client(), suspended = client();
    say(fd, "POST /count HTTP/1.1\r\n" HOST "Content-Length: 1000\r\n\r\n");
    bool closed = false;
    while (!closed) {
        char piece[512];
        send(fd, "a", 1, MSG_NOSIGNAL);
        for (int i = 0; i < 10; i++) turn();
        ssize_t n = recv(fd, piece, sizeof piece - 1, 0);
        if (n > 0) cr_assert_eq(strncmp(piece, "HTTP/1.1 408", 12), 0);
        if (n >= 0 || errno != EAGAIN) closed = true;
    }
    TURN_UNTIL(saw.closes == 1);
    saw.body_room = 1;
    say(suspended, "POST /hold HTTP/1.1\r\n" HOST "Content-Length: 6\r\n\r\nabc");
    TURN_UNTIL(saw.held);
    uint64_t until = now_ns() + 400 * NS_PER_MS;
    TURN_UNTIL(now_ns() > until);
    cr_assert_eq(saw.closes, 1);
    close(fd);
    close(suspended);
    stop();
}

Test(http_server, a_route_that_does_nothing_gets_500)
{
    start();
    assert_exchange("GET /forget HTTP/1.1\r\n" HOST "\r\n", "500", "application/problem+json");
    stop();
}

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

/* Some sandboxes forbid the system call that makes the kernel refuse new connections. */
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
    int waiting = client(); /* connected, but not accepted, as the loop has not run */
    cr_assert_eq(send(waiting, request, sizeof request - 1, 0), (ssize_t)(sizeof request - 1));
    cr_assert(!http_server_stop_listening(server));
    int late = client_under_way(http_server_port(server));
    TURN_UNTIL(http_server_stop_listening(server));
    assert_hears(waiting, "hello");
    /* It was not accepted; the next use of it fails. */
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
    start();
    int kept = client(), fresh = client(), running = client(), silent = client();
    say(kept, "GET / HTTP/1.1\r\n" HOST "\r\n");
    assert_hears(kept, "hello");
    say(silent, "GET / HTTP/1.1\r\n" HOST "\r\n");
    assert_hears(silent, "hello");
    say(running, "POST /hold HTTP/1.1\r\n" HOST "Content-Length: 0\r\n\r\n");
    TURN_UNTIL(saw.ends == 1);
    http_server_drain(server);
    cr_assert(!http_server_part(server));
    /* The whole request is sent after the answer, and it does not reach the route. */
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
    TURN_UNTIL(http_server_part(server)); /* the server does not wait for the silent one for ever */
    assert_hears(silent, "HTTP/1.1 503 Service Unavailable\r\n");
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

Test(http_server, beyond_the_connection_cap_clients_wait_their_turn)
{
    start_with((struct http_server_options){.max_connections = 2});
    int a = client(), b = client(), c = client();
    say(a, "GET / HTTP/1.1\r\n" HOST "\r\n");
    say(b, "GET / HTTP/1.1\r\n" HOST "\r\n");
    assert_hears(a, "hello");
    assert_hears(b, "hello");
    say(c, "GET / HTTP/1.1\r\n" HOST "\r\n");
    for (int i = 0; i < 50; i++) turn();
    cr_assert_eq(saw.dones, 2);
    close(a);
    assert_hears(c, "hello");
    close(b), close(c);
    stop();
}

Test(http_server, a_taken_port_is_a_sentence)
{
    char err[200];
    start();
    struct http_server_options o = {.port = http_server_port(server), .routes = routes};
    cr_assert_null(http_server_start(&loop, &o, err, sizeof err));
    cr_assert(strstr(err, "cannot listen on 127.0.0.1:") && strstr(err, "in use"), "%s", err);
    o.host = "nonsense";
    cr_assert_null(http_server_start(&loop, &o, err, sizeof err));
    cr_assert(strstr(err, "numeric"), "%s", err);
    stop();
}

/* Servers on a socket file, in a directory that only this test uses. */

static char socket_dir[64], socket_host[128];

static void start_on_file(void)
{
    if (!socket_dir[0]) {
        snprintf(socket_dir, sizeof socket_dir, "/tmp/fantail-server-XXXXXX");
        cr_assert(mkdtemp(socket_dir));
        snprintf(socket_host, sizeof socket_host, "unix:%s/s", socket_dir);
    }
    start_with((struct http_server_options){.host = socket_host});
}

static void stop_on_file(void)
{
    stop();
    cr_assert_eq(access(listens_at, F_OK), -1, "the file is gone");
    cr_assert_eq(rmdir(socket_dir), 0);
}

Test(http_server, serves_on_a_file_as_on_a_port)
{
    enum { LEN = 3 * MIB };
    start_on_file();
    static char body[LEN];
    memset(body, 'b', LEN);
    int fd = client();
    say(fd, "POST /count HTTP/1.1\r\n" HOST "Content-Length: 3145728\r\n\r\n");
    say_bytes(fd, body, LEN);
    assert_hears(fd, "3145728");
    close(fd);
    assert_exchange("GET /v1/echo/a HTTP/1.1\r\n" HOST "\r\n", "200", "name=a");
    assert_exchange("POST /early HTTP/1.1\r\n" HOST "Content-Length: 3\r\n\r\nabc", "422", "no thanks");
    stop_on_file();
}

Test(http_server, a_client_on_a_file_that_leaves_is_noticed_and_one_that_only_listens_is_not)
{
    start_on_file();
    for (int leaves = 0; leaves < 2; leaves++) {
        int fd = client();
        unsigned before = saw.closes;
        say(fd, "POST /hold HTTP/1.1\r\n" HOST "Content-Length: 2\r\n\r\nhi");
        TURN_UNTIL(saw.held && saw.ends == (unsigned)leaves + 1);
        if (leaves) {
            close(fd);
            TURN_UNTIL(saw.closes == before + 1);
            cr_assert_eq(saw.how, HTTP_CLOSED_HANG_UP);
            continue;
        }
        shutdown(fd, SHUT_WR);
        for (int i = 0; i < 50; i++) turn();
        cr_assert_eq(saw.closes, before, "it only said all it had to say");
        http_answer(saw.held, 200, "text/plain", "late", 4);
        assert_hears(fd, "late");
        close(fd);
        TURN_UNTIL(saw.closes == before + 1);
        cr_assert_eq(saw.how, HTTP_CLOSED_DONE);
    }
    stop_on_file();
}

Test(http_server, a_file_that_a_killed_process_left_is_replaced_and_any_other_is_not)
{
    char err[300], path[200];
    start_on_file();
    stop();
    snprintf(path, sizeof path, "%s", listens_at);
    struct sockaddr_un address;
    socklen_t len = unix_address_fill(&address, path);
    int killed = socket(AF_UNIX, SOCK_STREAM, 0);
    cr_assert_eq(bind(killed, (struct sockaddr *)&address, len), 0);
    close(killed);
    start_on_file();
    struct http_server_options second = {.host = socket_host, .routes = routes};
    cr_assert_null(http_server_start(&loop, &second, err, sizeof err), "one lives");
    cr_assert(strstr(err, path) && strstr(err, "in use"), "%s", err);
    assert_exchange("GET / HTTP/1.1\r\n" HOST "\r\n", "200", "hello");
    stop();
    int file = open(path, O_CREAT | O_WRONLY, 0600);
    close(file);
    cr_assert_null(http_server_start(&loop, &second, err, sizeof err), "a file is no socket");
    cr_assert_eq(access(path, F_OK), 0, "it is not ours to remove");
    unlink(path);
    rmdir(socket_dir);
}

Test(http_server, a_path_that_no_socket_can_have_is_told)
{
    static const char *const hosts[] = {"unix:",
                                        "unix:/x/"
                                        "0123456789012345678901234567890123456789012345678901234567890123456789"
                                        "0123456789012345678901234567890123456789"};
    char err[300];
    uv_loop_init(&loop);
    for (size_t i = 0; i < ARRAY_SIZE(hosts); i++) {
        struct http_server_options options = {.host = hosts[i], .routes = routes};
        cr_assert_null(http_server_start(&loop, &options, err, sizeof err));
        cr_assert(strstr(err, "cannot listen on"), "%s", err);
    }
    uv_loop_close(&loop);
}

Test(http_server, a_drained_server_takes_its_file_away_and_serves_who_is_there)
{
    start_on_file();
    int fd = client(), waits = client();
    say(fd, "GET / HTTP/1.1\r\n" HOST "\r\n");
    assert_hears(fd, "hello");
    http_server_drain(server);
    say(waits, "GET / HTTP/1.1\r\n" HOST "\r\n");
    TURN_UNTIL(http_server_stop_listening(server));
    cr_assert_eq(access(listens_at, F_OK), -1);
    assert_hears(waits, "hello");
    close(fd);
    close(waits);
    stop_on_file();
}
