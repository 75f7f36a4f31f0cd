#include "common/http_server/http_server_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/net/unix_address.h"

static void begin_awaiting_head(struct http_connection *c)
{
    c->since_ms = uv_now(c->server->loop);
    c->head_began_ms = 0;
}

static void connection_opened(struct http_server *s, struct MHD_Connection *mhd, void **context)
{
    struct http_connection *c = xcalloc(1, sizeof *c);
    c->server = s;
    c->mhd = mhd;
    c->fd = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
    if (unix_address_path(s->options.host)) unix_address_widen(c->fd);
    c->next = s->connections;
    if (c->next) c->next->prev = c;
    s->connections = c;
    c->seen_in_turn = s->turn;
    begin_awaiting_head(c);
    struct epoll_event event = {.events = EPOLLRDHUP | EPOLLET | http_tls_open(c), .data.ptr = c};
    if (epoll_ctl(s->watch_fd, EPOLL_CTL_ADD, c->fd, &event) < 0) http_connection_refuse(c, 503, "out of resources");
    *context = c;
}

bool http_connection_has_unsent(int fd)
{
    int unsent = 0;
    struct tcp_info info;
    socklen_t size = sizeof info;
    if (ioctl(fd, SIOCOUTQ, &unsent) != 0 || unsent <= 0) return false;
    /* A connection that its peer has reset keeps the count for ever. */
    return getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size) != 0 || info.tcpi_state != TCP_CLOSE;
}

static void keep_leaver(struct http_server *s, int fd)
{
    int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    if (copy < 0) return;
    struct http_leaver *leaver = xcalloc(1, sizeof *leaver);
    *leaver = (struct http_leaver){.next = s->leavers, .fd = copy};
    s->leavers = leaver;
}

void http_connection_free_leavers(struct http_server *s)
{
    for (struct http_leaver *leaver; (leaver = s->leavers);) {
        s->leavers = leaver->next;
        close(leaver->fd);
        free(leaver);
    }
}

/* Out of the set by hand: a child being started may hold the descriptor a moment longer, and its events with it. */
static void connection_closed(struct http_connection *c)
{
    epoll_ctl(c->server->watch_fd, EPOLL_CTL_DEL, c->fd, NULL);
    if (c->server->draining && !c->server->stopping && http_connection_has_unsent(c->fd)) keep_leaver(c->server, c->fd);
    if (c->next) c->next->prev = c->prev;
    if (c->prev)
        c->prev->next = c->next;
    else
        c->server->connections = c->next;
    /* At the cap, only another run of the daemon listens again. */
    if (!c->server->stopping) http_server_want_turn(c->server);
    if (!c->server->stopping && c->lingers) http_linger_start(c->server, c->fd);
    http_tls_closed(c);
    free(c);
}

void http_connection_notify(void *cls, struct MHD_Connection *mhd, void **context,
                            enum MHD_ConnectionNotificationCode code)
{
    if (code == MHD_CONNECTION_NOTIFY_STARTED)
        connection_opened(cls, mhd, context);
    else if (*context)
        connection_closed(*context);
}

struct http_connection *http_connection_of(struct MHD_Connection *mhd)
{
    return MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_SOCKET_CONTEXT)->socket_context;
}

/* libmicrohttpd sees both directions ended, and closes. */
static void cut(struct http_connection *c)
{
    c->cut = true;
    shutdown(c->fd, SHUT_RDWR);
    http_server_want_turn(c->server);
}

static void send_problem(struct http_connection *c, int status, const char *more_headers, const char *detail)
{
    struct buf body, all;
    buf_init(&body, 0);
    buf_init(&all, 0);
    http_problem_body(&body, status, NULL, detail);
    buf_addf(&all,
             "HTTP/1.1 %d %s\r\nContent-Type: application/problem+json\r\nContent-Length: %zu\r\n%sConnection: "
             "close\r\n\r\n",
             status, http_status_title(status), body.len, more_headers);
    buf_add(&all, body.data, body.len);
    /* A peer whose window has no room for this does not read; it gets none. */
    if (http_connection_send(c, all.data, all.len)) http_tls_bye(c);
    buf_release(&body);
    buf_release(&all);
}

void http_connection_refuse(struct http_connection *c, int status, const char *detail)
{
    send_problem(c, status, "", detail);
    cut(c);
}

void http_connection_refuse_in_call(struct http_connection *c, int status, const char *detail)
{
    send_problem(c, status, "", detail);
    c->cut = true;
    c->lingers = true;
    shutdown(c->fd, SHUT_WR);
    http_server_want_turn(c->server);
}

/* Closing at once would not do: data that comes for a closed socket is answered by a reset, which may overtake the
 * answer. */
void http_connection_part(struct http_connection *c)
{
    if (c->cut || c->parted || (c->exchange && c->exchange->stage != HTTP_STAGE_HEAD)) return;
    c->parted = true;
    send_problem(c, 503, "Retry-After: 1\r\n", "draining");
    shutdown(c->fd, SHUT_WR);
}

