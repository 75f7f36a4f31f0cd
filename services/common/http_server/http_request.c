#include "common/http_server/http_server_internal.h"

#include <strings.h>

#include "common/json/encoding.h"
#include "common/observe/log.h"

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

/* Decodes in place. Leaves %00 and malformed escapes unchanged, so that a decoded string never ends early. */
size_t http_percent_decode(char *s)
{
    char *to = s;
    for (const char *from = s; *from; from++) {
        int high = *from == '%' ? hex_digit(from[1]) : -1;
        int low = high >= 0 ? hex_digit(from[2]) : -1;
        if (low >= 0 && high + low > 0) {
            *to++ = (char)(high * 16 + low);
            from += 2;
        } else {
            *to++ = *from;
        }
    }
    *to = '\0';
    return (size_t)(to - s);
}

/* What the headers say about the body and its sender. http_framing has already checked the headers. */
struct head_facts {
    unsigned authorizations;
    const char *length, *type;
    bool chunked, continues, packed;
};

static enum MHD_Result see_header(void *cls, enum MHD_ValueKind kind, const char *name, size_t name_len,
                                  const char *value, size_t value_len)
{
    struct head_facts *h = cls;
    if (name_len == 14 && strcasecmp(name, "Content-Length") == 0) h->length = value;
    if (name_len == 17 && strcasecmp(name, "Transfer-Encoding") == 0) h->chunked = true;
    if (name_len == 16 && strcasecmp(name, "Content-Encoding") == 0 && strcasecmp(value, "identity") != 0)
        h->packed = true;
    if (name_len == 12 && strcasecmp(name, "Content-Type") == 0) h->type = value;
    if (name_len == 13 && strcasecmp(name, "Authorization") == 0) h->authorizations++;
    if (name_len == 6 && strcasecmp(name, "Expect") == 0 && strcasecmp(value, "100-continue") == 0) h->continues = true;
    return MHD_YES;
}

static bool refuse(struct http_exchange *x, int status, const char *detail)
{
    x->must_close = true;
    http_answer_problem(x, status, NULL, "%s", detail);
    return false;
}

bool http_request_check(struct http_exchange *x)
{
    struct http_connection *c = x->connection;
    struct head_facts h = {0};
    if (++c->heads > c->framing.heads) {
        log_error("libmicrohttpd has read a request that was not checked; it must call our recv()");
        return refuse(x, 500, "the request was not checked");
    }
    MHD_get_connection_values_n(c->mhd, MHD_HEADER_KIND, see_header, &h);
    if (h.authorizations > 1) return refuse(x, 400, "Authorization is given more than once");
    /* An error message may quote the charset of the Content-Type, and the message must be UTF-8. */
    if (h.type && encoding_text_length(h.type, strlen(h.type)) < strlen(h.type))
        return refuse(x, 400, "Content-Type is not valid UTF-8");
    if (h.packed) {
        http_exchange_set_header(x, "Accept-Encoding", "identity");
        return refuse(x, 415, "Content-Encoding must be identity or absent");
    }
    x->content_length = h.chunked ? -1 : h.length ? (int64_t)strtoull(h.length, NULL, 10) : 0;
    x->has_body = x->content_length != 0;
    x->expects_continue = h.continues && !x->is_http_1_0;
    if (x->content_length > 0 && (uint64_t)x->content_length > x->server->options.max_body_bytes) {
        x->must_close = true;
        http_answer_body_too_long(x);
        return false;
    }
    return true;
}

/* A server must also accept the absolute form of a request's target, which is meant for proxies (RFC 9112, 3.2.2).
 * libmicrohttpd does not remove the scheme and the authority from such a target. */
const char *http_request_path(const char *url)
{
    size_t scheme = strncasecmp(url, "http://", 7) == 0 ? 7 : strncasecmp(url, "https://", 8) == 0 ? 8 : 0;
    size_t authority = scheme ? strcspn(url + scheme, "/") : 0;
    if (!authority) return url;
    const char *path = url + scheme + authority;
    return *path ? path : "/";
}

const char *http_exchange_method(const struct http_exchange *x)
{
    return x->method;
}

