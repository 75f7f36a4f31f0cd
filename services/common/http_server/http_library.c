/*
 * Some errors are answered by libmicrohttpd itself, as HTML: a request line that it cannot read, a header without a
 * colon, broken chunk sizes, a head beyond its memory. Before that it writes a line to its log, which does not name the
 * connection. When this line comes, the server looks for the connection. A connection matches if it does not wait for
 * us, has sent part of a request, and was used in this turn of the daemon or received bytes lately. If exactly one
 * connection matches, the server sends its own answer first.
 *
 * Several connections match if other requests came within the same fraction of a millisecond. Then the library's own
 * answer is sent, which has the right status but not our problem document. A first line without a space is not logged:
 * the library closes the connection without an answer.
 */
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "common/http_server/http_server_internal.h"

#define CONNECTIONS_SEARCHED 1024 /* it limits what a broken request costs */
/* Bytes that came more than this before the previous turn were handled before the current turn. */
#define WINDOW_MS 1000

/* The kernel's struct tcp_info is longer than some C libraries declare it. Its layout never changes. */
union tcp_facts {
    struct tcp_info info;
    struct {
        uint8_t before[128];
        uint64_t bytes_received;
    } more;
};

/* Whether every byte that was read from the socket belongs to an answered request. A FIN counts as one byte. */
static bool is_between_requests(const struct http_connection *c, const union tcp_facts *tcp)
{
    int unread;
    if (c->exchange || c->uncounted || ioctl(c->fd, FIONREAD, &unread) < 0) return false;
    uint64_t fin = tcp->info.tcpi_state == TCP_CLOSE_WAIT ? 1 : 0;
    return tcp->more.bytes_received - fin - (uint64_t)unread == c->counted_bytes;
}

/* Whether the library may still reject the request. In a body with a Content-Length there is nothing to reject. */
static bool is_being_parsed(const struct http_exchange *x)
{
    if (!x || x->stage == HTTP_STAGE_HEAD) return true;
    return x->stage == HTTP_STAGE_BODY && x->flow == HTTP_FLOW_RUNS && x->content_length < 0;
}

static bool is_suspect(const struct http_connection *c, uint64_t window_ms)
{
    union tcp_facts tcp;
    socklen_t size = sizeof tcp;
    if (c->state == HTTP_CONNECTION_CUT || !is_being_parsed(c->exchange)) return false;
    if (c->tls) return c->seen_in_turn + 1 >= c->server->turn; /* the library has at least read from the connection */
    if (getsockopt(c->fd, IPPROTO_TCP, TCP_INFO, &tcp, &size) < 0 || size < sizeof tcp.more) return true;
    if (is_between_requests(c, &tcp)) return false;
    return c->seen_in_turn + 1 >= c->server->turn || tcp.info.tcpi_last_data_recv <= window_ms;
}

static struct http_connection *find_culprit(struct http_server *s)
{
    uint64_t window_ms = (uv_hrtime() - s->previous_turn_ns) / NS_PER_MS + WINDOW_MS;
    struct http_connection *found = NULL;
    unsigned searched = 0;
    for (struct http_connection *c = s->connections; c; c = c->next) {
        if (++searched > CONNECTIONS_SEARCHED) return NULL;
        if (!is_suspect(c, window_ms)) continue;
        if (found) return NULL;
        found = c;
    }
    return found;
}

void http_library_log(void *cls, const char *format, va_list args)
{
    static const char mark[] = "Error processing request (HTTP response code is %u";
    static const char handshake_mark[] = "Error: received handshake message out of context";
    struct http_server *s = cls;
    if (strncmp(format, handshake_mark, sizeof handshake_mark - 1) == 0) http_tls_handshake_failed(s);
    if (strncmp(format, mark, sizeof mark - 1) != 0 || !s->in_turn) return;
    unsigned status = va_arg(args, unsigned);
    struct http_connection *c = find_culprit(s);
    if (!c) return;
    if (c->exchange && !c->exchange->status) c->exchange->status = (int)status;
    /* The socket is shut after our answer, so the library cannot send its own. */
    http_connection_refuse_in_call(c, (int)status, http_problem_detail((int)status));
}
