#include "common/http_server/http_server_internal.h"

#include <errno.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "common/http_server/http_listen.h"

/* How many times the daemon may run in one turn: enough to read a request, answer it and end a stream, but not so many
 * that the rest of the loop waits long. */
#define RUNS_PER_TURN 8

/* Paths and queries are decoded in http_routes.c and http_request.c, not by the library. */
static size_t leave_escaped(void *cls, struct MHD_Connection *mhd, char *s)
{
    return strlen(s);
}

/* TLS 1.2 and 1.3. Session tickets are not enabled, because in a resumed session the client would not send its
 * certificate again. */
static const char tls_priorities[] = "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2:%SERVER_PRECEDENCE";

static struct MHD_Daemon *start_daemon(struct http_server *s)
{
    const struct tls_material *m = s->options.tls ? s->options.tls->current : NULL;
    const struct MHD_OptionItem tls[] = {
        {MHD_OPTION_HTTPS_MEM_CERT, 0, m ? m->pem[TLS_CERT].data : NULL},
        {MHD_OPTION_HTTPS_MEM_KEY, 0, m ? m->pem[TLS_KEY].data : NULL},
        {MHD_OPTION_HTTPS_PRIORITIES, 0, (void *)(uintptr_t)tls_priorities},
        {MHD_OPTION_END, 0, NULL},
    };
    return MHD_start_daemon(
        MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG | (m ? MHD_USE_TLS : 0), 0, NULL, NULL,
        http_exchange_on_request, s, MHD_OPTION_EXTERNAL_LOGGER, http_library_log, s, MHD_OPTION_LISTEN_SOCKET,
        s->listen_fd, MHD_OPTION_CONNECTION_LIMIT, s->options.max_connections, MHD_OPTION_CONNECTION_TIMEOUT, 0u,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, s->options.connection_bytes, MHD_OPTION_CONNECTION_MEMORY_INCREMENT,
        s->options.connection_bytes / 2, MHD_OPTION_NOTIFY_CONNECTION, http_connection_notify, s,
        MHD_OPTION_NOTIFY_COMPLETED, http_exchange_on_completed, s, MHD_OPTION_URI_LOG_CALLBACK, http_exchange_on_uri,
        s, MHD_OPTION_UNESCAPE_CALLBACK, leave_escaped, s, m ? MHD_OPTION_ARRAY : MHD_OPTION_END, tls, MHD_OPTION_END);
}

/* After the end of a request, the library may watch the socket for room to send. The library's edge-triggered epoll set
 * then immediately reports that there is room. This event would wake the loop for nothing, so the daemon runs once more
 * to consume the event. */
static bool wants_run(struct http_server *s)
{
    MHD_UNSIGNED_LONG_LONG timeout_ms = 1;
    if (s->turn_wanted || (MHD_get_timeout(s->daemon, &timeout_ms) == MHD_YES && timeout_ms == 0)) return true;
    bool reported = s->room_is_reported;
    s->room_is_reported = false;
    return reported;
}

/* Runs the daemon until it has nothing left to do now, but at most RUNS_PER_TURN times. */
static void server_turn(struct http_server *s)
{
    if (s->stopping) return;
    bool more = true;
    s->in_turn = true;
    s->turn++;
    s->turn_ns = uv_hrtime();
    http_exchange_unpark(s);
    http_tls_unpark(s);
    for (int i = 0; i < RUNS_PER_TURN && more; i++) {
        s->turn_wanted = false;
        http_exchange_resume_woken(s);
        http_wire_enter(s);
        MHD_run(s->daemon);
        http_wire_leave();
        more = wants_run(s);
    }
    s->in_turn = false;
    s->turn_wanted = false;
    s->unfinished = more || s->parked || s->tls.parked.n > 0;
    turn_stay_awake(&s->after_poll, s->unfinished);
    http_progress_after_turn(s, s->unfinished);
}

void http_server_want_turn(struct http_server *s)
{
    if (s->turn_wanted) return;
    s->turn_wanted = true;
    if (!s->in_turn) turn_stay_awake(&s->after_poll, true);
}

