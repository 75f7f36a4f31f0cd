#include "common/http_server/http_server_internal.h"
#include "common/observe/log.h"

#define FREE_EXCHANGES_KEPT 64
#define REPEATED_BYTES      256 /* a longer header is not repeated in the answer */
/* When the library resumes a connection, it walks all suspended connections. Each connection costs up to
 * RESUME_LOOK_NS, because its memory is in no processor cache. With thousands of suspended connections, the walk takes
 * longer than all other work for an answer. */
#define RESUME_LOOK_NS 100
/* If at least this many connections are suspended, those that are woken are resumed in batches. The pause between two
 * batches is RESUME_GAP_NS times the number of suspended connections. */
#define RESUME_GATHER_FROM 1000
#define RESUME_GAP_NS      (40 * RESUME_LOOK_NS)
/* When a turn has lasted for a certain time, an exchange that was already served in this turn is parked until the next
 * turn. This time is STEPS_NS, plus STEPS_LOOKS_NS for each suspended connection, because resuming the exchange costs a
 * walk over all suspended connections. */
#define STEPS_NS       (100 * NS_PER_US)
#define STEPS_LOOKS_NS (8 * RESUME_LOOK_NS)

static const char *const stage_names[] = {
    [HTTP_STAGE_HEAD] = "head",     [HTTP_STAGE_BODY] = "body", [HTTP_STAGE_WHOLE] = "whole",
    [HTTP_STAGE_ANSWER] = "answer", [HTTP_STAGE_GONE] = "gone",
};
static_assert(ARRAY_SIZE(stage_names) == HTTP_STAGE_COUNT, "every stage has a name");

static const char *const flow_names[] = {
    [HTTP_FLOW_RUNS] = "runs",
    [HTTP_FLOW_WAITS] = "waits",
    [HTTP_FLOW_WOKEN] = "woken",
    [HTTP_FLOW_PARKED] = "parked",
};
static_assert(ARRAY_SIZE(flow_names) == HTTP_FLOW_COUNT, "every flow has a name");

static const char *const closed_names[] = {
    [HTTP_CLOSED_DONE] = "done",
    [HTTP_CLOSED_HANG_UP] = "hang_up",
    [HTTP_CLOSED_SHUTDOWN] = "shutdown",
};

void http_exchange_move(struct http_exchange *x, enum http_stage to)
{
    log_debug("exchange moved", LOG_I64("fd", x->connection->fd), LOG_STR("from", stage_names[x->stage]),
              LOG_STR("to", stage_names[to]));
    x->stage = to;
}

static void move_flow(struct http_exchange *x, enum http_flow to)
{
    log_debug("exchange flow moved", LOG_I64("fd", x->connection->fd), LOG_STR("from", flow_names[x->flow]),
              LOG_STR("to", flow_names[to]));
    x->flow = to;
}

static struct http_exchange *exchange_new(struct http_server *s)
{
    struct http_exchange *x = s->free_exchanges;
    if (!x) return xcalloc(1, sizeof *x);
    s->free_exchanges = x->next_free;
    s->free_count--;
    struct buf params_text = x->params_text, headers = x->headers;
    *x = (struct http_exchange){.params_text = params_text, .headers = headers};
    buf_clear(&x->params_text);
    buf_clear(&x->headers);
    return x;
}

static void exchange_destroy(struct http_exchange *x)
{
    buf_release(&x->params_text);
    buf_release(&x->headers);
    free(x);
}

static void exchange_free(struct http_exchange *x)
{
    struct http_server *s = x->server;
    if (x->response) MHD_destroy_response(x->response);
    buf_release(&x->early);
    if (s->free_count == FREE_EXCHANGES_KEPT) {
        exchange_destroy(x);
        return;
    }
    x->next_free = s->free_exchanges;
    s->free_exchanges = x;
    s->free_count++;
}

void http_exchange_free_list(struct http_server *s)
{
    for (struct http_exchange *x = s->free_exchanges, *next; x; x = next) {
        next = x->next_free;
        exchange_destroy(x);
    }
}

static void on_resume_timer(uv_timer_t *timer)
{
    http_server_want_turn(timer->data);
}

void http_exchange_suspend(struct http_exchange *x)
{
    MHD_suspend_connection(x->connection->mhd);
    x->connection->still_in_turn = 0;
    x->server->waiting++;
    move_flow(x, HTTP_FLOW_WAITS);
    if (x->woken)
        http_exchange_wake(x);
    else
        http_peer_check(x->connection);
}

