/* The reader accepts valid answers and refuses invalid ones. The result does not depend on how the bytes are cut into
 * pieces. */
#include "common/http_client/http_answer.h"

#include <criterion/criterion.h>
#include <string.h>

#include "unit/leaks.h"

/* Reads an answer in pieces, and writes its parts to `out` as text: each line of a head in <>, the unchanged body, then
 * the end. */
static void read_pieces(const char *bytes, size_t size, size_t piece, bool to_head, struct buf *out)
{
    struct http_answer a = {0};
    enum http_answer_part got = HTTP_ANSWER_NONE;
    http_answer_begin(&a, to_head);
    for (size_t at = 0; at < size && got == HTTP_ANSWER_NONE; at += piece) {
        size_t left = size - at < piece ? size - at : piece, len = 0;
        char *copy =
            xmalloc(left); /* a copy of the exact size, so that a sanitizer detects every access beyond its end */
        memcpy(copy, bytes + at, left);
        const char *from = copy, *part = NULL;
        while ((got = http_answer_next(&a, &from, &left, &part, &len)) == HTTP_ANSWER_LINE || got == HTTP_ANSWER_BODY)
            if (got == HTTP_ANSWER_LINE)
                buf_addf(out, "<%.*s>", (int)len, part);
            else
                buf_add(out, part, len);
        if (got == HTTP_ANSWER_END) buf_addf(out, "|%s", a.stays ? "stays" : "closes");
        if (got == HTTP_ANSWER_END && left > 0) buf_add_str(out, "|more");
        free(copy);
    }
    if (got == HTTP_ANSWER_FAULT) buf_addf(out, "|%s", a.fault);
    if (got == HTTP_ANSWER_NONE) buf_add_str(out, http_answer_ends_here(&a) ? "|to close" : "|unfinished");
    http_answer_release(&a);
}

static void assert_read(const char *bytes, size_t size, bool to_head, const char *expected)
{
    for (size_t piece = 1; piece <= size; piece++) {
        struct buf out = {0};
        read_pieces(bytes, size, piece, to_head, &out);
        const char *text = buf_cstr(&out), *more = strstr(text, "|more");
        size_t len = more ? (size_t)(more - text) : strlen(text);
        cr_assert(strlen(expected) == len && strncmp(text, expected, len) == 0, "%s\nin pieces of %zu: %s", bytes,
                  piece, text);
        buf_release(&out);
    }
}

#define HEAD "HTTP/1.1 200 OK\r\n"

