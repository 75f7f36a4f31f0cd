/* fantail-coordinator: options, wiring, life and death. What it does is in api.h (HTTP), job.h and dispatcher.h. */
#include "coordinator/coordinator.h"

#include <malloc.h>

#include "common/base/limits.h"
#include "common/observe/metrics.h"
#include "common/service/access.h"
#include "common/service/option.h"
#include "coordinator/api.h"
#include "coordinator/dispatch/dispatcher.h"
#include "coordinator/fleet/worker_tls.h"
#include "coordinator/job/job.h"
#include "coordinator/status/emf.h"

#define S struct coordinator_config
static const struct option_row rows[] = {
    OPTION_HEADING("Workers"),
    OPTION_STRING(
        "workers", S, workers, "static://127.0.0.1:8081",
        "where the workers are: static://host:port,host:port (or unix:PATH), http://balancer:port or dns://name:port; "
        "with TLS static+https://, https:// or dns+https://"),
    OPTION_PATH("worker-ca", S, worker_ca, NULL,
                "authorities (PEM) that workers' certificates must come from, in place of the system's",
                .value = "FILE"),
    OPTION_PATH("worker-client-cert", S, worker_client_cert, NULL,
                "certificate (PEM) to show to workers that demand one", .value = "FILE"),
    OPTION_PATH("worker-client-key", S, worker_client_key, NULL, "its private key (PEM)", .value = "FILE"),
    OPTION_PATH("worker-token-file", S, worker_token_file, NULL,
                "a file of bearer tokens; workers are sent the first one; read again on SIGHUP"),
    OPTION_SECONDS("worker-wait-s", S, worker_wait_s, "300", 0, 86400,
                   "with no worker reachable, hold a job's items for so long before they fail"),
    OPTION_SECONDS("dns-refresh-s", S, dns_refresh_s, "5", 0.1, 3600, "how often dns:// is asked again"),
    OPTION_HEADING("Jobs"),
    OPTION_INT("max-jobs", S, max_jobs, "256", 1, 100000, "jobs running at once; more are answered 429"),
    OPTION_BYTES("max-body-bytes", S, max_body_bytes, "1G", 1024, 1e15, "largest request body; more is 413"),
    OPTION_INT("max-connections", S, max_connections, "4096", 1, 1000000, "open connections at once"),
    OPTION_BYTES("result-memory-bytes", S, result_memory_bytes, "16M", 4096, 1e12,
                 "answers one job holds in memory; more go to an unlinked temporary file"),
    OPTION_PATH("spill-dir", S, spill_dir, "/tmp", "where those temporary files are"),
    OPTION_SECONDS("heartbeat-s", S, heartbeat_s, "15", 0.1, 3600,
                   "after so long without output, send a heartbeat so that proxies keep the connection"),
    OPTION_HEADING("CloudWatch"),
    OPTION_BOOL("emf", S, emf, NULL,
                "write the demand on workers to standard output, in CloudWatch's embedded metric format"),
    OPTION_INT("emf-period-s", S, emf_period_s, "10", 1, 60, "seconds from one such line to the next; must divide 60"),
    OPTION_STRING("emf-cluster", S, emf_cluster, "fantail", "the lines' dimension `cluster`"),
    OPTION_STRING("emf-service", S, emf_service, "coordinator", "the lines' dimension `service`"),
    SERVICE_OPTION_ROWS(S, service, "8080", "9080"),
    OPTION_ROWS_END,
};
#undef S

static const struct option_spec spec = {
    .program = "fantail-coordinator",
    .usage = "[option...] | healthcheck [option...] | write-secret VARIABLE FILE ...",
    .about = "Takes jobs over HTTP, splits them into chunks, sends those to workers and streams the answers back.",
    .epilogue = "`healthcheck` asks the readiness of a coordinator on this machine and exits 0 or 1.\n"
                "`write-secret` writes tokens out of environment variables into files, for --token-file elsewhere.\n"
                "Submit a job with\n"
                "  curl -s localhost:8080/v1/jobs -d '{\"task\":\"square\",\"items\":[1,2,3]}'",
    .rows = rows,
    .operands = OPTION_OPERANDS_NONE,
};

static void run_scheduler(uv_timer_t *timer)
{
    coordinator_run(timer->data);
}

static void run_if_wanted(struct coordinator *c)
{
    if (c->run_wanted) coordinator_run(c);
}

/* What workers answered just now is acted upon before the server takes its turn, so that this brings it to clients, and
 * jobs that come in that turn right behind it, before long answers are read. */
static void on_check(uv_check_t *check)
{
    run_if_wanted(check->data);
}

static void before_sleep(uv_prepare_t *prepare)
{
    run_if_wanted(prepare->data);
}

/* Of check watchers the one that was started last comes first. */
static void start_check(struct coordinator *c, uv_check_t *check)
{
    uv_check_init(c->loop, check);
    check->data = c;
    uv_check_start(check, on_check);
    uv_unref((uv_handle_t *)check);
}

static void stay_awake(uv_idle_t *idle)
{
}

/* Asked for behind our own prepare step (the server may read a kept connection's next request in its own, which comes
 * later), the run would wait for whatever wakes the loop next. */
void coordinator_wants_run(struct coordinator *c)
{
    c->run_wanted = true;
    if (!uv_is_closing((uv_handle_t *)&c->run_idle)) uv_idle_start(&c->run_idle, stay_awake);
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
    uv_idle_stop(&c->run_idle);
    if (deadline == UINT64_MAX) {
        uv_timer_stop(&c->run_timer);
        return;
    }
    uv_update_time(c->loop);
    uint64_t wait_ms = deadline > now ? (deadline - now + NS_PER_MS - 1) / NS_PER_MS : 0;
    uv_timer_start(&c->run_timer, run_scheduler, wait_ms, 0);
}

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

