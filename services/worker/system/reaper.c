#include "worker/system/reaper.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/observe/log.h"

static void on_signal(uv_signal_t *signal, int number)
{
    reaper_poll(signal->data);
}

bool reaper_init(struct reaper *r, uv_loop_t *loop)
{
    *r = (struct reaper){0};
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    if (uv_signal_init(loop, &r->signal) != 0) return false;
    r->signal.data = r;
    if (uv_signal_start(&r->signal, on_signal, SIGCHLD) != 0) return false;
    uv_unref((uv_handle_t *)&r->signal);
    return true;
}

void reaper_close(struct reaper *r)
{
    uv_close((uv_handle_t *)&r->signal, NULL);
}

uint64_t reaper_new_token(struct reaper *r)
{
    return ++r->last_token;
}

void reaper_add(struct reaper *r, struct reaped *child)
{
    child->next = r->children;
    r->children = child;
}

/* Reads a small file of /proc. Returns its length; 0 if it cannot be read. */
static size_t read_proc(const char *path, char *dst, size_t size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return 0;
    size_t len = 0;
    ssize_t n;
    while (len < size - 1 && (n = read(fd, dst + len, size - 1 - len)) > 0) len += (size_t)n;
    close(fd);
    dst[len] = '\0';
    return len;
}

/* The token in the environment with which the process was started; 0 if it has no token of this worker. */
static uint64_t token_of(pid_t pid)
{
    static char env[64 * 1024];
    char path[64], want[64];
    snprintf(path, sizeof path, "/proc/%d/environ", (int)pid);
    int want_len = snprintf(want, sizeof want, "FANTAIL_PROCESS=%d-", (int)getpid());
    size_t len = read_proc(path, env, sizeof env);
    for (char *at = env; at < env + len; at += strlen(at) + 1)
        if (strncmp(at, want, (size_t)want_len) == 0) return strtoull(at + want_len, NULL, 10);
    return 0;
}

static bool is_known(const struct reaper *r, pid_t pid)
{
    for (const struct reaped *c = r->children; c; c = c->next)
        if (c->pid == pid) return true;
    return false;
}

static bool token_lives(const struct reaper *r, uint64_t token)
{
    for (const struct reaped *c = r->children; c; c = c->next)
        if (c->token == token) return true;
    return false;
}

/* Kills adopted children, which are those that we did not start. One stays if the process that started it still lives:
 * it will be killed with it. */
static void kill_strays(struct reaper *r)
{
    static char list[64 * 1024];
    char path[64];
    snprintf(path, sizeof path, "/proc/self/task/%d/children", (int)getpid());
    size_t len = read_proc(path, list, sizeof list);
    for (char *at = list, *end; at < list + len; at = end) {
        pid_t pid = (pid_t)strtol(at, &end, 10);
        if (end == at) break;
        if (is_known(r, pid)) continue;
        uint64_t token = token_of(pid);
        if (token && token_lives(r, token)) continue;
        if (kill(pid, SIGKILL) == 0)
            log_warn("killed a process that a task left behind", LOG_I64("pid", pid), LOG_U64("process", token));
    }
}

/* Removes the child from the list; NULL if it is an adopted one. */
static struct reaped *forget(struct reaper *r, pid_t pid)
{
    for (struct reaped **at = &r->children; *at; at = &(*at)->next) {
        if ((*at)->pid != pid) continue;
        struct reaped *c = *at;
        *at = c->next;
        return c;
    }
    return NULL;
}

bool reaper_poll(struct reaper *r)
{
    bool any = false, left;
    for (;;) {
        siginfo_t info = {0};
        left = waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == 0;
        if (!left || info.si_pid == 0) break;
        any = true;
        struct reaped *c = forget(r, info.si_pid);
        /* Kill its group before the wait: until then no other group can have the same number. */
        if (c) kill(-info.si_pid, SIGKILL);
        int status = 0;
        struct rusage usage = {0};
        wait4(info.si_pid, &status, WNOHANG, &usage);
        if (c) c->on_exit(c, status, &usage);
    }
    if (any) kill_strays(r);
    return left;
}
