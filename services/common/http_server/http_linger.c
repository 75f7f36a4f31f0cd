/*
 * Keeps a socket open after the answer to a request whose body was not read. Closing a socket with unread bytes makes
 * the kernel send a reset. The reset can overtake the answer, and the client then sees a lost connection instead of the
 * answer. So a second descriptor keeps the socket open for a while after libmicrohttpd has closed its own descriptor.
 * The server reads and drops a part of the body. The rest of the body stays in the kernel's buffer, and when this
 * buffer is full, the client cannot send more. The server closes the second descriptor when the client closes the
 * connection, but at the latest after LIMIT_LINGER_MS.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/http_server/http_server_internal.h"

struct http_linger {
    struct http_server *server;
    struct http_linger *next, *prev;
    uv_poll_t poll;
    int fd;
    size_t dropped;
    uint64_t end_ms;
};

static void on_closed(uv_handle_t *handle)
{
    struct http_linger *l = handle->data;
    http_server_handle_closed(l->server);
    free(l);
}

static void end(struct http_linger *l)
{
    struct http_server *s = l->server;
    if (l->next) l->next->prev = l->prev;
    *(l->prev ? &l->prev->next : &s->lingering) = l->next;
    s->lingering_count--;
    uv_close((uv_handle_t *)&l->poll, on_closed);
    close(l->fd);
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
    static char dropped[64 * KIB];
    struct http_linger *l = poll->data;
    ssize_t n = status < 0 ? 0 : recv(l->fd, dropped, sizeof dropped, MSG_DONTWAIT);
    if (n < 0 && errno == EAGAIN) return;
    if (n <= 0) {
        end(l);
        return;
    }
    l->dropped += (size_t)n;
    if (l->dropped >= LIMIT_LINGER_BYTES) uv_poll_start(poll, UV_DISCONNECT, on_poll);
}

void http_linger_start(struct http_server *s, int fd)
{
    if (s->lingering_count == LIMIT_LINGERING) return;
    int kept = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    if (kept < 0) return;
    struct http_linger *l = xcalloc(1, sizeof *l);
    if (uv_poll_init(s->loop, &l->poll, kept) != 0) {
        close(kept);
        free(l);
        return;
    }
    l->server = s;
    l->next = s->lingering;
    l->fd = kept;
    l->end_ms = uv_now(s->loop) + LIMIT_LINGER_MS;
    if (l->next) l->next->prev = l;
    s->lingering = l;
    s->lingering_count++;
    s->open_handles++;
    shutdown(kept, SHUT_WR);
    l->poll.data = l;
    uv_poll_start(&l->poll, UV_READABLE | UV_DISCONNECT, on_poll);
}

void http_linger_sweep(struct http_server *s, uint64_t now_ms)
{
    for (struct http_linger *l = s->lingering, *next; l; l = next) {
        next = l->next;
        if (now_ms >= l->end_ms) end(l);
    }
}
