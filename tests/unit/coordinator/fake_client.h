/*
 * Plays the HTTP client: the test sets the answer of each call and how the call ends. Defines the functions of
 * http_client.h that the coordinator calls, so that the real client is not linked.
 */
#ifndef FANTAIL_TEST_FAKE_CLIENT_H
#define FANTAIL_TEST_FAKE_CLIENT_H

#include <criterion/criterion.h>
#include <strings.h>

#include "common/http_client/http_client.h"

enum { FAKE_CALLS_MAX = 128, FAKE_HEADERS_MAX = 12 };

struct http_call {
    struct http_call_options options;
    char *url;
    char *sent[FAKE_HEADERS_MAX + 1]; /* the header lines of the request */
    const char *answered[8];          /* headers of the answer: name, value, name, value ... */
    bool over, cancelled;
    bool kept_connection, close_after;
};

/* All calls so far, oldest first. */
static struct http_call *fake_calls[FAKE_CALLS_MAX];
static unsigned fake_calls_n;

struct http_call *http_call_start(struct http_client *c, const struct http_call_options *options)
{
    struct http_call *call = xcalloc(1, sizeof *call);
    cr_assert_lt(fake_calls_n, FAKE_CALLS_MAX);
    call->options = *options;
    call->url = xstrdup(options->url);
    for (size_t i = 0; options->headers && options->headers[i]; i++) {
        cr_assert_lt(i, FAKE_HEADERS_MAX);
        call->sent[i] = xstrdup(options->headers[i]);
    }
    return fake_calls[fake_calls_n++] = call;
}

size_t http_client_calls_to_begin(const struct http_client *c)
{
    return 0;
}

void http_call_cancel(struct http_call *call)
{
    cr_assert_not(call->over, "a call was cancelled after its end");
    call->over = call->cancelled = true;
}

const char *http_call_header(struct http_call *call, const char *name)
{
    for (size_t i = 0; i + 1 < ARRAY_SIZE(call->answered) && call->answered[i]; i += 2)
        if (strcasecmp(call->answered[i], name) == 0) return call->answered[i + 1];
    return NULL;
}

bool http_call_connected(struct http_call *call)
{
    return !call->kept_connection;
}

void http_call_close_after(struct http_call *call)
{
    call->close_after = true;
}

struct http_client *http_client_new(uv_loop_t *loop, const struct http_client_options *options)
{
    return NULL;
}

void http_client_free(struct http_client *c)
{
}

static inline struct http_call *last_call(void)
{
    cr_assert_gt(fake_calls_n, 0, "no call was made");
    return fake_calls[fake_calls_n - 1];
}

/* Returns the value of a header of the request, or NULL if the header was not sent. */
static inline const char *call_sent_header(const struct http_call *call, const char *name)
{
    size_t len = strlen(name);
    for (size_t i = 0; call->sent[i]; i++)
        if (strncasecmp(call->sent[i], name, len) == 0 && call->sent[i][len] == ':') return call->sent[i] + len + 2;
    return NULL;
}

/* Reads the whole body of the request, a few bytes at a time. */
static inline void call_read_body(struct http_call *call, struct buf *out)
{
    char piece[7];
    while ((int64_t)out->len < call->options.body_bytes) {
        size_t n = call->options.read(call->options.data, piece, sizeof piece);
        cr_assert_gt(n, 0);
        buf_add(out, piece, n);
    }
    cr_assert_eq((int64_t)out->len, call->options.body_bytes);
}

static inline void call_head(struct http_call *call, int status)
{
    if (call->options.on_head) call->options.on_head(call->options.data, call, status);
}

static inline bool call_body(struct http_call *call, const char *text)
{
    return call->options.on_body(call->options.data, text, strlen(text));
}

static inline void call_end(struct http_call *call, enum http_call_outcome outcome, int status, bool closes)
{
    struct http_call_result result = {
        .outcome = outcome, .status = status, .closes = closes, .reason = "as it was told"};
    cr_assert_not(call->over);
    call->over = true;
    call->options.on_end(call->options.data, &result);
}

static inline void fake_client_release(void)
{
    while (fake_calls_n > 0) {
        struct http_call *call = fake_calls[--fake_calls_n];
        for (size_t i = 0; call->sent[i]; i++) free(call->sent[i]);
        free(call->url);
        free(call);
    }
}

#endif
