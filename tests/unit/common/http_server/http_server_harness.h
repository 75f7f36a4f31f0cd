/*
 * A server and its clients in one thread. The sockets of clients are non-blocking, and a test runs the loop while it
 * waits. `saw` records the calls of the routes.
 */
#ifndef FANTAIL_TEST_HTTP_SERVER_HARNESS_H
#define FANTAIL_TEST_HTTP_SERVER_HARNESS_H

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/limits.h"
#include "common/http_server/http_server.h"
#include "common/net/unix_address.h"
#include "unit/leaks.h"

TestSuite(http_server, .timeout = 60);

static uv_loop_t loop;
static struct http_server *server;
static const char *listens_at; /* the socket file of the server; NULL: the server has a port of 127.0.0.1 */

/* What the routes below have recorded, and settings for the behaviour of the routes. */
static struct {
    struct http_exchange *held; /* the exchange of a route that answers later */
    unsigned bodies, ends, closes, dones;
    size_t body_bytes, body_room, pull_room, pulled;
    size_t whole_bytes;
    bool pull_ends, pull_aborts;
    bool slow;        /* each call of body() and pull() takes longer than an exchange may run in one turn */
    size_t pull_most; /* largest number of bytes that pull() writes; 0: no limit */
    unsigned pulls;
    enum http_closed how;
    int done_status;
    char done_route[64], seen[256];
} saw;

static inline void be_slow(void)
{
    uint64_t until = uv_hrtime() + NS_PER_MS;
    while (uv_hrtime() < until) {
    }
}

static inline size_t on_body(struct http_exchange *x, const char *data, size_t len)
{
    if (saw.slow) be_slow();
    size_t taken = len < saw.body_room ? len : saw.body_room;
    saw.bodies++;
    saw.body_bytes += taken;
    saw.body_room -= taken;
    return taken;
}

static inline void on_body_end(struct http_exchange *x)
{
    char text[32];
    saw.ends++;
    snprintf(text, sizeof text, "%zu", saw.body_bytes);
    http_answer(x, 200, "text/plain", text, strlen(text));
}

static inline void on_end_hold(struct http_exchange *x)
{
    saw.ends++;
}

static inline void on_closed(struct http_exchange *x, enum http_closed how)
{
    saw.closes++;
    saw.how = how;
    saw.held = NULL;
}

static inline ssize_t on_pull(struct http_exchange *x, char *dst, size_t cap)
{
    size_t n = cap < saw.pull_room ? cap : saw.pull_room;
    if (saw.pull_most && n > saw.pull_most) n = saw.pull_most;
    if (n == 0) return saw.pull_aborts ? HTTP_PULL_ABORT : saw.pull_ends ? HTTP_PULL_END : HTTP_PULL_WAIT;
    saw.pulls++;
    if (saw.slow) be_slow();
    memset(dst, 'x', n);
    saw.pull_room -= n;
    saw.pulled += n;
    return (ssize_t)n;
}

static inline bool on_whole(struct http_exchange *x, struct buf *answer)
{
    if (!saw.whole_bytes || !buf_reserve(answer, saw.whole_bytes)) return false;
    memset(answer->data, 'w', saw.whole_bytes);
    answer->len = saw.whole_bytes;
    return true;
}

static inline void on_end_stream(struct http_exchange *x)
{
    saw.ends++;
    http_answer_stream(x, 200, "application/x-ndjson");
}

static const struct http_exchange_ops count_ops = {.body = on_body, .body_end = on_body_end, .closed = on_closed};
static const struct http_exchange_ops hold_ops = {.body = on_body, .body_end = on_end_hold, .closed = on_closed};
static const struct http_exchange_ops stream_ops = {
    .body_end = on_end_stream, .pull = on_pull, .whole = on_whole, .closed = on_closed};

static inline void handle_hello(struct http_exchange *x, void *data)
{
    http_answer(x, 200, "text/plain", "hello", 5);
}

static inline void handle_count(struct http_exchange *x, void *data)
{
    saw.held = x;
    http_exchange_accept(x, &count_ops, NULL);
}

static inline void handle_hold(struct http_exchange *x, void *data)
{
    saw.held = x;
    http_exchange_accept(x, &hold_ops, &saw);
}

static inline void handle_stream(struct http_exchange *x, void *data)
{
    saw.held = x;
    http_exchange_accept(x, &stream_ops, NULL);
}

static inline void handle_early(struct http_exchange *x, void *data)
{
    http_answer_problem(x, 422, "\"pointer\":\"/items\"", "no %s", "thanks");
}

