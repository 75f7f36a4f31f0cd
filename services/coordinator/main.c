/* fantail-coordinator: its options, startup and shutdown. coordinator.h describes the rest of the service. */
#include "coordinator/coordinator.h"

#include "common/base/limits.h"
#include "common/base/spare_memory.h"
#include "common/files/open_files.h"
#include "common/net/loopback.h"
#include "common/observe/metrics.h"
#include "common/service/option.h"
#include "coordinator/postgres/store_postgres.h"

#define S struct coordinator_config
static const struct option_row rows[] = {
    OPTION_HEADING("Workers"),
    OPTION_STRING(
        "workers", S, fleet.workers, "static://127.0.0.1:8081",
        "where the workers are: static://host:port,host:port (or unix:PATH), http://balancer:port, dns://name:port or "
        "register://; with TLS static+https://, https://, dns+https:// or register+https://NAME (NAME: the name in the "
        "certificates of the workers)"),
    OPTION_BOOL("register-workers", S, fleet.register_workers, NULL,
                "also use workers that register themselves with a token of --worker-token-file; "
                "always on with register://"),
    OPTION_PATH(
        "worker-ca", S, fleet.ca, NULL,
        "file (PEM) of the authorities that are trusted to sign the workers' certificates, instead of the system's",
        .value = "FILE"),
    OPTION_PATH("worker-client-cert", S, fleet.client_cert, NULL,
                "client certificate (PEM) for workers that demand one", .value = "FILE"),
    OPTION_PATH("worker-client-key", S, fleet.client_key, NULL, "private key (PEM) of --worker-client-cert",
                .value = "FILE"),
    OPTION_PATH("worker-token-file", S, fleet.token_file, NULL,
                "a file of bearer tokens; the first token is sent to workers. The file is read again when it changes"),
    OPTION_SECONDS("worker-wait-s", S, jobs.worker_wait_s, "300", 0, 86400,
                   "while no worker can be reached, hold the items of a job for up to this time, then fail them"),
    OPTION_SECONDS("dns-refresh-s", S, fleet.dns_refresh_s, "5", 0.1, 3600,
                   "how often the name of dns:// is looked up again"),
    OPTION_STRING("expected-tasks", S, fleet.expected_tasks, NULL,
                  "tasks, separated by commas, that jobs may name even if no worker has ever had them",
                  .value = "TASKS", .once = true),
    OPTION_HEADING("Jobs"),
    OPTION_INT("max-jobs", S, jobs.max_jobs, TEXT_OF(LIMIT_RUNNING_JOBS), 1, 100000,
               "number of jobs that may run at the same time; a further job is answered with 429"),
    OPTION_BYTES("max-body-bytes", S, max_body_bytes, TEXT_OF(LIMIT_BODY_GIB) "G", 1024, 1e15,
                 "largest request body; a larger body is answered with 413"),
    OPTION_INT("max-connections", S, max_connections, TEXT_OF(LIMIT_CLIENT_CONNECTIONS), 1, 1000000,
               "number of connections that may be open at the same time"),
    OPTION_BYTES("result-memory-bytes", S, jobs.result_memory_bytes, TEXT_OF(LIMIT_RESULT_MEMORY_MIB) "M", 4096, 1e12,
                 "bytes of answers that one job may hold in memory; the rest goes to an unnamed temporary file"),
    OPTION_BYTES("result-memory-total-bytes", S, jobs.result_memory_total_bytes,
                 TEXT_OF(LIMIT_RESULT_MEMORY_TOTAL_MIB) "M", 0, 1e15,
                 "total bytes of answers that all jobs may hold in memory; 0: no limit"),
    OPTION_BYTES("item-memory-total-bytes", S, jobs.item_memory_total_bytes, TEXT_OF(LIMIT_ITEM_MEMORY_TOTAL_MIB) "M",
                 0, 1e15, "total bytes of items that all jobs may hold before the items are sent; 0: no limit"),
    OPTION_PATH("spill-dir", S, jobs.spill_dir, "/tmp",
                "directory of the temporary files for answers and request bodies"),
    OPTION_BYTES("max-spill-bytes", S, jobs.max_spill_bytes, TEXT_OF(LIMIT_SPILL_GIB) "G", 0, 1e15,
                 "limit for the total size of the temporary files of all jobs; 0: no limit"),
    OPTION_INT(
        "max-unanswered-errors", S, jobs.max_unanswered_errors, TEXT_OF(LIMIT_UNANSWERED_ERRORS), 0, 1e12,
        "how many errors of unanswered items one answer lists one by one; further errors are listed as runs of items"),
    OPTION_SECONDS("heartbeat-s", S, jobs.heartbeat_s, TEXT_OF(DEFAULT_HEARTBEAT_S), 0.1, 3600,
                   "send a heartbeat after this time without output, so that proxies keep the connection"),
    OPTION_STRING("cors-origin", S, service.cors_origins, NULL,
                  "origins, separated by commas, whose pages may use this service from a browser; * allows all",
                  .once = true),
    OPTION_HEADING("Job store"),
    OPTION_STRING("store", S, store, "none",
                  "where to keep durable jobs, which outlive the connection of their client: none, sqlite:PATH for "
                  "one coordinator on this machine, or postgresql://USER@HOST/DATABASE for many coordinators",
                  .value = "STORE"),
    OPTION_PATH(
        "store-file", S, store_file, NULL,
        "a file with the postgresql:// URL of the store, instead of --store; the file is read for each connection",
        .value = "FILE"),
    OPTION_SECONDS("job-ttl-s", S, durable.job_ttl_s, "604800", 0, 1e9,
                   "how long an ended durable job is kept; 0: for ever"),
    OPTION_BYTES(
        "store-max-bytes", S, store_max_bytes, "0", 0, 1e15,
        "largest size of the SQLite file; when the file is full, durable jobs are answered with 507; 0: no limit"),
    OPTION_STRING("notify-allow", S, notify.allow, NULL,
                  "hosts, separated by commas, that may get notices of the ends of durable jobs: HOST, HOST:PORT or "
                  "http://HOST:PORT",
                  .value = "HOSTS", .once = true),
    OPTION_PATH("notify-secret-file", S, notify.secret_file, NULL,
                "a file of secrets, whsec_BASE64, that sign the notices. The file is read again when it changes"),
    OPTION_PATH("notify-ca", S, notify.ca, NULL,
                "file (PEM) of the authorities that are trusted to sign the certificates of the hosts that get "
                "notices, instead of the system's. The file is read again when it changes",
                .value = "FILE"),
    OPTION_STRING("notify-pauses-s", S, notify.pauses_s, "5,300,1800,7200,18000,25200,32400",
                  "pauses before a notice is sent again, separated by commas; after the last pause, the notice is sent "
                  "for the last time",
                  .value = "SECONDS", .once = true),
    OPTION_HEADING("CloudWatch"),
    OPTION_BOOL("emf", S, emf.enabled, NULL,
                "write the demand for workers to standard output, in CloudWatch's embedded metric format"),
    OPTION_INT("emf-period-s", S, emf.period_s, "10", 1, 60, "seconds between two lines of --emf; must divide 60"),
    OPTION_STRING("emf-cluster", S, emf.cluster, "fantail", "value of the dimension `cluster` in the lines of --emf"),
    OPTION_STRING("emf-service", S, emf.service, "coordinator",
                  "value of the dimension `service` in the lines of --emf"),
    SERVICE_OPTION_ROWS(S, service, "8080", "9080"),
    OPTION_ROWS_END,
};
#undef S

