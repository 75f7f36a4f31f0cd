#include "common/http_server/http_server_internal.h"

#define FREE_EXCHANGES_KEPT 64
/* Beyond this an exchange that has had a step in the server's turn waits for the next one. */
#define STEPS_NS (100 * NS_PER_US)

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

static void exchange_suspend(struct http_exchange *x)
{
    MHD_suspend_connection(x->connection->mhd);
    x->suspended = true;
    if (x->woken)
        http_exchange_wake(x);
    else
        http_connection_judge(x->connection);
}

void http_exchange_wake(struct http_exchange *x)
{
    x->woken = true;
    if (!x->suspended || x->parked || x->server->stopping) return;
    x->suspended = false;
    x->connection->seen_in_turn = x->server->turn + 1;
    x->connection->since_ms = uv_now(x->server->loop);
    MHD_resume_connection(x->connection->mhd);
    http_server_want_turn(x->server);
}

/* Many steps of long bodies and answers would fill the server's turn, and short requests would go on between them, one
 * step at a time. So whoever has had a step lets the others come to their end once the turn has taken long. */
static bool park(struct http_exchange *x)
{
    struct http_server *s = x->server;
    bool first = x->stepped_in_turn != s->turn;
    x->stepped_in_turn = s->turn;
    if (first || uv_hrtime() - s->turn_ns < STEPS_NS) return false;
    MHD_suspend_connection(x->connection->mhd);
    x->suspended = x->parked = true;
    x->next_parked = s->parked;
    s->parked = x;
    return true;
}

void http_exchange_unpark(struct http_server *s)
{
    for (struct http_exchange *x; (x = s->parked);) {
        s->parked = x->next_parked;
        x->suspended = x->parked = false;
        x->connection->seen_in_turn = s->turn;
        MHD_resume_connection(x->connection->mhd);
    }
}

/* The first call about a request, before its headers are in. */
void *http_exchange_on_uri(void *cls, const char *uri, struct MHD_Connection *mhd)
{
    struct http_server *s = cls;
    struct http_exchange *x = exchange_new(s);
    x->server = s;
    x->connection = http_connection_of(mhd);
    x->connection->exchange = x;
    http_tls_arrived(x->connection);
    x->connection->seen_in_turn = s->turn;
    if (x->connection->used) x->connection->since_ms = uv_now(s->loop);
    x->uri_bytes = strlen(uri);
    x->start_ns = uv_hrtime();
    return x;
}

/* Pulls until dst is nearly full or there is no more now; a nearly full rest is not worth a pull of its own. */
static size_t gather(struct http_exchange *x, char *dst, size_t cap)
{
    size_t got = 0;
    while (!x->pull_end && (got == 0 || cap - got >= 4 * KIB)) {
        ssize_t n = x->ops->pull(x, dst + got, cap - got); /* NOLINT(clang-analyzer-core.NullDereference): accepted */
        if (n < 0) x->pull_end = n;
        if (n <= 0) break;
        got += (size_t)n;
    }
    return got;
}

/* libmicrohttpd's reader for streamed answers: pull() writes straight into its send buffer. */
static ssize_t on_read(void *cls, uint64_t position, char *dst, size_t cap)
{
    struct http_exchange *x = cls;
    if (x->dead) return MHD_CONTENT_READER_END_WITH_ERROR;
    size_t got = x->early.len - x->early_used;
    if (got > 0) {
        got = got < cap ? got : cap;
        memcpy(dst, x->early.data + x->early_used, got);
        x->early_used += got;
        return (ssize_t)got;
    }
    buf_release(&x->early);
    x->early_used = 0;
    if (park(x)) return 0;
    x->woken = false;
    got = gather(x, dst, cap);
    if (got > 0) return (ssize_t)got;
    if (x->pull_end == HTTP_PULL_END) return MHD_CONTENT_READER_END_OF_STREAM;
    if (x->pull_end) return MHD_CONTENT_READER_END_WITH_ERROR;
    exchange_suspend(x);
    return 0;
}

/* A large answer that is whole before it begins leaves from its own memory. */
static bool take_whole(struct http_exchange *x)
{
    struct buf answer = {0};
    if (x->is_head || !x->ops->whole || !x->ops->whole(x, &answer)) return false;
    x->pull_end = HTTP_PULL_END;
    x->response = MHD_create_response_from_buffer_with_free_callback(answer.len, answer.data, free);
    if (!x->response) BUG("out of memory for an answer");
    return true;
}