static void on_daemon_poll(uv_poll_t *poll, int status, int events)
{
    struct http_server *s = poll->data;
    s->turn_wanted = true;
}

/* Runs the server if another run was requested since the server's after-poll step of this turn. Work that the
 * after-poll step left unfinished waits for the next poll. */
static void before_sleep(void *server)
{
    struct http_server *s = server;
    if (s->turn_wanted) server_turn(s);
}

static void after_poll(void *server)
{
    struct http_server *s = server;
    if (s->turn_wanted || s->unfinished) server_turn(s);
}

static uint64_t min_u64(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static void on_handle_closed(uv_handle_t *handle)
{
    http_server_handle_closed(handle->data);
}

/* Returns 0 or an error of libuv. */
static int init_polls(struct http_server *s)
{
    s->daemon_fd = MHD_get_daemon_info(s->daemon, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd;
    int fault = uv_poll_init(s->loop, &s->daemon_poll, s->daemon_fd);
    if (fault) return fault;
    s->daemon_poll.data = s->watch_poll.data = s;
    s->open_handles++;
    fault = uv_poll_init(s->loop, &s->watch_poll, s->watch_fd);
    if (!fault) s->open_handles++;
    return fault;
}

static void start_handles(struct http_server *s)
{
    const struct http_server_options *o = &s->options;
    uint64_t shortest = min_u64(o->header_timeout_ms, min_u64(o->upload_pause_ms, o->keepalive_timeout_ms));
    uint64_t sweep_ms = min_u64(1000, shortest / 4 + 1);
    uv_timer_init(s->loop, &s->sweep);
    uv_timer_init(s->loop, &s->resume_timer);
    s->sweep.data = s->resume_timer.data = s;
    s->open_handles += 2;
    uv_poll_start(&s->daemon_poll, UV_READABLE, on_daemon_poll);
    uv_poll_start(&s->watch_poll, UV_READABLE, http_peer_on_event);
    uv_timer_start(&s->sweep, http_deadline_sweep, sweep_ms, sweep_ms);
    turn_add(s->loop, &s->after_poll, TURN_AFTER_POLL_SERVER, after_poll, s);
    turn_add(s->loop, &s->before_sleep, TURN_BEFORE_SLEEP_SERVER, before_sleep, s);
    http_server_want_turn(s);
}

static void set_defaults(struct http_server_options *o)
{
    if (!o->max_body_bytes) o->max_body_bytes = LIMIT_BODY_BYTES;
    if (!o->max_connections) o->max_connections = LIMIT_CONNECTIONS;
    if (!o->connection_bytes) o->connection_bytes = LIMIT_CONNECTION_BYTES;
    if (!o->header_timeout_ms) o->header_timeout_ms = LIMIT_HEADER_MS;
    if (!o->upload_pause_ms) o->upload_pause_ms = LIMIT_UPLOAD_PAUSE_S * 1000;
    if (!o->keepalive_timeout_ms) o->keepalive_timeout_ms = LIMIT_KEEPALIVE_S * 1000;
}

static void end_failed_start(struct http_server *s)
{
    bool has_handle = s->open_handles > 0;
    if (has_handle) uv_close((uv_handle_t *)&s->daemon_poll, on_handle_closed);
    if (s->daemon) MHD_stop_daemon(s->daemon);
    if (s->watch_fd >= 0) close(s->watch_fd);
    close(s->listen_fd);
    if (!has_handle) free(s);
}

struct http_server *http_server_start(uv_loop_t *loop, const struct http_server_options *options, char *err,
                                      size_t err_size)
{
    if (!http_wire_works()) {
        snprintf(err, err_size, "cannot start the HTTP server: libmicrohttpd does not call this program's recv()");
        return NULL;
    }
    int listen_fd = http_listen(options, err, err_size);
    if (listen_fd < 0) return NULL;
    struct http_server *s = xcalloc(1, sizeof *s);
    s->loop = loop;
    s->options = *options;
    s->listen_fd = listen_fd;
    set_defaults(&s->options);
    http_tls_start(s);
    http_progress_start();
    s->port = http_listen_port(listen_fd);
    s->watch_fd = epoll_create1(EPOLL_CLOEXEC);
    s->daemon = s->watch_fd < 0 ? NULL : start_daemon(s);
    int fault = s->daemon ? init_polls(s) : -errno;
    if (fault) {
        snprintf(err, err_size, "cannot start the HTTP server on port %u: %s", s->port, strerror(-fault));
        end_failed_start(s);
        return NULL;
    }
    s->scratch = xmalloc(HTTP_SCRATCH_BYTES);
    start_handles(s);
    return s;
}

uint16_t http_server_port(const struct http_server *s)
{
    return s->port;
}

void http_server_drain(struct http_server *s)
{
    s->draining = true;
}

unsigned http_server_open_exchanges(const struct http_server *s)
{
    return s->open_exchanges;
}

static void close_listener(struct http_server *s)
{
    if (s->listen_fd < 0) return;
    if (!s->arrive_end_ms) http_listen_refuse_new(s->listen_fd, s->options.host);
    /* The daemon stops using the socket, but does not close it. */
    MHD_quiesce_daemon(s->daemon);
    close(s->listen_fd);
    s->listen_fd = -1;
}

bool http_server_stop_listening(struct http_server *s)
{
    enum { FULL_MS = 1000 }; /* a full daemon accepts no connection, so the server stops waiting after this time */
    uint64_t now_ms = uv_now(s->loop);
    if (s->listen_fd < 0) return true;
    if (!s->arrive_end_ms) {
        http_listen_refuse_new(s->listen_fd, s->options.host);
        s->arrive_end_ms = now_ms + LIMIT_ARRIVE_MS;
    }
    if (now_ms < s->arrive_end_ms) return false;
    if (http_listen_has_waiting(s->listen_fd) && now_ms < s->arrive_end_ms + FULL_MS) {
        http_server_want_turn(s);
        return false;
    }
    close_listener(s);
    return true;
}

bool http_server_has_unsent(const struct http_server *s)
{
    for (const struct http_unsent_socket *u = s->unsent; u; u = u->next)
        if (http_connection_has_unsent(u->fd)) return true;
    for (const struct http_connection *c = s->connections; c; c = c->next)
        if (http_connection_has_unsent(c->fd)) return true;
    return false;
}

bool http_server_close_idle(struct http_server *s)
{
    uint64_t now_ms = uv_now(s->loop);
    if (!s->close_idle_end_ms) s->close_idle_end_ms = now_ms + LIMIT_CLOSE_IDLE_MS;
    for (struct http_connection *c = s->connections; c; c = c->next) http_connection_close_idle(c);
    return (!s->connections && !s->lingering) || now_ms >= s->close_idle_end_ms;
}

void http_server_handle_closed(struct http_server *s)
{
    if (--s->open_handles == 0) free(s);
}

void http_server_stop(struct http_server *s)
{
    if (!s) return;
    uv_handle_t *handles[] = {(uv_handle_t *)&s->daemon_poll, (uv_handle_t *)&s->watch_poll, (uv_handle_t *)&s->sweep,
                              (uv_handle_t *)&s->resume_timer};
    /* Closes the handles before their descriptors. The number of a closed descriptor may be reused, and the loop must
     * not poll a different file. */
    for (size_t i = 0; i < ARRAY_SIZE(handles); i++) uv_close(handles[i], on_handle_closed);
    turn_remove(&s->after_poll);
    turn_remove(&s->before_sleep);
    s->stopping = true;
    s->parked = s->woken = NULL;
    close_listener(s);
    http_linger_sweep(s, UINT64_MAX);
    /* The daemon aborts the process if a connection is suspended when the daemon is stopped. */
    for (struct http_connection *c = s->connections; c; c = c->next)
        if (c->tls_flow != HTTP_TLS_RUNS || (c->exchange && c->exchange->flow != HTTP_FLOW_RUNS))
            MHD_resume_connection(c->mhd);
    MHD_stop_daemon(s->daemon);
    http_connection_free_unsent(s);
    close(s->watch_fd);
    http_exchange_free_list(s);
    s->free_exchanges = NULL;
    free(s->scratch);
    free(s->by_fd);
    s->by_fd = NULL;
    s->by_fd_size = 0;
}
