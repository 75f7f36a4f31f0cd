#include "cli/fleet/fleet.h"

#include <stdarg.h>
#include <errno.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/base/complain.h"
#include "cli/base/exit_status.h"
#include "cli/base/interrupt.h"
#include "cli/fleet/child_service.h"
#include "cli/fleet/run_dir.h"
#include "common/base/buf.h"
#include "common/net/unix_address.h"

#define MAX_ARGUMENTS       32
#define RESTART_MIN_MS      100
#define RESTART_MAX_MS      5000
#define STEADY_MS           10000 /* a service that lived so long is restarted at once again */
#define STARTS_BEFORE_READY 3     /* a service that never got ready is not tried more often */

struct service {
    struct child_service process;
    char *argv[MAX_ARGUMENTS];
    size_t argc;
    char name[32]; /* "coordinator", "worker 2" */
    bool was_ready;
    bool reload_waits; /* until it is ready: before, SIGHUP would end it */
    unsigned failed_starts;
    uint64_t restart_ns; /* when it is down: start it then */
    uint64_t backoff_ms;
};

struct fleet {
    struct service *services; /* the coordinator is the first */
    size_t count;
    struct run_dir sockets;
    char url[UNIX_PATH_BYTES + 8]; /* of the coordinator */
    char **envp;
    char *tmpdir_variable;
    bool announce;
    char error[256];
};

static bool fail(struct fleet *f, const char *fmt, ...) PRINTF_LIKE(2, 3);
static bool fail(struct fleet *f, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    vsnprintf(f->error, sizeof(f->error), fmt, args);
    va_end(args);
    return false;
}

static void argument(struct service *s, const char *text)
{
    if (s->argc + 1 >= MAX_ARGUMENTS) BUG("too many arguments for %s", s->name);
    s->argv[s->argc++] = xstrdup(text);
}

static void option(struct service *s, const char *name, const char *value)
{
    argument(s, name);
    argument(s, value);
}

static void option_number(struct service *s, const char *name, unsigned value)
{
    char text[16];
    snprintf(text, sizeof(text), "%u", value);
    option(s, name, text);
}

/* The path of a program that stands beside this one. */
static void argument_program(struct service *s, const char *program)
{
    char path[4096];
    ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 64);
    if (n < 0) n = 0;
    path[n] = '\0';
    char *slash = strrchr(path, '/');
    char *name = slash ? slash + 1 : path;
    snprintf(name, 64, "%s", program);
    argument(s, path);
}

static void common_options(struct service *s, const struct fleet_options *o)
{
    option(s, "--admin-port", "off");
    option_number(s, "--ready-fd", CHILD_READY_FD);
    argument(s, "--exit-with-parent");
    option_number(s, "--parent-pid", (unsigned)getpid());
    if (o->drain_s) option_number(s, "--drain-s", o->drain_s);
    option(s, "--log-level", o->log_level ? o->log_level : "warn");
}

#define LONGEST_SOCKET_NAME "/coordinator"

/* Where the service of that number listens when it has no port: unix:PATH. The coordinator is number 0. */
static void add_socket(const struct fleet *f, struct buf *address, size_t number)
{
    if (number)
        buf_addf(address, "unix:%s/worker-%zu", f->sockets.path, number);
    else
        buf_addf(address, "unix:%s" LONGEST_SOCKET_NAME, f->sockets.path);
}

static void worker_arguments(struct fleet *f, const struct fleet_options *o, size_t number)
{
    struct service *s = &f->services[number];
    struct buf address = {0};
    char id[32];
    snprintf(s->name, sizeof(s->name), "worker %zu", number);
    snprintf(id, sizeof(id), "local-%zu", number);
    argument_program(s, "fantail-worker");
    add_socket(f, &address, number);
    option(s, "--host", buf_cstr(&address));
    buf_release(&address);
    common_options(s, o);
    option(s, "--worker-id", id);
    option(s, "--tasks", o->tasks_dir);
    if (o->processes) option_number(s, "--processes", o->processes);
}

static void coordinator_arguments(struct fleet *f, const struct fleet_options *o)
{
    struct service *s = &f->services[0];
    struct buf workers = {0};
    snprintf(s->name, sizeof(s->name), "coordinator");
    argument_program(s, "fantail-coordinator");
    option(s, "--host", unix_address_path(f->url) ? f->url : o->host);
    option_number(s, "--port", s->process.port);
    common_options(s, o);
    for (size_t i = 1; i < f->count; i++) {
        buf_add_str(&workers, i == 1 ? "static://" : ",");
        add_socket(f, &workers, i);
    }
    if (o->token_file) option(s, "--token-file", o->token_file);
    if (o->insecure) argument(s, "--insecure");
    option(s, "--workers", buf_cstr(&workers));
    buf_release(&workers);
}

/* A private fleet is what this program makes of it: settings meant for a service elsewhere stay out. What one on this
 * machine is told by the environment it gets, but for what says how to reach another. */
