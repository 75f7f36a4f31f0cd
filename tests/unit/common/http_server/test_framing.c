/* The reader of raw bytes accepts valid requests and refuses invalid ones. The result does not depend on how the bytes
 * are cut into pieces. */
#include <criterion/criterion.h>

#include "common/base/buf.h"
#include "common/base/limits.h"
#include "common/http_server/http_framing.h"

TestSuite(http_framing, .timeout = 60);

#define GET     "GET / HTTP/1.1\r\nHost: x\r\n"
#define POST    "POST / HTTP/1.1\r\nHost: x\r\n"
#define CHUNKED POST "Transfer-Encoding: chunked\r\n\r\n"

/* Feeds all bytes in pieces. Returns how many bytes the reader lets through to the library. */
static size_t feed(struct http_framing *f, const char *data, size_t len, size_t piece, struct buf *out)
{
    size_t passed = 0, whole;
    *f = (struct http_framing){0};
    for (size_t at = 0; at < len; at += piece) {
        size_t size = len - at < piece ? len - at : piece;
        char *copy =
            xmalloc(size); /* a copy of the exact size, so that a sanitizer detects every access beyond its end */
        memcpy(copy, data + at, size);
        size_t n = http_framing_feed(f, copy, size, &whole);
        cr_assert_leq(n, size);
        cr_assert_leq(whole, n);
        if (out) buf_add(out, copy, n);
        free(copy);
        passed += n;
    }
    return passed;
}

static void assert_alike(const char *data, size_t len, const struct http_framing *expected, size_t passed)
{
    for (size_t piece = 1; piece <= 40; piece++) {
        struct http_framing f;
        cr_assert_eq(feed(&f, data, len, piece, NULL), passed, "%s in pieces of %zu", data, piece);
        cr_assert_eq(f.state, expected->state);
        cr_assert_eq(f.status, expected->status);
        cr_assert_eq(f.messages, expected->messages);
        cr_assert_eq(f.heads, expected->heads);
    }
}

static void assert_status(const char *data, size_t len, int status, uint64_t messages)
{
    struct http_framing f;
    size_t passed = feed(&f, data, len, len, NULL);
    cr_assert_eq(f.status, status, "%s: wanted %d, got %d %s", data, status, f.status, f.fault ? f.fault : "");
    cr_assert_eq(f.messages, messages, "%s: wanted %d messages, got %d", data, (int)messages, (int)f.messages);
    cr_assert_eq(http_framing_is_faulty(&f), status != 0);
    cr_assert_eq(f.fault != NULL, status != 0);
    assert_alike(data, len, &f, passed);
}

#define TEXT(text) text, sizeof(text) - 1

struct sample {
    const char *data;
    size_t len;
    int status;
    unsigned messages;
};

static void check_all(const struct sample *samples, size_t n)
{
    for (size_t i = 0; i < n; i++)
        assert_status(samples[i].data, samples[i].len, samples[i].status, samples[i].messages);
}

