#include "common/loop/turn_stall.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/buf.h"
#include "common/loop/progress.h"
#include "common/observe/log.h"
#include "common/observe/metrics.h"

/* If the loop has slept for at least this time, the loop is not busy. */
#define REAL_SLEEP_NS NS_PER_MS
#define SHOWN_MAX     4 /* the largest number of descriptors in a log line */

enum turn_cause stall_cause(int timeout_ms, bool awake, uint64_t slept_ns)
{
    if (timeout_ms == 0 && !awake) return TURN_BY_TIMER;
    if (timeout_ms > 0 && slept_ns >= (uint64_t)timeout_ms * NS_PER_MS) return TURN_BY_TIMER;
    return slept_ns >= REAL_SLEEP_NS ? TURN_AFTER_SLEEP : TURN_AT_ONCE;
}

bool stall_ended_turn(struct stall *s, enum turn_cause cause, uint64_t progress)
{
    bool moved = progress != s->progress;
    s->progress = progress;
    if (moved || cause == TURN_AFTER_SLEEP) s->turns = 0;
    if (moved || cause != TURN_AT_ONCE) return false;
    return ++s->turns >= STALL_TURNS;
}

static void add_address(struct buf *to, int fd, int (*ask)(int, struct sockaddr *, socklen_t *))
{
    struct sockaddr_storage address;
    socklen_t size = sizeof address;
    char text[INET6_ADDRSTRLEN];
    if (ask(fd, (struct sockaddr *)&address, &size) != 0) return;
    const struct sockaddr_in *v4 = (const struct sockaddr_in *)&address;
    const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)&address;
    bool is_v6 = address.ss_family == AF_INET6;
    if (!is_v6 && address.ss_family != AF_INET) return;
    const void *raw = is_v6 ? (const void *)&v6->sin6_addr : (const void *)&v4->sin_addr;
    if (inet_ntop(address.ss_family, raw, text, sizeof text))
        buf_addf(to, " %s:%u", text, ntohs(is_v6 ? v6->sin6_port : v4->sin_port));
}

/* Adds the number of a descriptor and what it refers to. For a socket, also adds its own address and the address of its
 * peer. */
static void add_descriptor(struct buf *to, int fd)
{
    char path[64], what[128];
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    ssize_t len = readlink(path, what, sizeof what - 1);
    what[len > 0 ? len : 0] = '\0';
    buf_addf(to, "%sdescriptor %d %s", to->len ? ", " : "", fd, what);
    add_address(to, fd, getsockname);
    add_address(to, fd, getpeername);
}

/* Asks the loop's epoll set which descriptors are ready. The set is level-triggered, so the query changes nothing. */
static void add_ready(struct buf *to, uv_loop_t *loop)
{
    struct epoll_event ready[SHOWN_MAX];
    int n = epoll_wait(uv_backend_fd(loop), ready, SHOWN_MAX, 0);
    for (int i = 0; i < n; i++) add_descriptor(to, ready[i].data.fd);
}

static void log_stall(struct turn_stall *t)
{
    struct buf text = {0};
    const char *step = turn_awake_step(t->worked.turn);
    if (step) buf_addf(&text, "step \"%s\"", step);
    add_ready(&text, t->loop);
    log_warn("the loop turns without progress", LOG_U64("turns", t->state.turns),
             LOG_STR("asked_by", text.len ? buf_cstr(&text) : "unknown"));
    buf_release(&text);
}

static void on_worked(void *data)
{
    struct turn_stall *t = data;
    if (!t->measures) return;
    enum turn_cause cause = stall_cause(t->timeout_ms, t->awake, uv_metrics_idle_time(t->loop) - t->slept_ns);
    if (!stall_ended_turn(&t->state, cause, progress_count)) return;
    ++*t->stalled;
    uint64_t now = uv_hrtime();
    if (now < t->log_from_ns) return;
    t->log_from_ns = now + STALL_LOG_S * NS_PER_S;
    log_stall(t);
}

static void on_sleeps(void *data)
{
    struct turn_stall *t = data;
    t->measures = true;
    t->timeout_ms = uv_backend_timeout(t->loop);
    t->awake = turn_awake_step(t->worked.turn) != NULL;
    t->slept_ns = uv_metrics_idle_time(t->loop);
}

void turn_stall_start(struct turn_stall *t, uv_loop_t *loop)
{
    *t = (struct turn_stall){.loop = loop};
    t->stalled = metric_counter("fantail_loop_stalled_turns_total",
                                "Turns of the event loop in which nothing was done. The first turns of a series of "
                                "such turns are not counted.",
                                "");
    uv_loop_configure(loop, UV_METRICS_IDLE_TIME);
    turn_add(loop, &t->worked, TURN_BEFORE_SLEEP_WORKED, on_worked, t);
    turn_add(loop, &t->sleeps, TURN_BEFORE_SLEEP_SLEEPS, on_sleeps, t);
}

void turn_stall_stop(struct turn_stall *t)
{
    turn_remove(&t->worked);
    turn_remove(&t->sleeps);
}
