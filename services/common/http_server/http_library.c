/*
 * Replaces the error answers of libmicrohttpd. For a few errors, the library sends its own answers, in HTML. An example
 * is a request whose query arguments, cookies or trailers fill the memory of the connection. Before the library
 * answers, it writes a line to its log. The line does not name the connection, but the error is on the connection that
 * the library last read from or passed to one of our callbacks. When the library logs the line, the server sends its
 * own answer, before the library sends one.
 */
#include "common/http_server/http_server_internal.h"

static bool is_being_read(const struct http_connection *c)
{
    const struct http_exchange *x = c->exchange;
    return c->state == HTTP_CONNECTION_OPEN && (!x || x->stage <= HTTP_STAGE_BODY);
}

void http_library_log(void *cls, const char *format, va_list args)
{
    static const char mark[] = "Error processing request (HTTP response code is %u";
    static const char handshake_mark[] = "Error: received handshake message out of context";
    struct http_server *s = cls;
    if (strncmp(format, handshake_mark, sizeof handshake_mark - 1) == 0) http_tls_handshake_failed(s);
    if (strncmp(format, mark, sizeof mark - 1) != 0 || !s->in_turn) return;
    unsigned status = va_arg(args, unsigned);
    /* The socket is shut down after our answer, so the library cannot send its own. */
    if (s->current && is_being_read(s->current))
        http_connection_reject(s->current, (int)status, http_problem_detail((int)status));
}