/* Makes the response of a streamed answer as soon as its first bytes, or its end, are there or it must not wait for
 * them. False: not yet. */
static bool begin_stream(struct http_exchange *x)
{
    size_t got = 0;
    if (take_whole(x)) return true;
    if (!x->is_head) {
        x->woken = false;
        got = gather(x, x->server->scratch, HTTP_SCRATCH_BYTES);
        if (got == 0 && x->pull_end == HTTP_PULL_WAIT && !x->head_now) return false;
    }
    if (x->pull_end == HTTP_PULL_END) {
        x->response = MHD_create_response_from_buffer(got, x->server->scratch, MHD_RESPMEM_MUST_COPY);
    } else {
        buf_add(&x->early, x->server->scratch, got);
        /* Chunks are pulled into the connection's buffer; only HTTP/1.0, without chunks, reads through this block. */
        size_t block = x->is_http_1_0 ? LIMIT_PULL_BYTES : 1;
        x->response = MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, block, on_read, x, NULL);
    }
    if (!x->response) BUG("out of memory for an answer");
    return true;
}

static void add_headers(struct http_exchange *x)
{
    for (size_t at = 0; at < x->headers.len;) {
        const char *name = x->headers.data + at, *value = name + strlen(name) + 1;
        MHD_add_response_header(x->response, name, value);
        at += strlen(name) + strlen(value) + 2;
    }
    if (x->server->draining || x->must_close) MHD_add_response_header(x->response, "Connection", "close");
}

/* Hands the answer to libmicrohttpd, or waits for a stream's first bytes. Only in a call of the access handler. */
static enum MHD_Result send_answer(struct http_exchange *x)
{
    if (!x->response && !begin_stream(x)) {
        exchange_suspend(x);
        return MHD_YES;
    }
    if (x->pull_end == HTTP_PULL_ABORT && !x->early.len) return MHD_NO;
    add_headers(x);
    x->connection->lingers = x->stage == HTTP_STAGE_BODY && (x->has_body || x->must_close);
    x->stage = HTTP_STAGE_ANSWER;
    enum MHD_Result queued = MHD_queue_response(x->connection->mhd, (unsigned)x->status, x->response);
    MHD_destroy_response(x->response);
    x->response = NULL;
    return queued;
}

static bool admit(struct http_exchange *x)
{
    const struct http_server_options *o = &x->server->options;
    return !o->admit || o->admit(o->admit_data, x);
}

static enum MHD_Result on_head(struct http_exchange *x, const char *url, const char *method, const char *version)
{
    struct http_connection *c = x->connection;
    x->stage = HTTP_STAGE_BODY;
    x->method = method;
    x->path = url;
    x->is_head = strcmp(method, "HEAD") == 0;
    x->is_http_1_0 = strcmp(version, "HTTP/1.0") == 0;
    x->server->open_exchanges++;
    c->used = true;
    c->since_ms = uv_now(c->server->loop);
    if (!http_tls_admits(c)) return MHD_NO; /* the handshake has refused it already */
    if (c->parted) {
        http_answer_problem(x, 503, NULL, "draining"); /* it was told so already: its body is read and dropped */
        return MHD_YES;
    }
    if (http_request_check(x) && admit(x) && http_route_find(x)) {
        x->route->handle(x, x->server->options.data);
        if (!x->ops && !http_exchange_answered(x)) http_answer_problem(x, 500, NULL, "the request was not taken up");
    }
    /* Answered at once: a body that the client still holds back need not come; libmicrohttpd then closes, as HTTP
     * demands of a server that does not read on. */
    if (http_exchange_answered(x) && (x->must_close || x->expects_continue)) return send_answer(x);
    return MHD_YES;
}

static enum MHD_Result on_body(struct http_exchange *x, const char *data, size_t *size)
{
    struct http_connection *c = x->connection;
    if (x->body_bytes + *size > x->server->options.max_body_bytes) {
        x->status = 413;
        http_connection_refuse_in_call(c, 413, "the body is longer than allowed");
        return MHD_NO;
    }
    size_t taken = *size;
    if (park(x)) return MHD_YES;
    x->woken = false;
    if (x->ops && x->ops->body && !http_exchange_answered(x)) taken = x->ops->body(x, data, *size);
    if (taken > *size) BUG("body() took more than it was given");
    if (http_exchange_answered(x)) taken = *size;
    x->body_bytes += taken;
    x->body_step_bytes += taken;
    if (x->body_step_bytes >= LIMIT_BODY_STEP_BYTES) {
        x->body_step_bytes = 0;
        c->since_ms = uv_now(c->server->loop);
    }
    if (taken < *size) exchange_suspend(x);
    *size -= taken;
    return MHD_YES;
}

