#include "common/service/service.h"

#include <errno.h>
#include <signal.h>
#include <unistd.h>

#include "common/base/limits.h"
#include "common/base/spare_memory.h"
#include "common/base/start_memory.h"
#include "common/loop/parent.h"
#include "common/loop/turn_time.h"
#include "common/observe/metrics.h"
#include "common/service/busy_poll.h"
#include "common/service/service_http.h"

#define CHECK_MS 20
/* How long the service may take to send the answers to requests that hooks->cut has ended. */
#define CUT_MS 2000
/* How long the program's own handles may take to close after hooks->stop. After this time the program ends even if some
 * are open. */
#define CLOSE_MS 5000

/* If signals come within this gap after a reload, one reload follows at the end of the gap. After a slow reload the gap
 * is longer. So even if many signals come, reloads take only a part of the loop's time. */
#define RELOAD_GAP_MS 500
#define RELOAD_SHARE  10

enum service_state { RUNNING, DELAYING, DRAINING, CUTTING, CLOSING_IDLE, CLOSING, SERVICE_STATE_COUNT };
static const char *const state_names[] = {"running", "delaying", "draining", "cutting", "closing_idle", "closing"};
static_assert(ARRAY_SIZE(state_names) == SERVICE_STATE_COUNT, "one name per state");

