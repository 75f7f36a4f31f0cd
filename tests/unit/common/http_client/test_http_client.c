/* The client with a server of this test in the same loop, so that the test determines the order of events. */
#include "common/http_client/http_client.h"

#include <netinet/in.h>
#include <signal.h>
#include <unistd.h>

#include "common/base/buf.h"
#include "unit/held_port.h"
#include "unit/leaks.h"
#include "unit/moves.h"

#define BIG (8 * 1024 * 1024)

static uv_loop_t loop;
static uv_tcp_t listener;
static uv_timer_t tick; /* wakes the loop, so that a test can check its condition */
static struct http_client *client;
static unsigned port, connections, requests, hang_ups;
static uv_tcp_t *held; /* the connection of the last request that the test itself answers */

struct connection {
    uv_tcp_t tcp;
    struct buf in;
    char room[65536];
};

struct sent {
    uv_write_t write;
    char data[];
};

static void on_sent(uv_write_t *write, int status)
{
    free(CONTAINER_OF(write, struct sent, write));
}

static void say_bytes(uv_tcp_t *tcp, const char *text, size_t len)
{
    struct sent *s = xmalloc(sizeof *s + len);
    memcpy(s->data, text, len);
    uv_buf_t out = uv_buf_init(s->data, (unsigned)len);
    uv_write(&s->write, (uv_stream_t *)tcp, &out, 1, on_sent);
}

static void say(uv_tcp_t *tcp, const char *text)
{
    say_bytes(tcp, text, strlen(text));
}

static void on_connection_closed(uv_handle_t *handle)
{
    struct connection *c = handle->data;
    buf_release(&c->in);
    free(c);
}

static void hang_up(uv_tcp_t *tcp)
{
    if (held == tcp) held = NULL;
    if (!uv_is_closing((uv_handle_t *)tcp)) uv_close((uv_handle_t *)tcp, on_connection_closed);
}

static void stop_listening(void)
{
    if (!uv_is_closing((uv_handle_t *)&listener)) uv_close((uv_handle_t *)&listener, NULL);
}

static void answer(uv_tcp_t *tcp, const char *path, const char *body, size_t len)
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

static void on_in(uv_stream_t *stream, ssize_t n, const uv_buf_t *room)
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
    if (c->in.len < head + body) return;
    cr_assert(!strcasestr(text, "expect:"));
    char path[64] = "";
    sscanf(text, "%*s %63s", path);
    answer(&c->tcp, path, c->in.data + head, body);
    if (!uv_is_closing((uv_handle_t *)&c->tcp)) buf_drop_front(&c->in, head + body);
}

static void give_room(uv_handle_t *handle, size_t size, uv_buf_t *room)
{
    struct connection *c = handle->data;
    *room = uv_buf_init(c->room, sizeof c->room);
}

static void on_connection(uv_stream_t *server, int status)
{
    struct connection *c = xcalloc(1, sizeof *c);
    uv_tcp_init(&loop, &c->tcp);
    c->tcp.data = c;
    uv_accept(server, (uv_stream_t *)&c->tcp);
    uv_tcp_nodelay(&c->tcp, 1);
    uv_read_start((uv_stream_t *)&c->tcp, give_room, on_in);
    connections++;
}

/* One call and what came of it. */
struct heard {
    const char *body;
    size_t body_len, given;
    struct buf answer;
    int heads, ends;
    bool refuse, slow;
    struct http_call *call;
    struct http_call_result result;
    char reason[256];
    void (*then)(struct heard *h);
};

static bool starting; /* inside http_call_start() */

static size_t give(void *data, char *dst, size_t cap)
{
    struct heard *h = data;
    cr_assert(!starting);
    size_t len = h->body_len - h->given < cap ? h->body_len - h->given : cap;
    memcpy(dst, h->body + h->given, len);
    h->given += len;
    return len;
}

static void on_head(void *data, struct http_call *call, int status)
{
    struct heard *h = data;
    cr_assert(!starting);
    h->heads++;
}

