/* `fantail local`: runs a coordinator and workers on this machine until Ctrl-C. */
#include <errno.h>
#include <limits.h>
#include <unistd.h>

#include "cli/base/complain.h"
#include "cli/base/exit_status.h"
#include "cli/base/interrupt.h"
#include "cli/base/standard_output.h"
#include "cli/cli.h"
#include "cli/fleet/fleet.h"
#include "cli/fleet/machine.h"
#include "cli/fleet/state_file.h"
#include "cli/fleet/tasks_dir.h"
#include "cli/jobs/job_pages.h"
#include "common/base/limits.h"
#include "common/loop/parent.h"
#include "common/net/listen_address.h"
#include "common/net/loopback.h"
#include "common/net/unix_address.h"
#include "common/observe/log.h"
#include "common/observe/utc_time.h"
#include "common/service/option.h"

#define DRAIN_S 5

struct local_config {
    const char *tasks, *task_cwd, *host, *token_file, *store, *ssh;
    int log_level, log_format;
    bool insecure, watch, exit_with_parent;
    int64_t workers, processes, port, admin_port, parent_pid;
};

static const char *const log_formats[] = {"plain", "json", NULL};

static const struct option_row rows[] = {
    OPTION_PATH("tasks", struct local_config, tasks, NULL, TASKS_DIR_HELP, .value = "DIR"),
    OPTION_PATH("task-cwd", struct local_config, task_cwd, NULL,
                "folder in which the tasks run, such as . for the current one; default: each task runs in its own "
                "folder",
                .value = "DIR", .no_env = true),
    OPTION_INT("workers", struct local_config, workers, "1", 0, FLEET_MAX_WORKERS,
               "number of workers to start on this machine; 0 needs --ssh", .value = "N", .no_env = true),
    OPTION_STRING("ssh", struct local_config, ssh, NULL,
                  "also start a worker on each of these hosts through ssh. Separate the hosts with commas. Each host "
                  "needs fantail-worker, and the tasks in a folder with the same path as on this machine",
                  .value = "[USER@]HOST[:PORT],...", .no_env = true, .once = true),
    OPTION_INT("processes", struct local_config, processes, "0", 0, LIMIT_TASK_PROCESSES,
               "task processes of each worker; 0: the machine's processors are divided among the workers", .value = "P",
               .no_env = true),
    OPTION_PORT("port", struct local_config, port, "8080", 0, "port of the coordinator; 0: any free port",
                .no_env = true),
    OPTION_BOOL("watch", struct local_config, watch, "true",
                "read new tasks, and read a task again 0.3 s after the last change of a file in its folder; its old "
                "processes serve until the new ones are ready",
                .no_env = true),
    OPTION_PORT("admin-port", struct local_config, admin_port, "off", -1,
                "admin port of the coordinator on 127.0.0.1, with health, metrics and /autoscale; the workers use the "
                "next port numbers; 0: any free ports; off: none",
                .no_env = true),
    OPTION_STRING(
        "host", struct local_config, host, "127.0.0.1",
        "address the coordinator listens on, or unix:PATH; an address that other machines can reach needs --token-file",
        .value = "ADDRESS", .no_env = true),
    OPTION_PATH("token-file", struct local_config, token_file, NULL,
                "a file of bearer tokens, one per line; each request must carry one of them", .value = "FILE",
                .no_env = true),
    OPTION_STRING("store", struct local_config, store, NULL,
                  "where durable jobs are kept: none, sqlite:PATH or postgresql://USER@HOST/DATABASE. The default is a "
                  "file for this port in the user's "
                  "state folder, ~/.local/state/fantail; with port 0 or unix:PATH it is none",
                  .value = "STORE", .no_env = true),
    OPTION_BOOL("insecure", struct local_config, insecure, NULL,
                "accept requests from other machines without a token: anyone who can reach the port can run tasks here",
                .no_env = true),
    OPTION_CHOICE("log-level", struct local_config, log_level, "warn", log_level_names,
                  "lowest level that the services log on standard error", .value = "LEVEL", .no_env = true),
    OPTION_CHOICE("log-format", struct local_config, log_format, "plain", log_formats,
                  "how the services write a line of their log: as text, or as a JSON object with the time",
                  .value = "FORMAT", .no_env = true),
    OPTION_BOOL("exit-with-parent", struct local_config, exit_with_parent, NULL,
                "end when the thread that started this program ends, even if the process of the thread is killed",
                .no_env = true),
    OPTION_INT("parent-pid", struct local_config, parent_pid, "0", 0, INT32_MAX,
               "with --exit-with-parent: process ID of the parent, for a parent that may end before this program has "
               "started; 0: ask the kernel",
               .value = "PID", .no_env = true, .needs = "exit-with-parent"),
    OPTION_ROWS_END};

