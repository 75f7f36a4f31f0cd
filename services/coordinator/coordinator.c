/* Starts the coordinator and shuts it down. */
#include "coordinator/coordinator.h"

#include "coordinator/api/api.h"
#include "coordinator/api/api_wait.h"
#include "common/observe/uuid.h"
#include "protocol/protocol.h"

static void on_reload(void *data)
{
    struct coordinator *c = data;
    worker_fleet_reload(&c->fleet);
    dispatcher_ask_again(&c->dispatcher);
    notifier_reload(&c->notifier);
}

/* Shutdown. */

/* After the listening socket is closed, workers cannot renew their leases, but they must not be removed for that
 * reason. So the timer that expires leases is stopped first. */
static void on_drain(void *data)
{
    struct coordinator *c = data;
    registry_stop(&c->fleet.registry);
    if (!c->store) return;
    durable_drain(&c->durable);
    notifier_drain(&c->notifier);
    job_watches_drain(&c->watches);
}

/* Ends the synchronous jobs, and hands the durable jobs back. The clients still get the answers that have arrived, and
 * the end of the document or stream. */
static void on_cut(void *data)
{
    struct coordinator *c = data;
    jobs_drain_all(&c->jobs);
    if (c->store) durable_cut(&c->durable);
    scheduler_timing_run(&c->turn);
}

static bool is_idle(void *data)
{
    const struct coordinator *c = data;
    return c->jobs.count == 0 && (!c->store || (durable_is_idle(&c->durable) && notifier_is_idle(&c->notifier)));
}

static void store_closed(void *data)
{
    struct coordinator *c = data;
    c->store = NULL;
    durable_release(&c->durable);
}

static void on_stop(void *data)
{
    struct coordinator *c = data;
    on_cut(c);
    scheduler_timing_finish(&c->turn);
    scheduler_timing_stop(&c->turn);
    worker_fleet_stop(&c->fleet);
    emf_stop(c->emf);
    trace_export_close(c->jobs.trace);
    c->jobs.trace = NULL;
    jobs_stop(&c->jobs);
    if (!c->store) return;
    durable_stop(&c->durable);
    notifier_stop(&c->notifier);
    job_watches_stop(&c->watches);
    store_close(c->store, store_closed, c);
}

/* Start. */

static void before_run(void *data)
{
    jobs_carry_out_cancels(&((struct coordinator *)data)->jobs);
}

static void job_gone(void *data)
{
    service_poke(((struct coordinator *)data)->service);
}

static void start_jobs(struct coordinator *c)
{
    c->jobs.config = &c->config->jobs;
    c->jobs.fleet = &c->fleet;
    c->jobs.turn = &c->turn;
    c->jobs.job_gone = job_gone;
    c->jobs.data = c;
    jobs_init(&c->jobs, c->loop);
}

#define SQLITE_PREFIX "sqlite:"

bool coordinator_has_store(const struct coordinator_config *config)
{
    return config->store_file || strcmp(config->store, "none") != 0;
}

static bool has_sqlite(const struct coordinator_config *config)
{
    size_t prefix = strlen(SQLITE_PREFIX);
    return strncmp(config->store, SQLITE_PREFIX, prefix) == 0 && config->store[prefix];
}

static const char *sqlite_path(const struct coordinator_config *config)
{
    return config->store + strlen(SQLITE_PREFIX);
}

static struct postgres_source postgres_source_of(const struct coordinator_config *config)
{
    return (struct postgres_source){.url = config->store_file ? NULL : config->store, .file = config->store_file};
}

bool coordinator_check_store(const struct coordinator_config *config, const char **option, char *err, size_t err_size)
{
    *option = "store-max-bytes";
    if (!coordinator_has_store(config)) {
        snprintf(err, err_size, "needs --store sqlite:PATH");
        return config->store_max_bytes == 0;
    }
    *option = "store";
    if (has_sqlite(config) && !config->store_file) return store_sqlite_check(sqlite_path(config), err, err_size);
    if (config->store_file && strcmp(config->store, "none") != 0) {
        snprintf(err, err_size, "give either --store or --store-file");
        return false;
    }
    if (!config->store_file && !postgres_is_url(config->store)) {
        bool has_password = strchr(config->store, '@');
        int shown = (int)(has_password ? strcspn(config->store, ":@") : strlen(config->store));
        snprintf(err, err_size, "'%.*s%s' is neither none nor sqlite:PATH nor postgresql://USER@HOST/DATABASE",
                 shown < 200 ? shown : 200, config->store, has_password ? "..." : "");
        return false;
    }
    if (config->store_max_bytes > 0) {
        *option = "store-max-bytes";
        snprintf(err, err_size, "this limit is only for sqlite:PATH; PostgreSQL has limits of its own");
        return false;
    }
    struct postgres_source source = postgres_source_of(config);
    if (source.file) *option = "store-file";
    return postgres_source_check(&source, err, err_size);
}