Test(http_framing, well_formed_requests_pass_whole)
{
    static const struct sample good[] = {
        {TEXT(GET "\r\n"), 0, 1},
        {TEXT("\r\n" GET "\r\n"), 0, 1},
        {TEXT(GET "\r\n" GET "\r\n\r\n" GET "\r\n"), 0, 3},
        {TEXT("GET / HTTP/1.0\r\n\r\n"), 0, 1},
        {TEXT("GET / HTTP/1.7\r\nHost:x\r\n\r\n"), 0, 1},
        {TEXT("GET http://x/a?b HTTP/1.1\r\nHost:\r\n\r\n"), 0, 1},
        {TEXT("OPTIONS * HTTP/1.1\r\nHost: [::1]:80 \t\r\n\r\n"), 0, 1},
        {TEXT("GET /?task=gr\xc3\xb6\xc3\x9f"
              "e HTTP/1.1\r\nHost: a.b:8080\r\nX-\x21: \xff\t \r\nEmpty:\r\n\r\n"),
         0, 1},
        {TEXT(POST "Content-Length: 3\r\n\r\nabc" GET "\r\n"), 0, 2},
        {TEXT(POST "Content-Length: 0003\r\n\r\nabc"), 0, 1},
        {TEXT(POST "content-length:0\r\n\r\n" GET "\r\n"), 0, 2},
        {TEXT(POST "transfer-encoding:\tChunked\r\n\r\n0\r\n\r\n" GET "\r\n"), 0, 2},
        {TEXT(CHUNKED "3\r\nabc\r\n00A\r\n0123456789\r\n0\r\n\r\n" GET "\r\n"), 0, 2},
        {TEXT(CHUNKED "3;a;b=c;d=\"e;\\\"\r\"\r\nabc\r\n0\r\n\r\n"), 400, 0},
        {TEXT(CHUNKED "3;a;b=c;d=\"e; \\\"\"\r\nabc\r\n0;last\r\nX-Sum: 1\r\nY:\r\n\r\n" GET "\r\n"), 0, 2},
    };
    check_all(good, ARRAY_SIZE(good));
}

Test(http_framing, nothing_is_read_after_a_request_that_closes_the_connection)
{
    static const struct sample last[] = {
        {TEXT(GET "Connection: close\r\n\r\n" GET "\r\n"), 0, 1},
        {TEXT(GET "Connection: x, Close \r\n\r\ngarbage"), 0, 1},
        {TEXT("GET / HTTP/1.0\r\n\r\n" GET "\r\n"), 0, 1},
        {TEXT("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n" GET "\r\n"), 0, 2},
        {TEXT(GET "Connection: closed\r\n\r\n" GET "\r\n"), 0, 2},
    };
    check_all(last, ARRAY_SIZE(last));
    struct http_framing f;
    cr_assert_eq(feed(&f, TEXT(GET "Connection: close\r\n\r\n" GET "\r\n"), 1000, NULL),
                 sizeof(GET "Connection: close\r\n\r\n") - 1);
}