const char *http_exchange_path(const struct http_exchange *x)
{
    return x->path;
}

int64_t http_exchange_content_length(const struct http_exchange *x)
{
    return x->content_length;
}

const char *http_exchange_header(const struct http_exchange *x, const char *name)
{
    return MHD_lookup_connection_value(x->connection->mhd, MHD_HEADER_KIND, name);
}

struct header_search {
    const char *name;
    struct buf *joined;
    unsigned count;
    bool too_long;
};

static enum MHD_Result see_value(void *cls, enum MHD_ValueKind kind, const char *name, const char *value)
{
    struct header_search *h = cls;
    if (strcasecmp(name, h->name) != 0) return MHD_YES;
    h->count++;
    if (!h->joined || !value) return MHD_YES;
    if (h->count > 1 && !buf_add_char(h->joined, ',')) h->too_long = true;
    if (!buf_add_str(h->joined, value)) h->too_long = true;
    return MHD_YES;
}

unsigned http_exchange_header_all(const struct http_exchange *x, const char *name, struct buf *joined)
{
    struct header_search h = {.name = name, .joined = joined};
    size_t before = joined ? joined->len : 0;
    MHD_get_connection_values(x->connection->mhd, MHD_HEADER_KIND, see_value, &h);
    if (joined && h.too_long) joined->len = before;
    return h.count;
}

const char *http_text_decode(char *s)
{
    /* The percent sign of "%00" cannot be part of an earlier escape, so "%00" is always an escape. */
    bool has_nul = strstr(s, "%00");
    size_t len = http_percent_decode(s);
    if (has_nul) return "has a NUL byte";
    return encoding_text_length(s, len) < len ? "is not valid UTF-8" : NULL;
}

/* The first parameter that is not text. */
struct query_fault {
    const char *name, *name_fault, *value_fault;
};

static enum MHD_Result decode_argument(void *cls, enum MHD_ValueKind kind, const char *name, const char *value)
{
    struct query_fault *f = cls;
    /* The name and the value are in the connection's memory. We may change this memory until the request ends. */
    f->name = name;
    f->name_fault = http_text_decode((char *)(uintptr_t)name);
    f->value_fault = value ? http_text_decode((char *)(uintptr_t)value) : NULL;
    return f->name_fault || f->value_fault ? MHD_NO : MHD_YES;
}

/* libmicrohttpd is set up not to decode, because the route templates need the path undecoded. So this function decodes
 * the query. */
bool http_request_read_query(struct http_exchange *x)
{
    struct query_fault f = {0};
    MHD_get_connection_values(x->connection->mhd, MHD_GET_ARGUMENT_KIND, decode_argument, &f);
    if (f.name_fault) {
        http_answer_problem(x, 400, NULL, "the name of a query parameter %s", f.name_fault);
    } else if (f.value_fault) {
        struct buf members = {0};
        http_pointer_member(&members, f.name);
        http_answer_problem(x, 400, buf_cstr(&members), "the query parameter \"%.64s\" %s", f.name, f.value_fault);
        buf_release(&members);
    }
    return !f.name_fault && !f.value_fault;
}

struct query_search {
    const char *name, *found;
    void (*fn)(void *data, const char *name, const char *value);
    void *data;
};

static enum MHD_Result see_argument(void *cls, enum MHD_ValueKind kind, const char *name, const char *value)
{
    struct query_search *q = cls;
    if (q->fn) {
        q->fn(q->data, name, value ? value : "");
        return MHD_YES;
    }
    if (strcmp(name, q->name) != 0) return MHD_YES;
    q->found = value ? value : "";
    return MHD_NO;
}

const char *http_exchange_query(const struct http_exchange *x, const char *name)
{
    struct query_search q = {.name = name};
    MHD_get_connection_values(x->connection->mhd, MHD_GET_ARGUMENT_KIND, see_argument, &q);
    return q.found;
}

void http_exchange_each_query(struct http_exchange *x, void (*fn)(void *data, const char *name, const char *value),
                              void *data)
{
    struct query_search q = {.fn = fn, .data = data};
    MHD_get_connection_values(x->connection->mhd, MHD_GET_ARGUMENT_KIND, see_argument, &q);
}
