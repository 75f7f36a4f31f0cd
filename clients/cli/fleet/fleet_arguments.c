#include "cli/fleet/fleet_internal.h"

#include <unistd.h>

static void add_argument(struct fleet_arguments *a, const char *text)
{
    if (a->argc + 1 >= FLEET_MAX_ARGUMENTS) BUG("too many arguments for %s", a->argv[0]);
    a->argv[a->argc++] = xstrdup(text);
}

void fleet_arguments_release(struct fleet_arguments *a)
{
    for (size_t i = 0; i < a->argc; i++) free(a->argv[i]);
}

static void add_option(struct fleet_arguments *a, const char *name, const char *value)
{
    add_argument(a, name);
    add_argument(a, value);
}

static void add_number(struct fleet_arguments *a, const char *name, unsigned value)
{
    char text[16];
    snprintf(text, sizeof(text), "%u", value);
    add_option(a, name, text);
}

/* Adds the path of a program in the same directory as this program. */
static void add_program(struct fleet_arguments *a, const char *program)
{
    char path[4096];
    ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 64);
    if (n < 0) n = 0;
    path[n] = '\0';
    char *slash = strrchr(path, '/');
    char *name = slash ? slash + 1 : path;
    snprintf(name, 64, "%s", program);
    add_argument(a, path);
}

/* Adds the options of every service, on this machine and on the hosts. */
static void add_common_options(struct fleet_arguments *a, const struct fleet_options *o)
{
    if (o->drain_s) add_number(a, "--drain-s", o->drain_s);
    add_option(a, "--log-level", o->log_level ? o->log_level : "warn");
    add_option(a, "--log-format", o->log_as_json ? "json" : "plain");
}

/* Adds the options of every service on this machine. Service number 0 is the coordinator. */
static void add_local_options(struct fleet_arguments *a, const struct fleet_options *o, size_t number)
{
    if (o->admin_port < 0)
        add_option(a, "--admin-port", "off");
    else
        add_number(a, "--admin-port", o->admin_port ? (unsigned)o->admin_port + (unsigned)number : 0);
    add_number(a, "--ready-fd", CHILD_READY_FD);
    add_argument(a, "--exit-with-parent");
    add_number(a, "--parent-pid", (unsigned)getpid());
    add_common_options(a, o);
}

void fleet_add_socket(const struct fleet *f, struct buf *address, size_t number)
{
    if (number)
        buf_addf(address, "unix:%s/worker-%zu", f->sockets.path, number);
    else
        buf_addf(address, "unix:%s/coordinator", f->sockets.path);
}

/* Adds the options of every worker. */
static void add_worker_options(struct fleet_arguments *a, const struct fleet_options *o, const char *task_cwd,
                               unsigned processes)
{
    add_option(a, "--task-output", !o->relays ? "plain" : o->shows_name ? "whole" : "bare");
    if (o->watch) add_argument(a, "--watch");
    if (task_cwd) add_option(a, "--task-cwd", task_cwd);
    if (processes) add_number(a, "--processes", processes);
}

static void set_worker(struct fleet *f, const struct fleet_options *o, size_t number)
{
    struct fleet_service *s = &f->services[number];
    struct fleet_arguments *a = &s->arguments;
    struct buf address = {0};
    char id[32];
    snprintf(s->name, sizeof(s->name), "worker %zu", number);
    snprintf(id, sizeof(id), "local-%zu", number);
    add_program(a, "fantail-worker");
    fleet_add_socket(f, &address, number);
    add_option(a, "--host", buf_cstr(&address));
    buf_release(&address);
    add_local_options(a, o, number);
    add_option(a, "--worker-id", id);
    add_option(a, "--tasks", o->tasks_dir);
    add_worker_options(a, o, o->task_cwd, o->processes);
    if (o->scratch_dir) add_option(a, "--scratch-dir", o->scratch_dir);
}

/* Returns the absolute path, without resolving symbolic links: on a host they may lead elsewhere. */
static char *absolute(const char *path)
{
    char *folder = path[0] == '/' ? NULL : get_current_dir_name(), *whole;
    while (folder && strncmp(path, "./", 2) == 0) path += 2;
    if (folder && strcmp(path, ".") == 0) return folder;
    if (asprintf(&whole, "%s%s%s", folder ? folder : "", folder ? "/" : "", path) < 0) BUG("out of memory for a path");
    free(folder);
    return whole;
}

static void set_hosts(struct fleet *f, const struct fleet_options *o)
{
    struct fleet_arguments *a = &f->on_host;
    char *task_cwd = o->task_cwd ? absolute(o->task_cwd) : NULL;
    f->tasks_on_host = absolute(o->tasks_dir);
    add_program(a, "fantail-worker");
    add_option(a, "--admin-port", "off");
    add_common_options(a, o);
    add_worker_options(a, o, task_cwd, o->processes_on_hosts);
    free(task_cwd);
    f->hosts.program = a->argv[0];
    f->hosts.options = a->argv + 1;
    f->hosts.tasks = f->tasks_on_host;
    f->hosts.envp = f->envp;
}

static void set_coordinator(struct fleet *f, const struct fleet_options *o)
{
    struct fleet_service *s = &f->services[0];
    struct fleet_arguments *a = &s->arguments;
    struct buf workers = {0};
    snprintf(s->name, sizeof(s->name), "coordinator");
    add_program(a, "fantail-coordinator");
    add_option(a, "--host", unix_address_path(f->url) ? f->url : o->host);
    add_number(a, "--port", s->process.port);
    add_local_options(a, o, 0);
    buf_add_str(&workers, "static://");
    for (size_t i = 1; i < f->count; i++) {
        if (i > 1) buf_add_char(&workers, ',');
        fleet_add_socket(f, &workers, i);
    }
    for (size_t i = 0; i < f->hosts.count; i++)
        buf_addf(&workers, "%sunix:%s", i || f->count > 1 ? "," : "", f->hosts.list[i].socket);
    if (o->token_file) add_option(a, "--token-file", o->token_file);
    if (o->insecure) add_argument(a, "--insecure");
    if (o->store) add_option(a, "--store", o->store);
    add_option(a, "--workers", buf_cstr(&workers));
    buf_release(&workers);
}

void fleet_set_arguments(struct fleet *f, const struct fleet_options *o)
{
    for (size_t i = 1; i < f->count; i++) set_worker(f, o, i);
    if (f->hosts.count) set_hosts(f, o);
    set_coordinator(f, o);
}

/* Returns whether the services inherit the variable. A private fleet ignores the caller's FANTAIL_* variables. The
 * services of `fantail local` inherit all variables except those that are meant for another fleet. */
static bool is_inherited(const char *variable, bool is_private)
{
    static const char *const of_other_fleet[] = {"FANTAIL_URL=", "FANTAIL_TOKEN_FILE="};
    if (is_private) return strncmp(variable, "FANTAIL_", 8) != 0;
    for (size_t i = 0; i < ARRAY_SIZE(of_other_fleet); i++)
        if (strncmp(variable, of_other_fleet[i], strlen(of_other_fleet[i])) == 0) return false;
    return true;
}

void fleet_set_environment(struct fleet *f, bool is_private)
{
    size_t n = 0, kept = 0;
    while (environ[n]) n++;
    f->envp = xcalloc(n + 1, sizeof(*f->envp));
    for (size_t i = 0; i < n; i++)
        if (is_inherited(environ[i], is_private)) f->envp[kept++] = environ[i];
}