Test(http_framing, a_malformed_request_line_is_a_fault)
{
    static const struct sample bad[] = {
        {TEXT("GARBAGE\r\n"), 400, 0},
        {TEXT("GET /\r\n"), 400, 0},
        {TEXT("GET  / HTTP/1.1\r\n"), 400, 0},
        {TEXT("GET / HTTP/1.1 \r\n"), 400, 0},
        {TEXT("GET /  HTTP/1.1\r\n"), 400, 0},
        {TEXT("GET /a b HTTP/1.1\r\n"), 400, 0},
        {TEXT("GET\t/ HTTP/1.1\r\n"), 400, 0},
        {TEXT(" GET / HTTP/1.1\r\n"), 400, 0},
        {TEXT("G(T / HTTP/1.1\r\n"), 400, 0},
        {TEXT("GET / HTTP/1.1\n"), 400, 0},
        {TEXT("GET / HTTP/1.1\r\r\n"), 400, 0},
        {TEXT("GET / http/1.1\r\n"), 400, 0},
        {TEXT("GET / HTTP/1\r\n"), 400, 0},
        {TEXT("GET / HTTP/1.10\r\n"), 400, 0},
        {TEXT("GET / HTTP/+.1\r\n"), 400, 0},
        {TEXT("GET / HTTP/2.0\r\n"), 505, 0},
        {TEXT("GET / HTTP/0.9\r\n"), 505, 0},
        {TEXT("GET foo HTTP/1.1\r\n"), 400, 0},
        {TEXT("GET * HTTP/1.1\r\n"), 400, 0},
        {TEXT("GET http:///x HTTP/1.1\r\n"), 400, 0},
        {TEXT("GET http:// HTTP/1.1\r\n"), 400, 0},
        {TEXT("GET http://:80/ HTTP/1.1\r\n"), 400, 0},
        {TEXT("GET http://u@h/ HTTP/1.1\r\n"), 400, 0},
        {TEXT("GET http://[::1/ HTTP/1.1\r\n"), 400, 0},
        {TEXT("GET http://[]/ HTTP/1.1\r\n"), 400, 0},
        {TEXT("GET http://h:1x/ HTTP/1.1\r\n"), 400, 0},
        {TEXT("GET http://?a HTTP/1.1\r\n"), 400, 0},
        {TEXT("GET ://h/ HTTP/1.1\r\n"), 400, 0},
        {TEXT("GET http:/h/ HTTP/1.1\r\n"), 400, 0},
        {TEXT("GET /% HTTP/1.1\r\n"), 400, 0},
        {TEXT("GET /%4 HTTP/1.1\r\n"), 400, 0},
        {TEXT("GET /%4g HTTP/1.1\r\n"), 400, 0},
        {TEXT("GET /%%41 HTTP/1.1\r\n"), 400, 0},
        {TEXT("GET /#part HTTP/1.1\r\n"), 400, 0},
        {TEXT("GET /\x01 HTTP/1.1\r\n"), 400, 0},
        {TEXT("GET /\0 HTTP/1.1\r\n"), 400, 0},
        {TEXT("GET /\x7f HTTP/1.1\r\n"), 400, 0},
        {TEXT("CONNECT x:80 HTTP/1.1\r\n"), 501, 0},
        {TEXT("ABCDEFGHIJKLMNOPQRSTUVWXYZABCDEFGHIJ / HTTP/1.1\r\n"), 501, 0},
        {TEXT("\r\n\r\n" GET "\r\n"), 400, 0},
        {TEXT("\n" GET "\r\n"), 400, 0},
        {TEXT("\rGET / HTTP/1.1\r\n"), 400, 0},
        {TEXT("\x16\x03\x01\x02"), 400, 0},
    };
    check_all(bad, ARRAY_SIZE(bad));
}

/* The characters that RFC 3986 does not allow anywhere in a URI are refused. All other characters are accepted, and so
 * are bytes from 0x80 on. */
Test(http_framing, a_target_has_only_the_characters_of_a_uri)
{
    for (int c = 0x21; c <= 0xFF; c++) {
        char text[80];
        bool bad = c == 0x7F || c == '%' || strchr("\"#<>\\^`{|}", c);
        int len = snprintf(text, sizeof text, "GET /a?b=%c HTTP/1.1\r\nHost: x\r\n\r\n", c);
        assert_status(text, (size_t)len, bad ? 400 : 0, !bad);
    }
    assert_status(TEXT("GET HTTP://[::1]:80/%41?%c3%a9 HTTP/1.1\r\nHost: x\r\n\r\n"), 0, 1);
    assert_status(TEXT("GET https://h HTTP/1.1\r\nHost: x\r\n\r\n"), 0, 1);
    assert_status(TEXT("GET http://a-name-that-is-longer-than-any-word.example?q HTTP/1.1\r\nHost: x\r\n\r\n"), 0, 1);
    assert_status(TEXT("OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n"), 0, 1);
}

