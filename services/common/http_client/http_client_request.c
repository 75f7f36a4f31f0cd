/*
 * Writes the requests for URLs of plain http, because libcurl is slow at this: it writes header lines character by
 * character, and searches its connections for each request. For a small request, the header lines and the search would
 * take longer than everything else. libcurl still makes the connections.
 */
#include <ctype.h>
#include <strings.h>

#include "common/http_client/http_client_internal.h"

#define HEAD_GUESS_BYTES 768

static const char scheme[] = "http://";

/* Returns whether libcurl would send the URL unchanged: it has no user name, no dot segments, and no bytes that libcurl
 * escapes. */
static bool is_simple(const char *authority, size_t authority_len, const char *target)
{
    for (size_t i = 0; i < authority_len; i++)
        if (!isalnum((unsigned char)authority[i]) && !strchr(".-_:[]", authority[i])) return false;
    for (const char *at = target; *at; at++)
        if (*at <= ' ' || *at >= 0x7f || *at == '#') return false;
    return authority_len > 0 && !strstr(target, "/.");
}

static void add_line(struct buf *b, const char *line)
{
    buf_add_str(b, line);
    buf_add(b, "\r\n", 2);
}

bool call_write_request(struct http_call *call, const struct http_call_options *options)
{
    struct buf *b = &call->request;
    const char *method = options->method ? options->method : "GET";
    if (strncmp(options->url, scheme, sizeof scheme - 1) != 0) return false;
    const char *authority = options->url + sizeof scheme - 1;
    size_t authority_len = strcspn(authority, "/?#");
    const char *target = authority + authority_len;
    if (!is_simple(authority, authority_len, target)) return false;
    buf_clear(b);
    if (!buf_reserve(b, HEAD_GUESS_BYTES)) BUG("a buffer without a cap refuses to grow");
    buf_add_str(b, method);
    buf_add_str(b, *target == '/' ? " " : " /");
    buf_add_str(b, target);
    buf_add_str(b, " HTTP/1.1\r\nHost: ");
    buf_add(b, authority, authority_len);
    buf_add(b, "\r\n", 2);
    for (const char *const *line = options->headers; line && *line; line++) add_line(b, *line);
    if (options->body_bytes > 0 || strcmp(method, "POST") == 0) {
        buf_add_str(b, "Content-Length: ");
        buf_add_u64(b, (uint64_t)options->body_bytes);
        buf_add(b, "\r\n", 2);
    }
    buf_add(b, "\r\n", 2);
    buf_clear(&call->address);
    if (options->connect_to)
        buf_add_str(&call->address, options->connect_to);
    else
        buf_add(&call->address, authority, authority_len);
    buf_clear(&call->target);
    buf_add_str(&call->target, options->url);
    call->options.url = buf_cstr(&call->target);
    call->options.connect_to = options->connect_to ? buf_cstr(&call->address) : NULL;
    call->body_left = options->body_bytes;
    call->may_repeat = options->body_bytes <= 0 && (strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0);
    call->is_head = strcmp(method, "HEAD") == 0;
    return true;
}