static bool is_inherited(const char *variable, bool private)
{
    static const char *const clients[] = {"FANTAIL_URL=", "FANTAIL_TOKEN_FILE="};
    if (private) return strncmp(variable, "TMPDIR=", 7) != 0 && strncmp(variable, "FANTAIL_", 8) != 0;
    for (size_t i = 0; i < ARRAY_SIZE(clients); i++)
        if (strncmp(variable, clients[i], strlen(clients[i])) == 0) return false;
    return true;
}

/* Our environment; of a private fleet with its own TMPDIR. */
static void make_environment(struct fleet *f, const char *tmp_dir)
{
    size_t n = 0, kept = 0;
    while (environ[n]) n++;
    f->envp = xcalloc(n + 2, sizeof(*f->envp));
    for (size_t i = 0; i < n; i++)
        if (is_inherited(environ[i], tmp_dir != NULL)) f->envp[kept++] = environ[i];
    if (!tmp_dir) return;
    struct buf variable = {0};
    buf_addf(&variable, "TMPDIR=%s", tmp_dir);
    buf_add_char(&variable, '\0');
    size_t len;
    f->tmpdir_variable = buf_detach(&variable, &len);
    f->envp[kept] = f->tmpdir_variable;
}

static bool start_service(struct fleet *f, struct service *s)
{
    int error = child_service_start(&s->process, s->argv, f->envp, now_ns());
    if (error) return fail(f, "cannot start %s: %s", s->argv[0], strerror(error));
    return true;
}

/* Where the coordinator listens: a port is taken now, and kept while the fleet lives. */
static bool choose_address(struct fleet *f, const struct fleet_options *o)
{
    struct child_service *p = &f->services[0].process;
    struct buf address = {0};
    if (!o->host || unix_address_path(o->host)) {
        if (o->host)
            buf_add_str(&address, o->host);
        else
            add_socket(f, &address, 0);
    } else if (o->port != 0) {
        p->port = o->port;
        if (child_service_port_is_taken(o->port))
            return fail(f, "port %u is taken; --port 0 finds a free one", (unsigned)o->port);
    } else if (!child_service_reserve_port(p)) {
        return fail(f, "no free port on 127.0.0.1: %s", strerror(errno));
    }
    if (p->port) buf_addf(&address, "http://127.0.0.1:%u", (unsigned)p->port);
    bool fits = address.len < sizeof(f->url);
    snprintf(f->url, sizeof(f->url), "%s", buf_cstr(&address));
    buf_release(&address);
    return fits || fail(f, "%s is too long for a socket", o->host);
}

static bool start_all(struct fleet *f, const struct fleet_options *o)
{
    for (size_t i = 0; i < f->count; i++) {
        struct service *s = &f->services[i];
        s->process.ready_fd = s->process.reserved_fd = -1;
        s->backoff_ms = RESTART_MIN_MS;
    }
    if (!run_dir_make(&f->sockets, RUN_DIR_FLEET, UNIX_PATH_BYTES - strlen(LONGEST_SOCKET_NAME), f->error,
                      sizeof(f->error)))
        return false;
    if (!choose_address(f, o)) return false;
    for (size_t i = 1; i < f->count; i++) worker_arguments(f, o, i);
    coordinator_arguments(f, o);
    for (size_t i = 0; i < f->count; i++)
        if (!start_service(f, &f->services[i])) return false;
    return true;
}

struct fleet *fleet_start(const struct fleet_options *options, char *err, size_t err_size)
{
    struct fleet *f = xcalloc(1, sizeof(*f));
    f->count = (size_t)options->workers + 1;
    f->services = xcalloc(f->count, sizeof(*f->services));
    f->announce = options->announce;
    make_environment(f, options->tmp_dir);
    /* What a killed worker leaves behind becomes our child, where it can be found and ended. */
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    if (start_all(f, options)) return f;
    snprintf(err, err_size, "%s", f->error);
    fleet_kill(f);
    return NULL;
}

size_t fleet_poll_fds(const struct fleet *f, struct pollfd *fds, int *timeout_ms)
{
    size_t n = 0;
    uint64_t now = now_ns();
    for (size_t i = 0; i < f->count; i++) {
        const struct service *s = &f->services[i];
        if (s->process.ready_fd >= 0) fds[n++] = (struct pollfd){.fd = s->process.ready_fd, .events = POLLIN};
        if (s->process.state != CHILD_DOWN) continue;
        int wait_ms = s->restart_ns > now ? (int)((s->restart_ns - now) / NS_PER_MS) + 1 : 0;
        if (*timeout_ms < 0 || wait_ms < *timeout_ms) *timeout_ms = wait_ms;
    }
    return n;
}

static void reload_if_ready(struct service *s)
{
    if (!s->reload_waits || s->process.state != CHILD_READY) return;
    s->reload_waits = false;
    kill(s->process.pid, SIGHUP);
}

void fleet_reload(struct fleet *f)
{
    for (size_t i = 0; i < f->count; i++) {
        f->services[i].reload_waits = true;
        reload_if_ready(&f->services[i]);
    }
}

static void describe_end(int status, char *text, size_t size)
{
    if (WIFSIGNALED(status))
        snprintf(text, size, "was killed by signal %d (%s)", WTERMSIG(status), strsignal(WTERMSIG(status)));
    else
        snprintf(text, size, "ended with status %d", WEXITSTATUS(status));
}

