/*
 * The library reads and writes its sockets with recv(), send(), sendmsg(), gnutls_record_recv() and
 * gnutls_record_send(). This file defines functions with these names, and the dynamic linker resolves the library's
 * calls to them. So these functions see every byte before the library does, without extra system calls. Calls for other
 * descriptors, and all calls outside the daemon's turns, are forwarded unchanged.
 *
 * Each connection has an http_framing, which checks the bytes that the connection receives. If the bytes have a fault,
 * the library does not get them: the client gets our answer, and the library sees the end of the connection. If earlier
 * requests of the connection are not answered yet, our answer waits until they are.
 *
 * The library also watches each socket for room to send, even if it has nothing to send. On a Unix-domain socket, each
 * read by the peer makes room, and so each answer would wake this service once more. So this file also defines
 * epoll_ctl(). Our epoll_ctl() watches a socket for room only at two times: before the first send, and between a send
 * that found too little room and the next send that succeeds.
 */
#include <dlfcn.h>
#include <errno.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/http_server/http_server_internal.h"
#include "common/loop/progress.h"

/* These declarations set the symbol names of our functions. The system headers may define inline functions with these
 * names; those functions are not used here. */
ssize_t http_wire_recv(int fd, void *data, size_t size, int flags) __asm__("recv");
ssize_t http_wire_send(int fd, const void *data, size_t size, int flags) __asm__("send");
ssize_t http_wire_sendmsg(int fd, const struct msghdr *message, int flags) __asm__("sendmsg");
int http_wire_epoll_ctl(int epoll_fd, int op, int fd, struct epoll_event *event) __asm__("epoll_ctl");
ssize_t http_wire_record_recv(gnutls_session_t session, void *data, size_t size) __asm__("gnutls_record_recv");
ssize_t http_wire_record_send(gnutls_session_t session, const void *data, size_t size) __asm__("gnutls_record_send");

static ssize_t (*real_record_recv)(gnutls_session_t session, void *data, size_t size);
static ssize_t (*real_record_send)(gnutls_session_t session, const void *data, size_t size);

/* The server whose daemon runs on this thread. */
static _Thread_local struct http_server *running;

void http_wire_enter(struct http_server *s)
{
    running = s;
}

void http_wire_leave(void)
{
    running = NULL;
}

static void *real(const char *name)
{
    void *found = dlsym(RTLD_NEXT, name);
    if (!found) BUG("no %s() in the libraries", name);
    return found;
}

static void find_real(void)
{
    real_record_recv = (ssize_t(*)(gnutls_session_t, void *, size_t))real("gnutls_record_recv");
    real_record_send = (ssize_t(*)(gnutls_session_t, const void *, size_t))real("gnutls_record_send");
}

bool http_wire_works(void)
{
    find_real();
    return dlsym(RTLD_DEFAULT, "recv") == (void *)http_wire_recv &&
           dlsym(RTLD_DEFAULT, "send") == (void *)http_wire_send &&
           dlsym(RTLD_DEFAULT, "sendmsg") == (void *)http_wire_sendmsg &&
           dlsym(RTLD_DEFAULT, "epoll_ctl") == (void *)http_wire_epoll_ctl &&
           dlsym(RTLD_DEFAULT, "gnutls_record_recv") == (void *)http_wire_record_recv &&
           dlsym(RTLD_DEFAULT, "gnutls_record_send") == (void *)http_wire_record_send;
}

void http_wire_add(struct http_connection *c)
{
    struct http_server *s = c->server;
    size_t fd = (size_t)c->fd;
    if (fd >= s->by_fd_size) {
        size_t size = (fd + 1) * 2;
        s->by_fd = xrealloc(s->by_fd, size * sizeof(struct http_connection *));
        memset(s->by_fd + s->by_fd_size, 0, (size - s->by_fd_size) * sizeof(struct http_connection *));
        s->by_fd_size = size;
    }
    s->by_fd[fd] = c;
}

void http_wire_remove(struct http_connection *c)
{
    struct http_server *s = c->server;
    if ((size_t)c->fd < s->by_fd_size) s->by_fd[c->fd] = NULL;
    if (s->current == c) s->current = NULL;
}

static struct http_connection *connection_at(int fd)
{
    return running && fd >= 0 && (size_t)fd < running->by_fd_size ? running->by_fd[fd] : NULL;
}

