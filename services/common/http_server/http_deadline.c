/* Enforces the time limits of a connection: for a head, for a pause in a body, and between requests. */
#include <sys/ioctl.h>

#include "common/http_server/http_server_internal.h"

#define FREE_MEMORY_NS  (5 * NS_PER_MS)
#define MEMORY_SHORT_MS 30000 /* how long memory counts as short after a refusal for lack of memory */

static uint64_t ms_since(uint64_t now_ms, uint64_t then_ms)
{
    return now_ms > then_ms ? now_ms - then_ms : 0;
}

/* Idle connections must not block new ones. So if three quarters of the connections are open, or memory is short, an
 * idle connection gets no more time than a new connection has for its first request. */
static uint64_t keepalive_ms(const struct http_server *s, uint64_t now_ms)
{
    const struct http_server_options *o = &s->options;
    bool crowded = s->connection_count >= o->max_connections - o->max_connections / 4 ||
                   (s->memory_short_ms && ms_since(now_ms, s->memory_short_ms) < MEMORY_SHORT_MS);
    return crowded && o->header_timeout_ms < o->keepalive_timeout_ms ? o->header_timeout_ms : o->keepalive_timeout_ms;
}

static void sweep_head(struct http_connection *c, uint64_t now_ms)
{
    const struct http_server_options *o = &c->server->options;
    uint64_t waited = ms_since(now_ms, c->since_ms);
    if (c->head_began_ms) {
        if (ms_since(now_ms, c->head_began_ms) >= o->header_timeout_ms)
            http_connection_refuse(c, 408, "the request's head took too long");
    } else if (!c->used) {
        if (waited >= o->header_timeout_ms) http_connection_refuse(c, 408, "no request has arrived");
    } else if (waited >= keepalive_ms(c->server, now_ms)) {
        http_connection_cut(c);
    }
}

/* Returns true if the body will never be complete: the peer sends nothing more, and nothing is left to read. */
static bool will_stay_short(struct http_connection *c, uint64_t now_ms)
{
    enum { SETTLED_MS = 200 }; /* after this time the library has passed on everything that it has read */
    int unread = 0;
    return c->peer != HTTP_PEER_HERE && ms_since(now_ms, c->since_ms) >= SETTLED_MS &&
           ioctl(c->fd, FIONREAD, &unread) == 0 && unread == 0;
}

static void sweep_body(struct http_connection *c, uint64_t now_ms)
{
    uint64_t pause_ms = c->server->options.upload_pause_ms;
    if (ms_since(now_ms, c->since_ms) >= pause_ms) {
        char detail[64];
        snprintf(detail, sizeof detail, "no byte of the body arrived for %g s", (double)pause_ms / 1000);
        http_connection_refuse(c, 408, detail);
    } else if (will_stay_short(c, now_ms)) {
        http_connection_cut(c);
    }
}

static void sweep_connection(struct http_connection *c, uint64_t now_ms)
{
    struct http_exchange *x = c->exchange;
    if (c->state == HTTP_CONNECTION_CUT) return;
    if (!x || x->stage == HTTP_STAGE_HEAD) {
        sweep_head(c, now_ms);
    } else if (x->stage == HTTP_STAGE_BODY && x->flow == HTTP_FLOW_RUNS) {
        sweep_body(c, now_ms);
    }
}

static bool holds_idle_memory(const struct http_connection *c, uint64_t now_ms)
{
    return !c->exchange && c->memory && ms_since(now_ms, c->since_ms) >= LIMIT_IDLE_MEMORY_MS;
}

/* Checks each connection, and returns the memory of idle connections to the kernel. Returning the memory of one
 * connection takes about 30 us. To keep the loop responsive, a sweep returns memory only for FREE_MEMORY_NS; another
 * sweep soon continues. The checks and the returns share one walk over the connections, because most of the walk's time
 * is spent on loading the connections from memory. */
static void sweep_all(struct http_server *s, uint64_t now_ms)
{
    enum { SOON_MS = 50 };
    uint64_t end_ns = uv_hrtime() + FREE_MEMORY_NS;
    bool late = false;
    for (struct http_connection *c = s->connections; c; c = c->next) {
        sweep_connection(c, now_ms);
        if (late || !holds_idle_memory(c, now_ms) || !http_connection_free_memory(c)) continue;
        late = uv_hrtime() >= end_ns;
        if (late) uv_timer_start(&s->sweep, http_deadline_sweep, SOON_MS, uv_timer_get_repeat(&s->sweep));
    }
}

void http_deadline_sweep(uv_timer_t *timer)
{
    struct http_server *s = timer->data;
    uint64_t now_ms = uv_now(s->loop);
    sweep_all(s, now_ms);
    http_linger_sweep(s, now_ms);
}
