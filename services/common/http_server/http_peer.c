/*
 * Whether a peer is still there. While a connection is suspended, nothing is read from it. A FIN may come from a client
 * that closed, or from one that only shut down its sending side and still waits for the answer. A closed socket answers
 * anything that is sent to it with a reset. So, before an answer has begun, the server sends an interim answer, which
 * HTTP/1.1 allows at any time. If the peer has closed, its reset is reported as EPOLLHUP.
 *
 * After the answer has begun, nothing may be inserted between its bytes, and HTTP/1.0 has no interim answers. In both
 * cases a FIN counts as a hang-up.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "common/http_server/http_server_internal.h"
#include "common/observe/log.h"

static const char *const peer_names[] = {
    [HTTP_PEER_HERE] = "here",
    [HTTP_PEER_SHUT] = "shut",
    [HTTP_PEER_PROBED] = "probed",
    [HTTP_PEER_GONE] = "gone",
};
static_assert(ARRAY_SIZE(peer_names) == HTTP_PEER_COUNT, "every state of a peer has a name");

static void peer_move(struct http_connection *c, enum http_peer to)
{
    if (c->peer == to) return;
    log_debug("connection peer moved", LOG_I64("fd", c->fd), LOG_STR("from", peer_names[c->peer]),
              LOG_STR("to", peer_names[to]));
    c->peer = to;
}

static bool may_probe(const struct http_exchange *x)
{
    return x->stage != HTTP_STAGE_ANSWER && !x->is_http_1_0;
}

static void probe(struct http_connection *c)
{
    static const char interim[] = "HTTP/1.1 102 Processing\r\n\r\n";
    peer_move(c, http_connection_send(c, interim, sizeof interim - 1) ? HTTP_PEER_PROBED : HTTP_PEER_GONE);
}

/* Makes the library read the end of the connection. The library reads again only after an event of the socket. If the
 * FIN came together with a request, that event has already happened. shutdown() causes another event. Bytes that the
 * peer sent before its FIN can still be read. */
static void read_end(struct http_connection *c)
{
    shutdown(c->fd, SHUT_RD);
    http_server_want_turn(c->server);
}

void http_peer_check(struct http_connection *c)
{
    struct http_exchange *x = c->exchange;
    if (c->peer != HTTP_PEER_HERE && (!x || x->stage == HTTP_STAGE_HEAD)) read_end(c);
    if (!x || x->flow != HTTP_FLOW_WAITS || x->stage == HTTP_STAGE_GONE || c->peer == HTTP_PEER_HERE) return;
    if (c->peer == HTTP_PEER_SHUT && may_probe(x)) probe(c);
    if (c->peer == HTTP_PEER_PROBED && x->stage != HTTP_STAGE_ANSWER) return;
    http_exchange_move(x, HTTP_STAGE_GONE);
    http_exchange_wake(x);
}

/* The library must run between two calls of this function, because the event that read_end() causes comes here, too. So
 * one call handles one batch of events. If there are more, the descriptor stays readable, and the next turn handles
 * them. */
void http_peer_on_event(uv_poll_t *poll, int status, int events)
{
    struct http_server *s = poll->data;
    struct epoll_event ready[256];
    int count = epoll_wait(s->watch_fd, ready, ARRAY_SIZE(ready), 0);
    for (int i = 0; i < count; i++) {
        struct http_connection *c = ready[i].data.ptr;
        http_tls_continue(c);
        if (!(ready[i].events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR))) continue;
        if (ready[i].events & (EPOLLHUP | EPOLLERR))
            peer_move(c, HTTP_PEER_GONE);
        else if (c->peer == HTTP_PEER_HERE)
            peer_move(c, HTTP_PEER_SHUT);
        http_peer_check(c);
    }
}

bool http_exchange_peer(const struct http_exchange *x, char *text, size_t size)
{
    struct sockaddr_storage peer = {0};
    socklen_t len = sizeof peer;
    if (getpeername(x->connection->fd, (struct sockaddr *)&peer, &len) != 0) return false;
    if (peer.ss_family == AF_INET)
        return inet_ntop(AF_INET, &((struct sockaddr_in *)&peer)->sin_addr, text, (socklen_t)size);
    if (peer.ss_family != AF_INET6) return false;
    const struct in6_addr *v6 = &((struct sockaddr_in6 *)&peer)->sin6_addr;
    if (IN6_IS_ADDR_V4MAPPED(v6)) return inet_ntop(AF_INET, v6->s6_addr + 12, text, (socklen_t)size);
    return inet_ntop(AF_INET6, v6, text, (socklen_t)size);
}