struct service {
    uv_loop_t *loop;
    const struct service_config *config;
    const struct service_hooks *hooks;
    struct service_http http;
    enum service_state state;
    int asked_by;          /* the signal that asked the service to end */
    uint64_t asked_ns;     /* when this signal came */
    uint64_t drain_end_ms; /* the deadline of DRAINING, later that of CUTTING */
    uv_signal_t signals[3];
    uv_timer_t timer;        /* ends DELAYING, then calls on_check() in the next states, then ends CLOSING */
    uv_timer_t reload_timer; /* active during the gap after a reload */
    bool reload_again;       /* a signal came during this gap */
    struct turn_step log_step, memory_step;
    struct busy_poller busy_poller;
    struct turn_time turn_time;
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

static void move(struct service *s, enum service_state to)
{
    log_debug("service moved", LOG_STR("from", state_names[s->state]), LOG_STR("to", state_names[to]));
    s->state = to;
}

void service_set_ready(struct service *s, bool ready, const char *reason)
{
    if (s->state != RUNNING) return;
    service_http_set_ready(&s->http, ready, reason);
}

/* Shutdown: RUNNING -> DELAYING -> DRAINING (-> CUTTING) -> CLOSING_IDLE -> CLOSING. */

static void on_close_late(uv_timer_t *timer)
{
    struct service *s = timer->data;
    log_warn("not everything was closed in time");
    uv_stop(s->loop);
}

static void begin_closing(struct service *s)
{
    move(s, CLOSING);
    service_http_stop_public(&s->http);
    if (s->hooks->stop) s->hooks->stop(s->hooks->data);
    log_info("closed");
    service_http_stop(&s->http);
    /* From here on only the program's own handles keep the loop alive. */
    for (size_t i = 0; i < ARRAY_SIZE(s->signals); i++) uv_unref((uv_handle_t *)&s->signals[i]);
    uv_timer_start(&s->timer, on_close_late, CLOSE_MS, 0);
    uv_unref((uv_handle_t *)&s->timer);
}

static bool is_idle(const struct service *s)
{
    const struct http_server *server = s->http.server;
    return (!s->hooks->idle || s->hooks->idle(s->hooks->data)) && http_server_open_exchanges(server) == 0 &&
           !http_server_has_unsent(server);
}

static void begin_closing_idle(struct service *s)
{
    move(s, CLOSING_IDLE);
    log_info(is_idle(s) ? "drained" : "the drain timed out; running requests are cut off");
}

static void begin_cutting(struct service *s)
{
    move(s, CUTTING);
    s->drain_end_ms = uv_now(s->loop) + CUT_MS;
    log_warn("the drain timed out; running work is ended",
             LOG_U64("requests", http_server_open_exchanges(s->http.server)));
    if (s->hooks->cut) s->hooks->cut(s->hooks->data);
}

/* Checks whether DRAINING, CUTTING or CLOSING_IDLE is over. A state may already be over at its first check. */
static void on_check(uv_timer_t *timer)
{
    struct service *s = timer->data;
    bool closed = http_server_stop_listening(s->http.server), late = uv_now(s->loop) >= s->drain_end_ms;
    if (s->state == DRAINING && late && !is_idle(s)) begin_cutting(s);
    late = uv_now(s->loop) >= s->drain_end_ms;
    if (s->state < CLOSING_IDLE && closed && (late || is_idle(s))) begin_closing_idle(s);
    if (s->state == CLOSING_IDLE && http_server_close_idle(s->http.server))
        begin_closing(s);
    else
        uv_timer_start(timer, on_check, CHECK_MS, 0);
}

static void begin_draining(struct service *s)
{
    move(s, DRAINING);
    log_info("draining", LOG_U64("requests", http_server_open_exchanges(s->http.server)));
    if (s->hooks->drain) s->hooks->drain(s->hooks->data);
    s->drain_end_ms = uv_now(s->loop) + (uint64_t)(s->config->drain_s * 1000);
    uv_timer_start(&s->timer, on_check, 0, 0);
}

static void on_delay_over(uv_timer_t *timer)
{
    begin_draining(timer->data);
}

void service_shutdown(struct service *s)
{
    if (s->state != RUNNING) return;
    move(s, DELAYING);
    service_http_set_ready(&s->http, false, "draining");
    http_server_drain(s->http.server);
    if (s->hooks->leave) s->hooks->leave(s->hooks->data);
    uv_update_time(s->loop);
    uv_timer_start(&s->timer, on_delay_over, (uint64_t)(s->config->shutdown_delay_s * 1000), 0);
}

void service_poke(struct service *s)
{
    if (s->state > DELAYING && s->state < CLOSING) uv_timer_start(&s->timer, on_check, 0, 0);
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
    if (s->state != RUNNING && number == s->asked_by && now_ns() - s->asked_ns < SAME_SIGNAL_MS * NS_PER_MS) return;
    if (s->state != RUNNING) {
        log_error("asked to end a second time: ending at once", LOG_I64("signal", number));
        if (s->state < CLOSING && s->hooks->abort) s->hooks->abort(s->hooks->data);
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
    turn_stay_awake(&s->memory_step, spare_memory_waits());
}

static void start_handles(struct service *s)
{
    for (size_t i = 0; i < ARRAY_SIZE(s->signals); i++) {
        uv_signal_init(s->loop, &s->signals[i]);
        s->signals[i].data = s;
        uv_signal_start(&s->signals[i], on_signal, signal_numbers[i]);
    }
    uv_timer_init(s->loop, &s->timer);
    s->timer.data = s;
    uv_timer_init(s->loop, &s->reload_timer);
    uv_unref((uv_handle_t *)&s->reload_timer);
    s->reload_timer.data = s;
    turn_time_start(&s->turn_time, s->loop);
    busy_poller_start(&s->busy_poller, s->loop, s->config->busy_poll_us);
    turn_add(s->loop, &s->log_step, TURN_BEFORE_SLEEP_LOG, finish_turn, s);
    turn_add(s->loop, &s->memory_step, TURN_IDLE_FREED_MEMORY, free_memory, s);
}

/* Writes to --ready-fd. If the reader of the pipe is gone, the service continues. But with --exit-with-parent it fails,
 * because then the reader is the parent. */
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
    start_handles(s);
    if (config->exit_with_parent && !parent_tie((pid_t)config->parent_pid, err, err_size)) goto fail;
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
    if (s->state != CLOSING) BUG("the loop ended before the service");
    uv_timer_stop(&s->timer);
    log_set_deferred(false);
    log_flush_wait(1000);
    return 0;
}

void service_free(struct service *s)
{
    if (!s) return;
    for (size_t i = 0; i < ARRAY_SIZE(s->signals); i++) uv_close((uv_handle_t *)&s->signals[i], NULL);
    uv_close((uv_handle_t *)&s->timer, NULL);
    uv_close((uv_handle_t *)&s->reload_timer, NULL);
    turn_remove(&s->log_step);
    turn_remove(&s->memory_step);
    spare_memory_stop();
    busy_poller_stop(&s->busy_poller);
    turn_time_stop(&s->turn_time);
    uv_run(s->loop, UV_RUN_NOWAIT);
    service_http_release(&s->http);
    log_set_service(NULL);
    free(s);
}
