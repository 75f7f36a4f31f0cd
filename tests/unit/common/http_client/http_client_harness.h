/*
 * Runs the client and a test server in the same loop, so that the test determines the order of events. The path of a
 * request determines what the server does, see answer(). If a URL has a user name, curl makes the whole request. Each
 * test is built into two programs, and one of them sets URL_USER to a user name. So the tests cover requests by our
 * code and by curl.
 */
#ifndef FANTAIL_TEST_HTTP_CLIENT_HARNESS_H
#define FANTAIL_TEST_HTTP_CLIENT_HARNESS_H

#include <criterion/criterion.h>
#include <netinet/in.h>
#include <signal.h>
#include <unistd.h>

#include "common/base/buf.h"
#include "common/http_client/http_client.h"
#include "unit/held_port.h"
#include "unit/leaks.h"

#define BIG (8 * 1024 * 1024)

#ifdef URL_USER
#define FIRST_FLOWS "short>held held>long long>"
#else
#define URL_USER    ""
#define FIRST_FLOWS "short>ready ready>long long>"
#endif
#define BY_CURL    (URL_USER[0] != '\0')
#define URL_FORMAT "http://" URL_USER "127.0.0.1:%u%s"

static uv_loop_t loop;
static uv_tcp_t listener;
static uv_timer_t tick; /* wakes the loop, so that a test can check the condition that it waits for */
static struct http_client *client;
static unsigned port, connections, requests, hang_ups;
static uv_tcp_t *held; /* the connection of the last request whose answer the test writes */

struct connection {
    uv_tcp_t tcp;
    struct buf in;
    char room[65536];
};

struct sent {
    uv_write_t write;
    char data[];
};

static inline void on_sent(uv_write_t *write, int status)
{
    free(CONTAINER_OF(write, struct sent, write));
}

static inline void say_bytes(uv_tcp_t *tcp, const char *text, size_t len)
{
    struct sent *s = xmalloc(sizeof *s + len);
    memcpy(s->data, text, len);
    uv_buf_t out = uv_buf_init(s->data, (unsigned)len);
    uv_write(&s->write, (uv_stream_t *)tcp, &out, 1, on_sent);
}

static inline void say(uv_tcp_t *tcp, const char *text)
{
    say_bytes(tcp, text, strlen(text));
}

static inline void on_connection_closed(uv_handle_t *handle)
{
    struct connection *c = handle->data;
    buf_release(&c->in);
    free(c);
}

static inline void hang_up(uv_tcp_t *tcp)
{
    if (held == tcp) held = NULL;
    if (!uv_is_closing((uv_handle_t *)tcp)) uv_close((uv_handle_t *)tcp, on_connection_closed);
}

static inline void stop_listening(void)
{
    if (!uv_is_closing((uv_handle_t *)&listener)) uv_close((uv_handle_t *)&listener, NULL);
}

