#include "common/service/drain.h"

#include "common/service/service.h"
#include "common/service/service_http.h"

#define CHECK_MS 20

static const char *const state_names[] = {"running", "delaying", "draining", "cutting", "closing_idle", "closing"};
static_assert(ARRAY_SIZE(state_names) == DRAIN_STATE_COUNT, "one name per state");

static void move(struct drain *d, enum drain_state to)
{
    log_debug("service moved", LOG_STR("from", state_names[d->state]), LOG_STR("to", state_names[to]));
    d->state = to;
}

static void on_close_late(uv_timer_t *timer)
{
    struct drain *d = timer->data;
    log_warn("some handles were not closed in time");
    uv_stop(d->loop);
}

static void begin_closing(struct drain *d)
{
    move(d, SERVICE_CLOSING);
    service_http_stop_public(d->http);
    if (d->hooks->stop) d->hooks->stop(d->hooks->data);
    log_info("closed");
    service_http_stop(d->http);
    /* From now on, only the program's own handles keep the loop alive. */
    uv_timer_start(&d->timer, on_close_late, DRAIN_CLOSE_MS, 0);
    uv_unref((uv_handle_t *)&d->timer);
}

static bool is_idle(const struct drain *d)
{
    const struct http_server *server = d->http->server;
    return (!d->hooks->idle || d->hooks->idle(d->hooks->data)) && http_server_open_exchanges(server) == 0 &&
           !http_server_has_unsent(server);
}

static void begin_closing_idle(struct drain *d)
{
    move(d, SERVICE_CLOSING_IDLE);
    log_info(is_idle(d) ? "drained" : "the drain timed out; running requests are cut off");
}

static void begin_cutting(struct drain *d)
{
    move(d, SERVICE_CUTTING);
    d->end_ms = uv_now(d->loop) + DRAIN_CUT_MS;
    log_warn("the drain timed out; running work is ended",
             LOG_U64("requests", http_server_open_exchanges(d->http->server)));
    if (d->hooks->cut) d->hooks->cut(d->hooks->data);
}

/* Checks whether the present state is over: DRAINING, CUTTING or CLOSING_IDLE. A state may already be over at its first
 * check. */
static void on_check(uv_timer_t *timer)
{
    struct drain *d = timer->data;
    bool closed = http_server_stop_listening(d->http->server), late = uv_now(d->loop) >= d->end_ms;
    if (d->state == SERVICE_DRAINING && late && !is_idle(d)) begin_cutting(d);
    late = uv_now(d->loop) >= d->end_ms;
    if (d->state < SERVICE_CLOSING_IDLE && closed && (late || is_idle(d))) begin_closing_idle(d);
    if (d->state == SERVICE_CLOSING_IDLE && http_server_close_idle(d->http->server))
        begin_closing(d);
    else
        uv_timer_start(timer, on_check, CHECK_MS, 0);
}

static void begin_draining(struct drain *d)
{
    move(d, SERVICE_DRAINING);
    log_info("draining", LOG_U64("requests", http_server_open_exchanges(d->http->server)));
    if (d->hooks->drain) d->hooks->drain(d->hooks->data);
    d->end_ms = uv_now(d->loop) + (uint64_t)(d->config->drain_s * 1000);
    uv_timer_start(&d->timer, on_check, 0, 0);
}

static void on_delay_over(uv_timer_t *timer)
{
    begin_draining(timer->data);
}

void drain_begin(struct drain *d)
{
    if (d->state != SERVICE_RUNNING) return;
    move(d, SERVICE_DELAYING);
    service_http_set_ready(d->http, false, "draining");
    http_server_drain(d->http->server);
    if (d->hooks->leave) d->hooks->leave(d->hooks->data);
    uv_update_time(d->loop);
    uv_timer_start(&d->timer, on_delay_over, (uint64_t)(d->config->shutdown_delay_s * 1000), 0);
}

void drain_poke(struct drain *d)
{
    if (d->state > SERVICE_DELAYING && d->state < SERVICE_CLOSING) uv_timer_start(&d->timer, on_check, 0, 0);
}

void drain_init(struct drain *d, uv_loop_t *loop, const struct service_config *config,
                const struct service_hooks *hooks, struct service_http *http)
{
    *d = (struct drain){.loop = loop, .config = config, .hooks = hooks, .http = http};
    uv_timer_init(loop, &d->timer);
    d->timer.data = d;
}

void drain_stop(struct drain *d)
{
    uv_timer_stop(&d->timer);
}

void drain_close(struct drain *d)
{
    uv_close((uv_handle_t *)&d->timer, NULL);
}