/* Those under way go on with what they were sent. */
static void on_reload(void *data)
{
    struct coordinator *c = data;
    const char *path = c->config->worker_token_file;
    if (path && access_read_again(&c->worker_tokens, "worker-token-file", path)) set_authorization(c);
    tls_store_reload(&c->worker_tls);
}

/* Their clients still get an end, with what was answered so far. */
static void on_cut(void *data)
{
    struct coordinator *c = data;
    api_cancel_all(c, "the coordinator is shutting down");
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
    uv_close((uv_handle_t *)&c->check_before_server, NULL);
    uv_close((uv_handle_t *)&c->check_behind_server, NULL);
    uv_close((uv_handle_t *)&c->run_prepare, NULL);
    uv_close((uv_handle_t *)&c->run_idle, NULL);
    uv_close((uv_handle_t *)&c->run_timer, NULL);
    uv_close((uv_handle_t *)&c->tick_timer, NULL);
}

/* A balancer that spreads connections gives a new worker nothing until connections are made anew. */
#define BALANCER_CONNECTION_MS 10000

static void start_parts(struct coordinator *c, struct trace_config *tracing)
{
    char err[512], instance[UUID_TEXT_SIZE];
    uuid7_new(instance);
    c->trace = trace_export_new(c->loop, tracing, "fantail-coordinator", instance);
    if (!worker_tls_start(c, err, sizeof err)) die(2, "%s", err);
    struct http_client_options client = {.tls = &c->worker_tls};
    if (endpoints_mode(c->config->workers) == ENDPOINTS_BALANCER) client.max_connection_age_ms = BALANCER_CONNECTION_MS;
    c->client = http_client_new(c->loop, &client);
    uv_prepare_init(c->loop, &c->run_prepare);
    uv_idle_init(c->loop, &c->run_idle);
    uv_timer_init(c->loop, &c->run_timer);
    uv_timer_init(c->loop, &c->tick_timer);
    c->run_prepare.data = c->run_timer.data = c->tick_timer.data = c;
    start_check(c, &c->check_before_server);
    uv_prepare_start(&c->run_prepare, before_sleep);
    catalog_init(&c->catalog, c->client);
    set_authorization(c);
    dispatcher_start(c);
    if (!endpoints_start(&c->endpoints, c->loop, c->config->workers, (uint64_t)(c->config->dns_refresh_s * 1e3),
                         &dispatcher_endpoints_ops, c, err, sizeof err))
        die(2, "--workers: %s", err);
    c->emf = emf_start(c);
}

/* Item and answer buffers of a MiB come and go all the time: kept on the heap they cost no page faults each time. */
static void keep_buffers_on_the_heap(void)
{
    mallopt(M_MMAP_THRESHOLD, 32 * (int)MIB);
    mallopt(M_TRIM_THRESHOLD, 16 * (int)MIB);
}

/* The exit status for options that do not hold; 0: they do. */
static int check(const struct coordinator_config *config, struct tokens *worker_tokens)
{
    char err[512];
    if (!endpoints_check(config->workers, err, sizeof err)) return option_complain(&spec, "workers", "%s", err);
    const char *option, *why = emf_check(config, &option);
    if (why) return option_complain(&spec, option, "%s", why);
    int fault = service_check(&spec, &config->service);
    if (!fault) fault = worker_tls_check(&spec, config);
    if (fault || !config->worker_token_file) return fault;
    if (tokens_read(worker_tokens, config->worker_token_file, err, sizeof err)) return 0;
    return option_complain(&spec, "worker-token-file", "%s", err);
}

int main(int argc, char **argv)
{
    static struct coordinator_config config;
    struct option_result parsed;
    struct trace_config tracing;
    char err[512];
    if (argc > 1 && strcmp(argv[1], "write-secret") == 0) return service_write_secrets(&spec, argc - 1, argv + 1);
    bool healthcheck = argc > 1 && strcmp(argv[1], "healthcheck") == 0;
    if (!option_parse(&spec, &config, argc - healthcheck, argv + healthcheck, &parsed)) return parsed.exit_status;
    if (healthcheck) return service_healthcheck(&config.service);
    struct coordinator c = {.config = &config};
    int fault = check(&config, &c.worker_tokens);
    if (fault) return fault;
    if (!trace_export_configure(&tracing, err, sizeof err)) return option_complain(&spec, NULL, "%s", err);

    keep_buffers_on_the_heap();
    uv_loop_t loop;
    uv_loop_init(&loop);
    c.loop = &loop;
    const struct service_hooks hooks = {
        .name = "coordinator",
        .routes = coordinator_routes,
        .admin_routes = coordinator_admin_routes,
        .data = &c,
        .idle = is_idle,
        .cut = on_cut,
        .stop = on_stop,
        .reload = on_reload,
        .max_body_bytes = (size_t)config.max_body_bytes,
        .max_connections = (unsigned)config.max_connections,
    };
    api_register_metrics(&c);
    start_check(&c, &c.check_behind_server);
    c.service = service_start(&loop, &config.service, &hooks, err, sizeof err);
    if (!c.service) die(1, "%s", err);
    start_parts(&c, &tracing);
    service_set_ready(c.service, true, NULL);
    int status = service_run(c.service);
    service_free(c.service);
    scheduler_free(c.scheduler);
    tokens_release(&c.worker_tokens);
    set_authorization(&c);
    metrics_release();
    uv_loop_close(&loop);
    return status;
}
