#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/http_client/http_client_internal.h"
#include "common/net/unix_address.h"

/* After so many rounds others get a turn of the loop first. */
#define MAX_ROUNDS 8
/* So long answers of many bytes are read in one turn of the loop. */
#define BULK_TURN_NS (200 * NS_PER_US)

/* A socket curl uses. Watching costs system calls to begin and to end, so a pooled connection stays watched between
 * requests; what comes then is its end. It dies with uv_close(), never inside the turn whose events may name it. */
struct client_socket {
    uv_poll_t poll;
    struct http_client *client;
    int fd;
    int wanted, watched; /* UV_READABLE, UV_WRITABLE: by curl; at libuv */
    /* It is a connection that works, so client_close_socket() will tell its end. curl 7.88 closes sockets that never
     * connected, and those of its resolver, behind our back: for them CURL_POLL_REMOVE is the end. */
    bool opened_here, connected;
    bool dead;
    struct http_call *call; /* whose it is, while something is wanted of it */
};

static void drive(struct http_client *c, curl_socket_t fd, int mask)
{
    int running;
    c->busy++;
    curl_multi_socket_action(c->multi, fd, mask, &running);
    c->busy--;
    client_settle(c);
}

/* Long answers. Reading one can take milliseconds, as curl goes on for as long as there is something to read, and a
 * short answer to another call must not wait for that. So a call that has brought TURN_BYTES is held and queues: calls
 * of this kind are read in turns, for BULK_TURN_NS in one turn of the loop; all others at once. */

static void bulk_add(struct http_call *call)
{
    struct http_client *c = call->client;
    call->bulk = true;
    if (call->queued) return;
    call->queued = true;
    call->next_bulk = NULL;
    *c->bulk_tail = call;
    c->bulk_tail = &call->next_bulk;
    turn_stay_awake(&c->long_answers, true);
}

void client_forget_bulk(struct http_call *call)
{
    struct http_client *c = call->client;
    call->held = false;
    if (!call->queued) return;
    struct http_call **at = &c->bulk;
    while (*at != call) at = &(*at)->next_bulk;
    *at = call->next_bulk;
    if (c->bulk_tail == &call->next_bulk) c->bulk_tail = at;
    call->queued = false;
}

void client_hold(struct http_call *call)
{
    call->held = true;
    curl_easy_pause(call->easy, CURLPAUSE_RECV);
    bulk_add(call);
}

static void read_bulk(struct http_call *call)
{
    struct http_client *c = call->client;
    call->turn_bytes = 0;
    if (call->held && call->state == CALL_RUNNING) {
        c->busy++;
        call_flow(call);
        c->busy--;
    }
    if (call->state == CALL_RUNNING)
        drive(c, call->fd, CURL_CSELECT_IN);
    else
        client_settle(c);
}

static void run_bulk(struct http_client *c)
{
    if (!c->bulk) return;
    uint64_t until = uv_hrtime() + BULK_TURN_NS;
    while (c->bulk && !c->freed) {
        struct http_call *call = c->bulk;
        bool held = call->held;
        client_forget_bulk(call);
        call->held = held;
        read_bulk(call);
        if (uv_hrtime() >= until) return;
    }
}

static void on_handle_closed(struct http_client *c)
{
    if (--c->open_handles > 0) return;
    curl_global_cleanup();
    free(c->sockets);
    free(c);
}

/* Sockets. */

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

/* A broken socket is told as ready, so that curl's own call finds out what is wrong with it. */
static void on_poll(uv_poll_t *poll, int status, int events)
{
    struct client_socket *s = CONTAINER_OF(poll, struct client_socket, poll);
    if (status < 0) {
        s->watched = 0; /* libuv stopped it */
        events = s->wanted;
    }
    if (s->call && s->call->held) return; /* it queues, and will be read soon */
    if (events & ~s->wanted) watch(s, s->wanted);
    int mask = (events & s->wanted & UV_READABLE ? CURL_CSELECT_IN : 0) |
               (events & s->wanted & UV_WRITABLE ? CURL_CSELECT_OUT : 0);
    if (!mask) return;
    if (s->call && s->call->bulk && mask == CURL_CSELECT_IN) {
        bulk_add(s->call);
        return;
    }
    drive(s->client, s->fd, mask);
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
    on_handle_closed(s->client);
    free(s);
}

/* Must come before the loop waits with the descriptor closed. */
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
    /* Closed behind our back and opened again: curl takes it for the same one and will not say again what it wants. */
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

