/* Reads the field lines of the head and of the trailers. */
#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "common/base/limits.h"
#include "common/http_server/http_framing_internal.h"

static const char *const watched[HTTP_FIELD_COUNT] = {
    [HTTP_FIELD_LENGTH] = "Content-Length",
    [HTTP_FIELD_ENCODING] = "Transfer-Encoding",
    [HTTP_FIELD_HOST] = "Host",
    [HTTP_FIELD_CONNECTION] = "Connection",
    [HTTP_FIELD_ORIGIN] = "Origin",
};

static const char *const more_than_once[HTTP_FIELD_COUNT] = {
    [HTTP_FIELD_LENGTH] = "Content-Length is given more than once",
    [HTTP_FIELD_ENCODING] = "Transfer-Encoding is given more than once",
    [HTTP_FIELD_HOST] = "Host is given more than once",
};

/* The parts of a host with an optional port: [IP literal]:port, or name:port. */
enum { HOST_NAME, HOST_LITERAL, HOST_AFTER_LITERAL, HOST_PORT };

void http_framing_field(struct http_framing *f, unsigned char c)
{
    f->word_len = 0;
    if (c == '\r') {
        f->state = HTTP_FRAMING_FIELDS_END;
    } else if (c == ' ' || c == '\t') {
        http_framing_fail(f, 400, "a line of the head begins with whitespace");
    } else if (++f->fields_n > LIMIT_HEADER_FIELDS) {
        http_framing_fail(f, 431, "the request has too many headers");
    } else {
        f->state = HTTP_FRAMING_NAME;
        http_framing_name(f, c);
    }
}

static void on_name_end(struct http_framing *f)
{
    f->field = HTTP_FIELD_OTHER;
    for (unsigned i = HTTP_FIELD_OTHER + 1; i < HTTP_FIELD_COUNT; i++)
        if (http_framing_word_is(f, watched[i])) f->field = (uint8_t)i;
    f->word_len = 0;
    f->value_ended = false;
    f->host_part = HOST_NAME;
    f->state = HTTP_FRAMING_VALUE_START;
    if (f->field == HTTP_FIELD_ORIGIN) f->origin_whole = false;
    if (f->field == HTTP_FIELD_OTHER || !more_than_once[f->field]) return;
    if (f->trailers)
        http_framing_fail(f, 400, "a trailer has a name that only a header may have");
    else if (++f->seen[f->field] > 1)
        http_framing_fail(f, 400, more_than_once[f->field]);
}

void http_framing_name(struct http_framing *f, unsigned char c)
{
    if (c == ':' && f->word_len > 0)
        on_name_end(f);
    else if (http_framing_is_token(c))
        http_framing_add(f, c);
    else
        http_framing_fail(f, 400, "a header name has an invalid character");
}

/* Adds a digit of Content-Length to `left`, which is 0 before the first digit. */
static void on_length(struct http_framing *f, unsigned char c)
{
    uint64_t digit = (uint64_t)c - '0';
    if (!isdigit(c))
        http_framing_fail(f, 400, "Content-Length is not a number");
    else if (f->left > (INT64_MAX - digit) / 10)
        http_framing_fail(f, 413, "Content-Length is too large");
    else
        f->left = f->left * 10 + digit;
    http_framing_add(f, c);
}

bool http_framing_fits_host(struct http_framing *f, unsigned char c)
{
    if (f->host_part == HOST_PORT) return isdigit(c);
    if (f->host_part == HOST_LITERAL && f->word_len > 1 && c == ']')
        f->host_part = HOST_AFTER_LITERAL;
    else if (f->host_part == HOST_NAME && c == '[' && f->word_len == 0)
        f->host_part = HOST_LITERAL;
    else if (f->host_part != HOST_LITERAL && c == ':')
        f->host_part = HOST_PORT;
    else if (f->host_part == HOST_AFTER_LITERAL)
        return false;
    else
        return c < 0x80 && (isalnum(c) || (c && strchr("-._~%!$&'()*+,;=", c)) || (c == ':' && f->word_len > 0));
    return true;
}

bool http_framing_host_is_whole(const struct http_framing *f)
{
    return f->host_part != HOST_LITERAL;
}

static void on_host(struct http_framing *f, unsigned char c)
{
    if (c == ' ' || c == '\t')
        f->value_ended = true;
    else if (f->value_ended || !http_framing_fits_host(f, c))
        http_framing_fail(f, 400, "Host is not a valid host");
    http_framing_add(f, c);
}

