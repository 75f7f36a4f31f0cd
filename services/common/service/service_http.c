#include "common/service/service_http.h"

#include "common/base/memory_room.h"
#include "common/files/open_files.h"
#include "common/observe/metrics.h"
#include "common/service/cors.h"

#define METRICS_BYTES (16 * 1024 * 1024)

/* The state for the health routes. The health routes read this global struct, because handle() of a route gets a
 * pointer to the program's own data and not to the service. A process has at most one service. */
static struct {
    bool ready;
    char reason[128];
    struct service_http *http; /* the service whose requests are counted */
} health = {.reason = "starting"};

enum status_class { CLASS_2XX, CLASS_3XX, CLASS_4XX, CLASS_5XX, CLASS_COUNT };
static const char *const class_names[] = {"2xx", "3xx", "4xx", "5xx"};
static_assert(ARRAY_SIZE(class_names) == CLASS_COUNT, "every class has a name");

struct route_metrics {
    const char *method, *path; /* NULL: for requests without a route */
    uint64_t *requests[CLASS_COUNT];
    struct metric_histogram *duration;
};

void service_http_set_ready(struct service_http *h, bool ready, const char *reason)
{
    if (health.ready != ready) log_info(ready ? "ready" : "not ready", LOG_STR("reason", ready ? NULL : reason));
    health.ready = ready;
    snprintf(health.reason, sizeof health.reason, "%s", reason ? reason : "");
}

/* The health checks ignore the query: some probes add a query, such as ?verbose, and must not be answered with 400
 * because of it. */
static void handle_live(struct http_exchange *x, void *data)
{
    http_answer(x, 200, "text/plain", "ok\n", 3);
}

static void handle_ready(struct http_exchange *x, void *data)
{
    if (health.ready) {
        http_answer(x, 200, "text/plain", "ready\n", 6);
        return;
    }
    http_exchange_set_header(x, "Retry-After", "1");
    http_answer_problem(x, 503, NULL, "%s", health.reason);
}

static void handle_metrics(struct http_exchange *x, void *data)
{
    struct buf text;
    if (!http_check_no_query(x, NULL)) return;
    buf_init(&text, METRICS_BYTES);
    if (metrics_render(&text))
        http_answer(x, 200, METRICS_CONTENT_TYPE, text.data, text.len);
    else
        http_answer_problem(x, 500, NULL, "the metrics are larger than %d bytes", METRICS_BYTES);
    buf_release(&text);
}

static const struct http_route health_routes[] = {
    {"GET", "/livez", handle_live}, {"GET", "/healthz", handle_live}, {"GET", "/readyz", handle_ready}, {0}};

static void add_headers(void *data, const char *origin, struct buf *headers)
{
    const struct service_http *h = data;
    cors_add_headers(h->cors_origins, origin, headers);
}

/* Returns whether the request may proceed. If the request may not proceed, answers it. Health probes need no token,
 * because their answer shows only whether this service is ready. */
static bool admit(void *data, struct http_exchange *x)
{
    struct service_http *h = data;
    if (cors_answer_preflight(h->cors_origins, x)) return false;
    if (h->own_access_path && strcmp(http_exchange_path(x), h->own_access_path) == 0) return true;
    for (const struct http_route *r = health_routes; r->path; r++)
        if (strcmp(http_exchange_path(x), r->path) == 0) return true;
    return access_admit(&h->access, x);
}

static const struct http_route metrics_route[] = {{"GET", "/metrics", handle_metrics}, {0}};

static size_t count_routes(const struct http_route *routes)
{
    size_t n = 0;
    while (routes && routes[n].path) n++;
    return n;
}

/* Copies the lists into one array that ends with {0}. A list may be NULL. */
static struct http_route *join_routes(const struct http_route *const *lists, size_t count)
{
    size_t total = 0, at = 0;
    for (size_t i = 0; i < count; i++) total += count_routes(lists[i]);
    struct http_route *all = xcalloc(total + 1, sizeof *all);
    for (size_t i = 0; i < count; i++)
        for (size_t n = 0; n < count_routes(lists[i]); n++) all[at++] = lists[i][n];
    return all;
}

