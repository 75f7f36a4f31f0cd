/*
 * Watches curl's sockets in the loop. Starting or ending a watch costs system calls, so a pooled connection stays
 * watched between two requests. An event between two requests means that the peer closed the connection.
 */
#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/http_client/http_client_internal.h"
#include "common/net/unix_address.h"

/* A socket in the loop. The struct is freed in the callback of uv_close(): from then on no event can refer to it. */
struct client_socket {
    uv_poll_t poll;
    struct http_client *client;
    int fd;
    int wanted;  /* the events that curl asked for: UV_READABLE, UV_WRITABLE */
    int watched; /* the events that libuv watches */
    /* If opened_here and connected are both true, the connection works, and curl will call client_close_socket() to
     * close it. For sockets that never connected, and for sockets of its resolver, curl 7.88 does not call that
     * function. The end of these sockets is marked only by CURL_POLL_REMOVE. */
    bool opened_here, connected;
    bool dead;
    struct http_call *call; /* the call that uses the socket now; NULL: none */
};

static void on_poll(uv_poll_t *poll, int status, int events);

static void watch(struct client_socket *s, int events)
{
    if (s->watched == events) return;
    s->watched = events;
    if (events)
        uv_poll_start(&s->poll, events, on_poll);
    else
        uv_poll_stop(&s->poll);
}

/* Reports a broken socket to curl as ready, so that curl finds the error. */
static void on_poll(uv_poll_t *poll, int status, int events)
{
    struct client_socket *s = CONTAINER_OF(poll, struct client_socket, poll);
    if (status < 0) {
        s->watched = 0; /* libuv has stopped the watch */
        events = s->wanted;
    }
    if (s->call && s->call->flow == CALL_FLOW_HELD) return; /* the call is in the queue, and will be read soon */
    if (events & ~s->wanted) watch(s, s->wanted);
    int mask = (events & s->wanted & UV_READABLE ? CURL_CSELECT_IN : 0) |
               (events & s->wanted & UV_WRITABLE ? CURL_CSELECT_OUT : 0);
    if (!mask) return;
    if (s->call && s->call->flow != CALL_FLOW_SHORT && mask == CURL_CSELECT_IN) {
        call_move_flow(s->call, CALL_FLOW_READY);
        return;
    }
    client_drive(s->client, s->fd, mask);
    if (!s->dead && s->wanted && !s->watched) watch(s, s->wanted);
}

static struct client_socket *socket_find(const struct http_client *c, int fd)
{
    return (size_t)fd < c->sockets_count ? c->sockets[fd] : NULL;
}

static struct client_socket *socket_new(struct http_client *c, int fd)
{
    struct client_socket *s = xcalloc(1, sizeof *s);
    *s = (struct client_socket){.client = c, .fd = fd};
    if ((size_t)fd >= c->sockets_count) {
        size_t count = (size_t)fd + 64;
        c->sockets = xrealloc(c->sockets, count * sizeof *c->sockets);
        memset(c->sockets + c->sockets_count, 0, (count - c->sockets_count) * sizeof *c->sockets);
        c->sockets_count = count;
    }
    if (uv_poll_init_socket(c->loop, &s->poll, fd) != 0) {
        free(s);
        return NULL;
    }
    uv_unref((uv_handle_t *)&s->poll);
    c->open_handles++;
    return c->sockets[fd] = s;
}

static void on_socket_closed(uv_handle_t *handle)
{
    struct client_socket *s = CONTAINER_OF(handle, struct client_socket, poll);
    client_handle_closed(s->client);
    free(s);
}

/* Forgets a descriptor that is closed, or is about to be closed. Call it before the loop sleeps, so that the loop does
 * not poll the descriptor. */
static void socket_bury(struct http_client *c, int fd)
{
    struct client_socket *s = socket_find(c, fd);
    if (!s) return;
    c->sockets[fd] = NULL;
    s->dead = true;
    s->wanted = 0;
    uv_close((uv_handle_t *)&s->poll, on_socket_closed);
}

curl_socket_t client_open_socket(void *client, curlsocktype purpose, struct curl_sockaddr *address)
{
    struct http_client *c = client;
    int fd = socket(address->family, address->socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, address->protocol);
    if (fd < 0) return CURL_SOCKET_BAD;
    if (address->family == AF_UNIX) unix_address_widen(fd);
    /* If `sockets` still has an entry for this descriptor, curl closed the socket of that entry without calling us.
     * curl mistakes the new socket for the old one, and will not tell us again which events to wait for. */
    const struct client_socket *stale = socket_find(c, fd);
    int wanted = stale ? stale->wanted : 0;
    socket_bury(c, fd);
    struct client_socket *s = socket_new(c, fd);
    if (!s) {
        close(fd);
        return CURL_SOCKET_BAD;
    }
    s->opened_here = true;
    s->wanted = wanted;
    watch(s, wanted);
    return fd;
}

int client_close_socket(void *client, curl_socket_t fd)
{
    socket_bury(client, fd);
    return close(fd);
}

int client_on_curl_socket(CURL *easy, curl_socket_t fd, int what, void *client, void *unused)
{
    struct http_client *c = client;
    struct client_socket *s = socket_find(c, fd);
    if (!s && what == CURL_POLL_REMOVE) return 0;
    if (!s) s = socket_new(c, fd); /* curl opened this socket without calling us, for example for its resolver */
    if (!s) return -1;
    if (what == CURL_POLL_REMOVE && !(s->opened_here && s->connected)) {
        socket_bury(c, fd);
        return 0;
    }
    char *owner = NULL;
    libcurl.easy_getinfo(easy, CURLINFO_PRIVATE, &owner);
    s->call = what == CURL_POLL_REMOVE ? NULL : (struct http_call *)(void *)owner;
    if (s->call) s->call->fd = fd;
    if (what == CURL_POLL_REMOVE) what = CURL_POLL_NONE;
    s->wanted = (what & CURL_POLL_IN ? UV_READABLE : 0) | (what & CURL_POLL_OUT ? UV_WRITABLE : 0);
    if (s->wanted & UV_READABLE) s->connected = true; /* curl waits for readability only after it has connected */
    if (s->wanted & ~s->watched) watch(s, s->wanted);
    return 0;
}
