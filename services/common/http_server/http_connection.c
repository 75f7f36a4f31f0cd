#include "common/http_server/http_server_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/memory_room.h"
#include "common/loop/progress.h"
#include "common/net/unix_address.h"
#include "common/observe/log.h"

/* A refusal is logged only if the previous refusal was at least this long ago. */
enum { MEMORY_LOG_MS = 60000 };

static const char *const state_names[] = {
    [HTTP_CONNECTION_OPEN] = "open",
    [HTTP_CONNECTION_CLOSE_SENT] = "close_sent",
    [HTTP_CONNECTION_CUT] = "cut",
};
static_assert(ARRAY_SIZE(state_names) == HTTP_CONNECTION_STATE_COUNT, "every state has a name");

static void connection_move(struct http_connection *c, enum http_connection_state to)
{
    log_debug("connection moved", LOG_I64("fd", c->fd), LOG_STR("from", state_names[c->state]),
              LOG_STR("to", state_names[to]));
    c->state = to;
}

static void refuse_for_memory(struct http_connection *c);

static void connection_opened(struct http_server *s, struct MHD_Connection *mhd, void **context)
{
    struct http_connection *c = xcalloc(1, sizeof *c);
    c->server = s;
    c->mhd = mhd;
    c->fd = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
    if (unix_address_path(s->options.host)) unix_address_widen(c->fd);
    s->connection_count++;
    progress_note();
    c->next = s->connections;
    if (c->next) c->next->prev = c;
    s->connections = c;
    c->moved_in_turn = s->turn;
    c->since_ms = uv_now(s->loop);
    http_wire_add(c);
    struct epoll_event event = {.events = EPOLLRDHUP | EPOLLET | http_tls_open(c), .data.ptr = c};
    if (epoll_ctl(s->watch_fd, EPOLL_CTL_ADD, c->fd, &event) < 0)
        http_connection_refuse(c, 503, "out of resources");
    else if (!memory_has_reserve())
        refuse_for_memory(c);
    *context = c;
}

bool http_connection_has_unsent(int fd)
{
    int unsent = 0;
    struct tcp_info info;
    socklen_t size = sizeof info;
    if (ioctl(fd, SIOCOUTQ, &unsent) != 0 || unsent <= 0) return false;
    /* If the peer has reset the connection, the kernel never clears the connection's count of unsent bytes. */
    return getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size) != 0 || info.tcpi_state != TCP_CLOSE;
}

static void keep_unsent(struct http_server *s, int fd)
{
    int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    if (copy < 0) return;
    struct http_unsent_socket *u = xcalloc(1, sizeof *u);
    *u = (struct http_unsent_socket){.next = s->unsent, .fd = copy};
    s->unsent = u;
}

void http_connection_free_unsent(struct http_server *s)
{
    for (struct http_unsent_socket *u; (u = s->unsent);) {
        s->unsent = u->next;
        close(u->fd);
        free(u);
    }
}

/* Frees the connection. Closing the descriptor would not suffice to remove it from the epoll set: a child process that
 * is being started may hold a copy of the descriptor for a moment, and epoll would still report events of that copy. */