static const struct option_spec spec = {
    .program = "fantail-coordinator",
    .usage = "[option...] | healthcheck [option...] | write-secret VARIABLE FILE ...",
    .about = "Takes jobs over HTTP, splits them into chunks, sends the chunks to workers and streams the answers back.",
    .epilogue = "`healthcheck` asks a coordinator on this machine whether it is ready, and exits 0 or 1.\n"
                "`write-secret` writes tokens, or the URL of a job store, from environment variables into files, for\n"
                "--token-file and --store-file.\n"
                "Submit a job with\n"
                "  curl -s localhost:8080/v1/jobs -d '{\"task\":\"square\",\"items\":[1,2,3]}'",
    .rows = rows,
    .operands = OPTION_OPERANDS_NONE,
};

static const struct secret_kind store_url = {postgres_is_url, "a URL for --store-file begins with postgresql://"};

/* Checks the options and reads the files that they name. If something is wrong, prints a message and returns the exit
 * status. Otherwise returns 0. */
static int check(struct coordinator *c, const struct coordinator_config *config)
{
    bool open = !is_loopback(config->service.host) && !config->service.insecure;
    int fault = service_check(&spec, &config->service);
    if (!fault) fault = worker_fleet_check(&c->fleet, &spec, open);
    char err[512];
    const char *option, *why = emf_check(&config->emf, (int)config->service.ready_fd, &option);
    if (!fault && why) fault = option_complain(&spec, option, "%s", why);
    int unusable = fault ? 0 : spill_dir_check(config->jobs.spill_dir);
    if (unusable) fault = option_complain(&spec, "spill-dir", "%s: %s", config->jobs.spill_dir, strerror(unusable));
    if (!fault && !coordinator_check_store(config, &option, err, sizeof err))
        fault = option_complain(&spec, option, "%s", err);
    return fault ? fault : notifier_check(&c->notifier, &spec, coordinator_has_store(config));
}

int main(int argc, char **argv)
{
    static struct coordinator_config config;
    struct option_result parsed;
    struct trace_config tracing;
    char err[512];
    if (argc > 1 && strcmp(argv[1], "write-secret") == 0)
        return service_write_secrets(&spec, &store_url, argc - 1, argv + 1);
    bool healthcheck = argc > 1 && strcmp(argv[1], "healthcheck") == 0;
    if (!option_parse(&spec, &config, argc - healthcheck, argv + healthcheck, &parsed)) return parsed.exit_status;
    if (healthcheck) return service_healthcheck(&config.service);
    if (!open_files_suffice(err, sizeof err)) die(1, "%s", err);
    struct coordinator c = {.config = &config, .fleet.config = &config.fleet, .notifier.config = &config.notify};
    int fault = check(&c, &config);
    if (fault) return fault;
    if (!trace_export_configure(&tracing, err, sizeof err)) return option_complain(&spec, NULL, "%s", err);

    service_prepare(&config.service, "coordinator"); /* before service_start(), because opening the store may log */
    spare_memory_start();
    uv_loop_t loop;
    if (uv_loop_init(&loop) != 0) die(1, "cannot make an event loop");
    int status = coordinator_start(&c, &loop, &tracing, err, sizeof err);
    if (status) die(status, "%s", err);
    status = coordinator_serve(&c);
    metrics_release();
    uv_loop_close(&loop);
    return status;
}