Test(http_framing, a_malformed_field_line_is_a_fault)
{
    static const struct sample bad[] = {
        {TEXT("GET / HTTP/1.1\r\n Host: x\r\n\r\n"), 400, 0},
        {TEXT(GET "A: b\r\n c\r\n\r\n"), 400, 0},
        {TEXT(GET "A: b\r\n\tc\r\n\r\n"), 400, 0},
        {TEXT(GET "A : b\r\n\r\n"), 400, 0},
        {TEXT(GET "A\t: b\r\n\r\n"), 400, 0},
        {TEXT(GET ": b\r\n\r\n"), 400, 0},
        {TEXT(GET "no colon\r\n\r\n"), 400, 0},
        {TEXT(GET "nocolon\r\n\r\n"), 400, 0},
        {TEXT(GET "a\xe9: b\r\n\r\n"), 400, 0},
        {TEXT(GET "a\0: b\r\n\r\n"), 400, 0},
        {TEXT(GET "a: b\0c\r\n\r\n"), 400, 0},
        {TEXT(GET "a: b\x01\r\n\r\n"), 400, 0},
        {TEXT(GET "a: b\x7f\r\n\r\n"), 400, 0},
        {TEXT(GET "a: b\n\r\n"), 400, 0},
        {TEXT(GET "a: b\rc: d\r\n\r\n"), 400, 0},
        {TEXT(GET "\n"), 400, 0},
        {TEXT(GET "\rX"), 400, 0},
        {TEXT("GET / HTTP/1.1\r\n\r\n"), 400, 0},
        {TEXT(GET "Host: x\r\n\r\n"), 400, 0},
        {TEXT(GET "host: y\r\n\r\n"), 400, 0},
        {TEXT("GET / HTTP/1.1\r\nHost: a b\r\n\r\n"), 400, 0},
        {TEXT("GET / HTTP/1.1\r\nHost: a/b\r\n\r\n"), 400, 0},
        {TEXT("GET / HTTP/1.1\r\nHost: a@b\r\n\r\n"), 400, 0},
        {TEXT("GET / HTTP/1.1\r\nHost: a:b\r\n\r\n"), 400, 0},
        {TEXT("GET / HTTP/1.1\r\nHost: [::1\r\n\r\n"), 400, 0},
        {TEXT("GET / HTTP/1.1\r\nHost: [::1]x\r\n\r\n"), 400, 0},
        {TEXT("GET / HTTP/1.1\r\nHost: \xc3\xa4\r\n\r\n"), 400, 0},
    };
    check_all(bad, ARRAY_SIZE(bad));
}

Test(http_framing, a_doubtful_length_or_encoding_is_a_fault)
{
    static const struct sample bad[] = {
        {TEXT(POST "Content-Length:\r\n 36\r\n\r\n"), 400, 0},
        {TEXT(POST "Content-Length: 2\r\n 9\r\n\r\n"), 400, 0},
        {TEXT(POST "Content-Length:\r\n\r\n"), 400, 0},
        {TEXT(POST "Content-Length: +5\r\n\r\n"), 400, 0},
        {TEXT(POST "Content-Length: -5\r\n\r\n"), 400, 0},
        {TEXT(POST "Content-Length: 0x5\r\n\r\n"), 400, 0},
        {TEXT(POST "Content-Length: 5,5\r\n\r\n"), 400, 0},
        {TEXT(POST "Content-Length: 5 5\r\n\r\n"), 400, 0},
        {TEXT(POST "Content-Length: 5 \r\n\r\n"), 400, 0},
        {TEXT(POST "Content-Length: 5.0\r\n\r\n"), 400, 0},
        {TEXT(POST "Content-Length: 9223372036854775808\r\n\r\n"), 413, 0},
        {TEXT(POST "Content-Length: 18446744073709551615\r\n\r\n"), 413, 0},
        {TEXT(POST "Content-Length: 18446744073709551617\r\n\r\n"), 413, 0},
        {TEXT(POST "Content-Length: 9223372036854775807\r\n\r\n"), 0, 0},
        {TEXT(POST "Content-Length: 5\r\nContent-Length: 5\r\n\r\n"), 400, 0},
        {TEXT(POST "Content-Length: 5\r\nContent-Length: 6\r\n\r\n"), 400, 0},
        {TEXT(POST "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n"), 400, 0},
        {TEXT(POST "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n"), 400, 0},
        {TEXT(POST "Transfer-Encoding:\r\n chunked\r\n\r\n"), 400, 0},
        {TEXT(POST "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n"), 400, 0},
        {TEXT(POST "Transfer-Encoding: gzip\r\n\r\n"), 400, 0},
        {TEXT(POST "Transfer-Encoding: gzip, chunked\r\n\r\n"), 400, 0},
        {TEXT(POST "Transfer-Encoding: chunked, identity\r\n\r\n"), 400, 0},
        {TEXT(POST "Transfer-Encoding: xchunked\r\n\r\n"), 400, 0},
        {TEXT(POST "Transfer-Encoding: chunked;a=b\r\n\r\n"), 400, 0},
        {TEXT(POST "Transfer-Encoding: chunked \r\n\r\n"), 400, 0},
        {TEXT(POST "Transfer-Encoding: \"chunked\"\r\n\r\n"), 400, 0},
        {TEXT("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"), 400, 0},
    };
    check_all(bad, ARRAY_SIZE(bad));
}

