/* fantail-worker: its options, and the worker as part of a service. */
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/limits.h"
#include "common/base/spare_memory.h"
#include "common/files/open_files.h"
#include "common/machine/control_group.h"
#include "protocol/protocol.h"
#include "worker/memory_advice.h"
#include "worker/worker.h"

static const char *const task_outputs[] = {"log", "plain", "whole", "bare", NULL};
static_assert(ARRAY_SIZE(task_outputs) == TAIL_FORM_COUNT + 1, "a word for each form");

static const struct option_row rows[] = {
    OPTION_HEADING("Tasks"),
    OPTION_PATH("tasks", struct worker_config, tasks, "tasks",
                "directories of tasks, separated by colons; if two tasks have the same name, the first one is used"),
    OPTION_PATH("task-cwd", struct worker_config, task_cwd, NULL,
                "folder in which the processes of the tasks run, unless task.json names another one; default: the "
                "folder of the task",
                .value = "PATH"),
    OPTION_INT("processes", struct worker_config, processes, "0", 0, LIMIT_TASK_PROCESSES,
               "number of processes of each task whose task.json does not set it; 0: one per available processor"),
    OPTION_INT("slots", struct worker_config, slots, "0", 0, LIMIT_TASK_PROCESSES,
               "limit on how many processes, of all tasks together, run items at the same time; 0: no limit"),
    OPTION_PATH("hosts-dir", struct worker_config, hosts_dir, NULL,
                "directory of the host programs; default: the directory of this program"),
    OPTION_PATH("scratch-dir", struct worker_config, scratch_dir, NULL,
                "directory in which the processes get their temporary directories; default: TMPDIR or /tmp",
                .value = "DIR"),
    OPTION_STRING("worker-id", struct worker_config, worker_id, NULL,
                  "name in answers and logs; default: made from the host name and the process id"),
    OPTION_INT(
        "max-chunks", struct worker_config, max_chunks, TEXT_OF(LIMIT_WORKER_CHUNKS), 1, 65536,
        "number of chunks of one task that the worker may hold at the same time, but at least 4 per process; a further "
        "chunk is answered with 429"),
    OPTION_BOOL("watch", struct worker_config, watch, NULL,
                "read new tasks, and read a task again 0.3 s after the last change of a file in its folder; SIGHUP "
                "always reads all tasks again"),
    OPTION_CHOICE(
        "task-output", struct worker_config, task_output, "log", task_outputs,
        "how lines that tasks print are written to standard error. log: as log lines, at a limited rate; plain: "
        "unchanged, with the task's name before each line; whole: like plain, but while standard error takes no more, "
        "the tasks wait, so no line is dropped; bare: like whole, without the task's name"),
    OPTION_HEADING("Registration with coordinators"),
    OPTION_STRING("register", struct worker_config, registration.coordinators, NULL,
                  "register with these coordinators, so that their configuration need not name this worker: "
                  "http://host:port, dns://name:port or balancer://name:port, separated by commas; with TLS https://, "
                  "dns+https:// or balancer+https://",
                  .once = true),
    OPTION_STRING("register-address", struct worker_config, registration.address, NULL,
                  "numeric address that coordinators send chunks to; default: the address of --host, or the one that "
                  "this worker connects from",
                  .needs = "register"),
    OPTION_PATH("register-token-file", struct worker_config, registration.token_file, NULL,
                "a file of tokens to register with; default: the file of --token-file", .needs = "register"),
    OPTION_PATH("register-ca", struct worker_config, registration.ca, NULL,
                "file (PEM) of the authorities that are trusted to sign the coordinators' certificates, instead of the "
                "system's",
                .value = "FILE", .needs = "register"),
    OPTION_PATH("register-client-cert", struct worker_config, registration.client_cert, NULL,
                "client certificate (PEM) for coordinators that demand one", .value = "FILE", .needs = "register"),
    OPTION_PATH("register-client-key", struct worker_config, registration.client_key, NULL,
                "private key (PEM) of --register-client-cert", .value = "FILE", .needs = "register"),
    OPTION_HEADING("ECS (if ECS_AGENT_URI is set)"),
    OPTION_SECONDS(
        "protection-s", struct worker_config, protection_s, "600", 0, 172800,
        "a worker that has chunks is protected from scale-in for this time, rounded up to whole minutes; the "
        "protection is renewed each time a third of this time has passed; 0: no protection"),
    OPTION_SECONDS("protection-idle-s", struct worker_config, protection_idle_s, "20", 0, 86400,
                   "release the protection after this time without a chunk"),
    SERVICE_OPTION_ROWS(struct worker_config, service, "8081", "9081"),
    OPTION_ROWS_END,
};

static const struct option_spec spec = {
    .program = "fantail-worker",
    .usage = "[OPTION...] | healthcheck [OPTION...] | write-secret VARIABLE FILE ...",
    .about = "Takes chunks of items over HTTP and runs them on warm processes of its tasks.",
    .epilogue =
        "POST items to /v1/tasks/TASK, one JSON value per line; GET /v1/tasks lists the tasks.\n"
        "SIGHUP reads the tasks and tokens again. SIGTERM drains the worker.\n"
        "`write-secret` copies tokens from environment variables to files, for --token-file of another container.\n",
    .rows = rows,
    .operands = OPTION_OPERANDS_NONE,
};

