/*
 * Finds connections that keep the daemon busy without moving bytes. The library reports that it wants to run again, but
 * does not report for which connection. So when the daemon has wanted to run again in many successive turns, all
 * connections are checked. A connection is suspect if the event that it waits for has occurred, but the connection has
 * not received, sent or handed over any bytes in any of these turns. The event may have occurred just before the check.
 * So a connection is closed only if a second check, after the same number of turns, finds no progress either. Idle and
 * suspended connections are never suspect: the socket of an idle connection is not ready, and a suspended connection
 * does not wait for its socket.
 */
#include <poll.h>

#include "common/http_server/http_server_internal.h"
#include "common/observe/log.h"
#include "common/observe/metrics.h"

#define STILL_TURNS 256
/* Time between two checks. A check of many connections takes milliseconds. */
#define CHECK_MS 500

static uint64_t *stuck;

void http_progress_start(void)
{
    stuck = metric_counter("fantail_http_stuck_connections_total",
                           "Connections closed because they kept the loop busy without transferring bytes.", "");
}

static bool is_ready(const struct http_connection *c)
{
    const struct http_exchange *x = c->exchange;
    if (c->tls_flow != HTTP_TLS_RUNS || c->state == HTTP_CONNECTION_CUT || (x && x->flow != HTTP_FLOW_RUNS))
        return false;
    struct pollfd socket = {.fd = c->fd, .events = x && x->stage >= HTTP_STAGE_WHOLE ? POLLOUT : POLLIN};
    if (!(socket.events & POLLOUT) && c->tls && gnutls_record_check_pending(c->tls) > 0) return true;
    return poll(&socket, 1, 0) == 1;
}

static void end(struct http_connection *c, uint64_t turns)
{
    const struct http_exchange *x = c->exchange;
    ++*stuck;
    log_warn("connection closed: it kept the loop busy without transferring bytes", LOG_I64("fd", c->fd),
             LOG_U64("turns", turns), LOG_STR("method", x && x->method ? x->method : ""),
             LOG_STR("path", x && x->path ? x->path : ""));
    c->still_in_turn = 0;
    if (x && (x->response || x->stage == HTTP_STAGE_ANSWER))
        http_connection_cut(c);
    else
        http_connection_refuse(c, 400, "the request makes no progress");
}

static void check(struct http_connection *c)
{
    uint64_t turn = c->server->turn;
    if (turn - c->moved_in_turn < STILL_TURNS || !is_ready(c))
        c->still_in_turn = 0;
    else if (!c->still_in_turn)
        c->still_in_turn = turn;
    else if (c->moved_in_turn < c->still_in_turn)
        end(c, turn - c->moved_in_turn);
    else
        c->still_in_turn = 0;
}

void http_progress_after_turn(struct http_server *s, bool more)
{
    s->busy_turns = more ? s->busy_turns + 1 : 0;
    if (s->busy_turns < STILL_TURNS) return;
    uint64_t now_ms = uv_now(s->loop);
    if (now_ms < s->progress_check_ms + CHECK_MS) return;
    s->progress_check_ms = now_ms;
    s->busy_turns = 0;
    for (struct http_connection *c = s->connections; c; c = c->next) check(c);
}
