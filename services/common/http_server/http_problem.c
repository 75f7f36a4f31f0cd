#include "common/http_server/http_server_internal.h"

#include <stdarg.h>

const char *http_status_title(int status)
{
    if (status == 413) return "Content Too Large"; /* older libraries have an older title for 413 */
    const char *title = MHD_get_reason_phrase_for((unsigned)status);
    return title ? title : "Unknown";
}

const char *http_problem_detail(int status)
{
    switch (status) {
    case 400: return "the request is not well-formed HTTP";
    case 413: return "the body is longer than allowed";
    case 414: return "the request's URI is too long";
    case 431: return "the request's headers are too long";
    case 505: return "only HTTP/1.0 and HTTP/1.1 are supported";
    default: return "the request cannot be served";
    }
}

void http_answer_body_too_long(struct http_exchange *x)
{
    const struct http_server_options *o = &x->server->options;
    http_answer_problem(x, 413, NULL, "the body has %lld bytes; %zu are allowed%s", (long long)x->content_length,
                        o->max_body_bytes, o->too_long_hint ? o->too_long_hint : "");
}

void http_problem_body(struct buf *b, int status, const char *members, const char *detail)
{
    const char *title = http_status_title(status);
    buf_add_str(b, "{\"type\":\"about:blank\",\"title\":");
    buf_add_json_string(b, title, strlen(title));
    buf_addf(b, ",\"status\":%d,\"detail\":", status);
    buf_add_json_string(b, detail, strlen(detail));
    if (members && *members) {
        buf_add_char(b, ',');
        buf_add_str(b, members);
    }
    buf_add_str(b, "}\n");
}

void http_answer_problem(struct http_exchange *x, int status, const char *members, const char *detail_fmt, ...)
{
    char detail[1024];
    va_list args;
    va_start(args, detail_fmt);
    vsnprintf(detail, sizeof detail, detail_fmt, args);
    va_end(args);
    struct buf body;
    buf_init(&body, 0);
    http_problem_body(&body, status, members, detail);
    http_answer(x, status, "application/problem+json", body.data, body.len);
    buf_release(&body);
}

void http_pointer_member(struct buf *members, const char *parameter)
{
    struct buf pointer = {0};
    buf_add_char(&pointer, '/');
    for (const char *at = parameter; *at; at++) {
        if (*at == '~' || *at == '/')
            buf_add_str(&pointer, *at == '~' ? "~0" : "~1");
        else
            buf_add_char(&pointer, *at == '.' ? '/' : *at);
    }
    buf_add_str(members, "\"pointer\":");
    buf_add_json_string(members, pointer.data, pointer.len);
    buf_release(&pointer);
}

struct query_check {
    const char *const *known;    /* ends with NULL */
    const char *unknown, *twice; /* the first unknown parameter, and the first that was given twice; NULL: none */
    uint64_t seen;               /* bit i: known[i] was given */
};

static void check_one(void *data, const char *name, const char *value)
{
    struct query_check *q = data;
    unsigned i = 0;
    while (q->known[i] && strcmp(name, q->known[i]) != 0) i++;
    if (!q->known[i]) {
        if (!q->unknown) q->unknown = name;
        return;
    }
    if (!q->twice && q->seen >> i & 1) q->twice = q->known[i];
    q->seen |= UINT64_C(1) << i;
}

static void refuse_unknown(struct http_exchange *x, const char *name, const char *more)
{
    http_answer_problem(x, 400, NULL, "%s %.100s has no query parameter \"%.64s\"%s%s", x->method, x->path, name,
                        more ? "; " : "", more ? more : "");
}

static void refuse_twice(struct http_exchange *x, const char *name)
{
    struct buf members = {0};
    http_pointer_member(&members, name);
    http_answer_problem(x, 400, buf_cstr(&members), "\"%s\" is given twice", name);
    buf_release(&members);
}

bool http_check_queries(struct http_exchange *x, const char *const *known, const char *(*hint)(const char *name))
{
    struct query_check q = {.known = known};
    http_exchange_each_query(x, check_one, &q);
    if (q.unknown)
        refuse_unknown(x, q.unknown, hint ? hint(q.unknown) : NULL);
    else if (q.twice)
        refuse_twice(x, q.twice);
    return !q.unknown && !q.twice;
}

bool http_check_query(struct http_exchange *x, const char *known, const char *(*hint)(const char *name))
{
    return http_check_queries(x, (const char *const[]){known, NULL}, hint);
}

bool http_check_no_query(struct http_exchange *x, const char *(*hint)(const char *name))
{
    return http_check_queries(x, (const char *const[]){NULL}, hint);
}
