/*
 * Connections of plain http. libcurl makes each connection, except those to socket files, and hands over the socket.
 * After that, the connection is called a wire. Either a call uses a wire, or the wire is kept for the next call to its
 * address. A kept wire stays watched: an event means that the peer closed it, or sent bytes that nobody asked for.
 * After any event, a kept wire is closed.
 */
#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/hash.h"
#include "common/http_client/http_client_internal.h"

static struct list *kept_list(struct http_client *c, uint64_t hash)
{
    return &c->kept[hash % HTTP_CLIENT_KEPT_LISTS];
}

static void serve(struct http_wire *w, int events)
{
    if (w->call)
        exchange_on_events(w->call, events);
    else
        wire_close(w);
}

/* Postpones the events of the wire to a later turn. Until that turn, libuv reports the events of the wire again in each
 * turn, which costs less than ending the watch and starting it again. But if libuv finds more than a thousand events,
 * it polls again and again in the same turn. So only some of the wires that wait for a later turn are watched. */
static void postpone(struct http_wire *w, int events)
{
    struct http_client *c = w->client;
    if (!w->postponed) list_push_back(&c->postponed, &w->postponed_link);
    w->postponed |= events;
    if (w->watched && c->postponed.n > HTTP_CLIENT_POSTPONED_WATCHED) {
        uv_poll_stop(&w->poll);
        w->watched_before |= w->watched;
        w->watched = 0;
    }
    turn_stay_awake(&c->long_answers, true);
}

static int take_postponed(struct http_wire *w)
{
    int events = w->postponed;
    if (events) list_remove(&w->client->postponed, &w->postponed_link);
    w->postponed = 0;
    return events;
}

void client_serve_postponed(struct http_client *c)
{
    struct list_link *at;
    while (!c->freed && (at = list_next(&c->postponed, NULL)) && client_has_time_for_events(c)) {
        struct http_wire *w = CONTAINER_OF(at, struct http_wire, postponed_link);
        int events = take_postponed(w), before = w->watched_before;
        w->watched_before = 0;
        if (before) wire_watch(w, w->watched | before);
        serve(w, events);
    }
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
    struct http_wire *w = CONTAINER_OF(poll, struct http_wire, poll);
    if (status < 0) {
        events = w->watched; /* the wire is broken; reading it shows why */
        w->watched = 0;      /* libuv has stopped the watch */
    }
    if (events && (w->postponed || !client_has_time_for_events(w->client)))
        postpone(w, events);
    else
        serve(w, events);
}

void wire_watch(struct http_wire *w, int events)
{
    if (w->watched == events) return;
    w->watched = events;
    uv_poll_start(&w->poll, events, on_poll);
}

static void on_closed(uv_handle_t *handle)
{
    struct http_wire *w = CONTAINER_OF(handle, struct http_wire, poll);
    struct http_client *c = w->client;
    free(w->address);
    free(w);
    client_handle_closed(c);
}

static void forget(struct http_wire *w)
{
    if (!w->is_kept) return;
    list_remove(kept_list(w->client, w->hash), &w->same_hash);
    list_remove(&w->client->kept_by_age, &w->by_age);
    w->is_kept = false;
}

void wire_close(struct http_wire *w)
{
    forget(w);
    take_postponed(w);
    uv_close((uv_handle_t *)&w->poll, on_closed);
    close(w->fd);
}

struct http_wire *wire_new(struct http_call *call, int fd)
{
    struct http_client *c = call->client;
    struct http_wire *w = xcalloc(1, sizeof *w);
    if (uv_poll_init_socket(c->loop, &w->poll, fd) != 0) {
        free(w);
        return NULL;
    }
    uv_unref((uv_handle_t *)&w->poll);
    c->open_handles++;
    w->client = c;
    w->fd = fd;
    w->address = xstrdup(buf_cstr(&call->address));
    w->hash = hash_text(w->address);
    w->made_ms = uv_now(c->loop);
    return w;
}

void wire_keep(struct http_wire *w)
{
    struct http_client *c = w->client;
    w->call = NULL;
    take_postponed(w);
    w->watched_before = 0;
    w->kept_ms = uv_now(c->loop);
    w->is_kept = true;
    list_push_front(kept_list(c, w->hash), &w->same_hash);
    list_push_back(&c->kept_by_age, &w->by_age);
    wire_watch(w, UV_READABLE);
    if (c->kept_by_age.n <= HTTP_CLIENT_MAX_KEPT) return;
    wire_close(CONTAINER_OF(list_next(&c->kept_by_age, NULL), struct http_wire, by_age));
}

/* Asks the kernel whether the wire is open: the peer may have closed it since the loop's last poll. */
static bool is_alive(const struct http_wire *w)
{
    char byte;
    return recv(w->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0 && (errno == EAGAIN || errno == EWOULDBLOCK);
}

static bool is_usable(const struct http_wire *w)
{
    const struct http_client *c = w->client;
    uint64_t now = uv_now(c->loop), idle_ms = c->options.max_idle_connection_ms,
             age_ms = c->options.max_connection_age_ms;
    if (now - w->kept_ms >= (idle_ms ? idle_ms : HTTP_CLIENT_IDLE_MS)) return false;
    return (age_ms == 0 || now - w->made_ms < age_ms) && !w->postponed && is_alive(w);
}

struct http_wire *wire_take(struct http_call *call)
{
    struct http_client *c = call->client;
    const char *address = buf_cstr(&call->address);
    uint64_t hash = hash_text(address);
    struct list *kept = kept_list(c, hash);
    for (struct list_link *at = list_next(kept, NULL); at;) {
        struct http_wire *w = CONTAINER_OF(at, struct http_wire, same_hash);
        at = list_next(kept, at);
        if (w->hash != hash || strcmp(w->address, address) != 0) continue;
        if (is_usable(w)) {
            forget(w);
            return w;
        }
        wire_close(w);
    }
    return NULL;
}

void client_wires_init(struct http_client *c)
{
    for (size_t i = 0; i < HTTP_CLIENT_KEPT_LISTS; i++) list_init(&c->kept[i]);
    list_init(&c->kept_by_age);
    list_init(&c->postponed);
}

void client_wires_release(struct http_client *c)
{
    for (struct list_link *at; (at = list_next(&c->kept_by_age, NULL));)
        wire_close(CONTAINER_OF(at, struct http_wire, by_age));
}