Test(http_framing, a_malformed_chunk_or_trailer_is_a_fault)
{
    static const struct sample bad[] = {
        {TEXT(CHUNKED "\r\n"), 400, 0},
        {TEXT(CHUNKED "+3\r\nabc\r\n"), 400, 0},
        {TEXT(CHUNKED "-3\r\nabc\r\n"), 400, 0},
        {TEXT(CHUNKED " 3\r\nabc\r\n"), 400, 0},
        {TEXT(CHUNKED "3 \r\nabc\r\n"), 400, 0},
        {TEXT(CHUNKED "0x3\r\nabc\r\n"), 400, 0},
        {TEXT(CHUNKED "3\nabc\r\n"), 400, 0},
        {TEXT(CHUNKED "3\rabc\r\n"), 400, 0},
        {TEXT(CHUNKED "00000000000000003\r\nabc\r\n"), 400, 0},
        {TEXT(CHUNKED "8000000000000000\r\nabc"), 413, 0},
        {TEXT(CHUNKED "ffffffffffffffff\r\nabc"), 413, 0},
        {TEXT(CHUNKED "3\r\nabcd\r\n"), 400, 0},
        {TEXT(CHUNKED "3\r\nabc\n0\r\n\r\n"), 400, 0},
        {TEXT(CHUNKED "3\r\nabc0\r\n\r\n"), 400, 0},
        {TEXT(CHUNKED "3\r\nabc\r0\r\n\r\n"), 400, 0},
        {TEXT(CHUNKED "3;\r\nabc\r\n"), 400, 0},
        {TEXT(CHUNKED "3 ;a\r\nabc\r\n"), 400, 0},
        {TEXT(CHUNKED "3; a\r\nabc\r\n"), 400, 0},
        {TEXT(CHUNKED "3;a=\r\nabc\r\n"), 400, 0},
        {TEXT(CHUNKED "3;=b\r\nabc\r\n"), 400, 0},
        {TEXT(CHUNKED "3;a=b=c\r\nabc\r\n"), 400, 0},
        {TEXT(CHUNKED "3;a=\"b\"c\r\nabc\r\n"), 400, 0},
        {TEXT(CHUNKED "3;a\"b\"\r\nabc\r\n"), 400, 0},
        {TEXT(CHUNKED "3;a=\"b\r\nabc\r\n"), 400, 0},
        {TEXT(CHUNKED "3;a\nabc\r\n"), 400, 0},
        {TEXT(CHUNKED "3;a\0b\r\nabc\r\n"), 400, 0},
        {TEXT(CHUNKED "0\r\n\n"), 400, 0},
        {TEXT(CHUNKED "0\r\n A: b\r\n\r\n"), 400, 0},
        {TEXT(CHUNKED "0\r\nA b\r\n\r\n"), 400, 0},
        {TEXT(CHUNKED "0\r\nA: b\nC: d\r\n\r\n"), 400, 0},
        {TEXT(CHUNKED "0\r\nContent-Length: 5\r\n\r\n"), 400, 0},
        {TEXT(CHUNKED "0\r\nTransfer-Encoding: chunked\r\n\r\n"), 400, 0},
        {TEXT(CHUNKED "0\r\nHost: x\r\n\r\n"), 400, 0},
    };
    check_all(bad, ARRAY_SIZE(bad));
}

