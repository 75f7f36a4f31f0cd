#include "cli/fleet/fleet.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "cli/base/complain.h"
#include "cli/base/exit_status.h"
#include "cli/fleet/fleet_internal.h"
#include "cli/fleet/listen_check.h"

#define RESTART_MIN_MS      100
#define RESTART_MAX_MS      5000
#define STEADY_MS           10000 /* a service that ran longer is restarted immediately, as after its first failure */
#define STARTS_BEFORE_READY 3     /* attempts to start a service that has never been ready */
/* With a job store, failures of services are tolerated for this long after the start of the fleet. The services of an
 * earlier fleet that was killed may still be draining, and the coordinator of that fleet keeps the job store locked
 * until it ends. */
#define STORE_PATIENCE_MS 10000

bool fleet_fail(struct fleet *f, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    vsnprintf(f->error, sizeof(f->error), fmt, args);
    va_end(args);
    return false;
}

static bool start_service(struct fleet *f, struct fleet_service *s)
{
    int error = child_service_start(&s->process, s->arguments.argv, f->envp, now_ns());
    if (error) return fleet_fail(f, "cannot start %s: %s", s->arguments.argv[0], strerror(error));
    return true;
}

/* Sets f->url. Reserves a port if the options name an address with port 0. */
static bool choose_address(struct fleet *f, const struct fleet_options *o)
{
    struct child_service *p = &f->services[0].process;
    struct buf address = {0};
    if (!o->host || unix_address_path(o->host)) {
        if (o->host)
            buf_add_str(&address, o->host);
        else
            fleet_add_socket(f, &address, 0);
    } else if (o->port != 0) {
        p->port = o->port;
    } else if (!child_service_reserve_port(p)) {
        return fleet_fail(f, "cannot reserve a port of 127.0.0.1: %s", strerror(errno));
    }
    if (p->port) buf_addf(&address, "http://127.0.0.1:%u", (unsigned)p->port);
    bool fits = address.len < sizeof(f->url);
    snprintf(f->url, sizeof(f->url), "%s", buf_cstr(&address));
    buf_release(&address);
    return fits || fleet_fail(f, "the path is too long for a socket: %s", o->host);
}

/* Returns whether a service can listen at `host`. If it cannot, no restart can help. */
static bool can_listen(struct fleet *f, const char *host, uint16_t port, const char *port_option)
{
    int error = listen_check(host, port);
    const char *path = unix_address_path(host);
    if (!error) return true;
    if (path || error == EADDRNOTAVAIL)
        return fleet_fail(f, "--host: cannot listen on %s: %s", path ? path : host, strerror(error));
    return fleet_fail(f, "--%s: cannot listen on %s:%u: %s; --%s 0 chooses a free port", port_option, host,
                      (unsigned)port, strerror(error), port_option);
}

/* Checks every address that the options name. */
static bool can_listen_everywhere(struct fleet *f, const struct fleet_options *o)
{
    if (o->host && !can_listen(f, o->host, f->services[0].process.port, "port")) return false;
    for (size_t i = 0; o->admin_port > 0 && i < f->count; i++)
        if (!can_listen(f, "127.0.0.1", (uint16_t)(o->admin_port + (int64_t)i), "admin-port")) return false;
    return true;
}

static bool start_all(struct fleet *f, const struct fleet_options *o)
{
    for (size_t i = 0; i < f->count; i++) {
        child_service_init(&f->services[i].process);
        f->services[i].backoff_ms = RESTART_MIN_MS;
    }
    if (!run_dir_make(&f->sockets, RUN_DIR_FLEET, UNIX_PATH_BYTES - strlen(FLEET_LONGEST_SOCKET_NAME), f->error,
                      sizeof(f->error)))
        return false;
    if (!choose_address(f, o) || !can_listen_everywhere(f, o) || (o->relays && !fleet_output_open(f))) return false;
    if (o->hosts && !ssh_command_is_plain(f->sockets.path))
        return fleet_fail(f, "ssh cannot use socket files in %s; set TMPDIR to a folder with a simpler name",
                          f->sockets.path);
    if (o->hosts) ssh_hosts_init(&f->hosts, o->hosts, f->sockets.path);
    fleet_set_arguments(f, o);
    for (size_t i = 0; i < f->count; i++)
        if (!start_service(f, &f->services[i])) return false;
    /* The sweep does not delay the run, because the services are starting meanwhile. */
    run_dirs_sweep(&f->sockets);
    return true;
}

struct fleet *fleet_start(const struct fleet_options *options, char *err, size_t err_size)
{
    struct fleet *f = xcalloc(1, sizeof(*f));
    f->count = (size_t)options->workers + 1;
    f->services = xcalloc(f->count, sizeof(*f->services));
    for (size_t i = 0; i < f->count; i++) f->services[i].output_fd = -1;
    f->announce = options->announce;
    f->has_store = options->store;
    f->drain_s = options->drain_s;
    f->started_ns = now_ns();
    fleet_set_environment(f, options->is_private);
    /* When a worker is killed, its processes become our children, so that we can find and kill them. */
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    if (start_all(f, options)) return f;
    snprintf(err, err_size, "%s", f->error);
    fleet_kill(f);
    return NULL;
}

