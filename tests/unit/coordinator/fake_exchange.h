/*
 * Plays the HTTP server: the test delivers the body in pieces, pulls the answer, and closes the exchange. Defines the
 * functions of http_server.h that the coordinator calls, so that the real server is not linked.
 */
#ifndef FANTAIL_TEST_FAKE_EXCHANGE_H
#define FANTAIL_TEST_FAKE_EXCHANGE_H

#include <criterion/criterion.h>
#include <stdarg.h>

#include "common/http_server/http_server.h"

struct http_exchange {
    const char *accept, *content_type, *query_task; /* of the request; NULL: absent */
    const char *id;                                 /* the part of the path that matched {id} */
    const char *query[8];                           /* further query parameters: a name, then its value */
    const char *prefer, *idempotency_key, *last_event_id, *traceparent, *tracestate;
    unsigned more_keys; /* how many more Idempotency-Key headers the request has */
    const struct http_exchange_ops *ops;
    void *data;
    int status; /* of the answer; 0: none yet */
    bool streaming, head_sent, closed;
    char job[64];       /* the header Fantail-Job of the answer */
    struct buf headers; /* all headers of the answer that were set, as lines */
    unsigned wakes;
    struct buf answer; /* the body of the answer; of a problem document, its detail */
    struct buf members;
};

const char *http_exchange_header(const struct http_exchange *x, const char *name)
{
    if (strcmp(name, "Accept") == 0) return x->accept;
    if (strcmp(name, "Prefer") == 0) return x->prefer;
    if (strcmp(name, "Last-Event-ID") == 0) return x->last_event_id;
    if (strcmp(name, "Idempotency-Key") == 0) return x->idempotency_key;
    if (strcmp(name, "traceparent") == 0) return x->traceparent;
    if (strcmp(name, "tracestate") == 0) return x->tracestate;
    return strcmp(name, "Content-Type") == 0 ? x->content_type : NULL;
}

unsigned http_exchange_header_all(const struct http_exchange *x, const char *name, struct buf *joined)
{
    const char *value = http_exchange_header(x, name);
    if (value && joined) buf_add_str(joined, value);
    if (value && strcmp(name, "Idempotency-Key") == 0) return 1 + x->more_keys;
    return value != NULL;
}

const char *http_exchange_param(const struct http_exchange *x, const char *name)
{
    return strcmp(name, "id") == 0 ? x->id : NULL;
}

const char *http_exchange_query(const struct http_exchange *x, const char *name)
{
    for (size_t i = 0; i + 1 < ARRAY_SIZE(x->query) && x->query[i]; i += 2)
        if (strcmp(name, x->query[i]) == 0) return x->query[i + 1];
    return strcmp(name, "task") == 0 ? x->query_task : NULL;
}

void http_exchange_each_query(struct http_exchange *x, void (*fn)(void *data, const char *name, const char *value),
                              void *data)
{
    if (x->query_task) fn(data, "task", x->query_task);
    for (size_t i = 0; i + 1 < ARRAY_SIZE(x->query) && x->query[i]; i += 2) fn(data, x->query[i], x->query[i + 1]);
}