static struct http_connection *connection_of(gnutls_session_t session)
{
    gnutls_transport_ptr_t from, to;
    if (!running) return NULL;
    gnutls_transport_get_ptr2(session, &from, &to);
    struct http_connection *c = connection_at((int)(intptr_t)to);
    return c && c->tls == session ? c : NULL;
}

static ssize_t note_moved(struct http_connection *c, ssize_t n)
{
    if (n > 0) progress_note();
    if (c && n > 0) c->moved_in_turn = c->server->turn;
    return n;
}

static void note_head(struct http_connection *c)
{
    if (!http_framing_in_head(&c->framing))
        c->head_began_ms = 0;
    else if (!c->head_began_ms)
        c->head_began_ms = uv_now(c->server->loop);
}

/* The library puts the first bytes of a connection at the start of the connection's memory. The first bytes of a later
 * request are put at the same place, unless they follow bytes that the library has not parsed yet. */
static void note_memory(struct http_connection *c, char *data)
{
    if (!c->first_data) c->first_data = data;
    if (c->framing.state == HTTP_FRAMING_START && data == c->first_data) c->memory = data;
}

/* Looks for the Origin of a refused head in the bytes after the fault. Some of the bytes after the fault were read
 * already, and others are still in the socket. */
static void find_origin(struct http_connection *c, const char *rest, size_t len)
{
    struct buf all = {0};
    ssize_t n =
        c->tls ? 0 : recvfrom(c->fd, c->server->scratch, HTTP_SCRATCH_BYTES, MSG_PEEK | MSG_DONTWAIT, NULL, NULL);
    buf_add(&all, rest, len);
    if (n > 0) buf_add(&all, c->server->scratch, (size_t)n);
    http_framing_find_origin(&c->framing, all.data, all.len);
    buf_release(&all);
}

enum { CLOSE = -1 };

/* Returns how many of the bytes the library gets, or CLOSE if the library must close the connection. */
static ssize_t read_bytes(struct http_connection *c, char *data, size_t len)
{
    struct http_framing *f = &c->framing;
    bool was_faulty = http_framing_is_faulty(f);
    size_t whole, passed = http_framing_feed(f, data, len, &whole);
    if (c->state != HTTP_CONNECTION_OPEN && was_faulty) return 0;
    note_head(c);
    c->moved_in_turn = c->server->turn;
    progress_note();
    if (f->state == HTTP_FRAMING_ENDED && passed == 0) return CLOSE;
    if (!http_framing_is_faulty(f)) return (ssize_t)passed;
    if (!was_faulty && !http_framing_origin(f)) find_origin(c, data + passed, len - passed);
    if (whole > 0 || c->answered < f->messages || c->state != HTTP_CONNECTION_OPEN) return (ssize_t)whole;
    http_connection_reject(c, f->status, f->fault);
    return CLOSE;
}

void http_wire_answered(struct http_connection *c)
{
    struct http_framing *f = &c->framing;
    c->answered++;
    c->head_began_ms = 0;
    note_head(c);
    if (c->state != HTTP_CONNECTION_OPEN || c->lingers || c->server->draining) return; /* c is being closed */
    if (http_framing_is_faulty(f) && c->answered == f->messages) http_connection_refuse(c, f->status, f->fault);
}

/* Shows the library the end of a connection that was cut. Bytes that have arrived are not read: the client was told
 * that its request is refused, so the request must not be carried out. */
static ssize_t end_of_cut(struct http_connection *c)
{
    c->memory = NULL; /* the library closes the connection */
    return 0;
}

/* If the library gets fewer bytes than it asked for, it assumes that the socket is empty. So if http_framing removed
 * bytes and the socket is not empty, this function reads more bytes in their place. */
static ssize_t receive(struct http_connection *c, char *data, size_t size, int flags)
{
    size_t got = 0;
    note_memory(c, data);
    if (c->state == HTTP_CONNECTION_CUT) return end_of_cut(c);
    for (;;) {
        ssize_t n = recvfrom(c->fd, data + got, size - got, flags, NULL, NULL);
        if (n == 0 || (n < 0 && errno != EAGAIN)) c->memory = NULL; /* the library closes the connection */
        if (n <= 0) return got > 0 ? (ssize_t)got : n;
        ssize_t kept = read_bytes(c, data + got, (size_t)n);
        if (kept == CLOSE) c->memory = NULL;
        if (kept == CLOSE) return 0;
        bool is_empty = (size_t)n < size - got, reads_on = c->framing.state < HTTP_FRAMING_ENDED;
        got += (size_t)kept;
        if (got > 0 && (kept == n || is_empty || !reads_on)) return (ssize_t)got;
        if (!reads_on) break;
    }
    errno = EAGAIN;
    return -1;
}