static int on_curl_socket(CURL *easy, curl_socket_t fd, int what, void *client, void *unused)
{
    struct http_client *c = client;
    struct client_socket *s = socket_find(c, fd);
    if (!s && what == CURL_POLL_REMOVE) return 0;
    if (!s) s = socket_new(c, fd); /* one of curl's own, such as its resolver's */
    if (!s) return -1;
    if (what == CURL_POLL_REMOVE && !(s->opened_here && s->connected)) {
        socket_bury(c, fd);
        return 0;
    }
    char *owner = NULL;
    curl_easy_getinfo(easy, CURLINFO_PRIVATE, &owner);
    s->call = what == CURL_POLL_REMOVE ? NULL : (struct http_call *)(void *)owner;
    if (s->call) s->call->fd = fd;
    if (what == CURL_POLL_REMOVE) what = CURL_POLL_NONE;
    s->wanted = (what & CURL_POLL_IN ? UV_READABLE : 0) | (what & CURL_POLL_OUT ? UV_WRITABLE : 0);
    if (s->wanted & UV_READABLE) s->connected = true; /* before that curl only waits for the way out */
    if (s->wanted & ~s->watched) watch(s, s->wanted);
    return 0;
}

/* Time. */

static void on_curl_time(uv_timer_t *timer)
{
    struct http_client *c = timer->data;
    c->due = false;
    drive(c, CURL_SOCKET_TIMEOUT, 0);
}

static int on_curl_timer(CURLM *multi, long timeout_ms, void *client)
{
    struct http_client *c = client;
    c->due = timeout_ms == 0;
    if (c->due)
        client_kick(c);
    else if (timeout_ms < 0)
        uv_timer_stop(&c->curl_timer);
    else
        uv_timer_start(&c->curl_timer, on_curl_time, (uint64_t)timeout_ms, 0);
    return 0;
}

/* A call must be sent before the loop sleeps. The step after the poll sends what this turn's events started, the step
 * before sleep sends what was started since. A callback in the step before sleep may ask something of a part of the
 * program whose step is already over; so the loop then does not sleep. Otherwise it may: the peer of what was just sent
 * often waits for this very processor. */
void client_kick(struct http_client *c)
{
    if (c->kicked || c->freed) return;
    c->kicked = true;
    turn_stay_awake(&c->long_answers, true);
}

void client_keep_loop(struct http_client *c, bool keep)
{
    turn_keep_loop(&c->after_poll, keep);
}

static void run_kick(struct http_client *c)
{
    for (int round = 0; round < MAX_ROUNDS && c->kicked && !c->freed; round++) {
        c->kicked = false;
        client_settle(c);
        if (c->freed || !c->due) continue;
        c->due = false;
        drive(c, CURL_SOCKET_TIMEOUT, 0);
    }
}

static void rest(struct http_client *c)
{
    if (!c->kicked && !c->bulk) turn_stay_awake(&c->long_answers, false);
}

static void before_sleep(void *client)
{
    struct http_client *c = client;
    c->told = false;
    run_kick(c);
    if (!c->told) rest(c);
}

static void after_poll(void *client)
{
    struct http_client *c = client;
    run_kick(c);
    rest(c);
}

/* A phase of its own, after all steps that follow the poll: short answers and requests are done before. */
static void read_long_answers(void *client)
{
    struct http_client *c = client;
    run_kick(c);
    run_bulk(c);
}

void client_loop_init(struct http_client *c)
{
    uv_timer_init(c->loop, &c->curl_timer);
    uv_timer_init(c->loop, &c->silence_timer);
    c->curl_timer.data = c->silence_timer.data = c;
    c->open_handles = 2;
    c->bulk_tail = &c->bulk;
    turn_add(c->loop, &c->after_poll, TURN_AFTER_POLL_CLIENT, after_poll, c);
    turn_add(c->loop, &c->long_answers, TURN_IDLE_LONG_ANSWERS, read_long_answers, c);
    turn_add(c->loop, &c->before_sleep, TURN_BEFORE_SLEEP_CLIENT, before_sleep, c);
    uv_unref((uv_handle_t *)&c->curl_timer);
    uv_unref((uv_handle_t *)&c->silence_timer);
    curl_multi_setopt(c->multi, CURLMOPT_SOCKETFUNCTION, on_curl_socket);
    curl_multi_setopt(c->multi, CURLMOPT_SOCKETDATA, c);
    curl_multi_setopt(c->multi, CURLMOPT_TIMERFUNCTION, on_curl_timer);
    curl_multi_setopt(c->multi, CURLMOPT_TIMERDATA, c);
}

static void on_fixed_handle_closed(uv_handle_t *handle)
{
    on_handle_closed(handle->data);
}

void client_loop_close(struct http_client *c)
{
    uv_close((uv_handle_t *)&c->curl_timer, on_fixed_handle_closed);
    uv_close((uv_handle_t *)&c->silence_timer, on_fixed_handle_closed);
    turn_remove(&c->after_poll);
    turn_remove(&c->long_answers);
    turn_remove(&c->before_sleep);
}
