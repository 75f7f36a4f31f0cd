#include "coordinator/status/emf.h"

#include <errno.h>
#include <poll.h>
#include <unistd.h>

#include "common/observe/log.h"
#include "common/observe/utc_time.h"
#include "coordinator/sched/sched_stats.h"
#include "coordinator/status/emf_line.h"

struct emf {
    const struct emf_config *config;
    const struct status_source *from;
    uv_timer_t timer;
    uint64_t due_ms; /* when the next line is due, in Unix time */
    bool losing;     /* the last line was dropped */
};

const char *emf_check(const struct emf_config *config, int ready_fd, const char **option)
{
    *option = "emf-period-s";
    if (60 % config->period_s != 0) return "must divide 60, so that each minute has the same number of lines";
    *option = "emf-cluster";
    if (!emf_dimension_ok(config->cluster))
        return "must be 1 to 255 printable ASCII characters without a leading colon";
    *option = "emf-service";
    if (!emf_dimension_ok(config->service))
        return "must be 1 to 255 printable ASCII characters without a leading colon";
    *option = "emf";
    if (config->enabled && ready_fd == STDOUT_FILENO)
        return "its lines go to standard output, which --ready-fd 1 closes";
    return NULL;
}

static uint64_t period_ms(const struct emf *e)
{
    return (uint64_t)e->config->period_s * 1000;
}

/* Adds the demand of a task that has no slots. This demand counts even if other tasks have slots, because each pool of
 * workers scales up from zero on its own. */
static void add_unserved(void *data, const struct sched_task_stats *stats)
{
    uint64_t *unserved_slots = data;
    if (stats->slots == 0) *unserved_slots += stats->demand_slots;
}

static struct emf_demand measure(const struct status_source *from)
{
    const struct status now = status_now(from);
    const struct status_demand s = now.demand;
    uint64_t unserved_slots = 0;
    sched_each_task(from->scheduler, add_unserved, &unserved_slots);
    return (struct emf_demand){
        .queued_items = s.queued_items,
        .in_flight_items = s.in_flight_items,
        .demand_items = s.queued_items + s.in_flight_items,
        .demand_slots = s.demand_slots,
        .unserved_slots = unserved_slots,
        .slots = s.slots,
        .jobs_running = now.jobs_running,
    };
}

/* A pipe that is ready for output accepts a whole line of at most this size. */
static_assert(EMF_LINE_BYTES <= 4096, "PIPE_BUF of Linux");
static bool write_at_once(const struct buf *line)
{
    struct pollfd out = {.fd = STDOUT_FILENO, .events = POLLOUT};
    if (poll(&out, 1, 0) <= 0) return false;
    return write(STDOUT_FILENO, line->data, line->len) == (ssize_t)line->len;
}

static void write_line(struct emf *e, uint64_t at_ms)
{
    const struct emf_demand demand = measure(e->from);
    struct buf line = {0};
    emf_write_line(&line, e->config->cluster, e->config->service, at_ms, &demand);
    bool lost = !write_at_once(&line);
    buf_release(&line);
    if (lost && !e->losing) log_warn("standard output does not accept the embedded metrics; they are dropped");
    if (!lost && e->losing) log_info("standard output accepts the embedded metrics again");
    e->losing = lost;
}

static void on_time(uv_timer_t *timer);

static void wait_for_next(struct emf *e)
{
    uint64_t now = (uint64_t)utc_time_now();
    e->due_ms = emf_tick(now, period_ms(e)) + period_ms(e);
    uv_update_time(e->timer.loop);
    uv_timer_start(&e->timer, on_time, e->due_ms - now, 0);
}

static void on_time(uv_timer_t *timer)
{
    struct emf *e = timer->data;
    uint64_t now = (uint64_t)utc_time_now();
    /* The timer fires too early if its clock runs faster than the wall clock, or if the wall clock was set back. */
    if (now >= e->due_ms) write_line(e, emf_tick(now, period_ms(e)));
    wait_for_next(e);
}

struct emf *emf_start(uv_loop_t *loop, const struct emf_config *config, const struct status_source *from)
{
    if (!config->enabled) return NULL;
    struct emf *e = xcalloc(1, sizeof *e);
    e->config = config;
    e->from = from;
    uv_timer_init(loop, &e->timer);
    e->timer.data = e;
    wait_for_next(e);
    return e;
}

static void on_closed(uv_handle_t *handle)
{
    free(handle->data);
}

void emf_stop(struct emf *e)
{
    if (e) uv_close((uv_handle_t *)&e->timer, on_closed);
}