const struct option_spec local_option_spec = {
    .program = "fantail local",
    .usage = "[--tasks DIR] [--workers N] [--processes P] [--port PORT] [--ssh HOST,...]",
    .about = "Runs a coordinator and workers on this machine until Ctrl-C. When every service is ready, prints the\n"
             "address on standard output: \"fantail: ready at http://127.0.0.1:8080\". A service that ends is\n"
             "restarted with the same address, and a message on standard error says so.",
    .epilogue =
        "Then, from another terminal:\n"
        "  curl -s localhost:8080/v1/jobs -d '{\"task\":\"square\",\"items\":[1,2,3]}'\n"
        "  seq 1000000 | fantail map square --url http://localhost:8080 | tail -1\n"
        "  fantail tasks --url http://localhost:8080\n"
        "`kill PID` (SIGTERM) ends fantail local too. Use it in a script, where a command that was started\n"
        "with & ignores Ctrl-C (SIGINT).\n"
        "After Ctrl-C or SIGTERM, running work has 5 s to end; a second Ctrl-C or SIGTERM kills it. SIGHUP\n"
        "makes the services read their tasks, tokens and certificates again.\n"
        "\n"
        "Exit status: 0 it was ended by Ctrl-C or SIGTERM, 1 a second signal has killed running work, 2 wrong usage,\n"
        "3 a service could not start or could not go on, for example because the port is in use. The status is also\n"
        "3 if all workers are on the hosts of --ssh, and none of these hosts can be used.",
    .rows = rows,
    .operands = OPTION_OPERANDS_NONE,
};

/* Says how many durable jobs of an earlier run continue. */
static void say_earlier_jobs(const struct target_config *client, int64_t started_ms)
{
    struct job_service service;
    struct job_pages pages = {.service = &service, .filter = {.status = "pending,running"}};
    size_t count = 0;
    bool good = !job_service_init(&service, NULL, client, 0) && !job_pages_next(&pages, JOB_PAGE_MAX);
    for (size_t i = 0; good && i < pages.count; i++) count += pages.jobs[i].created_ms < started_ms;
    if (count)
        complain("%zu%s job%s of an earlier run continue%s; `fantail jobs` lists %s", count,
                 pages.over ? "" : " or more", count == 1 ? "" : "s", count == 1 ? "s" : "",
                 count == 1 ? "it" : "them");
    job_pages_release(&pages);
    job_service_release(&service);
}

static void announce(struct fleet *f, const struct fleet_options *o, int64_t started_ms)
{
    if (standard_output_is_open()) printf("fantail: ready at %s\n", fleet_url(f));
    fflush(stdout);
    const struct target_config client = {.url = fleet_url(f), .token_file = o->token_file};
    if (o->store && strcmp(o->store, "none") != 0) say_earlier_jobs(&client, started_ms);
}

/* Runs the fleet until a signal asks the program to end. */
static int serve(struct fleet *f, const struct fleet_options *o, int64_t started_ms)
{
    static struct pollfd fds[FLEET_MAX_POLL_FDS + 1];
    bool said = false;
    while (!interrupt_signal()) {
        int timeout_ms = -1;
        fds[0] = (struct pollfd){.fd = interrupt_fd(), .events = POLLIN};
        size_t n = 1 + fleet_poll_fds(f, fds + 1, &timeout_ms);
        poll(fds, n, timeout_ms);
        interrupt_clear();
        if (interrupt_take_reload()) fleet_reload(f);
        if (!fleet_turn(f)) {
            complain("%s", fleet_error(f));
            return fleet_exit_status(f);
        }
        if (!said && fleet_is_ready(f)) {
            announce(f, o, started_ms);
            said = true;
        }
    }
    return EXIT_OK;
}

/* Returns the value of the coordinator's --store. The default value is written to `out`. A machine without a state
 * folder can run jobs too, so it is not an error if the state folder is missing. */