Test(http_framing, a_trailer_does_not_decide_about_the_connection)
{
    assert_status(TEXT(CHUNKED "0\r\nConnection: close\r\n\r\n" GET "\r\n"), 0, 2);
}

/* Checks which status the reader gives these bytes: `before`, then n times `unit`, then `after`. */
static void assert_repeated(const char *before, const char *unit, size_t n, const char *after, int status)
{
    struct buf b = {0};
    struct http_framing f;
    buf_add_str(&b, before);
    while (n-- > 0) buf_add_str(&b, unit);
    buf_add_str(&b, after);
    for (size_t piece = 1; piece < 100000; piece = piece * 7 + 1) {
        feed(&f, b.data, b.len, piece, NULL);
        cr_assert_eq(f.status, status, "%s%s...: wanted %d, got %d", before, unit, status, f.status);
    }
    buf_release(&b);
}

Test(http_framing, every_part_has_its_limit)
{
    assert_repeated("GET /", "a", LIMIT_URI_BYTES - 1, " HTTP/1.1\r\nHost: x\r\n\r\n", 0);
    assert_repeated("GET /", "a", LIMIT_URI_BYTES, "", 414);
    size_t rest = LIMIT_HEADER_BYTES - (sizeof(GET "a: \r\n\r\n") - 1);
    assert_repeated(GET "a: ", "b", rest, "\r\n\r\n", 0);
    assert_repeated(GET "a: ", "b", rest + 1, "\r\n\r\n", 431);
    assert_repeated(GET, "a: b\r\n", LIMIT_HEADER_FIELDS - 1, "\r\n", 0);
    assert_repeated(GET, "a: b\r\n", LIMIT_HEADER_FIELDS, "\r\n", 431);
    assert_repeated(CHUNKED "0\r\na: ", "b", LIMIT_TRAILER_BYTES - 7, "\r\n\r\n", 0);
    assert_repeated(CHUNKED "0\r\na: ", "b", LIMIT_TRAILER_BYTES - 6, "\r\n\r\n", 431);
    assert_repeated(CHUNKED "0\r\n", "a: b\r\n", LIMIT_HEADER_FIELDS + 1, "\r\n", 431);
    assert_repeated(CHUNKED "1;", "a", LIMIT_EXTENSION_BYTES - 1, "\r\nx\r\n0\r\n\r\n", 0);
    assert_repeated(CHUNKED "1;", "a", LIMIT_EXTENSION_BYTES, "\r\nx\r\n", 400);
    assert_repeated(CHUNKED "1;a=\"", "a", LIMIT_EXTENSION_BYTES, "\"\r\nx\r\n", 400);
    assert_repeated(CHUNKED, "1;ab=cde\r\nx\r\n", LIMIT_EXTENSIONS_BYTES / 7, "0\r\n\r\n", 0);
    assert_repeated(CHUNKED, "1;ab=cde\r\nx\r\n", LIMIT_EXTENSIONS_BYTES / 7 + 1, "0\r\n\r\n", 400);
}

Test(http_framing, the_bytes_before_a_fault_are_known)
{
    struct http_framing f = {0};
    size_t whole;
    char text[] = GET "\r\n" GET "a b\r\n";
    size_t n = http_framing_feed(&f, text, sizeof text - 1, &whole);
    cr_assert_eq(whole, sizeof(GET "\r\n") - 1);
    cr_assert_eq(n, sizeof(GET "\r\n" GET "a") - 1);
    cr_assert_eq(http_framing_feed(&f, text, 10, &whole), 0);
    cr_assert_eq(whole, 0);
}

