#include "coordinator/fleet/worker_fleet.h"

#include "common/observe/metrics.h"
#include "coordinator/fleet/worker_tls.h"

/* A connection to a balancer is used for this long at most. A balancer that distributes connections sends nothing to a
 * new worker until a new connection is made. */
#define BALANCER_CONNECTION_MS 10000

bool worker_fleet_takes_registrations(const struct worker_fleet_config *config)
{
    return config->register_workers || endpoints_mode(config->workers) == ENDPOINTS_REGISTERED;
}

/* Anyone who can register a worker gets items of all users. So registration requires a token if other machines can
 * connect. */
static int check_registration(const struct worker_fleet_config *config, const struct option_spec *spec, bool open)
{
    if (!worker_fleet_takes_registrations(config)) return 0;
    if (endpoints_mode(config->workers) == ENDPOINTS_BALANCER)
        return option_complain(spec, "register-workers", "cannot be used with a balancer: --workers %s",
                               config->workers);
    if (config->token_file || !open) return 0;
    return option_complain(spec, "worker-token-file",
                           "must be given: other machines can connect, and everyone who can connect could register a "
                           "worker and receive items. Or accept the risk with --insecure");
}

static int check_expected(const struct option_spec *spec, const char *names)
{
    const char *fault;
    size_t len;
    if (catalog_check_expected(names, &fault, &len)) return 0;
    return option_complain(spec, "expected-tasks", "'%.*s' is not the name of a task; separate the names by commas",
                           (int)(len < 200 ? len : 200), fault);
}

int worker_fleet_check(struct worker_fleet *f, const struct option_spec *spec, bool open)
{
    char err[512];
    if (!endpoints_check(f->config->workers, err, sizeof err)) return option_complain(spec, "workers", "%s", err);
    int fault = check_registration(f->config, spec, open);
    if (!fault) fault = check_expected(spec, f->config->expected_tasks);
    if (!fault) fault = worker_tls_check(spec, f->config);
    if (fault || token_file_open(&f->tokens, "worker-token-file", f->config->token_file, err, sizeof err)) return fault;
    return option_complain(spec, "worker-token-file", "%s", err);
}

static void forget_authorization(struct worker_fleet *f)
{
    if (f->authorization) explicit_bzero(f->authorization, strlen(f->authorization));
    free(f->authorization);
    f->authorization = NULL;
    f->survey.authorization = NULL;
}

static char *make_authorization(const char *token)
{
    struct buf line = {0};
    size_t len;
    if (!token) return NULL;
    buf_addf(&line, "Authorization: Bearer %s", token);
    buf_add_char(&line, '\0');
    return buf_detach(&line, &len);
}

static void on_tokens(void *data)
{
    struct worker_fleet *f = data;
    char *line = make_authorization(tokens_first(&f->tokens.tokens));
    bool other = !line || !f->authorization || strcmp(line, f->authorization) != 0;
    forget_authorization(f);
    f->authorization = line;
    f->survey.authorization = line;
    f->token_age += other;
}

bool worker_fleet_has_newer_token(struct worker_fleet *f, uint64_t age)
{
    token_file_refresh(&f->tokens);
    return f->token_age != age;
}

static void show_token(void *data, struct metric_emitter *to)
{
    const struct worker_fleet *f = data;
    char fingerprint[TOKEN_FINGERPRINT_SIZE];
    token_fingerprint(tokens_first(&f->tokens.tokens), fingerprint);
    if (fingerprint[0]) metric_emit(to, fingerprint, 1);
}

void worker_fleet_register_metrics(struct worker_fleet *f)
{
    metric_gauge_each("fantail_token_presented", "The token that is sent to workers, by its fingerprint.",
                      "fingerprint", show_token, f);
    registry_register_metrics(&f->registry, &f->endpoints);
}

bool worker_fleet_start(struct worker_fleet *f, uv_loop_t *loop, char *err, size_t err_size)
{
    if (!worker_tls_start(&f->tls, f->config, loop, err, err_size)) return false;
    struct http_client_options client = {.tls = &f->tls,
                                         .only_socket_files = endpoints_are_socket_files(f->config->workers)};
    bool balancer = endpoints_mode(f->config->workers) == ENDPOINTS_BALANCER;
    if (balancer) client.max_connection_age_ms = BALANCER_CONNECTION_MS;
    f->client = http_client_new(loop, &client);
    f->endpoints.loop = loop;
    survey_start(&f->survey, loop, f->client, balancer);
    f->survey.connect_error = &f->connect_error;
    catalog_expect(&f->survey.catalog, f->config->expected_tasks);
    token_file_watch(&f->tokens, loop, on_tokens, f);
    on_tokens(f);
    return true;
}

bool worker_fleet_find_workers(struct worker_fleet *f, const struct endpoints_ops *ops, void *data, char *err,
                               size_t err_size)
{
    char why[512];
    if (endpoints_start(&f->endpoints, f->endpoints.loop, f->config->workers,
                        (uint64_t)(f->config->dns_refresh_s * 1e3), ops, data, why, sizeof why)) {
        if (worker_fleet_takes_registrations(f->config)) registry_start(&f->registry, f->endpoints.loop);
        return true;
    }
    snprintf(err, err_size, "--workers: %s", why);
    return false;
}

void worker_fleet_reload(struct worker_fleet *f)
{
    token_file_reload(&f->tokens);
    tls_store_reload(&f->tls);
}

void worker_fleet_stop(struct worker_fleet *f)
{
    registry_stop(&f->registry);
    endpoints_stop(&f->endpoints);
    survey_stop(&f->survey);
    http_client_free(f->client);
    f->client = NULL;
    tls_store_release(&f->tls);
    token_file_stop(&f->tokens);
}

void worker_fleet_release(struct worker_fleet *f)
{
    token_file_release(&f->tokens);
    forget_authorization(f);
}
