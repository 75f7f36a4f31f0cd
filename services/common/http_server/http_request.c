#include "common/http_server/http_server_internal.h"

#include <ctype.h>
#include <strings.h>

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

/* Decodes in place. It leaves %00 and broken escapes as they are, so a decoded string never ends early. */
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

/* The framing of the message, collected in one pass over its headers. */
struct framing_headers {
    unsigned lengths, encodings, hosts, authorizations;
    const char *length, *encoding;
    const char *fault;
    bool continues, packed;
};

static bool is_token(const char *s, size_t len)
{
    static const char others[] = "!#$%&'*+-.^_`|~";
    for (size_t i = 0; i < len; i++)
        if (!isalnum((unsigned char)s[i]) && (!s[i] || !strchr(others, s[i]))) return false;
    return len > 0;
}

static bool is_field_text(const char *s, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (((unsigned char)s[i] < 0x20 && s[i] != '\t') || s[i] == 0x7F) return false;
    return true;
}

static enum MHD_Result see_header(void *cls, enum MHD_ValueKind kind, const char *name, size_t name_len,
                                  const char *value, size_t value_len)
{
    struct framing_headers *f = cls;
    if (!is_token(name, name_len)) f->fault = "a header name has a character that is not allowed in one";
    if (!is_field_text(value, value_len)) f->fault = "a header value has a control character";
    if (name_len == 14 && strcasecmp(name, "Content-Length") == 0) f->lengths++, f->length = value;
    if (name_len == 17 && strcasecmp(name, "Transfer-Encoding") == 0) f->encodings++, f->encoding = value;
    if (name_len == 16 && strcasecmp(name, "Content-Encoding") == 0 && strcasecmp(value, "identity") != 0)
        f->packed = true;
    if (name_len == 4 && strcasecmp(name, "Host") == 0) f->hosts++;
    if (name_len == 13 && strcasecmp(name, "Authorization") == 0) f->authorizations++;
    if (name_len == 6 && strcasecmp(name, "Expect") == 0 && strcasecmp(value, "100-continue") == 0) f->continues = true;
    return MHD_YES;
}

/* When a proxy and a server disagree about the end of a request, another one can be smuggled past the proxy (RFC 9112,
 * 6.3 and 11.2). So everything doubtful is an error. libmicrohttpd 0.9.75 accepts most of these requests. */
static const char *framing_fault(const struct framing_headers *f, const struct http_exchange *x)
{
    if (f->fault) return f->fault;
    if (f->lengths > 1) return "Content-Length is given more than once";
    if (f->encodings > 1) return "Transfer-Encoding is given more than once";
    if (f->lengths && f->encodings) return "both Content-Length and Transfer-Encoding are given";
    if (f->encodings && x->is_http_1_0) return "HTTP/1.0 has no Transfer-Encoding";
    if (f->encodings && strcasecmp(f->encoding, "chunked") != 0)
        return "the only supported Transfer-Encoding is chunked";
    if (f->lengths && (!*f->length || f->length[strspn(f->length, "0123456789")]))
        return "Content-Length is not a number";
    if (f->hosts > 1) return "Host is given more than once";
    if (f->authorizations > 1) return "Authorization is given more than once";
    if (!f->hosts && !x->is_http_1_0) return "Host is missing";
    return NULL;
}

static bool refuse(struct http_exchange *x, int status, const char *detail)
{
    x->must_close = true;
    http_answer_problem(x, status, NULL, "%s", detail);
    return false;
}

bool http_request_check(struct http_exchange *x)
{
    struct framing_headers f = {0};
    MHD_get_connection_values_n(x->connection->mhd, MHD_HEADER_KIND, see_header, &f);
    const char *fault = framing_fault(&f, x);
    if (fault) return refuse(x, 400, fault);
    const union MHD_ConnectionInfo *head =
        MHD_get_connection_info(x->connection->mhd, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE);
    if (x->uri_bytes > LIMIT_URI_BYTES) return refuse(x, 414, http_problem_detail(414));
    if (head && head->header_size > LIMIT_HEADER_BYTES) return refuse(x, 431, http_problem_detail(431));
    if (f.packed) {
        http_exchange_set_header(x, "Accept-Encoding", "identity");
        return refuse(x, 415, "Content-Encoding must be identity or absent");
    }
    x->content_length = f.encodings ? -1 : f.lengths ? (int64_t)strtoull(f.length, NULL, 10) : 0;
    x->has_body = x->content_length != 0;
    if (head) x->connection->counted_bytes += head->header_size;
    if (x->content_length > 0) x->connection->counted_bytes += (uint64_t)x->content_length;
    if (!head || x->content_length < 0) x->connection->uncounted = true;
    x->expects_continue = f.continues && !x->is_http_1_0;
    if (x->content_length > 0 && (uint64_t)x->content_length > x->server->options.max_body_bytes) {
        x->must_close = true;
        http_answer_body_too_long(x);
        return false;
    }
    return true;
}

/* A server must take the absolute form too, which is meant for proxies (RFC 9112, 3.2.2). libmicrohttpd leaves scheme
 * and authority in its path. */
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

static enum MHD_Result decode_argument(void *cls, enum MHD_ValueKind kind, const char *name, const char *value)
{
    /* The strings are in the connection's memory, which we may change while the request lives. */
    http_percent_decode((char *)(uintptr_t)name);
    if (value) http_percent_decode((char *)(uintptr_t)value);
    return MHD_YES;
}

/* libmicrohttpd does not decode, because the route templates need the path undecoded. So the query is decoded here. */
static void parse_query(const struct http_exchange *x)
{
    if (x->query_parsed) return;
    MHD_get_connection_values(x->connection->mhd, MHD_GET_ARGUMENT_KIND, decode_argument, NULL);
    ((struct http_exchange *)(uintptr_t)x)->query_parsed = true;
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
    parse_query(x);
    MHD_get_connection_values(x->connection->mhd, MHD_GET_ARGUMENT_KIND, see_argument, &q);
    return q.found;
}

void http_exchange_each_query(struct http_exchange *x, void (*fn)(void *data, const char *name, const char *value),
                              void *data)
{
    struct query_search q = {.fn = fn, .data = data};
    parse_query(x);
    MHD_get_connection_values(x->connection->mhd, MHD_GET_ARGUMENT_KIND, see_argument, &q);
}
