#include <inttypes.h>

#include "common/base/hash.h"
#include "common/base/spare_memory.h"
#include "common/http_server/http_server_internal.h"

#define WORTH_A_PULL_BYTES (4 * KIB)
/* pull() is not called again in the same turn when its calls have taken this long. A call of pull() can take long and
 * return few bytes, for example if pull() joins equal errors. */
#define PULLS_NS (100 * NS_PER_US)

/* Calls pull() until it has no more bytes, until the room left in `dst` is too small for another call, or until
 * uv_hrtime() has reached `until_ns`. */
static size_t gather(struct http_exchange *x, char *dst, size_t cap, uint64_t until_ns)
{
    size_t got = 0;
    while (!x->pull_end && (got == 0 || cap - got >= WORTH_A_PULL_BYTES)) {
        ssize_t n = x->ops->pull(x, dst + got, cap - got); /* NOLINT(clang-analyzer-core.NullDereference): accepted */
        if (n < 0) x->pull_end = n;
        if (n <= 0) break;
        got += (size_t)n;
        if (until_ns != UINT64_MAX && uv_hrtime() >= until_ns) break;
    }
    return got;
}

/* libmicrohttpd calls this function to read a streamed answer. pull() writes directly into libmicrohttpd's send
 * buffer. */
static ssize_t on_read(void *cls, uint64_t position, char *dst, size_t cap)
{
    struct http_exchange *x = cls;
    if (x->stage == HTTP_STAGE_GONE) return MHD_CONTENT_READER_END_WITH_ERROR;
    size_t got = x->early.len - x->early_used;
    if (got > 0) {
        got = got < cap ? got : cap;
        memcpy(dst, x->early.data + x->early_used, got);
        x->early_used += got;
        return (ssize_t)got;
    }
    buf_release(&x->early);
    x->early_used = 0;
    if (http_exchange_park(x)) return 0;
    x->woken = false;
    got = gather(x, dst, cap, uv_hrtime() + PULLS_NS);
    if (got > 0) x->connection->moved_in_turn = x->server->turn;
    if (got > 0) return (ssize_t)got;
    if (x->pull_end == HTTP_PULL_END) return MHD_CONTENT_READER_END_OF_STREAM;
    if (x->pull_end) return MHD_CONTENT_READER_END_WITH_ERROR;
    http_exchange_suspend(x);
    return 0;
}

/* If the answer is large and already complete, creates its response, and returns true. The answer will then be sent
 * from its own memory, without a copy. */
static bool begin_whole(struct http_exchange *x)
{
    struct buf answer = {0};
    if (x->is_head || !x->ops->whole || !x->ops->whole(x, &answer)) return false;
    x->pull_end = HTTP_PULL_END;
    x->response = MHD_create_response_from_buffer_with_free_callback(answer.len, answer.data, spare_memory_free);
    if (!x->response) BUG("out of memory for an answer");
    return true;
}

/* Creates the response of a streamed answer. Returns false if the response must wait: pull() has returned neither bytes
 * nor the end, and the head need not be sent now. */
static bool begin_stream(struct http_exchange *x)
{
    size_t got = 0;
    if (begin_whole(x)) return true;
    if (!x->is_head) {
        x->woken = false;
        /* There is no limit of time here, because the framing of a short answer must not depend on the time. */
        got = gather(x, x->server->scratch, HTTP_SCRATCH_BYTES, UINT64_MAX);
        if (got == 0 && x->pull_end == HTTP_PULL_WAIT && !x->head_now) return false;
    }
    if (x->pull_end == HTTP_PULL_END) {
        x->response = MHD_create_response_from_buffer(got, x->server->scratch, MHD_RESPMEM_MUST_COPY);
    } else {
        buf_add(&x->early, x->server->scratch, got);
        /* For HTTP/1.1, the library pulls chunks into the connection's own buffer. The size of the block matters only
         * for HTTP/1.0, which has no chunks. */
        size_t block = x->is_http_1_0 ? LIMIT_PULL_BYTES : 1;
        x->response = MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, block, on_read, x, NULL);
    }
    if (!x->response) BUG("out of memory for an answer");
    return true;
}

/* Returns the offset of the header in `headers`, and sets *len to the length of its name and value. Returns
 * headers->len if the header is not set. */
static size_t find_header(const struct buf *headers, const char *name, size_t *len)
{
    size_t at = 0;
    for (; at < headers->len; at += *len) {
        const char *header = headers->data + at;
        *len = strlen(header) + 1;
        *len += strlen(header + *len) + 1;
        if (strcasecmp(header, name) == 0) break;
    }
    return at;
}

