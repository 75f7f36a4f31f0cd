/* One loop turn of the coordinator, its start and its shutdown. */
#include "coordinator/coordinator.h"

#include "common/observe/metrics.h"
#include "common/service/access.h"
#include "coordinator/api/api.h"
#include "coordinator/dispatch/dispatcher.h"
#include "coordinator/fleet/worker_tls.h"
#include "coordinator/job/job.h"

/* The loop turn. */

static void run_scheduler(uv_timer_t *timer)
{
    coordinator_run(timer->data);
}

/* Runs before the server's step, so that the answers of workers reach clients in this turn, and once more after it,
 * for the jobs that arrived there. Runs also before the loop sleeps. */
static void run_if_wanted(void *coordinator)
{
    struct coordinator *c = coordinator;
    if (c->run_wanted) coordinator_run(c);
}

/* The server's step before sleep may read the next request of a kept connection. It comes after ours, so the loop must
 * not sleep before another turn. */
void coordinator_wants_run(struct coordinator *c)
{
    c->run_wanted = true;
    turn_stay_awake(&c->before_sleep, true);
}

/* Actions may be answered by further events at once (a send that fails), so it runs until none is left. */
void coordinator_run(struct coordinator *c)
{
    uint64_t deadline, now;
    do {
        c->run_wanted = false;
        if (c->cancels_wanted) jobs_carry_out_cancels(c);
        now = now_ns();
        deadline = scheduler_run(c->scheduler, now);
    } while (c->run_wanted);
    turn_stay_awake(&c->before_sleep, false);
    if (deadline == UINT64_MAX) {
        uv_timer_stop(&c->run_timer);
        return;
    }
    uv_update_time(c->loop);
    uint64_t wait_ms = deadline > now ? (deadline - now + NS_PER_MS - 1) / NS_PER_MS : 0;
    uv_timer_start(&c->run_timer, run_scheduler, wait_ms, 0);
}

/* The token that workers are sent. */

static void set_authorization(struct coordinator *c)
{
    const char *token = tokens_first(&c->worker_tokens);
    struct buf line = {0};
    size_t len = c->authorization ? strlen(c->authorization) : 0;
    if (c->authorization) explicit_bzero(c->authorization, len);
    free(c->authorization);
    c->authorization = NULL;
    if (token) {
        buf_addf(&line, "Authorization: Bearer %s", token);
        buf_add_char(&line, '\0');
        c->authorization = buf_detach(&line, &len);
    }
    c->catalog.authorization = c->authorization;
}

/* Requests under way keep the token that they were sent with. */
static void on_reload(void *data)
{
    struct coordinator *c = data;
    const char *path = c->config->worker_token_file;
    if (path && access_read_again(&c->worker_tokens, "worker-token-file", path)) set_authorization(c);
    tls_store_reload(&c->worker_tls);
}

/* Shutdown. */

/* The clients still get the answers so far, and an end. */
static void on_cut(void *data)
{
    struct coordinator *c = data;
    jobs_cancel_all(c, "the coordinator is shutting down");
    coordinator_run(c);
}

static bool is_idle(void *data)
{
    return ((struct coordinator *)data)->job_count == 0;
}

static void on_stop(void *data)
{
    struct coordinator *c = data;
    on_cut(c);
    catalog_release(&c->catalog);
    dispatcher_stop(c);
    endpoints_stop(&c->endpoints);
    emf_stop(c->emf);
    http_client_free(c->client);
    trace_export_close(c->trace);
    c->trace = NULL;
    tls_store_release(&c->worker_tls);
    turn_remove(&c->after_poll);
    turn_remove(&c->after_server);
    turn_remove(&c->before_sleep);
    uv_close((uv_handle_t *)&c->run_timer, NULL);
    uv_close((uv_handle_t *)&c->tick_timer, NULL);
}

/* Start. */

static void register_metrics(struct coordinator *c)
{
    const char *statuses[SCHED_STATUS_COUNT], *ends[SCHED_END_COUNT];
    struct coordinator_metrics *m = &c->metrics;
    for (unsigned i = 0; i < SCHED_STATUS_COUNT; i++) statuses[i] = sched_status_name((enum sched_status)i);
    for (unsigned i = 0; i < SCHED_END_COUNT; i++) ends[i] = sched_end_name((enum sched_end)i);
    metric_counters("fantail_jobs_total", "Jobs that ended, by status.", "status", statuses, SCHED_STATUS_COUNT,
                    m->jobs);
    m->items_succeeded = metric_counter("fantail_items_total", "Items settled, by outcome.", "outcome=\"succeeded\"");
    m->items_failed = metric_counter("fantail_items_total", "Items settled, by outcome.", "outcome=\"failed\"");
    m->items_cancelled = metric_counter("fantail_items_total", "Items settled, by outcome.", "outcome=\"cancelled\"");
    metric_counters("fantail_chunk_attempts_total", "Attempts that ended, by how.", "result", ends, SCHED_END_COUNT,
                    m->attempts);
    m->job_seconds = metric_histogram("fantail_job_duration_seconds", "From a job's POST to its outcome.", NULL);
    status_register_metrics(&c->status);
}

/* A balancer that spreads connections sends nothing to a new worker until connections are made anew. */
#define BALANCER_CONNECTION_MS 10000

static void start_turn(struct coordinator *c)
{
    uv_timer_init(c->loop, &c->run_timer);
    uv_timer_init(c->loop, &c->tick_timer);
    c->run_timer.data = c->tick_timer.data = c;
    turn_add(c->loop, &c->before_sleep, TURN_BEFORE_SLEEP_SCHEDULER, run_if_wanted, c);
    turn_add(c->loop, &c->after_poll, TURN_AFTER_POLL_SCHEDULER, run_if_wanted, c);
    turn_add(c->loop, &c->after_server, TURN_AFTER_POLL_SCHEDULER_AGAIN, run_if_wanted, c);
}

static int start_parts(struct coordinator *c, struct trace_config *tracing, char *err, size_t err_size)
{
    char instance[UUID_TEXT_SIZE], why[512];
    uuid7_new(instance);
    c->trace = trace_export_new(c->loop, tracing, "fantail-coordinator", instance);
    if (!worker_tls_start(c, err, err_size)) return 2;
    struct http_client_options client = {.tls = &c->worker_tls};
    if (endpoints_mode(c->config->workers) == ENDPOINTS_BALANCER) client.max_connection_age_ms = BALANCER_CONNECTION_MS;
    c->client = http_client_new(c->loop, &client);
    start_turn(c);
    catalog_init(&c->catalog, c->client);
    set_authorization(c);
    dispatcher_start(c);
    c->status = (struct status_source){c->scheduler, &c->job_count};
    if (!endpoints_start(&c->endpoints, c->loop, c->config->workers, (uint64_t)(c->config->dns_refresh_s * 1e3),
                         &dispatcher_endpoints_ops, c, why, sizeof why)) {
        snprintf(err, err_size, "--workers: %s", why);
        return 2;
    }
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
    scheduler_free(c->scheduler);
    tokens_release(&c->worker_tokens);
    set_authorization(c);
    return status;
}