static const char *choose_store(const struct local_config *config, char *out, size_t out_size)
{
    char name[32], path[PATH_MAX], err[320];
    if (config->store || config->port == 0 || unix_address_path(config->host)) return config->store;
    snprintf(name, sizeof name, "jobs-%d.db", (int)config->port);
    if (!state_file_path(name, path, sizeof path, err, sizeof err)) {
        complain("durable jobs are not kept: %s", err);
        return NULL;
    }
    snprintf(out, out_size, "sqlite:%s", path);
    return out;
}

/* Returns 0, or the exit status after a message. */
static int read_hosts(const struct local_config *config, struct ssh_targets *hosts)
{
    char err[256];
    if (!config->ssh && config->workers == 0)
        return option_complain(&local_option_spec, "workers", "0 needs --ssh, because a fleet needs workers");
    if (!config->ssh || ssh_targets_read(hosts, config->ssh, err, sizeof err)) return 0;
    return option_complain(&local_option_spec, "ssh", "%s", err);
}

/* Returns 0, or the exit status after a message. */
static int check(const struct local_config *config)
{
    const char *fault = listen_address_fault(config->host);
    if (fault) return option_complain(&local_option_spec, "host", "'%s' %s", config->host, fault);
    if (!config->token_file && !config->insecure && !is_loopback(config->host))
        return option_complain(&local_option_spec, "host",
                               "other machines can reach %s and run tasks here. Require a token with --token-file, or "
                               "allow it with --insecure",
                               config->host);
    if (config->task_cwd && !directory_exists(config->task_cwd))
        return option_complain(&local_option_spec, "task-cwd", "%s is not a directory", config->task_cwd);
    int64_t first = config->admin_port, last = first + config->workers;
    if (last > UINT16_MAX)
        return option_complain(&local_option_spec, "admin-port", "no ports are left after %d for the workers",
                               (int)first);
    if (first > 0 && config->port >= first && config->port <= last && !unix_address_path(config->host))
        return option_complain(&local_option_spec, "admin-port",
                               "the admin ports of the coordinator and the workers are %d to %d, and --port is %d",
                               (int)first, (int)last, (int)config->port);
    return 0;
}

/* Runs the fleet of a configuration that has been checked. */
static int run(const struct local_config *config, const struct ssh_targets *hosts)
{
    const char *tasks = tasks_dir_find(config->tasks);
    if (!tasks)
        return option_complain(&local_option_spec, "tasks", "%s is not a directory",
                               config->tasks ? config->tasks : "./tasks");
    int fault = check(config);
    if (fault) return fault;
    if (!config->tasks) complain("serves the tasks in %s; to serve another folder, use --tasks", tasks);
    if (tasks_dir_is_empty(tasks)) complain("there are no tasks in %s yet", tasks);
    char store[PATH_MAX + 16];
    unsigned processes = (unsigned)config->processes;
    if (processes == 0 && config->workers > 1) processes = machine_share((unsigned)config->workers);
    struct fleet_options options = {
        .tasks_dir = tasks,
        .task_cwd = config->task_cwd,
        .workers = (unsigned)config->workers,
        .processes = processes,
        .hosts = hosts->count ? hosts : NULL,
        .processes_on_hosts = (unsigned)config->processes,
        .port = (uint16_t)config->port,
        .admin_port = config->admin_port,
        .watch = config->watch,
        .host = config->host,
        .token_file = config->token_file,
        .store = choose_store(config, store, sizeof store),
        .insecure = config->insecure,
        .log_level = log_level_names[config->log_level],
        .log_as_json = config->log_format == 1,
        .drain_s = DRAIN_S,
        .announce = true,
    };
    char err[256];
    int64_t started_ms = utc_time_now();
    interrupt_init();
    interrupt_reload_on_hangup();
    struct fleet *f = NULL;
    if (!config->exit_with_parent || parent_tie((pid_t)config->parent_pid, err, sizeof err))
        f = fleet_start(&options, err, sizeof(err));
    if (!f) {
        complain("%s", err);
        return EXIT_JOB_FAILED;
    }
    int status = serve(f, &options, started_ms);
    bool has_ended = fleet_stop(f);
    return status || has_ended ? status : EXIT_WORK_KILLED;
}

int command_local(int argc, char **argv)
{
    struct local_config config = {0};
    struct ssh_targets hosts = {0};
    struct option_result result;
    if (!option_parse(&local_option_spec, &config, argc, argv, &result)) return result.exit_status;
    int status = read_hosts(&config, &hosts);
    if (!status) status = run(&config, &hosts);
    ssh_targets_release(&hosts);
    return status;
}