static void register_route(struct route_metrics *m, const char *method, const char *path)
{
    struct buf labels = {0};
    *m = (struct route_metrics){.method = method, .path = path};
    metric_add_label(&labels, "method", method ? method : "other");
    metric_add_label(&labels, "route", path ? path : "none");
    m->duration = metric_histogram("fantail_http_request_duration_seconds",
                                   "Time from a request's headers to the end of its answer.", buf_cstr(&labels));
    size_t common = labels.len;
    for (size_t i = 0; i < CLASS_COUNT; i++) {
        labels.len = common;
        metric_add_label(&labels, "code", class_names[i]);
        m->requests[i] =
            metric_counter("fantail_http_requests_total", "Requests answered, by status class.", buf_cstr(&labels));
    }
    buf_release(&labels);
}

/* Uses the global `health`, because the registry of metrics lives longer than a service. */
static double open_exchanges(void *unused)
{
    const struct service_http *h = health.http;
    return h && h->server ? http_server_open_exchanges(h->server) : 0;
}

static void show_tokens(void *unused, struct metric_emitter *to)
{
    if (health.http) access_show_tokens(&health.http->access, to);
}

static void register_metrics(struct service_http *h)
{
    h->metrics_count = count_routes(h->routes) + 1;
    h->metrics = xcalloc(h->metrics_count, sizeof *h->metrics);
    for (size_t i = 0; i < h->metrics_count; i++)
        register_route(&h->metrics[i], h->routes[i].method, h->routes[i].path); /* the last is {0}: no route */
    metric_gauge_fn("fantail_http_requests_in_flight", "Requests being read or answered.", NULL, open_exchanges, NULL);
    metric_gauge_each("fantail_token_accepted", "Each token of --token-file, by its fingerprint.", "fingerprint",
                      show_tokens, NULL);
}

static struct route_metrics *find_metrics(struct service_http *h, const char *method, const char *route)
{
    struct route_metrics *none = &h->metrics[h->metrics_count - 1];
    if (!route || !method) return none;
    for (struct route_metrics *m = h->metrics; m < none; m++)
        if ((m->path == route || strcmp(m->path, route) == 0) && strcmp(m->method, method) == 0) return m;
    return none;
}

static void on_done(void *data, const char *method, const char *route, int status, uint64_t duration_ns)
{
    struct route_metrics *m = find_metrics(health.http, method, route);
    int class = status / 100 - 2;
    if (class >= 0 && class < CLASS_COUNT) ++*m->requests[class];
    metric_observe_ns(m->duration, duration_ns);
    log_debug("request", LOG_STR("method", method), LOG_STR("route", route), LOG_I64("status", status),
              LOG_MS("duration_ms", duration_ns));
}

static uint64_t milliseconds(double seconds)
{
    return (uint64_t)(seconds * 1000);
}

static bool start_admin(struct service_http *h, uv_loop_t *loop, const struct service_config *config,
                        const struct service_hooks *hooks, char *err, size_t err_size)
{
    if (config->admin_port < 0) return true;
    const struct http_server_options options = {.host = config->admin_host,
                                                .host_option = "admin-host",
                                                .port_option = "admin-port",
                                                .port = (uint16_t)config->admin_port,
                                                .routes = h->admin_routes,
                                                .data = hooks->data,
                                                .keepalive_timeout_ms = milliseconds(config->keepalive_timeout_s),
                                                .upload_pause_ms = milliseconds(config->upload_pause_s)};
    h->admin = http_server_start(loop, &options, err, err_size);
    return h->admin;
}

static bool start_tls(struct service_http *h, uv_loop_t *loop, const struct service_config *config, char *err,
                      size_t err_size)
{
    struct tls_files files = tls_server_files(&config->tls);
    const char *option;
    char why[512];
    if (tls_store_init(&h->tls, &files, &tls_server_words, &option, why, sizeof why)) {
        tls_store_watch(&h->tls, loop);
        return true;
    }
    snprintf(err, err_size, "--%s: %s", option, why);
    return false;
}

