#include "common/http_server/http_framing.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "common/base/limits.h"
#include "common/http_server/http_framing_internal.h"

bool http_framing_is_token(unsigned char c)
{
    static const bool is_token[256] = {
        ['0' ... '9'] = true,  ['A' ... 'Z'] = true, ['a' ... 'z'] = true, ['!'] = true,
        ['#' ... '\''] = true, ['*'] = true,         ['+'] = true,         ['-'] = true,
        ['.'] = true,          ['^' ... '`'] = true, ['|'] = true,         ['~'] = true,
    };
    return is_token[c];
}

bool http_framing_is_text(unsigned char c)
{
    return (c >= 0x20 && c != 0x7F) || c == '\t';
}

void http_framing_fail(struct http_framing *f, int status, const char *fault)
{
    f->state = HTTP_FRAMING_FAULTY;
    f->status = status;
    f->fault = fault;
}

void http_framing_add(struct http_framing *f, unsigned char c)
{
    if (f->word_len < HTTP_FRAMING_WORD) f->word[f->word_len++] = (char)c;
}

bool http_framing_word_is(const struct http_framing *f, const char *expected)
{
    return f->word_len == strlen(expected) && strncasecmp(f->word, expected, f->word_len) == 0;
}

/* Begins a message: keeps the connection's counters, and resets all state of the last message. */
static void begin(struct http_framing *f)
{
    *f = (struct http_framing){
        .state = HTTP_FRAMING_METHOD, .head_bytes = 1, .heads = f->heads, .messages = f->messages};
}

static void end_message(struct http_framing *f)
{
    bool closes = f->closes || (f->is_http_1_0 && !f->stays);
    f->messages++;
    f->empty_line = false;
    f->state = closes ? HTTP_FRAMING_ENDED : HTTP_FRAMING_START;
}

static void on_method(struct http_framing *f, unsigned char c)
{
    if (c == ' ' && f->word_len > 0) {
        /* Methods are case-sensitive. */
        bool is_connect = f->word_len == 7 && memcmp(f->word, "CONNECT", 7) == 0;
        f->is_options = f->word_len == 7 && memcmp(f->word, "OPTIONS", 7) == 0;
        f->word_len = 0;
        f->state = HTTP_FRAMING_TARGET;
        if (is_connect) http_framing_fail(f, 501, "this is not a proxy");
    } else if (!http_framing_is_token(c)) {
        http_framing_fail(f, 400, "the method has an invalid character");
    } else if (f->word_len == HTTP_FRAMING_WORD) {
        http_framing_fail(f, 501, "there is no such method");
    } else {
        http_framing_add(f, c);
    }
}

static void on_start(struct http_framing *f, unsigned char c)
{
    if (c == '\r' && !f->empty_line) {
        f->state = HTTP_FRAMING_EMPTY_LINE;
        return;
    }
    begin(f);
    on_method(f, c);
}

static void on_empty_line(struct http_framing *f, unsigned char c)
{
    f->empty_line = true;
    f->state = HTTP_FRAMING_START;
    if (c != '\n') http_framing_fail(f, 400, "a CR without an LF");
}

/* The parts of a target: a path and a query, or a scheme, an authority, a path and a query. */
enum { TARGET_SCHEME, TARGET_AUTHORITY, TARGET_PATH };

/* Returns whether the byte may be in a target. RFC 3986 allows fewer bytes: see http_framing.h. */
static bool is_target_byte(unsigned char c)
{
    return c > ' ' && c != 0x7F && !strchr("\"#<>\\^`{|}", c);
}

/* Returns whether `word` is a scheme with the "://" after it. */
static bool ends_scheme(const struct http_framing *f)
{
    size_t len = 0;
    while (len < f->word_len && (isalnum((unsigned char)f->word[len]) || strchr("+-.", f->word[len]))) len++;
    return len > 0 && f->word_len == len + 3 && memcmp(f->word + len, "://", 3) == 0;
}

static void on_scheme(struct http_framing *f, unsigned char c)
{
    http_framing_add(f, c);
    if (f->target_bytes == 1 && c == '/') {
        f->target_part = TARGET_PATH;
    } else if (c == '/' && ends_scheme(f)) {
        f->target_part = TARGET_AUTHORITY;
        f->word_len = 0;
        f->host_part = 0;
    }
}