/* Asks for a turn of the server, at the earliest time at which woken exchanges may be resumed. */
static void want_resume(struct http_server *s)
{
    uint64_t now_ns = uv_hrtime();
    if (now_ns >= s->resume_from_ns)
        http_server_want_turn(s);
    else if (!uv_is_active((uv_handle_t *)&s->resume_timer))
        uv_timer_start(&s->resume_timer, on_resume_timer, (s->resume_from_ns - now_ns) / NS_PER_MS + 1, 0);
}

void http_exchange_wake(struct http_exchange *x)
{
    x->woken = true;
    struct http_server *s = x->server;
    if (x->flow != HTTP_FLOW_WAITS || s->stopping) return;
    move_flow(x, HTTP_FLOW_WOKEN);
    x->connection->since_ms = uv_now(s->loop);
    x->next_woken = s->woken;
    s->woken = x;
    want_resume(s);
}

/* Resumes the woken exchanges: all at once, or in batches if many connections are suspended. */
void http_exchange_resume_woken(struct http_server *s)
{
    if (!s->woken) return;
    if (uv_hrtime() < s->resume_from_ns) {
        want_resume(s);
        return;
    }
    if (s->waiting >= RESUME_GATHER_FROM) s->resume_from_ns = uv_hrtime() + s->waiting * RESUME_GAP_NS;
    for (struct http_exchange *x; (x = s->woken);) {
        s->woken = x->next_woken;
        s->waiting--;
        move_flow(x, HTTP_FLOW_RUNS);
        MHD_resume_connection(x->connection->mhd);
    }
}

/* When a turn has lasted long, an exchange that was already served in this turn waits for the next turn, so that short
 * requests can finish. */
bool http_exchange_park(struct http_exchange *x)
{
    struct http_server *s = x->server;
    bool first = x->stepped_in_turn != s->turn;
    x->stepped_in_turn = s->turn;
    if (first || uv_hrtime() - s->turn_ns < STEPS_NS + s->waiting * STEPS_LOOKS_NS) return false;
    MHD_suspend_connection(x->connection->mhd);
    move_flow(x, HTTP_FLOW_PARKED);
    x->next_parked = s->parked;
    s->parked = x;
    return true;
}

void http_exchange_unpark(struct http_server *s)
{
    for (struct http_exchange *x; (x = s->parked);) {
        s->parked = x->next_parked;
        move_flow(x, HTTP_FLOW_RUNS);
        MHD_resume_connection(x->connection->mhd);
    }
}

/* For each request, libmicrohttpd calls this function first, before the headers have arrived. */
void *http_exchange_on_uri(void *cls, const char *uri, struct MHD_Connection *mhd)
{
    struct http_server *s = cls;
    struct http_exchange *x = exchange_new(s);
    x->server = s;
    x->connection = http_connection_of(mhd);
    x->connection->exchange = x;
    http_tls_arrived(x->connection);
    s->current = x->connection;
    if (x->connection->used) x->connection->since_ms = uv_now(s->loop);
    x->start_ns = uv_hrtime();
    return x;
}

static bool admit(struct http_exchange *x)
{
    const struct http_server_options *o = &x->server->options;
    return !o->admit || o->admit(o->admit_data, x);
}

static void repeat_headers(struct http_exchange *x, const char *const *names)
{
    for (const char *const *name = names; name && *name; name++) {
        const char *value = http_exchange_header(x, *name);
        if (value && strlen(value) <= REPEATED_BYTES) http_exchange_set_header(x, *name, value);
    }
}

static void set_first_headers(struct http_exchange *x)
{
    const struct http_server_options *o = &x->server->options;
    if (o->add_headers) o->add_headers(o->admit_data, http_exchange_header(x, "Origin"), &x->headers);
    repeat_headers(x, o->repeated_headers);
    x->first_headers_len = x->headers.len;
}

static enum MHD_Result on_head(struct http_exchange *x, const char *url, const char *method, const char *version)
{
    struct http_connection *c = x->connection;
    http_exchange_move(x, HTTP_STAGE_BODY);
    x->method = method;
    x->path = http_request_path(url);
    x->is_head = strcmp(method, "HEAD") == 0;
    x->is_http_1_0 = strcmp(version, "HTTP/1.0") == 0;
    x->server->open_exchanges++;
    c->used = true;
    c->since_ms = uv_now(c->server->loop);
    if (!http_tls_admits(c)) return MHD_NO; /* the peer was refused during the handshake */
    if (c->state == HTTP_CONNECTION_CLOSE_SENT) {
        /* The server sent a 503 before it read this request, and our side of the connection is shut down. So this
         * answer does not reach the peer; its only purpose is to end the exchange. Further bytes from the peer are read
         * and dropped. */
        http_answer_problem(x, 503, NULL, "draining");
        return MHD_YES;
    }
    set_first_headers(x);
    if (http_request_check(x) && admit(x) && http_request_read_query(x) && http_route_find(x)) {
        x->route->handle(x, x->server->options.data);
        if (!x->ops && !http_exchange_answered(x)) http_answer_problem(x, 500, NULL, "the request was not handled");
    }
    /* Answers the request now, so that a client that still waits to send its body need not send it. libmicrohttpd then
     * closes the connection, because HTTP requires this of a server that does not read the body. */
    if (http_exchange_answered(x) && (x->must_close || x->expects_continue)) return http_answer_send(x);
    return MHD_YES;
}