/* The worker's id is sent in a header of each answer, so it may have only printable ASCII characters. */
static bool is_worker_id(const char *id)
{
    size_t len = strlen(id);
    for (size_t i = 0; i < len; i++)
        if (id[i] < ' ' || id[i] > '~') return false;
    return len >= 1 && len < WORKER_ID_SIZE && id[0] != ' ' && id[len - 1] != ' ';
}

static bool has_hosts(const char *folder)
{
    static const char *const hosts[] = {"fantail-host-exec", "fantail-host-native", "fantail-host-python"};
    char path[PATH_MAX];
    for (size_t i = 0; i < ARRAY_SIZE(hosts); i++) {
        int len = snprintf(path, sizeof path, "%s/%s", folder, hosts[i]);
        if (len < (int)sizeof path && access(path, X_OK) == 0) return true;
    }
    return false;
}

static bool is_directory(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

/* Returns 0, or 2 after a message that names the option. */
static int check(const struct worker_config *config)
{
    int fault = service_check(&spec, &config->service);
    if (!fault) fault = registrar_check(&spec, &config->registration, config->service.host);
    if (fault) return fault;
    if (config->worker_id && !is_worker_id(config->worker_id))
        return option_complain(&spec, "worker-id", "must be 1 to %d ASCII characters, without a blank at either end",
                               WORKER_ID_SIZE - 1);
    if (config->task_cwd && !is_directory(config->task_cwd))
        return option_complain(&spec, "task-cwd", "%s is not a directory", config->task_cwd);
    if (config->hosts_dir && !has_hosts(config->hosts_dir))
        return option_complain(&spec, "hosts-dir", "there is no host program, such as fantail-host-exec, in '%s'",
                               config->hosts_dir);
    return 0;
}

/* Each answer names the chunk and the attempt of its request, even if the server answers before it calls
 * request_handle(). */
static const char *const repeated_headers[] = {HEADER_CHUNK, HEADER_ATTEMPT, NULL};

static int serve(uv_loop_t *loop, const struct worker_config *config, struct trace_config *tracing)
{
    struct worker w;
    char err[1000];
    if (!worker_init(&w, loop, config, err, sizeof err)) die(2, "%s", err);
    const struct service_hooks hooks = {
        .name = "worker",
        .routes = worker_routes,
        .admin_routes = worker_admin_routes,
        .data = &w,
        .leave = worker_leave,
        .drain = worker_drain,
        .idle = worker_idle,
        .cut = worker_cut,
        .abort = worker_abort,
        .stop = worker_stop,
        .reload = worker_reload,
        .repeated_headers = repeated_headers,
        .unasked_header = HEADER_CHUNK ": " CHUNK_NONE "\r\n",
        /* This limit leaves room for one item of the largest size and a header line. */
        .max_body_bytes = LIMIT_ITEM_BYTES + LIMIT_OPTIONS_BYTES + 1 * MIB,
        .connection_bytes = LIMIT_WORKER_CONNECTION_BYTES,
    };
    w.service = service_start(loop, &config->service, &hooks, err, sizeof err);
    if (!w.service) {
        worker_stop(&w);
        worker_release(&w);
        die(1, "%s", err);
    }
    w.trace = trace_export_new(loop, tracing, "fantail-worker", w.id);
    log_info("worker is ready", LOG_STR("worker", w.id), LOG_U64("tasks", w.tasks.count),
             LOG_U64("processes", w.processes));
    const struct memory_group group = memory_group_read(CONTROL_GROUP_ROOT, CONTROL_GROUP_SELF);
    memory_advice_log(&w, &group);
    service_set_ready(w.service, true, NULL);
    if (!worker_register(&w, err, sizeof err)) die(2, "%s", err);
    int status = service_run(w.service);
    service_free(w.service);
    worker_release(&w);
    return status;
}

int main(int argc, char **argv)
{
    struct worker_config config = {0}; /* zeroed, because one field is not set by any option */
    struct option_result r;
    struct trace_config tracing;
    char err[256];
    if (argc > 1 && strcmp(argv[1], "write-secret") == 0) return service_write_secrets(&spec, NULL, argc - 1, argv + 1);
    bool healthcheck = argc > 1 && strcmp(argv[1], "healthcheck") == 0;
    if (!option_parse(&spec, &config, argc - healthcheck, argv + healthcheck, &r)) return r.exit_status;
    if (healthcheck) return service_healthcheck(&config.service);
    if (!open_files_suffice(err, sizeof err)) die(1, "%s", err);
    int fault = check(&config);
    if (fault) return fault;
    service_prepare(&config.service, "worker"); /* before the tasks are read, because the service starts later */
    if (!trace_export_configure(&tracing, err, sizeof err)) return option_complain(&spec, NULL, "%s", err);
    spare_memory_start();
    uv_loop_t loop;
    if (uv_loop_init(&loop) != 0) die(1, "cannot make an event loop");
    int status = serve(&loop, &config, &tracing);
    uv_loop_close(&loop);
    metrics_release();
    return status;
}