void service_http_reload(struct service_http *h)
{
    tls_store_reload(&h->tls);
}

enum { CONNECTIONS_LEAST = 16 };

/* Returns how many connections the public port accepts. If the limit on open files or the limit on memory is low, the
 * port accepts fewer connections than hooks->max_connections asks for, because jobs need files and memory too. */
static unsigned connections_of(const struct service_hooks *hooks)
{
    unsigned wanted = hooks->max_connections ? hooks->max_connections : LIMIT_CONNECTIONS;
    uint64_t limit = open_files_raise();
    unsigned by_files = open_files_connections(limit, wanted);
    size_t bytes = hooks->connection_bytes ? hooks->connection_bytes : LIMIT_CONNECTION_BYTES;
    unsigned fit = memory_blocks_that_fit(by_files, CONNECTIONS_LEAST, bytes);
    if (by_files < wanted)
        log_warn("the limit on open files is too low for this number of connections; raise it (ulimit -n)",
                 LOG_U64("open_files", limit), LOG_U64("max_connections", wanted), LOG_U64("connections", by_files));
    if (fit < by_files)
        log_warn("the memory limit is too low for this number of connections; raise it (ulimit -v)",
                 LOG_U64("max_connections", wanted), LOG_U64("connections", fit));
    return fit;
}

bool service_http_start(struct service_http *h, uv_loop_t *loop, const struct service_config *config,
                        const struct service_hooks *hooks, char *err, size_t err_size)
{
    if (health.http) BUG("a second service in one process");
    health.http = h;
    h->cors_origins = config->cors_origins;
    h->own_access_path = hooks->own_access_path;
    health.ready = false;
    snprintf(health.reason, sizeof health.reason, "starting");
    const struct http_route *const lists[] = {hooks->routes, health_routes};
    const struct http_route *const admin_lists[] = {hooks->admin_routes, health_routes, metrics_route};
    h->routes = join_routes(lists, ARRAY_SIZE(lists));
    h->admin_routes = join_routes(admin_lists, ARRAY_SIZE(admin_lists));
    register_metrics(h);
    if (!access_start(&h->access, loop, config->token_file, err, err_size)) return false;
    if (!start_tls(h, loop, config, err, err_size)) return false;
    const struct http_server_options options = {.host = config->host,
                                                .host_option = "host",
                                                .port_option = "port",
                                                .port = (uint16_t)config->port,
                                                .routes = h->routes,
                                                .other_routes = h->admin_routes,
                                                .other_hint = " on this port; the admin port (--admin-port) has it",
                                                .data = hooks->data,
                                                .max_body_bytes = hooks->max_body_bytes,
                                                .too_long_hint = hooks->too_long_hint,
                                                .max_connections = connections_of(hooks),
                                                .connection_bytes = hooks->connection_bytes,
                                                .reuse_port = config->reuse_port,
                                                .keepalive_timeout_ms = milliseconds(config->keepalive_timeout_s),
                                                .upload_pause_ms = milliseconds(config->upload_pause_s),
                                                .add_headers = add_headers,
                                                .admit = admit,
                                                .admit_data = h,
                                                .repeated_headers = hooks->repeated_headers,
                                                .unasked_header = hooks->unasked_header,
                                                .tls = h->tls.current ? &h->tls : NULL,
                                                .on_done = on_done};
    h->server = http_server_start(loop, &options, err, err_size);
    return h->server && start_admin(h, loop, config, hooks, err, err_size);
}

void service_http_stop_public(struct service_http *h)
{
    http_server_stop(h->server);
    h->server = NULL;
}

void service_http_stop(struct service_http *h)
{
    service_http_stop_public(h);
    http_server_stop(h->admin);
    tls_store_release(&h->tls);
    access_stop(&h->access);
    h->admin = NULL;
}

void service_http_release(struct service_http *h)
{
    if (health.http == h) health.http = NULL;
    access_release(&h->access);
    free(h->routes);
    free(h->admin_routes);
    free(h->metrics);
    *h = (struct service_http){0};
}
