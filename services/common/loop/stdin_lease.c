#include "common/loop/stdin_lease.h"

#include <errno.h>
#include <signal.h>
#include <unistd.h>

#include "common/observe/log.h"

static void end_lease(struct stdin_lease *l, const char *why)
{
    uv_poll_stop(&l->poll);
    uv_timer_stop(&l->timer);
    log_info("the lease has ended", LOG_STR("reason", why));
    kill(getpid(), SIGTERM);
}

static void on_silence(uv_timer_t *timer)
{
    end_lease(timer->data, "no byte on standard input");
}

/* The descriptor stays in blocking mode, because other processes may share it. A single read does not block, because
 * poll() has found that there is something to read. */
static void on_readable(uv_poll_t *poll, int status, int events)
{
    struct stdin_lease *l = poll->data;
    char bytes[4096];
    ssize_t n = status < 0 || !(events & (UV_READABLE | UV_DISCONNECT)) ? 0 : read(STDIN_FILENO, bytes, sizeof bytes);
    if (n < 0 && (errno == EINTR || errno == EAGAIN)) return;
    if (n <= 0)
        end_lease(l, "the end of standard input");
    else
        uv_timer_start(&l->timer, on_silence, l->limit_ms, 0);
}

bool stdin_lease_start(struct stdin_lease *l, uv_loop_t *loop, double seconds, char *err, size_t err_size)
{
    int fault = uv_poll_init(loop, &l->poll, STDIN_FILENO);
    if (fault) {
        snprintf(err, err_size, "standard input is not a pipe, a socket or a terminal, so it cannot be watched: %s",
                 uv_strerror(fault));
        return false;
    }
    l->limit_ms = (uint64_t)(seconds * 1e3) + 1;
    l->poll.data = l->timer.data = l;
    uv_timer_init(loop, &l->timer);
    uv_poll_start(&l->poll, UV_READABLE | UV_DISCONNECT, on_readable);
    uv_timer_start(&l->timer, on_silence, l->limit_ms, 0);
    uv_unref((uv_handle_t *)&l->poll);
    uv_unref((uv_handle_t *)&l->timer);
    return true;
}

void stdin_lease_stop(struct stdin_lease *l)
{
    if (!l->limit_ms) return;
    uv_close((uv_handle_t *)&l->poll, NULL);
    uv_close((uv_handle_t *)&l->timer, NULL);
    l->limit_ms = 0;
}