static enum MHD_Result on_whole(struct http_exchange *x)
{
    if (x->stage == HTTP_STAGE_BODY) {
        x->stage = HTTP_STAGE_WHOLE;
        x->woken = false;
        if (!http_exchange_answered(x) && x->ops->body_end) x->ops->body_end(x);
    }
    if (http_exchange_answered(x)) return send_answer(x);
    x->woken = false;
    exchange_suspend(x);
    return MHD_YES;
}

enum MHD_Result http_exchange_on_request(void *cls, struct MHD_Connection *mhd, const char *url, const char *method,
                                         const char *version, const char *upload, size_t *upload_size, void **context)
{
    struct http_exchange *x = *context;
    x->connection->seen_in_turn = x->server->turn;
    if (x->dead || x->connection->cut) return MHD_NO;
    if (x->stage == HTTP_STAGE_HEAD) return on_head(x, url, method, version);
    if (*upload_size > 0) return on_body(x, upload, upload_size);
    return on_whole(x);
}

void http_exchange_on_completed(void *cls, struct MHD_Connection *mhd, void **context,
                                enum MHD_RequestTerminationCode code)
{
    struct http_exchange *x = *context;
    if (!x) return;
    struct http_server *s = x->server;
    struct http_connection *c = x->connection;
    bool whole = code == MHD_REQUEST_TERMINATED_COMPLETED_OK && x->stage == HTTP_STAGE_ANSWER && !x->dead;
    *context = NULL;
    s->request_ended = true;
    c->exchange = NULL;
    c->seen_in_turn = s->turn;
    c->since_ms = uv_now(s->loop);
    c->head_began_ms = 0;
    if (x->stage != HTTP_STAGE_HEAD) {
        if (x->ops && x->ops->closed)
            x->ops->closed(x, whole                                            ? HTTP_CLOSED_DONE
                              : code == MHD_REQUEST_TERMINATED_DAEMON_SHUTDOWN ? HTTP_CLOSED_SHUTDOWN
                                                                               : HTTP_CLOSED_HANG_UP);
        s->open_exchanges--;
        if (s->options.on_done)
            s->options.on_done(s->options.data, x->method, x->route ? x->route->path : "", x->status,
                               uv_hrtime() - x->start_ns);
    }
    exchange_free(x);
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

static void drop_header(struct buf *headers, const char *name)
{
    for (size_t at = 0, len; at < headers->len; at += len) {
        char *header = headers->data + at;
        len = strlen(header) + 1;
        len += strlen(header + len) + 1;
        if (strcasecmp(header, name) != 0) continue;
        memmove(header, header + len, headers->len - at - len);
        headers->len -= len;
        return;
    }
}

void http_exchange_set_header(struct http_exchange *x, const char *name, const char *value)
{
    drop_header(&x->headers, name);
    buf_add(&x->headers, name, strlen(name) + 1);
    buf_add(&x->headers, value, strlen(value) + 1);
}

bool http_exchange_answered(const struct http_exchange *x)
{
    return x->status != 0;
}

int http_exchange_status(const struct http_exchange *x)
{
    return x->status;
}

static bool take_answer(struct http_exchange *x, int status, const char *content_type)
{
    if (http_exchange_answered(x)) BUG("a second answer to one request");
    x->status = status;
    if (content_type) http_exchange_set_header(x, "Content-Type", content_type);
    return !x->dead;
}

void http_answer(struct http_exchange *x, int status, const char *content_type, const char *body, size_t len)
{
    if (!take_answer(x, status, content_type)) return;
    /* The library takes a pointer to non-const but only reads, as it is told to copy. */
    x->response = MHD_create_response_from_buffer(len, (void *)(uintptr_t)body, MHD_RESPMEM_MUST_COPY);
    if (!x->response) BUG("out of memory for an answer");
    http_exchange_wake(x);
}

void http_answer_stream(struct http_exchange *x, int status, const char *content_type)
{
    if (!x->ops || !x->ops->pull) BUG("a streamed answer without pull()");
    x->streamed = true;
    if (take_answer(x, status, content_type)) http_exchange_wake(x);
}

void http_exchange_send_head(struct http_exchange *x)
{
    if (!x->streamed || x->head_now || x->dead) return;
    x->head_now = true;
    if (x->stage != HTTP_STAGE_ANSWER) http_exchange_wake(x);
}