size_t fleet_poll_fds(const struct fleet *f, struct pollfd *fds, int *timeout_ms)
{
    size_t n = ssh_hosts_poll_fds(&f->hosts, fds, timeout_ms);
    uint64_t now = now_ns();
    for (size_t i = 0; i < f->count; i++) {
        const struct fleet_service *s = &f->services[i];
        if (s->output_fd >= 0 && relay_has_room()) fds[n++] = (struct pollfd){.fd = s->output_fd, .events = POLLIN};
        if (s->process.ready_fd >= 0) fds[n++] = (struct pollfd){.fd = s->process.ready_fd, .events = POLLIN};
        if (s->process.state != CHILD_DOWN) continue;
        int wait_ms = s->restart_ns > now ? (int)((s->restart_ns - now) / NS_PER_MS) + 1 : 0;
        if (*timeout_ms < 0 || wait_ms < *timeout_ms) *timeout_ms = wait_ms;
    }
    return n;
}

static void reload_if_ready(struct fleet_service *s)
{
    if (!s->reload_pending || s->process.state != CHILD_READY) return;
    s->reload_pending = false;
    kill(s->process.pid, SIGHUP);
}

static void reload(struct fleet_service *s)
{
    s->reload_pending = true;
    reload_if_ready(s);
}

void fleet_reload(struct fleet *f)
{
    for (size_t i = 0; i < f->count; i++) reload(&f->services[i]);
}

static void describe_end(int status, char *text, size_t size)
{
    if (WIFSIGNALED(status))
        snprintf(text, size, "was killed by signal %d (%s)", WTERMSIG(status), strsignal(WTERMSIG(status)));
    else
        snprintf(text, size, "ended with status %d", WEXITSTATUS(status));
}

/* The first restart is immediate, so a single failure causes no wait. */
static void schedule_restart(struct fleet_service *s, bool steady, uint64_t now)
{
    s->backoff_ms = steady ? RESTART_MIN_MS : s->backoff_ms * 2;
    if (s->backoff_ms > RESTART_MAX_MS) s->backoff_ms = RESTART_MAX_MS;
    s->restart_ns = steady || s->backoff_ms == UINT64_C(2) * RESTART_MIN_MS ? now : now + s->backoff_ms * NS_PER_MS;
}

static bool service_ended(struct fleet *f, struct fleet_service *s, int status)
{
    char how[96];
    uint64_t now = now_ns();
    pid_t pid = s->process.pid;
    describe_end(status, how, sizeof(how));
    bool steady = now - s->process.started_ns > STEADY_MS * NS_PER_MS;
    bool at_start = s->process.state != CHILD_READY;
    if (at_start) s->failed_starts++;
    child_service_ended(&s->process);
    /* A restart cannot fix a usage error. Options that were valid at first can become invalid when a file that they
     * name changes. */
    f->wrong_usage = at_start && WIFEXITED(status) && WEXITSTATUS(status) == EXIT_USAGE;
    bool patient = f->has_store && now - f->started_ns < STORE_PATIENCE_MS * NS_PER_MS;
    if (f->wrong_usage || (!s->was_ready && s->failed_starts >= STARTS_BEFORE_READY && !patient))
        return fleet_fail(f, "the %s %s before it was ready", s->name, how);
    schedule_restart(s, steady, now);
    if (f->announce) complain("%s (pid %d) %s; restarting it", s->name, (int)pid, how);
    return true;
}

static bool reap(struct fleet *f)
{
    int status;
    pid_t pid;
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        ssh_hosts_ended(&f->hosts, pid, status, now_ns());
        for (size_t i = 0; i < f->count; i++)
            if (f->services[i].process.pid == pid && !service_ended(f, &f->services[i], status)) return false;
    }
    return true;
}

/* The line of a ready service is "ready PORT ADMIN_PORT". */
static void announce_metrics(const struct fleet_service *s)
{
    const char *at = strrchr(s->process.line, ' ');
    unsigned long port = at ? strtoul(at, NULL, 10) : 0;
    if (port) complain("metrics of %s: http://127.0.0.1:%lu/metrics", s->name, port);
}

static void service_ready(struct fleet *f, struct fleet_service *s)
{
    if (f->announce) announce_metrics(s);
    if (f->announce && s->was_ready) complain("%s is ready again (pid %d)", s->name, (int)s->process.pid);
    s->was_ready = true;
    s->failed_starts = 0;
    reload_if_ready(s);
}

bool fleet_turn(struct fleet *f)
{
    for (size_t i = 0; i < f->count; i++)
        if (child_service_read(&f->services[i].process)) service_ready(f, &f->services[i]);
    if (!reap(f)) return false;
    uint64_t now = now_ns();
    for (size_t i = 0; i < f->count; i++) {
        struct fleet_service *s = &f->services[i];
        if (s->process.state == CHILD_DOWN && s->restart_ns <= now && !start_service(f, s)) return false;
    }
    /* The coordinator waits longer after each failed try to reach a worker. SIGHUP makes it try again immediately. */
    if (ssh_hosts_turn(&f->hosts, now)) reload(&f->services[0]);
    return f->count > 1 || !ssh_hosts_have_failed(&f->hosts) || fleet_fail(f, "none of the hosts can be used");
}

const char *fleet_error(const struct fleet *f)
{
    return f->error;
}

int fleet_exit_status(const struct fleet *f)
{
    return f->wrong_usage ? EXIT_USAGE : EXIT_JOB_FAILED;
}

bool fleet_is_ready(const struct fleet *f)
{
    for (size_t i = 0; i < f->count; i++)
        if (f->services[i].process.state != CHILD_READY) return false;
    return ssh_hosts_are_settled(&f->hosts);
}

const char *fleet_url(const struct fleet *f)
{
    return f->url;
}