static inline void note_query(void *data, const char *name, const char *value)
{
    size_t len = strlen(saw.seen);
    snprintf(saw.seen + len, sizeof saw.seen - len, "[%s=%s]", name, value);
}

static inline void handle_echo(struct http_exchange *x, void *data)
{
    const char *header = http_exchange_header(x, "x-thing"), *q = http_exchange_query(x, "q");
    char text[512];
    http_exchange_each_query(x, note_query, NULL);
    snprintf(text, sizeof text, "name=%s q=%s none=%s header=%s", http_exchange_param(x, "name"), q ? q : "(null)",
             http_exchange_query(x, "none") ? "there" : "absent", header ? header : "(null)");
    http_exchange_set_header(x, "X-Answer", "yes");
    http_answer(x, 200, "text/plain", text, strlen(text));
}

static inline void handle_forget(struct http_exchange *x, void *data)
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

static inline void on_done(void *data, const char *method, const char *route, int status, uint64_t duration_ns)
{
    saw.dones++;
    saw.done_status = status;
    snprintf(saw.done_route, sizeof saw.done_route, "%s", route);
}

/* Counts the requests in *data. Refuses each request to /count with 401, and accepts all others. */
static inline bool admit(void *data, struct http_exchange *x)
{
    unsigned *asked = data;
    ++*asked;
    if (strcmp(http_exchange_path(x), "/count") != 0) return true;
    http_exchange_leave_body(x);
    http_answer_problem(x, 401, NULL, "not you");
    return false;
}

static inline void start_with(struct http_server_options options)
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

static inline void start(void)
{
    start_with((struct http_server_options){0});
}

static inline void stop(void)
{
    http_server_stop(server);
    server = NULL;
    cr_assert_eq(uv_run(&loop, UV_RUN_DEFAULT), 0);
    cr_assert_eq(uv_loop_close(&loop), 0);
    assert_no_leaks();
}

static inline void turn(void)
{
    uv_run(&loop, UV_RUN_NOWAIT);
    usleep(200);
}

#define TURN_UNTIL(condition)                                                                                          \
    while (!(condition)) turn()

static inline int client_of_file(const char *path)
{
    struct sockaddr_un to;
    socklen_t len = unix_address_fill(&to, path);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    cr_assert_eq(connect(fd, (struct sockaddr *)&to, len), 0, "%s", strerror(errno));
    fcntl(fd, F_SETFL, O_NONBLOCK);
    return fd;
}

static inline int client(void)
{
    if (listens_at) return client_of_file(listens_at);
    struct sockaddr_in to = {
        .sin_family = AF_INET, .sin_port = htons(http_server_port(server)), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    cr_assert_eq(connect(fd, (struct sockaddr *)&to, sizeof to), 0, "%s", strerror(errno));
    fcntl(fd, F_SETFL, O_NONBLOCK);
    return fd;
}

/* Sends all bytes, and runs the loop meanwhile. If the server closes the connection before all bytes are sent, stops
 * without an error. */
static inline void say_bytes(int fd, const char *data, size_t len)
{
    while (len > 0) {
        ssize_t n = send(fd, data, len, MSG_NOSIGNAL);
        if (n < 0 && errno != EAGAIN) return;
        if (n > 0) data += n, len -= (size_t)n;
        if (len > 0) turn();
    }
}

static inline void say(int fd, const char *text)
{
    say_bytes(fd, text, strlen(text));
}

/* Reads until `needle` has arrived or the server has closed the connection. Sets *closed to whether the server has
 * closed the connection. */
static inline struct buf hear(int fd, const char *needle, bool *closed)
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

static inline void assert_hears(int fd, const char *needle)
{
    bool closed;
    struct buf got = hear(fd, needle, &closed);
    cr_assert(strstr(got.data, needle), "wanted %s, got %s", needle, got.data);
    buf_release(&got);
}

static inline void assert_hears_end(int fd)
{
    bool closed;
    struct buf got = hear(fd, NULL, &closed);
    buf_release(&got);
}

/* Sends one request on a new connection, and checks the status of the answer and that the answer contains `needle`. */
static inline void assert_exchange(const char *request, const char *status, const char *needle)
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

/* Checks that one iteration of the loop runs at most one step of the long exchange. */
static inline void assert_small_turn(const unsigned *steps)
{
    unsigned before = *steps;
    turn();
    cr_assert_leq(*steps - before, 1, "%u steps in one turn", *steps - before);
}

#endif