static enum MHD_Result on_body(struct http_exchange *x, const char *data, size_t *size)
{
    struct http_connection *c = x->connection;
    if (x->body_bytes + *size > x->server->options.max_body_bytes) {
        const struct http_server_options *o = &x->server->options;
        char detail[512];
        snprintf(detail, sizeof detail, "the body is longer than the %zu bytes that are allowed%s", o->max_body_bytes,
                 o->too_long_hint ? o->too_long_hint : "");
        x->status = 413;
        http_connection_refuse_in_call(c, 413, detail);
        return MHD_NO;
    }
    size_t taken = *size;
    if (http_exchange_park(x)) return MHD_YES;
    x->woken = false;
    if (x->ops && x->ops->body && !http_exchange_answered(x)) taken = x->ops->body(x, data, *size);
    if (taken > *size) BUG("body() returned more than its len");
    if (http_exchange_answered(x)) taken = *size;
    x->body_bytes += taken;
    c->since_ms = uv_now(c->server->loop);
    if (taken > 0) c->moved_in_turn = c->server->turn;
    if (taken < *size) http_exchange_suspend(x);
    *size -= taken;
    return MHD_YES;
}

static enum MHD_Result on_whole(struct http_exchange *x)
{
    if (x->stage == HTTP_STAGE_BODY) {
        http_exchange_move(x, HTTP_STAGE_WHOLE);
        x->woken = false;
        if (!http_exchange_answered(x) && x->ops->body_end) x->ops->body_end(x);
    }
    if (http_exchange_answered(x)) return http_answer_send(x);
    x->woken = false;
    http_exchange_suspend(x);
    return MHD_YES;
}

enum MHD_Result http_exchange_on_request(void *cls, struct MHD_Connection *mhd, const char *url, const char *method,
                                         const char *version, const char *upload, size_t *upload_size, void **context)
{
    struct http_exchange *x = *context;
    x->server->current = x->connection;
    if (x->stage == HTTP_STAGE_GONE || x->connection->state == HTTP_CONNECTION_CUT) return MHD_NO;
    if (x->stage == HTTP_STAGE_HEAD) return on_head(x, url, method, version);
    if (*upload_size > 0) return on_body(x, upload, upload_size);
    return on_whole(x);
}

static enum http_closed how_closed(const struct http_exchange *x, enum MHD_RequestTerminationCode code)
{
    if (code == MHD_REQUEST_TERMINATED_COMPLETED_OK && x->stage == HTTP_STAGE_ANSWER) return HTTP_CLOSED_DONE;
    return code == MHD_REQUEST_TERMINATED_DAEMON_SHUTDOWN ? HTTP_CLOSED_SHUTDOWN : HTTP_CLOSED_HANG_UP;
}

void http_exchange_on_completed(void *cls, struct MHD_Connection *mhd, void **context,
                                enum MHD_RequestTerminationCode code)
{
    struct http_exchange *x = *context;
    if (!x) return;
    struct http_server *s = x->server;
    struct http_connection *c = x->connection;
    enum http_closed how = how_closed(x, code);
    log_debug("exchange closed", LOG_I64("fd", c->fd), LOG_STR("stage", stage_names[x->stage]),
              LOG_STR("how", closed_names[how]));
    *context = NULL;
    c->exchange = NULL;
    if (how != HTTP_CLOSED_DONE || x->must_close)
        c->memory = NULL; /* the library has freed this memory or will soon free it */
    s->current = c;
    c->since_ms = uv_now(s->loop);
    if (x->stage != HTTP_STAGE_HEAD) {
        if (x->ops && x->ops->closed) x->ops->closed(x, how);
        s->open_exchanges--;
        if (s->options.on_done)
            s->options.on_done(s->options.data, x->method, x->route ? x->route->path : "", x->status,
                               uv_hrtime() - x->start_ns);
    }
    exchange_free(x);
    http_wire_answered(c);
    http_peer_check(c);
}

void http_exchange_leave_body(struct http_exchange *x)
{
    x->must_close |= x->has_body;
}

void http_exchange_accept(struct http_exchange *x, const struct http_exchange_ops *ops, void *data)
{
    x->ops = ops;
    x->data = data;
}

void *http_exchange_data(const struct http_exchange *x)
{
    return x->data;
}