static void check_authority(struct http_framing *f)
{
    if (f->word_len == 0 || f->word[0] == ':' || !http_framing_host_is_whole(f))
        http_framing_fail(f, 400, "the request's target has no valid host");
}

static void on_authority(struct http_framing *f, unsigned char c)
{
    if (c == '/' || c == '?') {
        f->target_part = TARGET_PATH;
        check_authority(f);
    } else if (!http_framing_fits_host(f, c)) {
        http_framing_fail(f, 400, "the request's target has no valid host");
    } else {
        http_framing_add(f, c);
    }
}

static void on_target_end(struct http_framing *f)
{
    bool is_star = f->target_bytes == 1 && f->word[0] == '*';
    f->state = HTTP_FRAMING_VERSION;
    if (f->escape_left > 0)
        http_framing_fail(f, 400, "the request's target ends within a percent escape");
    else if (f->target_part == TARGET_AUTHORITY)
        check_authority(f);
    else if (f->target_part == TARGET_SCHEME && !(is_star && f->is_options))
        http_framing_fail(f, 400, "the request's target is neither a path nor a URI");
    f->word_len = 0;
}

static void on_target_byte(struct http_framing *f, unsigned char c)
{
    f->escape_left = c == '%' ? 2 : f->escape_left > 0 ? f->escape_left - 1 : 0;
    if (f->target_part == TARGET_SCHEME)
        on_scheme(f, c);
    else if (f->target_part == TARGET_AUTHORITY)
        on_authority(f, c);
}

static void on_target(struct http_framing *f, unsigned char c)
{
    if (c == ' ' && f->target_bytes > 0)
        on_target_end(f);
    else if (!is_target_byte(c))
        http_framing_fail(f, 400, "the request's target has an invalid character, which must be percent-encoded");
    else if (f->escape_left > 0 && !isxdigit(c))
        http_framing_fail(f, 400, "the request's target has a percent sign without two hexadecimal digits");
    else if (++f->target_bytes > LIMIT_URI_BYTES)
        http_framing_fail(f, 414, "the request's URI is too long");
    else
        on_target_byte(f, c);
}

static void on_version(struct http_framing *f, unsigned char c)
{
    static const char form[] = "HTTP/0.0";
    if (c == '\r' && f->word_len == sizeof form - 1) {
        f->is_http_1_0 = f->word[7] == '0';
        f->state = HTTP_FRAMING_LINE_END;
        if (f->word[5] != '1') http_framing_fail(f, 505, "only HTTP/1.0 and HTTP/1.1 are supported");
        return;
    }
    bool fits = f->word_len < sizeof form - 1 && (form[f->word_len] == '0' ? isdigit(c) : (char)c == form[f->word_len]);
    http_framing_add(f, c);
    if (!fits) http_framing_fail(f, 400, "the request line does not end with an HTTP version and CRLF");
}

static void on_line_end(struct http_framing *f, unsigned char c)
{
    f->state = HTTP_FRAMING_FIELD;
    if (c != '\n') http_framing_fail(f, 400, "a CR without an LF");
}

static void on_head_end(struct http_framing *f)
{
    const char *fault = http_framing_head_fault(f);
    if (fault) {
        http_framing_fail(f, 400, fault);
        return;
    }
    f->heads++;
    if (f->seen[HTTP_FIELD_ENCODING])
        http_framing_chunks_start(f);
    else if (f->left > 0)
        f->state = HTTP_FRAMING_BODY;
    else
        end_message(f);
}

static void on_fields_end(struct http_framing *f, unsigned char c)
{
    if (c != '\n')
        http_framing_fail(f, 400, "a CR without an LF");
    else if (f->trailers)
        end_message(f);
    else
        on_head_end(f);
}

static void on_fault(struct http_framing *f, unsigned char c)
{
}

