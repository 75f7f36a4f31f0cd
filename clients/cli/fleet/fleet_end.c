#include "cli/fleet/fleet_internal.h"

#include <errno.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/base/complain.h"
#include "cli/base/interrupt.h"
#include "common/base/limits.h"

static void signal_services(struct fleet *f, int number)
{
    for (size_t i = 0; i < f->count; i++)
        if (f->services[i].process.pid > 0) kill(f->services[i].process.pid, number);
}

static size_t count_running(const struct fleet *f)
{
    size_t n = ssh_hosts_running(&f->hosts);
    for (size_t i = 0; i < f->count; i++) n += f->services[i].process.pid > 0;
    return n;
}

/* Records that the process was reaped. */
static void note_end(struct fleet *f, pid_t pid, int status)
{
    ssh_hosts_ended(&f->hosts, pid, status, now_ns());
    for (size_t i = 0; i < f->count; i++)
        if (f->services[i].process.pid == pid) child_service_ended(&f->services[i].process);
}

/* Kills all children of this process. The kernel lists them in /proc. */
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

/* The children of a killed process become our children, because this process is a subreaper. So this function
 * repeatedly kills all children until none are left. */
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
        fleet_arguments_release(&f->services[i].arguments);
    }
    fleet_arguments_release(&f->on_host);
    free(f->tasks_on_host);
    ssh_hosts_release(&f->hosts);
    locked_dir_remove(&f->sockets);
    free(f->services);
    free(f->envp);
    free(f);
}

/* When SAME_SIGNAL_MS have passed, tells the user why the program has not ended yet. An idle fleet ends before that,
 * and a repeated signal has no effect before that. Returns the milliseconds until the message is due; -1: it was
 * written, or it is not wanted. */
static int say_that_work_runs(struct fleet *f, bool asked)
{
    if (!f->announce) return -1;
    uint64_t now = now_ns(), due_ns = f->stopped_ns + SAME_SIGNAL_MS * NS_PER_MS;
    if (now < due_ns) return (int)((due_ns - now) / NS_PER_MS) + 1;
    complain("running work has up to %u s to end; %s kills it now", f->drain_s,
             asked ? "a second Ctrl-C or SIGTERM" : "Ctrl-C or SIGTERM");
    f->announce = false;
    return -1;
}

bool fleet_stop(struct fleet *f)
{
    if (!f) return true;
    static struct pollfd fds[SSH_HOSTS_MAX_POLL_FDS + 1];
    signal_services(f, SIGTERM);
    ssh_hosts_stop(&f->hosts);
    f->stopped_ns = now_ns();
    int asked = interrupt_count() > 0;
    while (count_running(f) && interrupt_count() <= asked) {
        int status, timeout_ms = say_that_work_runs(f, asked);
        pid_t pid;
        while ((pid = waitpid(-1, &status, WNOHANG)) > 0) note_end(f, pid, status);
        if (!count_running(f)) break;
        fds[0] = (struct pollfd){.fd = interrupt_fd(), .events = POLLIN};
        poll(fds, 1 + ssh_hosts_poll_fds(&f->hosts, fds + 1, &timeout_ms), timeout_ms);
        interrupt_clear();
        (void)!ssh_hosts_turn(&f->hosts, now_ns());
    }
    bool has_ended = !count_running(f);
    fleet_kill(f);
    return has_ended;
}

void fleet_kill(struct fleet *f)
{
    if (!f) return;
    signal_services(f, SIGKILL);
    kill_descendants();
    fleet_write_output(f);
    fleet_output_close(f);
    fleet_free(f);
}
