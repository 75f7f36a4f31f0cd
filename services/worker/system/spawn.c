#include "worker/system/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/files/open_files.h"

static const char step_start[] = "start it";

/* The data that the child reads and writes while it shares our memory. */
struct child {
    const struct spawn_plan *plan;
    int in, out, err;
    pid_t parent;
    char oom_score[16];
    volatile int error;
    const char *volatile step;
};

static void set_limits(const struct child *c)
{
    struct rlimit none = {0, 0};
    setrlimit(RLIMIT_CORE, &none);
    open_files_restore();
    if (c->plan->data_bytes) {
        struct rlimit data = {c->plan->data_bytes, c->plan->data_bytes};
        setrlimit(RLIMIT_DATA, &data);
    }
    int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
    if (fd < 0) return;
    if (write(fd, c->oom_score, strlen(c->oom_score)) < 0) {
    } /* the write may be forbidden; then the score does not change */
    close(fd);
}

static void close_the_rest(void)
{
#ifdef SYS_close_range
    /* All our descriptors are close-on-exec. This call closes the descriptors that libraries have opened without
     * close-on-exec. */
    syscall(SYS_close_range, 3U, ~0U, 0U);
#endif
}

/* execve() keeps ignored signals ignored, but programs expect the default actions. */
static void reset_signals(void)
{
    static const int signals[] = {SIGPIPE, SIGXFSZ, SIGCHLD, SIGHUP, SIGINT, SIGTERM};
    for (size_t i = 0; i < ARRAY_SIZE(signals); i++) signal(signals[i], SIG_DFL);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

/* Runs between vfork() and execve(), so it may only make system calls. */
static _Noreturn void run_child(struct child *c)
{
    const struct spawn_plan *plan = c->plan;
    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != c->parent) _exit(127);
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    set_limits(c);
    c->step = "redirect its input and output";
    if (dup2(c->in, 0) < 0 || dup2(c->out, 1) < 0 || dup2(c->err, 2) < 0) goto failed;
    close_the_rest();
    c->step = "change to its directory";
    if (plan->cwd && chdir(plan->cwd) < 0) goto failed;
    reset_signals();
    c->step = step_start;
    execve(plan->path, (char *const *)(uintptr_t)plan->argv, (char *const *)(uintptr_t)plan->env);
failed:
    c->error = errno;
    _exit(127);
}

static void close_pair(int pair[2])
{
    for (int i = 0; i < 2; i++)
        if (pair[i] >= 0) close(pair[i]);
}

static int own_oom_score(void)
{
    char text[16] = "0";
    int fd = open("/proc/self/oom_score_adj", O_RDONLY | O_CLOEXEC);
    if (fd < 0) return 0;
    ssize_t n = read(fd, text, sizeof text - 1);
    close(fd);
    return n > 0 ? (int)strtol(text, NULL, 10) : 0;
}

static pid_t start_child(struct child *c)
{
    /* The child shares our memory, so none of our signal handlers may run in it. */
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    pid_t pid = vfork();
    if (pid == 0) run_child(c);
    int error = errno;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (pid < 0) c->error = error;
    return pid;
}

/* Like a shell, runs a script that does not begin with "#!" as a shell script. */
static pid_t start_script(struct child *c)
{
    size_t n = 0;
    while (c->plan->argv[n]) n++;
    const char **argv = xcalloc(n + 2, sizeof *argv);
    argv[0] = "/bin/sh";
    argv[1] = c->plan->path;
    for (size_t i = 1; i < n; i++) argv[i + 1] = c->plan->argv[i];
    struct spawn_plan plan = *c->plan;
    plan.path = argv[0];
    plan.argv = argv;
    const struct spawn_plan *before = c->plan;
    c->plan = &plan;
    c->error = 0;
    pid_t pid = start_child(c);
    c->plan = before;
    free(argv);
    return pid;
}

static bool nonblocking(int fd)
{
    return fcntl(fd, F_SETFL, O_NONBLOCK) == 0;
}

/* Bytes flow from pair[1] to pair[0]. */
static bool open_channel(int pair[2], bool sockets)
{
    static const int buffer_bytes = 1 << 20; /* the kernel may allow less; it allocates memory only as needed */
    if (!sockets) return pipe2(pair, O_CLOEXEC) == 0;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0) return false;
    setsockopt(pair[1], SOL_SOCKET, SO_SNDBUF, &buffer_bytes, sizeof buffer_bytes);
    return true;
}

/* Says why the child could not start its program. */
static void write_why(char why[SPAWN_WHY_SIZE], const struct child *c)
{
    char reason[START_ERROR_SIZE];
    if (c->step == step_start)
        start_error_write(reason, c->plan->path, c->error);
    else
        snprintf(reason, sizeof reason, "%s", strerror(c->error));
    snprintf(why, SPAWN_WHY_SIZE, "cannot %s: %s", c->step, reason);
}

bool spawn(const struct spawn_plan *plan, struct spawned *s, char why[SPAWN_WHY_SIZE])
{
    int in[2] = {-1, -1}, out[2] = {-1, -1}, err[2] = {-1, -1};
    if (!open_channel(in, plan->sockets) || !open_channel(out, plan->sockets) || !open_channel(err, false) ||
        !nonblocking(in[1]) || !nonblocking(out[0]) || !nonblocking(err[0])) {
        snprintf(why, SPAWN_WHY_SIZE, "cannot make its pipes: %s", strerror(errno));
        goto failed;
    }
    struct child c = {.plan = plan, .in = in[0], .out = out[1], .err = err[1], .parent = getpid(), .step = "fork"};
    int score = own_oom_score() + plan->oom_score_adj;
    snprintf(c.oom_score, sizeof c.oom_score, "%d", score > 1000 ? 1000 : score);
    pid_t pid = start_child(&c);
    /* If execve() has failed, the child has ended, and the reaper reaps this child like an adopted child. */
    if (c.error == ENOEXEC) pid = start_script(&c);
    if (c.error) {
        write_why(why, &c);
        goto failed;
    }
    if (!plan->keeps_in_peer) close(in[0]);
    close(out[1]);
    close(err[1]);
    int in_peer = plan->keeps_in_peer ? in[0] : -1;
    *s = (struct spawned){.pid = pid, .in = in[1], .out = out[0], .err = err[0], .in_peer = in_peer};
    return true;
failed:
    close_pair(in);
    close_pair(out);
    close_pair(err);
    return false;
}