static void durable_changed(void *data, const char *id)
{
    job_watches_poke(&((struct coordinator *)data)->watches, id);
}

static void durable_ended_whole(void *data, const struct store_call *end)
{
    job_watches_give(&((struct coordinator *)data)->watches, end);
}

static void durable_ended(void *data)
{
    notifier_poke(&((struct coordinator *)data)->notifier);
}

static void durable_wait(void *data, struct http_exchange *x, const struct stored_job *job,
                         const struct preferences *wanted, enum job_likeness likeness)
{
    api_wait_for_accepted(x, data, job, wanted, likeness);
}

/* Called before the service listens, so that a coordinator whose store cannot be opened never appears to be ready. */
static bool open_store(struct coordinator *c, char *err, size_t err_size)
{
    if (!coordinator_has_store(c->config)) return true;
    struct postgres_source source = postgres_source_of(c->config);
    if (has_sqlite(c->config))
        c->store =
            store_sqlite_open(c->loop, sqlite_path(c->config), (uint64_t)c->config->store_max_bytes, err, err_size);
    else
        c->store = store_postgres_open(c->loop, &source, &c->postgres_metrics, err, err_size);
    if (c->store) c->store->metrics = &c->store_metrics;
    return c->store;
}

static bool start_store(struct coordinator *c, char *err, size_t err_size)
{
    if (!c->store) return true;
    c->durable.config = &c->config->durable;
    c->durable.store = c->store;
    c->durable.jobs = &c->jobs;
    c->durable.changed = durable_changed;
    c->durable.ended_whole = durable_ended_whole;
    c->durable.ended = durable_ended;
    c->durable.wait = durable_wait;
    c->durable.data = c;
    c->durable.notify_hosts = &c->notifier.hosts;
    durable_start(&c->durable, c->loop);
    c->watches = (struct job_watches){.store = c->store,
                                      .durable = &c->durable,
                                      .heartbeat_s = c->config->jobs.heartbeat_s,
                                      .max_unanswered_errors = (uint64_t)c->config->jobs.max_unanswered_errors};
    job_watches_start(&c->watches, c->loop);
    return notifier_start(&c->notifier, c->loop, c->store, err, err_size);
}

static int start_parts(struct coordinator *c, struct trace_config *tracing, char *err, size_t err_size)
{
    char instance[UUID_TEXT_SIZE];
    uuid7_new(instance);
    c->jobs.trace = trace_export_new(c->loop, tracing, "fantail-coordinator", instance);
    if (!worker_fleet_start(&c->fleet, c->loop, err, err_size)) return 2;
    c->turn.before_run = before_run;
    c->turn.data = c;
    scheduler_timing_start(&c->turn, c->loop);
    dispatcher_start(&c->dispatcher, &c->fleet, &c->turn, c->config->jobs.worker_wait_s);
    start_jobs(c);
    if (!start_store(c, err, err_size)) return 2;
    c->status = (struct status_source){c->dispatcher.scheduler, &c->jobs.count, &c->fleet.survey.catalog};
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
        .drain = on_drain,
        .idle = is_idle,
        .cut = on_cut,
        .stop = on_stop,
        .reload = on_reload,
        .max_body_bytes = (size_t)c->config->max_body_bytes,
        .too_long_hint = "; send the items as several jobs, or start the coordinator with a larger --max-body-bytes "
                         "(FANTAIL_MAX_BODY_BYTES)",
        .max_connections = (unsigned)c->config->max_connections,
        .own_access_path = PATH_WORKERS,
    };
    c->loop = loop;
    jobs_register_metrics(&c->jobs);
    durable_register_metrics(&c->durable);
    notifier_register_metrics(&c->notifier);
    store_register_metrics(&c->store_metrics);
    postgres_register_metrics(&c->postgres_metrics);
    worker_fleet_register_metrics(&c->fleet);
    dispatcher_register_metrics(&c->dispatcher);
    status_register_metrics(&c->status);
    if (!open_store(c, err, err_size)) return 1;
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
    jobs_release(&c->jobs);
    worker_fleet_release(&c->fleet);
    notifier_release(&c->notifier);
    return status;
}