static void add_headers(struct http_exchange *x)
{
    size_t len;
    for (size_t at = 0; at < x->headers.len;) {
        const char *name = x->headers.data + at, *value = name + strlen(name) + 1;
        MHD_add_response_header(x->response, name, value);
        at += strlen(name) + strlen(value) + 2;
    }
    /* Some proxies store an answer unless its headers forbid storing. Some proxies collect a whole block of an answer
     * before they pass the block on or compress it. */
    if (find_header(&x->headers, "Cache-Control", &len) == x->headers.len)
        MHD_add_response_header(x->response, "Cache-Control", x->streamed ? "no-store, no-transform" : "no-store");
    if (x->streamed) MHD_add_response_header(x->response, "X-Accel-Buffering", "no");
    if (x->server->draining || x->must_close) MHD_add_response_header(x->response, "Connection", "close");
}

enum MHD_Result http_answer_send(struct http_exchange *x)
{
    if (!x->response && !begin_stream(x)) {
        http_exchange_suspend(x);
        return MHD_YES;
    }
    if (x->pull_end == HTTP_PULL_ABORT && !x->early.len) return MHD_NO;
    add_headers(x);
    x->connection->lingers = x->stage == HTTP_STAGE_BODY && (x->has_body || x->must_close);
    http_exchange_move(x, HTTP_STAGE_ANSWER);
    enum MHD_Result queued = MHD_queue_response(x->connection->mhd, (unsigned)x->status, x->response);
    MHD_destroy_response(x->response);
    x->response = NULL;
    return queued;
}

static void drop_header(struct buf *headers, const char *name)
{
    size_t len, at = find_header(headers, name, &len);
    if (at == headers->len) return;
    memmove(headers->data + at, headers->data + at + len, headers->len - at - len);
    headers->len -= len;
}

void http_headers_add(struct buf *headers, const char *name, const char *value)
{
    buf_add(headers, name, strlen(name) + 1);
    buf_add(headers, value, strlen(value) + 1);
}

void http_exchange_set_header(struct http_exchange *x, const char *name, const char *value)
{
    drop_header(&x->headers, name);
    http_headers_add(&x->headers, name, value);
}

bool http_exchange_answered(const struct http_exchange *x)
{
    return x->status != 0;
}

int http_exchange_status(const struct http_exchange *x)
{
    return x->status;
}

/* Returns false if the client is gone; the caller must then send no answer. */
static bool begin_answer(struct http_exchange *x, int status, const char *content_type)
{
    if (http_exchange_answered(x)) BUG("a second answer to one request");
    x->status = status;
    if (content_type) http_exchange_set_header(x, "Content-Type", content_type);
    return x->stage != HTTP_STAGE_GONE;
}

void http_answer(struct http_exchange *x, int status, const char *content_type, const char *body, size_t len)
{
    if (!begin_answer(x, status, content_type)) return;
    /* The library's parameter is not const, but with MUST_COPY the library only reads the bytes. */
    x->response = MHD_create_response_from_buffer(len, (void *)(uintptr_t)body, MHD_RESPMEM_MUST_COPY);
    if (!x->response) BUG("out of memory for an answer");
    http_exchange_wake(x);
}

void http_etag_write(char *etag, size_t size, const char *body, size_t len)
{
    snprintf(etag, size, "\"%016" PRIx64 "\"", hash_bytes(body, len));
}

void http_answer_tagged(struct http_exchange *x, const char *content_type, const char *body, size_t len)
{
    const char *known = http_exchange_header(x, "If-None-Match");
    char etag[HTTP_ETAG_SIZE];
    http_etag_write(etag, sizeof etag, body, len);
    http_exchange_set_header(x, "ETag", etag);
    /* If-None-Match may list several tags. A tag includes its quotes, so it cannot match a part of another tag. */
    if (known && (strstr(known, etag) || strcmp(known, "*") == 0))
        http_answer(x, 304, NULL, "", 0);
    else
        http_answer(x, 200, content_type, body, len);
}

void http_answer_stream(struct http_exchange *x, int status, const char *content_type)
{
    if (!x->ops || !x->ops->pull) BUG("a streamed answer without pull()");
    x->streamed = true;
    if (begin_answer(x, status, content_type)) http_exchange_wake(x);
}

void http_exchange_send_head(struct http_exchange *x)
{
    if (!x->streamed || x->head_now || x->stage == HTTP_STAGE_GONE) return;
    x->head_now = true;
    if (x->stage != HTTP_STAGE_ANSWER) http_exchange_wake(x);
}
