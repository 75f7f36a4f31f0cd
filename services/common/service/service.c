#include "common/service/service.h"

#include <errno.h>
#include <signal.h>
#include <unistd.h>

#include "common/base/limits.h"
#include "common/base/spare_memory.h"
#include "common/base/start_memory.h"
#include "common/loop/busy_poll.h"
#include "common/loop/parent.h"
#include "common/loop/progress.h"
#include "common/loop/stdin_lease.h"
#include "common/loop/turn_stall.h"
#include "common/loop/turn_time.h"
#include "common/observe/metrics.h"
#include "common/service/drain.h"
#include "common/service/service_http.h"

/* A reload is followed by a gap without reloads. If SIGHUP arrives during the gap, once or several times, one more
 * reload follows at the end of the gap. The gap lasts for RELOAD_GAP_MS plus RELOAD_SHARE times the duration of the
 * reload. So reloads take only a small part of the loop's time. */
#define RELOAD_GAP_MS 500
#define RELOAD_SHARE  10

struct service {
    uv_loop_t *loop;
    const struct service_config *config;
    const struct service_hooks *hooks;
    struct service_http http;
    struct drain drain;
    int asked_by;      /* the signal that asked the service to end */
    uint64_t asked_ns; /* when this signal came */
    uv_signal_t signals[3];
    uv_timer_t reload_timer; /* active during the gap after a reload */
    bool reload_again;       /* a signal came during this gap */
    struct turn_step log_step, memory_step;
    struct busy_poller busy_poller;
    struct stdin_lease lease;
    struct turn_time turn_time;
    struct turn_stall turn_stall;
};

static const int signal_numbers[] = {SIGTERM, SIGINT, SIGHUP};
static_assert(ARRAY_SIZE(signal_numbers) == ARRAY_SIZE(((struct service *)0)->signals), "a handle for each signal");

uint16_t service_port(const struct service *s)
{
    return http_server_port(s->http.server);
}

uint16_t service_admin_port(const struct service *s)
{
    return s->http.admin ? http_server_port(s->http.admin) : 0;
}

void service_set_ready(struct service *s, bool ready, const char *reason)
{
    if (s->drain.state != SERVICE_RUNNING) return;
    service_http_set_ready(&s->http, ready, reason);
}

void service_shutdown(struct service *s)
{
    drain_begin(&s->drain);
}

void service_poke(struct service *s)
{
    drain_poke(&s->drain);
}

static void on_reload_gap_over(uv_timer_t *timer);

static void reload(struct service *s)
{
    uint64_t began = now_ns();
    s->reload_again = false;
    log_info("asked to reload");
    access_reload(&s->http.access);
    service_http_reload(&s->http);
    if (s->hooks->reload) s->hooks->reload(s->hooks->data);
    uint64_t took_ms = (now_ns() - began) / NS_PER_MS;
    uv_update_time(s->loop);
    uv_timer_start(&s->reload_timer, on_reload_gap_over, RELOAD_GAP_MS + RELOAD_SHARE * took_ms, 0);
}

static void on_reload_gap_over(uv_timer_t *timer)
{
    struct service *s = timer->data;
    if (s->reload_again) reload(s);
}

static void on_hangup(struct service *s)
{
    if (uv_is_active((uv_handle_t *)&s->reload_timer))
        s->reload_again = true;
    else
        reload(s);
}

static void on_signal(uv_signal_t *handle, int number)
{
    struct service *s = handle->data;
    if (number == SIGHUP) {
        on_hangup(s);
        return;
    }
    if (s->drain.state != SERVICE_RUNNING && number == s->asked_by &&
        now_ns() - s->asked_ns < SAME_SIGNAL_MS * NS_PER_MS)
        return;
    if (s->drain.state != SERVICE_RUNNING) {
        log_error("asked to end a second time: ending at once", LOG_I64("signal", number));
        if (s->drain.state < SERVICE_CLOSING && s->hooks->abort) s->hooks->abort(s->hooks->data);
        log_flush_wait(100);
        _exit(1);
    }
    log_info("asked to end", LOG_I64("signal", number), LOG_F64("shutdown_delay_s", s->config->shutdown_delay_s),
             LOG_F64("drain_s", s->config->drain_s));
    s->asked_by = number;
    s->asked_ns = now_ns();
    service_shutdown(s);
}

/* Starting. */

const char *const service_log_formats[] = {"json", "plain", NULL};

void service_prepare(const struct service_config *config, const char *name)
{
    /* While these signals are ignored, a write fails with an error if the pipe is closed or the file would become too
     * large. The worker restores the default actions for its task processes. */
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN);
    log_set_service(name);
    log_set_level((enum log_level)config->log_level);
    log_set_plain(config->log_format == 1);
}

static void finish_turn(void *service)
{
    struct service *s = service;
    log_flush();
    if (spare_memory_waits()) turn_stay_awake(&s->memory_step, true);
}

static void free_memory(void *service)
{
    struct service *s = service;
    spare_memory_step();
    progress_note();
    turn_stay_awake(&s->memory_step, spare_memory_waits());
}