ssize_t http_wire_recv(int fd, void *data, size_t size, int flags)
{
    struct http_connection *c = connection_at(fd);
    if (c) c->server->current = c;
    if (!c || c->tls) return note_moved(c, recvfrom(fd, data, size, flags, NULL, NULL));
    return receive(c, data, size, flags);
}

ssize_t http_wire_record_recv(gnutls_session_t session, void *data, size_t size)
{
    struct http_connection *c = connection_of(session);
    if (!real_record_recv) find_real();
    if (c) note_memory(c, data);
    if (c && c->state == HTTP_CONNECTION_CUT) return end_of_cut(c);
    for (;;) {
        ssize_t n = real_record_recv(session, data, size);
        if (c && n <= 0 && n != GNUTLS_E_AGAIN) c->memory = NULL;
        if (!c || n <= 0) return n;
        c->server->current = c;
        n = read_bytes(c, data, (size_t)n);
        if (n != 0) return n == CLOSE ? 0 : n;
        if (c->framing.state >= HTTP_FRAMING_ENDED) return GNUTLS_E_AGAIN;
    }
}

static int set_watch(int epoll_fd, int op, int fd, struct epoll_event *event)
{
    return (int)syscall(SYS_epoll_ctl, epoll_fd, op, fd, event);
}

/* Records whether a send has sent all bytes. If not, the library assumes that the socket has no room, and waits for
 * EPOLLOUT, so this function begins to watch the socket for room. */
static ssize_t note_sent(struct http_connection *c, ssize_t n, size_t size)
{
    if (!c || c->tls) return note_moved(c, n);
    int error = errno;
    c->has_room = n >= 0 && (size_t)n == size;
    if (!c->has_room && c->watch.events && !c->watched_for_room)
        c->watched_for_room = set_watch(c->server->daemon_fd, EPOLL_CTL_MOD, c->fd, &c->watch) == 0;
    errno = error;
    return note_moved(c, n);
}

ssize_t http_wire_send(int fd, const void *data, size_t size, int flags)
{
    return note_sent(connection_at(fd), sendto(fd, data, size, flags, NULL, 0), size);
}

ssize_t http_wire_sendmsg(int fd, const struct msghdr *message, int flags)
{
    size_t size = 0;
    for (size_t i = 0; i < message->msg_iovlen; i++) size += message->msg_iov[i].iov_len;
    return note_sent(connection_at(fd), syscall(SYS_sendmsg, fd, message, flags), size);
}

/* Adds the socket to the library's epoll set, but watches it for room only while it is not known to have room. Before
 * its first send, the library waits for EPOLLOUT to learn that it may send. */
static int watch(struct http_connection *c, struct epoll_event event)
{
    c->watch = event;
    c->watched_for_room = (event.events & EPOLLOUT) && !c->has_room;
    if (!c->watched_for_room) event.events &= ~(uint32_t)EPOLLOUT;
    if (c->watched_for_room && c->answered > 0 && !c->exchange) c->server->room_is_reported = true;
    return set_watch(c->server->daemon_fd, EPOLL_CTL_ADD, c->fd, &event);
}

int http_wire_epoll_ctl(int epoll_fd, int op, int fd, struct epoll_event *event)
{
    struct http_connection *c = connection_at(fd);
    if (!c || epoll_fd != c->server->daemon_fd) return set_watch(epoll_fd, op, fd, event);
    if (op == EPOLL_CTL_ADD) return watch(c, *event);
    c->watch.events = 0;
    return set_watch(epoll_fd, op, fd, event);
}

ssize_t http_wire_record_send(gnutls_session_t session, const void *data, size_t size)
{
    struct http_connection *c = connection_of(session);
    if (!real_record_send) find_real();
    return note_moved(c, real_record_send(session, data, size));
}