/*
 * A suspended connection is blind, and a FIN alone does not tell a client that closed from one that has only said all
 * it had to say (shutdown for writing) and listens on. What a closed socket does is answer anything sent to it with a
 * reset. So before an answer has begun, an interim answer is sent, which HTTP/1.1 lets us send at any time: a closed
 * peer's reset comes back as EPOLLHUP. Once the answer has begun nothing may be put between its bytes: a FIN then
 * counts as a hang-up, as does one of an HTTP/1.0 client, which knows no interim answers.
 */
void http_connection_judge(struct http_connection *c)
{
    static const char interim[] = "HTTP/1.1 102 Processing\r\n\r\n";
    struct http_exchange *x = c->exchange;
    if (!x || !x->suspended || x->parked || x->dead || (!c->peer_shut && !c->peer_gone)) return;
    if (!c->peer_gone && !c->probed && x->stage != HTTP_STAGE_ANSWER && !x->is_http_1_0) {
        c->probed = true;
        if (http_connection_send(c, interim, sizeof interim - 1)) return;
    }
    if (c->probed && !c->peer_gone && x->stage != HTTP_STAGE_ANSWER) return;
    x->dead = true;
    http_exchange_wake(x);
}

void http_connection_watch_event(uv_poll_t *poll, int status, int events)
{
    struct http_server *s = poll->data;
    struct epoll_event ready[64];
    int count;
    do {
        count = epoll_wait(s->watch_fd, ready, ARRAY_SIZE(ready), 0);
        for (int i = 0; i < count; i++) {
            struct http_connection *c = ready[i].data.ptr;
            http_tls_continue(c);
            if (!(ready[i].events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR))) continue;
            c->peer_shut = true;
            if (ready[i].events & (EPOLLHUP | EPOLLERR)) c->peer_gone = true;
            http_connection_judge(c);
        }
    } while (count == ARRAY_SIZE(ready));
}

static uint64_t ms_since(uint64_t now_ms, uint64_t then_ms)
{
    return now_ms > then_ms ? now_ms - then_ms : 0;
}

/* libmicrohttpd does not tell when the first byte of a head comes. The kernel knows when the last one came: one that
 * came after we began to wait belongs to a head that is still not whole. */
static bool has_begun_a_head(struct http_connection *c, uint64_t now_ms)
{
    struct tcp_info info;
    socklen_t size = sizeof info;
    if (getsockopt(c->fd, IPPROTO_TCP, TCP_INFO, &info, &size) < 0) return false;
    return info.tcpi_last_data_recv + 5 < ms_since(now_ms, c->since_ms);
}

static void sweep_head(struct http_connection *c, uint64_t now_ms)
{
    const struct http_server_options *o = &c->server->options;
    uint64_t waited = ms_since(now_ms, c->since_ms);
    if (!c->used) {
        if (waited >= o->header_timeout_ms) http_connection_refuse(c, 408, "the request's head took too long");
    } else if (c->head_began_ms) {
        if (ms_since(now_ms, c->head_began_ms) >= o->header_timeout_ms)
            http_connection_refuse(c, 408, "the request's head took too long");
    } else if (waited >= o->keepalive_timeout_ms) {
        cut(c);
    } else if (waited >= o->header_timeout_ms && has_begun_a_head(c, now_ms)) {
        c->head_began_ms = now_ms;
    }
}

/* The peer will send nothing more, nothing is left to read, and the body is not whole: it never will be. */
static bool will_stay_short(struct http_connection *c, uint64_t now_ms)
{
    enum { SETTLED_MS = 200 }; /* what the library has read but not given us yet is given by then */
    int unread = 0;
    return c->peer_shut && ms_since(now_ms, c->since_ms) >= SETTLED_MS && ioctl(c->fd, FIONREAD, &unread) == 0 &&
           unread == 0;
}

static void sweep_connection(struct http_connection *c, uint64_t now_ms)
{
    struct http_exchange *x = c->exchange;
    if (c->cut) return;
    if (!x) {
        sweep_head(c, now_ms);
    } else if (x->stage == HTTP_STAGE_HEAD) {
        if (ms_since(now_ms, c->since_ms) >= c->server->options.header_timeout_ms)
            http_connection_refuse(c, 408, "the request's head took too long");
    } else if (x->stage == HTTP_STAGE_BODY && !x->suspended && !x->response) {
        if (ms_since(now_ms, c->since_ms) >= c->server->options.body_timeout_ms)
            http_connection_refuse(c, 408, "the request's body came too slowly");
        else if (will_stay_short(c, now_ms))
            cut(c);
    }
}

void http_connection_sweep(uv_timer_t *timer)
{
    struct http_server *s = timer->data;
    uint64_t now_ms = uv_now(s->loop);
    for (struct http_connection *c = s->connections; c; c = c->next) sweep_connection(c, now_ms);
    http_linger_sweep(s, now_ms);
}