static bool on_body(void *data, const char *bytes, size_t len)
{
    struct heard *h = data;
    cr_assert(!starting);
    buf_add(&h->answer, bytes, len);
    for (uint64_t since = now_ns(); h->slow && now_ns() - since < NS_PER_MS;) continue;
    return !h->refuse;
}

static void on_end(void *data, const struct http_call_result *result)
{
    struct heard *h = data;
    cr_assert(!starting);
    h->ends++;
    h->result = *result;
    snprintf(h->reason, sizeof h->reason, "%s", result->reason);
    if (h->then) h->then(h);
}

static void start_options(struct heard *h, struct http_call_options o, const char *path)
{
    char url[128];
    snprintf(url, sizeof url, "http://127.0.0.1:%u%s", port, path);
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

static void start(struct heard *h, const char *path)
{
    start_options(h, (struct http_call_options){0}, path);
}

static void run_until(const int *ends, int count)
{
    while (*ends < count) uv_run(&loop, UV_RUN_ONCE);
}

static void on_tick(uv_timer_t *timer)
{
}

static void set_up(void)
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

static void close_connection(uv_handle_t *handle, void *data)
{
    struct connection *c = handle->data;
    if (handle->type == UV_TCP && handle != (uv_handle_t *)&listener && c) hang_up(&c->tcp);
}

/* Also checks that a freed client leaves nothing on the loop. */
static void tear_down(void)
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
    cr_assert_eq(strncmp(buf_cstr(&moves), "short>held held>long long>", 26), 0, "%s", moves.data);
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
    snprintf(url, sizeof url, "http://127.0.0.1:%u/echo", port);
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

Test(http_client, a_refused_connection_is_certainly_not_delivered)
{
    struct heard h = {.body = "x", .body_len = 1};
    start_options(&h, (struct http_call_options){.connect_to = "127.0.0.1:1"}, "/echo");
    run_until(&h.ends, 1);
    cr_assert_eq(h.result.outcome, HTTP_CALL_NOT_CONNECTED);
    cr_assert(!h.result.sent_body);
    cr_assert(strlen(h.reason) > 0);
    tear_down();
}

Test(http_client, a_socket_that_is_not_there_is_certainly_not_delivered)
{
    for (int i = 0; i < 2; i++) {
        struct heard h = {.body = "x", .body_len = 1};
        start_options(&h, (struct http_call_options){.connect_to = "unix:/nowhere/at.all"}, "/echo");
        run_until(&h.ends, 1);
        cr_assert_eq(h.result.outcome, HTTP_CALL_NOT_CONNECTED);
        cr_assert(!h.result.sent_body);
        struct heard by_port = {.body = "x", .body_len = 1};
        start(&by_port, "/echo");
        run_until(&by_port.ends, 1);
        cr_assert_eq(by_port.result.outcome, HTTP_CALL_OK, "the handle is used again, and has forgotten the socket");
        buf_release(&by_port.answer);
    }
    tear_down();
}

Test(http_client, connect_to_dials_elsewhere_and_keeps_the_host)
{
    struct heard h = {.body = "x", .body_len = 1};
    char to[32];
    snprintf(to, sizeof to, "127.0.0.1:%u", port);
    start_options(&h, (struct http_call_options){.url = "http://no-such-host.invalid/echo", .connect_to = to}, "");
    run_until(&h.ends, 1);
    cr_assert_eq(h.result.outcome, HTTP_CALL_OK, "%s", h.reason);
    buf_release(&h.answer);
    tear_down();
}

Test(http_client, a_bad_url_ends_as_not_connected_and_never_inside_start)
{
    struct heard h = {0};
    start_options(&h, (struct http_call_options){.url = "http://[broken"}, "");
    run_until(&h.ends, 1);
    cr_assert_eq(h.result.outcome, HTTP_CALL_NOT_CONNECTED);
    tear_down();
}

Test(http_client, a_post_whose_reused_connection_dies_is_lost_and_never_sent_twice)
{
    struct heard first = {.body = "x", .body_len = 1}, second = {.body = "y", .body_len = 1};
    start(&first, "/echo");
    run_until(&first.ends, 1);
    start(&second, "/lost");
    run_until(&second.ends, 1);
    cr_assert_eq(second.result.outcome, HTTP_CALL_LOST, "%s", second.reason);
    cr_assert(second.result.sent_body);
    cr_assert_eq(second.result.status, 0);
    cr_assert(strstr(second.reason, "lost after the request was sent"), "%s", second.reason);
    cr_assert_eq(requests, 2);
    buf_release(&first.answer);
    tear_down();
}

/* curl itself tries again on another connection, and its error is about that one. */
Test(http_client, a_post_whose_server_was_killed_says_that_it_was_delivered)
{
    struct heard first = {.body = "x", .body_len = 1}, second = {.body = "y", .body_len = 1}, third = second;
    start(&first, "/echo");
    run_until(&first.ends, 1);
    start(&second, "/killed");
    run_until(&second.ends, 1);
    cr_assert_eq(requests, 2);
    cr_assert_eq(second.result.outcome, HTTP_CALL_LOST, "%s", second.reason);
    cr_assert(strstr(second.reason, "lost after the request was sent"), "%s", second.reason);
    start(&third, "/echo");
    run_until(&third.ends, 1);
    cr_assert_eq(third.result.outcome, HTTP_CALL_NOT_CONNECTED, "%s", third.reason);
    cr_assert(strstr(third.reason, "onnect"), "%s", third.reason);
    buf_release(&first.answer);
    tear_down();
}

Test(http_client, a_big_post_whose_reused_connection_dies_is_never_sent_twice_either)
{
    char *big = xcalloc(1, BIG);
    struct heard first = {.body = "x", .body_len = 1}, second = {.body = big, .body_len = BIG};
    start(&first, "/echo");
    run_until(&first.ends, 1);
    start(&second, "/lost");
    run_until(&second.ends, 1);
    cr_assert_eq(second.result.outcome, HTTP_CALL_LOST, "%s", second.reason);
    cr_assert_eq(requests, 2);
    free(big);
    buf_release(&first.answer);
    tear_down();
}

Test(http_client, a_post_without_body_is_never_sent_twice_either)
{
    struct heard first = {.body = "x", .body_len = 1}, second = {0};
    start(&first, "/echo");
    run_until(&first.ends, 1);
    start_options(&second, (struct http_call_options){.method = "POST"}, "/lost");
    run_until(&second.ends, 1);
    cr_assert_eq(second.result.outcome, HTTP_CALL_LOST, "%s", second.reason);
    cr_assert_eq(requests, 2);
    buf_release(&first.answer);
    tear_down();
}

Test(http_client, an_answer_cut_in_the_middle_is_lost_but_its_status_is_told)
{
    struct heard h = {.body = "x", .body_len = 1};
    start(&h, "/half");
    while (h.answer.len < 4) uv_run(&loop, UV_RUN_ONCE);
    hang_up(held);
    run_until(&h.ends, 1);
    cr_assert_eq(h.result.outcome, HTTP_CALL_LOST);
    cr_assert_eq(h.result.status, 200);
    cr_assert_str_eq(buf_cstr(&h.answer), "half");
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
    snprintf(url, sizeof url, "http://127.0.0.1:%u/big", port);
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

Test(http_client, a_big_body_goes_and_comes_unharmed)
{
    char *big = xmalloc(BIG);
    for (size_t i = 0; i < BIG; i++) big[i] = (char)(i * 2654435761u >> 13);
    struct heard h = {.body = big, .body_len = BIG};
    start(&h, "/echo");
    run_until(&h.ends, 1);
    cr_assert_eq(h.result.outcome, HTTP_CALL_OK, "%s", h.reason);
    cr_assert(h.answer.len == BIG && memcmp(h.answer.data, big, BIG) == 0);
    free(big);
    buf_release(&h.answer);
    tear_down();
}

Test(http_client, long_answers_are_read_in_turns_and_others_in_between)
{
    enum { COUNT = 4, FIRST_TURN = 64 * 1024, LATER_TURN = 192 * 1024 };
    struct heard big[COUNT] = {{0}}, h = {.body = "x", .body_len = 1};
    int ended = 0;
    for (int i = 0; i < COUNT; i++) {
        big[i] = (struct heard){.slow = true};
        start(&big[i], "/big");
    }
    while (ended < COUNT) {
        size_t before = 0, after = 0;
        for (int i = 0; i < COUNT; i++) before += big[i].answer.len;
        uv_run(&loop, UV_RUN_ONCE);
        ended = 0;
        for (int i = 0; i < COUNT; i++) ended += big[i].ends, after += big[i].answer.len;
        cr_assert_leq(after - before, COUNT * FIRST_TURN + LATER_TURN, "%zu bytes in one turn", after - before);
        if (after > BIG && !h.call) start(&h, "/echo");
        if (h.call && !h.ends) cr_assert_leq(after, 2 * BIG, "the short one waits");
    }
    cr_assert_eq(h.result.outcome, HTTP_CALL_OK);
    for (int i = 0; i < COUNT; i++) {
        cr_assert_eq(big[i].result.outcome, HTTP_CALL_OK, "%s", big[i].reason);
        cr_assert_eq(big[i].answer.len, BIG);
        buf_release(&big[i].answer);
    }
    buf_release(&h.answer);
    tear_down();
}

Test(http_client, a_long_answer_that_waits_for_its_turn_can_be_cancelled)
{
    enum { COUNT = 4 };
    struct heard big[COUNT] = {{0}};
    for (int i = 0; i < COUNT; i++) {
        big[i] = (struct heard){.slow = true};
        start(&big[i], "/big");
    }
    while (big[0].answer.len == 0 || big[COUNT - 1].answer.len == 0) uv_run(&loop, UV_RUN_ONCE);
    for (int i = 0; i < COUNT; i += 2) http_call_cancel(big[i].call);
    for (int i = 1; i < COUNT; i += 2) run_until(&big[i].ends, 1);
    for (int i = 0; i < COUNT; i++) {
        cr_assert_eq(big[i].ends, i % 2);
        if (i % 2) cr_assert_eq(big[i].answer.len, BIG);
        buf_release(&big[i].answer);
    }
    tear_down();
}

Test(http_client, many_calls_at_once_all_end)
{
    enum { COUNT = 300 };
    static struct heard all[COUNT];
    int ended = 0;
    for (int i = 0; i < COUNT; i++) {
        all[i] = (struct heard){.body = "0123456789", .body_len = (size_t)(i % 10) + 1};
        start(&all[i], i % 7 == 3 ? "/lost" : "/echo");
    }
    while (ended < COUNT) {
        uv_run(&loop, UV_RUN_ONCE);
        ended = 0;
        for (int i = 0; i < COUNT; i++) ended += all[i].ends;
    }
    for (int i = 0; i < COUNT; i++) {
        cr_assert_eq(all[i].result.outcome, i % 7 == 3 ? HTTP_CALL_LOST : HTTP_CALL_OK, "%s", all[i].reason);
        buf_release(&all[i].answer);
    }
    cr_assert_eq(requests, COUNT);
    tear_down();
}

Test(http_client, timeouts_and_hang_ups_in_one_turn_name_no_freed_socket)
{
    enum { COUNT = 100 };
    static struct heard all[COUNT];
    int ended = 0;
    for (int i = 0; i < COUNT; i++) {
        all[i] = (struct heard){.body = "x", .body_len = 1};
        start_options(&all[i], (struct http_call_options){.silence_timeout_ms = (uint64_t)(5 + i % 3)},
                      i % 2 ? "/silent" : "/half");
    }
    while (ended < COUNT) {
        uv_run(&loop, UV_RUN_ONCE);
        if (held && requests % 3 == 0) hang_up(held);
        ended = 0;
        for (int i = 0; i < COUNT; i++) ended += all[i].ends;
    }
    for (int i = 0; i < COUNT; i++) buf_release(&all[i].answer);
    tear_down();
}
