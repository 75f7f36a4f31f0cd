/* The start of the coordinator and its shutdown. */
#include "coordinator/coordinator.h"

#include "common/observe/metrics.h"
#include "coordinator/api/api.h"
#include "coordinator/job/job.h"

static void on_reload(void *data)
{
    worker_fleet_reload(&((struct coordinator *)data)->fleet);
}

/* Shutdown. */

/* The clients still get the answers so far, and an end. */
static void on_cut(void *data)
{
    struct coordinator *c = data;
    jobs_cancel_all(c, "the coordinator is shutting down");
    scheduler_turn_run(&c->turn);
}

static bool is_idle(void *data)
{
    return ((struct coordinator *)data)->job_count == 0;
}

static void on_stop(void *data)
{
    struct coordinator *c = data;
    on_cut(c);
    scheduler_turn_stop(&c->turn);
    worker_fleet_stop(&c->fleet);
    emf_stop(c->emf);
    trace_export_close(c->trace);
    c->trace = NULL;
    uv_close((uv_handle_t *)&c->tick_timer, NULL);
}

/* Start. */

static void register_metrics(struct coordinator *c)
{
    const char *statuses[SCHED_STATUS_COUNT];
    struct coordinator_metrics *m = &c->metrics;
    for (unsigned i = 0; i < SCHED_STATUS_COUNT; i++) statuses[i] = sched_status_name((enum sched_status)i);
    metric_counters("fantail_jobs_total", "Jobs that ended, by status.", "status", statuses, SCHED_STATUS_COUNT,
                    m->jobs);
    m->items_succeeded = metric_counter("fantail_items_total", "Items settled, by outcome.", "outcome=\"succeeded\"");
    m->items_failed = metric_counter("fantail_items_total", "Items settled, by outcome.", "outcome=\"failed\"");
    m->items_cancelled = metric_counter("fantail_items_total", "Items settled, by outcome.", "outcome=\"cancelled\"");
    dispatcher_register_metrics(&c->dispatcher);
    m->job_seconds = metric_histogram("fantail_job_duration_seconds", "From a job's POST to its outcome.", NULL);
    status_register_metrics(&c->status);
}

static void before_run(void *data)
{
    jobs_carry_out_cancels(data);
}

static int start_parts(struct coordinator *c, struct trace_config *tracing, char *err, size_t err_size)
{
    char instance[UUID_TEXT_SIZE];
    uuid7_new(instance);
    c->trace = trace_export_new(c->loop, tracing, "fantail-coordinator", instance);
    if (!worker_fleet_start(&c->fleet, c->loop, err, err_size)) return 2;
    c->turn.before_run = before_run;
    c->turn.data = c;
    scheduler_turn_start(&c->turn, c->loop);
    uv_timer_init(c->loop, &c->tick_timer);
    c->tick_timer.data = c;
    dispatcher_start(&c->dispatcher, &c->fleet, &c->turn, c->config->worker_wait_s);
    c->status = (struct status_source){c->dispatcher.scheduler, &c->job_count};
    if (!worker_fleet_find_workers(&c->fleet, &dispatcher_endpoints_ops, &c->dispatcher, err, err_size)) return 2;
    c->emf = emf_start(c->loop, &c->config->emf, &c->status);
    return 0;
}

int coordinator_start(struct coordinator *c, uv_loop_t *loop, struct trace_config *tracing, char *err, size_t err_size)
{
    c->hooks = (struct service_hooks){
        .name = "coordinator",
        .routes = api_routes,
        .admin_routes = api_admin_routes,
        .data = c,
        .idle = is_idle,
        .cut = on_cut,
        .stop = on_stop,
        .reload = on_reload,
        .max_body_bytes = (size_t)c->config->max_body_bytes,
        .max_connections = (unsigned)c->config->max_connections,
    };
    c->loop = loop;
    register_metrics(c);
    c->service = service_start(loop, &c->config->service, &c->hooks, err, err_size);
    if (!c->service) return 1;
    int status = start_parts(c, tracing, err, err_size);
    if (status == 0) service_set_ready(c->service, true, NULL);
    return status;
}

int coordinator_serve(struct coordinator *c)
{
    int status = service_run(c->service);
    service_free(c->service);
    dispatcher_release(&c->dispatcher);
    worker_fleet_release(&c->fleet);
    return status;
}