static inline void answer(uv_tcp_t *tcp, const char *path, const char *body, size_t len)
{
    char head[256];
    requests++;
    held = tcp;
    if (strcmp(path, "/echo") == 0) {
        snprintf(head, sizeof head, "HTTP/1.1 200 OK\r\nX-Name:  value \r\nContent-Length: %zu\r\n\r\n", len);
        say(tcp, head);
        say_bytes(tcp, body, len);
    } else if (strcmp(path, "/big") == 0) {
        char *big = xcalloc(1, BIG);
        snprintf(head, sizeof head, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", BIG);
        say(tcp, head);
        say_bytes(tcp, big, BIG);
        free(big);
    } else if (strcmp(path, "/busy") == 0) {
        say(tcp, "HTTP/1.1 429 Too Many\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
    } else if (strcmp(path, "/half") == 0) {
        say(tcp, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf");
    } else if (strcmp(path, "/lost") == 0) {
        hang_up(tcp);
    } else if (strcmp(path, "/killed") == 0) {
        stop_listening();
        hang_up(tcp);
    }
}

static inline void on_in(uv_stream_t *stream, ssize_t n, const uv_buf_t *room)
{
    struct connection *c = stream->data;
    if (n < 0) {
        hang_ups++;
        hang_up(&c->tcp);
        return;
    }
    buf_add(&c->in, room->base, (size_t)n);
    const char *text = buf_cstr(&c->in), *end = strstr(text, "\r\n\r\n");
    if (!end) return;
    const char *length = strcasestr(text, "content-length: ");
    size_t head = (size_t)(end - text) + 4, body = length ? strtoul(length + 16, NULL, 10) : 0;
    if (strncmp(text, "POST /early ", 12) == 0) {
        uv_read_stop(stream);
        say(&c->tcp, "HTTP/1.1 401 No\r\nContent-Length: 0\r\n\r\n");
        return;
    }
    if (c->in.len < head + body) return;
    cr_assert(!strcasestr(text, "expect:"));
    char path[64] = "";
    sscanf(text, "%*s %63s", path);
    answer(&c->tcp, path, c->in.data + head, body);
    if (!uv_is_closing((uv_handle_t *)&c->tcp)) buf_drop_front(&c->in, head + body);
}

static inline void give_room(uv_handle_t *handle, size_t size, uv_buf_t *room)
{
    struct connection *c = handle->data;
    *room = uv_buf_init(c->room, sizeof c->room);
}

static inline void on_connection(uv_stream_t *server, int status)
{
    struct connection *c = xcalloc(1, sizeof *c);
    uv_tcp_init(&loop, &c->tcp);
    c->tcp.data = c;
    uv_accept(server, (uv_stream_t *)&c->tcp);
    uv_tcp_nodelay(&c->tcp, 1);
    uv_read_start((uv_stream_t *)&c->tcp, give_room, on_in);
    connections++;
}

/* One call and its result. */
struct heard {
    const char *body;
    size_t body_len, given;
    struct buf answer;
    int heads, ends;
    bool refuse, slow, connected;
    struct http_call *call;
    struct http_call_result result;
    char reason[256];
    void (*then)(struct heard *h);
};

static bool starting; /* inside http_call_start() */

static inline size_t give(void *data, char *dst, size_t cap)
{
    struct heard *h = data;
    cr_assert(!starting);
    size_t len = h->body_len - h->given < cap ? h->body_len - h->given : cap;
    memcpy(dst, h->body + h->given, len);
    h->given += len;
    return len;
}

static inline void on_head(void *data, struct http_call *call, int status)
{
    struct heard *h = data;
    cr_assert(!starting);
    h->heads++;
    h->connected = http_call_connected(call);
}

static inline bool on_body(void *data, const char *bytes, size_t len)
{
    struct heard *h = data;
    cr_assert(!starting);
    buf_add(&h->answer, bytes, len);
    for (uint64_t since = now_ns(); h->slow && now_ns() - since < NS_PER_MS;) continue;
    return !h->refuse;
}

static inline void on_end(void *data, const struct http_call_result *result)
{
    struct heard *h = data;
    cr_assert(!starting);
    h->ends++;
    h->result = *result;
    snprintf(h->reason, sizeof h->reason, "%s", result->reason);
    if (h->then) h->then(h);
}

static inline void start_options(struct heard *h, struct http_call_options o, const char *path)
{
    char url[128];
    snprintf(url, sizeof url, URL_FORMAT, port, path);
    o.url = o.url ? o.url : url;
    o.method = o.method ? o.method : h->body ? "POST" : "GET";
    o.body_bytes = (int64_t)h->body_len;
    o.read = give;
    o.on_head = on_head;
    o.on_body = on_body;
    o.on_end = on_end;
    o.data = h;
    starting = true;
    h->call = http_call_start(client, &o);
    starting = false;
}

static inline void start(struct heard *h, const char *path)
{
    start_options(h, (struct http_call_options){0}, path);
}

static inline void run_until(const int *ends, int count)
{
    while (*ends < count) uv_run(&loop, UV_RUN_ONCE);
}

static inline void on_tick(uv_timer_t *timer)
{
}

static inline void set_up(void)
{
    port = hold_port();
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    signal(SIGPIPE, SIG_IGN);
    uv_loop_init(&loop);
    uv_tcp_init(&loop, &listener);
    uv_tcp_bind(&listener, (struct sockaddr *)&address, 0);
    cr_assert_eq(uv_listen((uv_stream_t *)&listener, 1024, on_connection), 0);
    uv_timer_init(&loop, &tick);
    uv_timer_start(&tick, on_tick, 2, 2);
    client = http_client_new(&loop, NULL);
}

static inline void close_connection(uv_handle_t *handle, void *data)
{
    struct connection *c = handle->data;
    if (handle->type == UV_TCP && handle != (uv_handle_t *)&listener && c) hang_up(&c->tcp);
}

/* Frees the client and the loop, and checks that the client left no handle on the loop. */
static inline void tear_down(void)
{
    http_client_free(client);
    uv_close((uv_handle_t *)&tick, NULL);
    stop_listening();
    uv_walk(&loop, close_connection, NULL);
    uv_run(&loop, UV_RUN_DEFAULT);
    int closed = uv_loop_close(&loop);
    cr_assert_eq(closed, 0, "%s, %u requests", uv_strerror(closed), loop.active_reqs.count);
    assert_no_leaks();
}

TestSuite(http_client, .init = set_up, .timeout = 30);

#endif
