/*
 * Errors that libmicrohttpd answers by itself (a request line it cannot read, a header without a colon, broken chunk
 * sizes, a head beyond its memory) go out as its own HTML. Its only word about them before they go out is a line of its
 * log, which does not name the connection. Here that line becomes our answer, sent in the library's place, whenever
 * it is certain which connection is meant: exactly one is not waiting for us, has given bytes that belong to no
 * finished request, and either was spoken of in this turn of the daemon or has received bytes lately.
 * With several such connections (broken requests within the same fraction of a millisecond as others) the library's own
 * answer stays: the right status, without our document. A first line without even a space is not logged either: the
 * library closes without an answer.
 */
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "common/http_server/http_server_internal.h"

#define CONNECTIONS_SEARCHED 1024 /* a broken request may not cost more than this many looks */
/* Bytes that came longer ago than this before the previous turn were taken and judged long before this one. */
#define WINDOW_MS 1000

/* The kernel's struct tcp_info is longer than some C libraries declare it; its layout is fixed. */
union tcp_facts {
    struct tcp_info info;
    struct {
        uint8_t before[128];
        uint64_t bytes_received;
    } more;
};

/* Every byte that was taken from the socket belongs to a request that was answered. A FIN counts as one byte. */
static bool is_between_requests(const struct http_connection *c, const union tcp_facts *tcp)
{
    int unread;
    if (c->exchange || c->uncounted || ioctl(c->fd, FIONREAD, &unread) < 0) return false;
    uint64_t fin = tcp->info.tcpi_state == TCP_CLOSE_WAIT ? 1 : 0;
    return tcp->more.bytes_received - fin - (uint64_t)unread == c->counted_bytes;
}

/* A body of announced length holds nothing that the library could find fault with. */
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
    if (c->tls) return c->seen_in_turn + 1 >= c->server->turn; /* also when the library only reads from it */
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

static const char *explain(unsigned status)
{
    switch (status) {
    case 400: return "the request is not well-formed HTTP";
    case 413: return "the body is longer than allowed";
    case 414: return "the request's URI is too long";
    case 431: return "the request's headers are too long";
    case 505: return "only HTTP/1.0 and HTTP/1.1 are spoken here";
    default: return "the request cannot be served";
    }
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
    /* The socket is shut behind our answer: the library's own finds it closed. */
    http_connection_refuse_in_call(c, (int)status, explain(status));
}