static void connection_closed(struct http_connection *c)
{
    epoll_ctl(c->server->watch_fd, EPOLL_CTL_DEL, c->fd, NULL);
    if (c->server->draining && !c->server->stopping && http_connection_has_unsent(c->fd)) keep_unsent(c->server, c->fd);
    c->server->connection_count--;
    progress_note();
    if (c->next) c->next->prev = c->prev;
    if (c->prev)
        c->prev->next = c->next;
    else
        c->server->connections = c->next;
    /* When the limit on connections is reached, the daemon stops accepting. The daemon accepts again only in its next
     * run. */
    if (!c->server->stopping) http_server_want_turn(c->server);
    if (!c->server->stopping && c->lingers) http_linger_start(c->server, c->fd);
    http_wire_remove(c);
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

static bool is_zero(const char *data, size_t len)
{
    return data[0] == 0 && memcmp(data, data + 1, len - 1) == 0;
}

/* Between requests the library keeps all memory of a connection, and fills that memory with zeros. A page that was
 * returned to the kernel reads as zeros too, so nothing changes for the library. If the memory contains anything but
 * zeros, this function does not return the memory. A suspended connection is skipped, because the library may have
 * closed such a connection and freed its memory already. */
bool http_connection_free_memory(struct http_connection *c)
{
    const struct http_framing *f = &c->framing;
    char *memory = c->memory;
    unsigned char pages[LIMIT_CONNECTION_BYTES / 4096];
    if (!memory || c->exchange || f->state != HTTP_FRAMING_START || f->empty_line) return false;
    c->memory = NULL;
    if (MHD_get_connection_info(c->mhd, MHD_CONNECTION_INFO_CONNECTION_SUSPENDED)->suspended) return false;
    if ((uintptr_t)memory % (uintptr_t)getpagesize() != 0) return false;
    size_t size = c->server->options.connection_bytes;
    if (mincore(memory, size, pages) < 0) return false; /* a part of the memory is not mapped */
    if (is_zero(memory, size)) madvise(memory, size, MADV_DONTNEED);
    return true;
}

/* Shuts down both directions. libmicrohttpd notices this and closes the connection. */
void http_connection_cut(struct http_connection *c)
{
    connection_move(c, HTTP_CONNECTION_CUT);
    shutdown(c->fd, SHUT_RDWR);
    http_server_want_turn(c->server);
}

static void write_headers(const char *headers, size_t len, struct buf *out)
{
    for (size_t at = 0; at < len;) {
        const char *name = headers + at, *value = name + strlen(name) + 1;
        buf_addf(out, "%s: %s\r\n", name, value);
        at += strlen(name) + strlen(value) + 2;
    }
}

/* Writes the headers that every answer to this request has. If the library has not passed on the request's head yet,
 * makes the headers from the part of the head that was read. */
static void write_first_headers(const struct http_connection *c, struct buf *out)
{
    const struct http_server_options *o = &c->server->options;
    const struct http_exchange *x = c->exchange;
    struct buf headers = {0};
    if (x && x->stage != HTTP_STAGE_HEAD) {
        write_headers(x->headers.data, x->first_headers_len, out);
    } else if (o->add_headers) {
        o->add_headers(o->admit_data, http_framing_origin(&c->framing), &headers);
        write_headers(headers.data, headers.len, out);
        buf_release(&headers);
    }
}

static void send_problem(struct http_connection *c, int status, const char *more_headers, const char *detail)
{
    struct buf body, all;
    buf_init(&body, 0);
    buf_init(&all, 0);
    http_problem_body(&body, status, NULL, detail);
    buf_addf(&all, "HTTP/1.1 %d %s\r\nContent-Type: application/problem+json\r\nContent-Length: %zu\r\n", status,
             http_status_title(status), body.len);
    write_first_headers(c, &all);
    buf_addf(&all, "%sCache-Control: no-store\r\nConnection: close\r\n\r\n", more_headers);
    buf_add(&all, body.data, body.len);
    /* If the socket's send buffer has no room for the answer, the peer is not reading, and gets no answer. */
    if (http_connection_send(c, all.data, all.len)) http_tls_bye(c);
    buf_release(&body);
    buf_release(&all);
}

void http_connection_refuse(struct http_connection *c, int status, const char *detail)
{
    send_problem(c, status, "", detail);
    http_connection_cut(c);
}

/* Refuses a new connection because memory is short. The library has already mapped the memory of the connection, and
 * frees it in the same turn. */
static void refuse_for_memory(struct http_connection *c)
{
    struct http_server *s = c->server;
    uint64_t now_ms = uv_now(s->loop), before_ms = s->memory_short_ms;
    s->memory_short_ms = now_ms;
    if (!before_ms || now_ms - before_ms >= MEMORY_LOG_MS)
        log_warn("connections are refused because the memory limit is reached",
                 LOG_U64("connections", s->connection_count));
    http_tls_refused(c);
    c->lingers = true; /* the client may be sending its first request */
    send_problem(c, 503, "Retry-After: 1\r\n",
                 "the service has reached its memory limit, and accepts no more connections");
    http_connection_cut(c);
}

void http_connection_refuse_in_call(struct http_connection *c, int status, const char *detail)
{
    send_problem(c, status, "", detail);
    connection_move(c, HTTP_CONNECTION_CUT);
    c->lingers = true;
    shutdown(c->fd, SHUT_WR);
    http_server_want_turn(c->server);
}

void http_connection_reject(struct http_connection *c, int status, const char *detail)
{
    const struct http_server_options *o = &c->server->options;
    struct http_exchange *x = c->exchange;
    if (x && !x->status) x->status = status;
    /* If an exchange has received its headers, on_done() is called when the exchange ends, so it is not called here. */
    if ((!x || x->stage == HTTP_STAGE_HEAD) && o->on_done) o->on_done(o->data, "", "", status, 0);
    log_debug("request refused", LOG_I64("fd", c->fd), LOG_I64("status", status), LOG_STR("detail", detail));
    http_connection_refuse_in_call(c, status, detail);
}

/* Leaves the socket open for now. If the socket were closed, the kernel would answer further data with a reset, and the
 * reset could overtake the answer. */
void http_connection_close_idle(struct http_connection *c)
{
    if (c->state != HTTP_CONNECTION_OPEN || (c->exchange && c->exchange->stage != HTTP_STAGE_HEAD)) return;
    connection_move(c, HTTP_CONNECTION_CLOSE_SENT);
    char more[128];
    const char *mark = c->server->options.unasked_header;
    snprintf(more, sizeof more, "Retry-After: 1\r\n%s", mark ? mark : "");
    send_problem(c, 503, more, "draining");
    shutdown(c->fd, SHUT_WR);
}
