#include "common/loop/turn_time.h"

#include "common/observe/log.h"

#define LONG_TURN_NS (20 * NS_PER_MS)

static void on_worked(void *data)
{
    struct turn_time *t = data;
    if (!t->begin_ns) return;
    uint64_t slept_ns = uv_metrics_idle_time(t->loop) - t->slept_ns, took_ns = uv_hrtime() - t->begin_ns;
    took_ns -= slept_ns < took_ns ? slept_ns : took_ns;
    metric_observe_ns(t->seconds, took_ns);
    if (took_ns > LONG_TURN_NS) log_debug("a turn of the loop took a long time", LOG_MS("duration_ms", took_ns));
}

static void on_sleeps(void *data)
{
    struct turn_time *t = data;
    t->slept_ns = uv_metrics_idle_time(t->loop);
    t->begin_ns = uv_hrtime();
}

void turn_time_start(struct turn_time *t, uv_loop_t *loop)
{
    *t = (struct turn_time){.loop = loop};
    t->seconds =
        metric_histogram("fantail_loop_turn_seconds",
                         "Duration of a turn of the event loop. A request that arrives during a turn waits until the "
                         "turn is over.",
                         NULL);
    uv_loop_configure(loop, UV_METRICS_IDLE_TIME);
    turn_add(loop, &t->worked, TURN_BEFORE_SLEEP_WORKED, on_worked, t);
    turn_add(loop, &t->sleeps, TURN_BEFORE_SLEEP_SLEEPS, on_sleeps, t);
}

void turn_time_stop(struct turn_time *t)
{
    turn_remove(&t->worked);
    turn_remove(&t->sleeps);
}