Test(http_framing, extensions_are_removed_and_nothing_else)
{
    static const char sent[] =
        CHUNKED "3;a;b=c\r\n;a;\r\n00A;d=\"e \\\" f;\"\r\n0123456789\r\n0;z\r\nT: ;u\r\n\r\n" GET "\r\n";
    static const char left[] = CHUNKED "3\r\n;a;\r\n00A\r\n0123456789\r\n0\r\nT: ;u\r\n\r\n" GET "\r\n";
    for (size_t piece = 1; piece <= sizeof sent; piece++) {
        struct http_framing f;
        struct buf out = {0};
        feed(&f, TEXT(sent), piece, &out);
        cr_assert_eq(f.messages, 2);
        cr_assert_str_eq(buf_cstr(&out), left);
        buf_release(&out);
    }
}

static void feed_on(struct http_framing *f, const char *data, size_t len)
{
    char copy[200];
    size_t whole;
    memcpy(copy, data, len);
    http_framing_feed(f, copy, len, &whole);
}

Test(http_framing, a_head_has_begun_with_its_first_byte)
{
    struct http_framing f = {0};
    feed_on(&f, TEXT("\r\n"));
    cr_assert(!http_framing_in_head(&f));
    feed_on(&f, TEXT("G"));
    cr_assert(http_framing_in_head(&f));
    feed_on(&f, TEXT("ET / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r"));
    cr_assert(http_framing_in_head(&f));
    feed_on(&f, TEXT("\n0\r\na"));
    cr_assert(!http_framing_in_head(&f));
}

static void assert_origin(const char *head, const char *rest, const char *origin)
{
    for (size_t piece = 1; piece <= 64; piece++) {
        struct http_framing f;
        feed(&f, head, strlen(head), piece, NULL);
        if (http_framing_is_faulty(&f) && !http_framing_origin(&f)) http_framing_find_origin(&f, rest, strlen(rest));
        const char *found = http_framing_origin(&f);
        cr_assert_eq(found != NULL, origin != NULL, "%s%s", head, rest);
        if (origin) cr_assert_str_eq(found, origin);
    }
}

#define PAGE "https://app.example"

Test(http_framing, the_origin_of_a_head_is_known_and_also_that_of_a_faulty_one)
{
    static const char bad[] = GET "bad\r\n";
    assert_origin(GET "oRiGiN:  " PAGE " \t\r\n\r\n", "", PAGE);
    assert_origin(GET "Origin: " PAGE "\r\nbad\r\n", "", PAGE);
    assert_origin(GET "\r\n", "", NULL);
    assert_origin(GET "Origin: " PAGE, "", NULL); /* the end of the line has not arrived */
    assert_origin(GET "Origin: " PAGE "\r\n\r\n" GET "\r\n", "", NULL);
    assert_origin(GET "Origin:\r\n\r\n", "", NULL);
    assert_origin(bad, "ad\r\nX: 1\r\norigin:" PAGE "\r\n\r\n", PAGE);
    assert_origin(bad, "ad\nOrigin: " PAGE "\n\n", PAGE);
    assert_origin(bad, "ad\r\nOrigin: " PAGE, NULL);
    assert_origin(bad, "ad\r\n\r\nOrigin: " PAGE "\r\n", NULL);
    assert_origin(bad, "ad\r\nX-Origin: " PAGE "\r\nOriginal: x\r\n", NULL);
    assert_origin(bad, "", NULL);
}

Test(http_framing, an_origin_that_is_too_long_is_not_kept)
{
    for (size_t len = HTTP_FRAMING_ORIGIN - 3; len < HTTP_FRAMING_ORIGIN + 300; len++) {
        char head[2048];
        snprintf(head, sizeof head, GET "Origin: %0*d\r\n\r\n", (int)len, 1);
        struct http_framing f;
        feed(&f, head, strlen(head), 100, NULL);
        const char *found = http_framing_origin(&f);
        cr_assert_eq(found != NULL, len < HTTP_FRAMING_ORIGIN);
        if (found) cr_assert_eq(strlen(found), len);
    }
}