static void on_option(struct http_framing *f, unsigned char c)
{
    if (http_framing_is_token(c)) {
        http_framing_add(f, c);
        return;
    }
    f->closes |= http_framing_word_is(f, "close");
    f->stays |= http_framing_word_is(f, "keep-alive");
    f->word_len = 0;
}

/* Inside an Origin field, `word_len` is the length of `origin`. */
static void on_origin(struct http_framing *f, unsigned char c)
{
    if (f->word_len < HTTP_FRAMING_ORIGIN) f->origin[f->word_len++] = (char)c;
}

static void end_origin(struct http_framing *f)
{
    size_t len = f->word_len;
    while (len > 0 && (f->origin[len - 1] == ' ' || f->origin[len - 1] == '\t')) len--;
    f->origin_whole = len > 0 && len < HTTP_FRAMING_ORIGIN;
    if (f->origin_whole) f->origin[len] = '\0';
}

const char *http_framing_origin(const struct http_framing *f)
{
    return f->origin_whole ? f->origin : NULL;
}

/* If the line is an Origin field, stores its value and returns true. */
static bool keep_origin(struct http_framing *f, const char *line, size_t len)
{
    const char *name = watched[HTTP_FIELD_ORIGIN];
    size_t at = strlen(name);
    if (len <= at || strncasecmp(line, name, at) != 0 || line[at] != ':') return false;
    for (at++; at < len && (line[at] == ' ' || line[at] == '\t');) at++;
    f->word_len = 0;
    for (; at < len; at++) on_origin(f, (unsigned char)line[at]);
    end_origin(f);
    return true;
}

void http_framing_find_origin(struct http_framing *f, const char *rest, size_t len)
{
    const char *end = rest + len, *line = memchr(rest, '\n', len), *next;
    for (; line && (next = memchr(line + 1, '\n', (size_t)(end - line - 1))) != NULL; line = next) {
        const char *from = line + 1;
        size_t n = (size_t)(next - from);
        if (n > 0 && from[n - 1] == '\r') n--;
        if (n == 0 || keep_origin(f, from, n)) return; /* an empty line ends the head */
    }
}

static void on_value_end(struct http_framing *f)
{
    f->state = HTTP_FRAMING_LINE_END;
    if (f->field == HTTP_FIELD_ORIGIN) end_origin(f);
    if (f->field == HTTP_FIELD_LENGTH && f->word_len == 0)
        http_framing_fail(f, 400, "Content-Length is not a number");
    else if (f->field == HTTP_FIELD_ENCODING && !http_framing_word_is(f, "chunked"))
        http_framing_fail(f, 400, "the only supported Transfer-Encoding is chunked");
    else if (f->field == HTTP_FIELD_HOST && !http_framing_host_is_whole(f))
        http_framing_fail(f, 400, "Host is not a valid host");
    else if (f->field == HTTP_FIELD_CONNECTION && !f->trailers)
        on_option(f, ',');
}

void http_framing_value(struct http_framing *f, unsigned char c)
{
    if (c == '\r') {
        on_value_end(f);
        return;
    }
    if (!http_framing_is_text(c)) {
        http_framing_fail(f, 400, c == '\n' ? "an LF without a CR" : "a header value has a control character");
        return;
    }
    switch (f->field) {
    case HTTP_FIELD_LENGTH: on_length(f, c); break;
    case HTTP_FIELD_ENCODING: http_framing_add(f, c); break;
    case HTTP_FIELD_HOST: on_host(f, c); break;
    case HTTP_FIELD_CONNECTION:
        if (!f->trailers) on_option(f, c);
        break;
    case HTTP_FIELD_ORIGIN: on_origin(f, c); break;
    default: break;
    }
}

void http_framing_value_start(struct http_framing *f, unsigned char c)
{
    if (c == ' ' || c == '\t') return;
    f->state = HTTP_FRAMING_VALUE;
    http_framing_value(f, c);
}

const char *http_framing_head_fault(const struct http_framing *f)
{
    bool chunked = f->seen[HTTP_FIELD_ENCODING];
    if (chunked && f->seen[HTTP_FIELD_LENGTH]) return "both Content-Length and Transfer-Encoding are given";
    if (chunked && f->is_http_1_0) return "HTTP/1.0 has no Transfer-Encoding";
    if (!f->seen[HTTP_FIELD_HOST] && !f->is_http_1_0) return "Host is missing";
    return NULL;
}