static bool start_signals(struct service *s, char *err, size_t err_size)
{
    for (size_t i = 0; i < ARRAY_SIZE(s->signals); i++) {
        int fault = uv_signal_init(s->loop, &s->signals[i]);
        if (fault) {
            snprintf(err, err_size, "cannot handle signals: %s", uv_strerror(fault));
            while (i > 0) uv_close((uv_handle_t *)&s->signals[--i], NULL);
            uv_run(s->loop, UV_RUN_NOWAIT);
            return false;
        }
        s->signals[i].data = s;
        uv_unref((uv_handle_t *)&s->signals[i]);
        uv_signal_start(&s->signals[i], on_signal, signal_numbers[i]);
    }
    return true;
}

static void start_handles(struct service *s)
{
    drain_init(&s->drain, s->loop, s->config, s->hooks, &s->http);
    uv_timer_init(s->loop, &s->reload_timer);
    uv_unref((uv_handle_t *)&s->reload_timer);
    s->reload_timer.data = s;
    turn_time_start(&s->turn_time, s->loop);
    turn_stall_start(&s->turn_stall, s->loop);
    busy_poller_start(&s->busy_poller, s->loop, s->config->busy_poll_us);
    turn_add(s->loop, &s->log_step, TURN_BEFORE_SLEEP_LOG, finish_turn, s);
    turn_add(s->loop, &s->memory_step, TURN_IDLE_FREED_MEMORY, free_memory, s);
}

/* Writes to --ready-fd. If nobody reads the pipe any longer, the service continues. But with --exit-with-parent the
 * reader of the pipe is the parent, so a failed write makes the start fail. */
static bool write_ready(struct service *s, char *err, size_t err_size)
{
    int fd = (int)s->config->ready_fd;
    if (fd < 0) return true;
    char line[64];
    int len = snprintf(line, sizeof line, "ready %u %u\n", service_port(s), service_admin_port(s));
    bool written = write(fd, line, (size_t)len) == len;
    int why = errno;
    close(fd);
    if (written || !s->config->exit_with_parent) return true;
    snprintf(err, err_size, "cannot write to --ready-fd %d: %s", fd, strerror(why));
    return false;
}

struct service *service_start(uv_loop_t *loop, const struct service_config *config, const struct service_hooks *hooks,
                              char *err, size_t err_size)
{
    service_prepare(config, hooks->name);
    struct service *s = xcalloc(1, sizeof *s);
    *s = (struct service){.loop = loop, .config = config, .hooks = hooks};
    if (!start_signals(s, err, err_size)) {
        free(s);
        return NULL;
    }
    start_handles(s);
    if (config->exit_with_parent && !parent_tie((pid_t)config->parent_pid, err, err_size)) goto fail;
    if (config->stdin_lease_s > 0 && !stdin_lease_start(&s->lease, loop, config->stdin_lease_s, err, err_size))
        goto fail;
    metrics_register_process(hooks->name);
    if (!service_http_start(&s->http, loop, config, hooks, err, err_size)) goto fail;
    if (!write_ready(s, err, err_size)) goto fail;
    log_info("listening", LOG_STR("host", config->host), LOG_U64("port", service_port(s)),
             LOG_U64("admin_port", service_admin_port(s)), LOG_STR("version", FANTAIL_VERSION));
    service_warn_of_open_port(config);
    log_set_deferred(true);
    return s;
fail:
    service_http_stop(&s->http);
    service_free(s);
    return NULL;
}

int service_run(struct service *s)
{
    start_memory_release();
    uv_run(s->loop, UV_RUN_DEFAULT);
    if (s->drain.state != SERVICE_CLOSING) BUG("the loop ended before the service");
    drain_stop(&s->drain);
    log_set_deferred(false);
    log_flush_wait(1000);
    return 0;
}

/* When the handle of a signal is closed, libuv restores the signal's default action. With the default action, a later
 * signal would kill a program that has already finished successfully. So from now on these signals are ignored. These
 * signals are blocked while their actions change. A signal that arrives while it is blocked stays pending, and is
 * discarded as soon as its action is SIG_IGN. */
static void ignore_signals(struct service *s)
{
    sigset_t all, before;
    sigemptyset(&all);
    for (size_t i = 0; i < ARRAY_SIZE(signal_numbers); i++) sigaddset(&all, signal_numbers[i]);
    pthread_sigmask(SIG_BLOCK, &all, &before);
    for (size_t i = 0; i < ARRAY_SIZE(s->signals); i++) {
        uv_close((uv_handle_t *)&s->signals[i], NULL);
        signal(signal_numbers[i], SIG_IGN);
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

void service_free(struct service *s)
{
    if (!s) return;
    ignore_signals(s);
    drain_close(&s->drain);
    uv_close((uv_handle_t *)&s->reload_timer, NULL);
    turn_remove(&s->log_step);
    turn_remove(&s->memory_step);
    spare_memory_stop();
    busy_poller_stop(&s->busy_poller);
    stdin_lease_stop(&s->lease);
    turn_time_stop(&s->turn_time);
    turn_stall_stop(&s->turn_stall);
    uv_run(s->loop, UV_RUN_NOWAIT);
    service_http_release(&s->http);
    log_set_service(NULL);
    free(s);
}