static bool service_died(struct fleet *f, struct service *s, int status)
{
    char how[96];
    uint64_t now = now_ns();
    pid_t pid = s->process.pid;
    describe_end(status, how, sizeof(how));
    bool steady = now - s->process.started_ns > STEADY_MS * NS_PER_MS;
    if (s->process.state != CHILD_READY) s->failed_starts++;
    child_service_ended(&s->process);
    /* A usage error, or a port that is taken, does not pass by waiting. */
    bool hopeless = WIFEXITED(status) && WEXITSTATUS(status) == EXIT_USAGE;
    if (!s->was_ready && (hopeless || s->failed_starts >= STARTS_BEFORE_READY))
        return fail(f, "the %s %s before it was ready", s->name, how);
    s->backoff_ms = steady ? RESTART_MIN_MS : s->backoff_ms * 2;
    if (s->backoff_ms > RESTART_MAX_MS) s->backoff_ms = RESTART_MAX_MS;
    /* The first restart is immediate: it costs nothing when the death was a single one. */
    s->restart_ns = steady || s->backoff_ms == UINT64_C(2) * RESTART_MIN_MS ? now : now + s->backoff_ms * NS_PER_MS;
    if (f->announce) complain("%s (pid %d) %s; restarting it", s->name, (int)pid, how);
    return true;
}

static bool reap(struct fleet *f)
{
    int status;
    pid_t pid;
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        for (size_t i = 0; i < f->count; i++)
            if (f->services[i].process.pid == pid && !service_died(f, &f->services[i], status)) return false;
    }
    return true;
}

bool fleet_turn(struct fleet *f)
{
    for (size_t i = 0; i < f->count; i++) {
        struct service *s = &f->services[i];
        if (!child_service_read(&s->process)) continue;
        if (f->announce && s->was_ready) complain("%s is ready again (pid %d)", s->name, (int)s->process.pid);
        s->was_ready = true;
        s->failed_starts = 0;
        reload_if_ready(s);
    }
    if (!reap(f)) return false;
    uint64_t now = now_ns();
    for (size_t i = 0; i < f->count; i++) {
        struct service *s = &f->services[i];
        if (s->process.state == CHILD_DOWN && s->restart_ns <= now && !start_service(f, s)) return false;
    }
    return true;
}

const char *fleet_error(const struct fleet *f)
{
    return f->error;
}

bool fleet_is_ready(const struct fleet *f)
{
    for (size_t i = 0; i < f->count; i++)
        if (f->services[i].process.state != CHILD_READY) return false;
    return true;
}

const char *fleet_url(const struct fleet *f)
{
    return f->url;
}

static void signal_services(struct fleet *f, int number)
{
    for (size_t i = 0; i < f->count; i++)
        if (f->services[i].process.pid > 0) kill(f->services[i].process.pid, number);
}

static size_t running(const struct fleet *f)
{
    size_t n = 0;
    for (size_t i = 0; i < f->count; i++) n += f->services[i].process.pid > 0;
    return n;
}

static void forget(struct fleet *f, pid_t pid)
{
    for (size_t i = 0; i < f->count; i++)
        if (f->services[i].process.pid == pid) child_service_ended(&f->services[i].process);
}

/* The children of this process, as the kernel lists them. */
static void kill_children(void)
{
    char path[64], line[4096];
    snprintf(path, sizeof(path), "/proc/self/task/%d/children", (int)getpid());
    FILE *file = fopen(path, "re");
    if (!file) return;
    if (fgets(line, sizeof(line), file)) {
        char *next = line;
        for (long pid = strtol(line, &next, 10); pid > 0; pid = strtol(next, &next, 10)) kill((pid_t)pid, SIGKILL);
    }
    fclose(file);
}

/* Killing a process hands its children to us; so this goes on until there are none. */
static void kill_descendants(void)
{
    for (;;) {
        kill_children();
        pid_t pid = waitpid(-1, NULL, 0);
        if (pid < 0 && errno != EINTR) return;
    }
}

static void fleet_free(struct fleet *f)
{
    for (size_t i = 0; i < f->count; i++) {
        child_service_release(&f->services[i].process);
        for (size_t a = 0; a < f->services[i].argc; a++) free(f->services[i].argv[a]);
    }
    run_dir_remove(&f->sockets);
    free(f->services);
    free(f->envp);
    free(f->tmpdir_variable);
    free(f);
}

void fleet_stop(struct fleet *f)
{
    if (!f) return;
    signal_services(f, SIGTERM);
    int asked = interrupt_count();
    while (running(f) && interrupt_count() <= asked) {
        struct pollfd fd = {.fd = interrupt_fd(), .events = POLLIN};
        pid_t pid;
        while ((pid = waitpid(-1, NULL, WNOHANG)) > 0) forget(f, pid);
        if (!running(f)) break;
        poll(&fd, 1, -1);
        interrupt_clear();
    }
    fleet_kill(f);
}

void fleet_kill(struct fleet *f)
{
    if (!f) return;
    signal_services(f, SIGKILL);
    kill_descendants();
    fleet_free(f);
}