typedef void step(struct http_framing *f, unsigned char c);
static step *const steps[HTTP_FRAMING_STATE_COUNT] = {
    [HTTP_FRAMING_START] = on_start,
    [HTTP_FRAMING_EMPTY_LINE] = on_empty_line,
    [HTTP_FRAMING_METHOD] = on_method,
    [HTTP_FRAMING_TARGET] = on_target,
    [HTTP_FRAMING_VERSION] = on_version,
    [HTTP_FRAMING_LINE_END] = on_line_end,
    [HTTP_FRAMING_FIELD] = http_framing_field,
    [HTTP_FRAMING_NAME] = http_framing_name,
    [HTTP_FRAMING_VALUE_START] = http_framing_value_start,
    [HTTP_FRAMING_VALUE] = http_framing_value,
    [HTTP_FRAMING_FIELDS_END] = on_fields_end,
    [HTTP_FRAMING_CHUNK_SIZE] = http_framing_chunk_size,
    [HTTP_FRAMING_EXTENSION] = http_framing_extension,
    [HTTP_FRAMING_QUOTED] = http_framing_quoted,
    [HTTP_FRAMING_ESCAPED] = http_framing_escaped,
    [HTTP_FRAMING_CHUNK_LINE_END] = http_framing_chunk_line_end,
    [HTTP_FRAMING_CHUNK_CR] = http_framing_chunk_cr,
    [HTTP_FRAMING_CHUNK_LF] = http_framing_chunk_lf,
    [HTTP_FRAMING_FAULTY] = on_fault,
};

static bool is_in_fields(const struct http_framing *f)
{
    return f->state >= HTTP_FRAMING_METHOD && f->state <= HTTP_FRAMING_FIELDS_END;
}

bool http_framing_in_head(const struct http_framing *f)
{
    return is_in_fields(f) && !f->trailers;
}

static void count_head_byte(struct http_framing *f)
{
    f->head_bytes++;
    if (f->trailers && f->head_bytes > LIMIT_TRAILER_BYTES)
        http_framing_fail(f, 431, "the request's trailers are too long");
    else if (f->head_bytes > LIMIT_HEADER_BYTES)
        http_framing_fail(f, 431, "the request's headers are too long");
}

/* Skips bytes of a value that the reader does not interpret. Most bytes of a head are in such values. Returns how many
 * bytes were skipped. */
static size_t skip_text(struct http_framing *f, const char *data, size_t len)
{
    size_t at = 0, room = LIMIT_HEADER_BYTES - f->head_bytes;
    if (f->trailers || f->field != HTTP_FIELD_OTHER) return 0;
    while (at < len && at < room && http_framing_is_text((unsigned char)data[at])) at++;
    f->head_bytes += (uint32_t)at;
    return at;
}

/* Skips bytes of a body or of a chunk. */
static size_t skip(struct http_framing *f, size_t len)
{
    size_t taken = f->left < len ? (size_t)f->left : len;
    f->left -= taken;
    if (f->left > 0) return taken;
    if (f->state == HTTP_FRAMING_CHUNK)
        f->state = HTTP_FRAMING_CHUNK_CR;
    else
        end_message(f);
    return taken;
}

static bool is_in_extension(const struct http_framing *f)
{
    return f->state == HTTP_FRAMING_EXTENSION || f->state == HTTP_FRAMING_QUOTED || f->state == HTTP_FRAMING_ESCAPED;
}

/* Consumes at least one byte, unless the first byte breaks a rule. */
static size_t take(struct http_framing *f, const char *data, size_t len)
{
    if (f->state == HTTP_FRAMING_BODY || f->state == HTTP_FRAMING_CHUNK) return skip(f, len);
    size_t taken = f->state == HTTP_FRAMING_VALUE ? skip_text(f, data, len) : 0;
    if (taken == len) return taken;
    if (is_in_fields(f)) count_head_byte(f);
    steps[f->state](f, (unsigned char)data[taken]);
    return http_framing_is_faulty(f) ? taken : taken + 1;
}

size_t http_framing_feed(struct http_framing *f, char *data, size_t len, size_t *whole)
{
    size_t kept = 0;
    *whole = 0;
    for (size_t at = 0, taken; at < len && f->state < HTTP_FRAMING_ENDED; at += taken) {
        uint64_t before = f->messages;
        taken = take(f, data + at, len - at);
        if (is_in_extension(f)) continue;
        if (kept != at) memmove(data + kept, data + at, taken);
        kept += taken;
        if (f->messages != before) *whole = kept;
    }
    return kept;
}