int64_t http_exchange_content_length(const struct http_exchange *x)
{
    return -1;
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

void http_exchange_set_header(struct http_exchange *x, const char *name, const char *value)
{
    if (strcmp(name, "Fantail-Job") == 0) snprintf(x->job, sizeof x->job, "%s", value);
    buf_addf(&x->headers, "%s: %s\n", name, value);
}

bool http_exchange_answered(const struct http_exchange *x)
{
    return x->status != 0;
}

int http_exchange_status(const struct http_exchange *x)
{
    return x->status;
}

static inline void fake_answer(struct http_exchange *x, int status)
{
    cr_assert_not(x->closed, "an exchange was answered after its end");
    cr_assert_eq(x->status, 0, "answered twice: %d, then %d", x->status, status);
    x->status = status;
}

void http_answer(struct http_exchange *x, int status, const char *content_type, const char *body, size_t len)
{
    fake_answer(x, status);
    buf_add(&x->answer, body, len);
}

void http_answer_stream(struct http_exchange *x, int status, const char *content_type)
{
    fake_answer(x, status);
    x->streaming = true;
}

void http_answer_problem(struct http_exchange *x, int status, const char *members, const char *detail_fmt, ...)
{
    char detail[1024];
    va_list args;
    va_start(args, detail_fmt);
    vsnprintf(detail, sizeof detail, detail_fmt, args);
    va_end(args);
    fake_answer(x, status);
    buf_add_str(&x->answer, detail);
    buf_add_str(&x->members, members ? members : "");
}

bool http_check_queries(struct http_exchange *x, const char *const *known, const char *(*hint)(const char *name))
{
    for (size_t i = 0; i + 1 < ARRAY_SIZE(x->query) && x->query[i]; i += 2) {
        const char *const *at = known;
        while (*at && strcmp(*at, x->query[i]) != 0) at++;
        if (*at) continue;
        http_answer_problem(x, 400, NULL, "no query parameter %s", x->query[i]);
        return false;
    }
    return true;
}

bool http_check_query(struct http_exchange *x, const char *known, const char *(*hint)(const char *name))
{
    return http_check_queries(x, (const char *const[]){known, NULL}, hint);
}

bool http_check_no_query(struct http_exchange *x, const char *(*hint)(const char *name))
{
    return http_check_queries(x, (const char *const[]){NULL}, hint);
}

void http_exchange_send_head(struct http_exchange *x)
{
    x->head_sent = true;
}

void http_exchange_leave_body(struct http_exchange *x)
{
}

void http_exchange_wake(struct http_exchange *x)
{
    cr_assert_not(x->closed, "an exchange was woken after its end");
    x->wakes++;
}

/* Delivers a piece of the body. Returns how many bytes were accepted. */
static inline size_t exchange_send(struct http_exchange *x, const char *bytes, size_t len)
{
    size_t sent = 0;
    while (sent < len && !http_exchange_answered(x)) {
        size_t n = x->ops->body(x, bytes + sent, len - sent);
        if (n == 0) break;
        sent += n;
    }
    return sent;
}

static inline void exchange_send_text(struct http_exchange *x, const char *text)
{
    cr_assert_eq(exchange_send(x, text, strlen(text)), strlen(text));
}

/* Sends lines that together have at least `bytes` bytes. Returns how many bytes were accepted. */
static inline size_t exchange_send_lines(struct http_exchange *x, size_t bytes)
{
    struct buf body = {0};
    while (body.len < bytes) buf_add_str(&body, "123456789\n");
    size_t sent = exchange_send(x, body.data, body.len);
    buf_release(&body);
    return sent;
}

static inline void exchange_end_body(struct http_exchange *x)
{
    if (!http_exchange_answered(x)) x->ops->body_end(x);
}

/* Pulls the ready part of a streamed answer, at most `cap` bytes at a time. Returns whether the answer has ended. */
static inline bool exchange_pull(struct http_exchange *x, size_t cap)
{
    while (x->streaming) {
        cr_assert(buf_reserve(&x->answer, cap));
        ssize_t n = x->ops->pull(x, x->answer.data + x->answer.len, cap);
        if (n == HTTP_PULL_END) return true;
        cr_assert_neq(n, HTTP_PULL_ABORT);
        if (n == HTTP_PULL_WAIT) return false;
        x->answer.len += (size_t)n;
    }
    return x->status != 0;
}

static inline void exchange_close(struct http_exchange *x, enum http_closed how)
{
    x->closed = true;
    if (x->ops) x->ops->closed(x, how);
    buf_release(&x->answer);
    buf_release(&x->members);
    buf_release(&x->headers);
}

#endif
