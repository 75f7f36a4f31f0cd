/*
 * Finds out whether the peer of a suspended connection is still there. The server does not read from a suspended
 * connection, but epoll reports a FIN. A FIN may come from a client that closed its socket, or from a client that only
 * shut down its sending side and still waits for the answer. If the client closed its socket, its kernel sends a reset
 * in reply to any data. So, before an answer has begun, the server sends an interim answer, which HTTP/1.1 allows until
 * the final answer begins. If a reset comes back, epoll reports EPOLLHUP.
 *
 * No interim answer is possible after the answer has begun, or in HTTP/1.0. If no interim answer is possible, a FIN
 * counts as a hang-up.
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

/* Makes the library read the end of the connection. The library reads again only after an event on the socket. If the
 * FIN arrived together with a request, the event of the FIN has already been consumed, so shutdown() causes another
 * event. Bytes that the peer sent before its FIN can still be read. The new event is also reported to
 * http_peer_on_event(). The library may keep a closed connection for up to a second, and during that second each event
 * would cause another event. So shutdown() is called again only after the connection has moved bytes. */
static void read_end(struct http_connection *c)
{
    if (c->ended_in_turn && c->moved_in_turn < c->ended_in_turn) return;
    c->ended_in_turn = c->server->turn;
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

/* read_end() causes an event for which this function is called again, and the library must run before that call. So
 * each call handles only one batch of events. If more events wait, the descriptor stays readable, and the next turn
 * handles them. */
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

/* Writes the numeric address, and sets the port. Returns false when the socket address has no IP address and port. */
static bool write_numeric(const struct sockaddr_storage *from, char *text, size_t size, uint16_t *port)
{
    const struct sockaddr_in *v4 = (const struct sockaddr_in *)from;
    const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)from;
    if (from->ss_family != AF_INET && from->ss_family != AF_INET6) return false;
    *port = ntohs(from->ss_family == AF_INET ? v4->sin_port : v6->sin6_port);
    if (from->ss_family == AF_INET) return inet_ntop(AF_INET, &v4->sin_addr, text, (socklen_t)size);
    if (IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr))
        return inet_ntop(AF_INET, v6->sin6_addr.s6_addr + 12, text, (socklen_t)size);
    return inet_ntop(AF_INET6, &v6->sin6_addr, text, (socklen_t)size);
}

bool http_exchange_peer(const struct http_exchange *x, char *text, size_t size)
{
    struct sockaddr_storage peer = {0};
    socklen_t len = sizeof peer;
    uint16_t port;
    if (getpeername(x->connection->fd, (struct sockaddr *)&peer, &len) != 0) return false;
    return write_numeric(&peer, text, size, &port);
}

bool http_exchange_reached(const struct http_exchange *x, char *text, size_t size)
{
    struct sockaddr_storage own = {0};
    socklen_t len = sizeof own;
    char ip[INET6_ADDRSTRLEN];
    uint16_t port;
    if (getsockname(x->connection->fd, (struct sockaddr *)&own, &len) != 0) return false;
    if (!write_numeric(&own, ip, sizeof ip, &port)) return false;
    bool v6 = strchr(ip, ':');
    return snprintf(text, size, "%s%s%s:%u", v6 ? "[" : "", ip, v6 ? "]" : "", port) < (int)size;
}