Test(http_answer, answers_are_read_alike_however_they_are_cut)
{
    static const struct {
        const char *bytes, *expected;
    } cases[] = {
        {HEAD "Content-Length: 5\r\n\r\nhello", "<HTTP/1.1 200 OK><Content-Length: 5><>hello|stays"},
        {HEAD "content-length:5 \r\n\r\nhellomore", "<HTTP/1.1 200 OK><content-length:5 ><>hello|stays"},
        {HEAD "Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
         "<HTTP/1.1 200 OK><Content-Length: 5><Content-Length: 5><>hello|stays"},
        {HEAD "Content-Length: 0\r\nConnection: x, Close\r\n\r\n",
         "<HTTP/1.1 200 OK><Content-Length: 0><Connection: x, Close><>|closes"},
        {HEAD "Content-Length: 0\r\nConnection: closed\r\n\r\n",
         "<HTTP/1.1 200 OK><Content-Length: 0><Connection: closed><>|stays"},
        {"HTTP/1.1 200\nContent-Length: 1\n\nx", "<HTTP/1.1 200><Content-Length: 1><>x|stays"},
        {"HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\nx", "<HTTP/1.0 200 OK><Content-Length: 1><>x|closes"},
        {HEAD "Transfer-Encoding: Chunked\r\n\r\n3\r\nabc\r\n00A;x=\"y\"\r\n0123456789\r\n0\r\nT: 1\r\n\r\n",
         "<HTTP/1.1 200 OK><Transfer-Encoding: Chunked><>abc0123456789|stays"},
        {HEAD "Transfer-Encoding: chunked\r\n\r\n1 \r\na\r\n0\r\n\r\n",
         "<HTTP/1.1 200 OK><Transfer-Encoding: chunked><>a|stays"},
        {HEAD "\r\nall of it", "<HTTP/1.1 200 OK><>all of it|to close"},
        {"HTTP/1.1 100 Continue\r\n\r\n" HEAD "Content-Length: 1\r\n\r\nx",
         "<HTTP/1.1 100 Continue><><HTTP/1.1 200 OK><Content-Length: 1><>x|stays"},
        {"HTTP/1.1 103 Hints\r\nContent-Length: 9\r\n\r\nHTTP/1.1 204 No\r\n\r\n",
         "<HTTP/1.1 103 Hints><Content-Length: 9><><HTTP/1.1 204 No><>|stays"},
        {"HTTP/1.1 304 Not\r\nContent-Length: 9\r\n\r\n", "<HTTP/1.1 304 Not><Content-Length: 9><>|stays"},
        {HEAD "Content-Length: 5\r\n\r\nhel", "<HTTP/1.1 200 OK><Content-Length: 5><>hel|unfinished"},
        {HEAD "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
         "<HTTP/1.1 200 OK><Transfer-Encoding: chunked><>hello|unfinished"},
        {HEAD "Transfer-Encoding: chunked\r\n\r\n0\r\n", "<HTTP/1.1 200 OK><Transfer-Encoding: chunked><>|unfinished"},
        {HEAD "A: b", "<HTTP/1.1 200 OK>|unfinished"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
        assert_read(cases[i].bytes, strlen(cases[i].bytes), false, cases[i].expected);
    assert_no_leaks();
}

Test(http_answer, an_answer_to_head_has_no_body)
{
    static const char bytes[] = HEAD "Content-Length: 5\r\n\r\n";
    assert_read(bytes, sizeof bytes - 1, true, "<HTTP/1.1 200 OK><Content-Length: 5><>|stays");
    assert_no_leaks();
}

Test(http_answer, what_has_two_meanings_is_refused)
{
    static const struct {
        const char *bytes, *fault;
    } cases[] = {
        {"HTTP/2 200 OK\r\n", "status line"},
        {"HTTP/1.2 200 OK\r\n", "status line"},
        {"HTTP/1.1 2x0 OK\r\n", "status line"},
        {"HTTP/1.1 2000 OK\r\n", "status line"},
        {"HTTP/1.1 099 OK\r\n", "status line"},
        {"\r\n", "status line"},
        {"SSH-2.0-OpenSSH\r\n", "status line"},
        {HEAD " folded: 1\r\n", "malformed"},
        {HEAD "A: 1\r\n\tfolded\r\n", "malformed"},
        {HEAD "no colon\r\n", "malformed"},
        {HEAD ": no name\r\n", "malformed"},
        {HEAD "Content-Length: 1\r\nContent-Length: 2\r\n\r\n", "two different lengths"},
        {HEAD "Content-Length: -1\r\n", "not a number"},
        {HEAD "Content-Length: +1\r\n", "not a number"},
        {HEAD "Content-Length: 1, 1\r\n", "not a number"},
        {HEAD "Content-Length: 0x1\r\n", "not a number"},
        {HEAD "Content-Length:\r\n", "not a number"},
        {HEAD "Content-Length: 18446744073709551615\r\n", "not a number"},
        {HEAD "Transfer-Encoding: gzip\r\n", "not chunked"},
        {HEAD "Transfer-Encoding: gzip, chunked\r\n", "not chunked"},
        {HEAD "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", "not chunked"},
        {HEAD "Transfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n", "both"},
        {HEAD "Transfer-Encoding: chunked\r\n\r\n\r\n", "size is malformed"},
        {HEAD "Transfer-Encoding: chunked\r\n\r\nx\r\n", "size is malformed"},
        {HEAD "Transfer-Encoding: chunked\r\n\r\n1x\r\n", "size is malformed"},
        {HEAD "Transfer-Encoding: chunked\r\n\r\n-1\r\n", "size is malformed"},
        {HEAD "Transfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n", "size is malformed"},
        {HEAD "Transfer-Encoding: chunked\r\n\r\n10000000000000000\r\n", "size is malformed"},
        {HEAD "Transfer-Encoding: chunked\r\n\r\n1\r\nab\r\n", "longer than its size"},
        {"HTTP/1.1 101 Switching\r\n\r\n", "switches"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        size_t size = strlen(cases[i].bytes);
        for (size_t piece = 1; piece <= size; piece++) {
            struct buf out = {0};
            read_pieces(cases[i].bytes, size, piece, false, &out);
            const char *fault = strrchr(buf_cstr(&out), '|');
            cr_assert(fault && strstr(fault, cases[i].fault), "%s\nin pieces of %zu: %s", cases[i].bytes, piece,
                      out.data);
            buf_release(&out);
        }
    }
    static const char nul[] = HEAD "A: b\0c\r\n";
    assert_read(nul, sizeof nul - 1, false, "<HTTP/1.1 200 OK>|a header line is malformed");
    assert_no_leaks();
}

static void assert_too_long(const char *begin, const char *line, const char *fault)
{
    struct buf bytes = {0}, out = {0};
    buf_add_str(&bytes, begin);
    while (bytes.len < HTTP_ANSWER_HEAD_BYTES + 100) buf_add_str(&bytes, line);
    read_pieces(bytes.data, bytes.len, 1000, false, &out);
    cr_assert(strstr(buf_cstr(&out), fault), "%.200s", out.data);
    buf_release(&bytes);
    buf_release(&out);
}

Test(http_answer, nothing_grows_without_bound)
{
    assert_too_long(HEAD, "A: b\r\n", "larger than");
    assert_too_long(HEAD "A: ", "b", "larger than");
    assert_too_long("", "HTTP/1.1 100 Continue\r\n\r\n", "larger than");
    assert_too_long(HEAD "Transfer-Encoding: chunked\r\n\r\n", "0", "too long");
    assert_too_long(HEAD "Transfer-Encoding: chunked\r\n\r\n0\r\n", "A: b\r\n", "larger than");
    assert_no_leaks();
}
