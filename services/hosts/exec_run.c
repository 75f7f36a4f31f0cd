#include "hosts/exec_run.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "hosts/exec_orphans.h"
#include "hosts/line_io.h"
#include "hosts/runs/line_pipe.h"
#include "hosts/runs/tag_lines.h"

enum {
    PIPE_BYTES = 4 * KIB, /* an empty pipe of any capacity accepts this many bytes in one write */
    READ_BYTES = 64 * KIB,
    PASSED_BYTES = 1 * MIB, /* size of the lines that were passed on and may stay in memory */
    STDERR_BYTES = 4 * KIB,
    CHILD_STACK_BYTES = 64 * KIB,
    OUTPUT_BYTES = LIMIT_ANSWER_BYTES,
    LAST_STDERR_PIECES = 256, /* reads after the command has ended; enough for the largest pipe, 1 MiB */
};

/* The data that parent and child share. The child uses the parent's memory until execve() has succeeded. */
struct launch {
    const char *path;
    char **argv;
    int stdin_fd, stdout_fd, stderr_fd;
    pid_t parent;
    int nice;
    int error; /* errno if execve() failed; else 0 */
};

struct exec_run {
    pid_t pid;
    int pid_fd, out_fd;
    uint64_t deadline_ns; /* 0: none */
    struct block_feed feed;
    bool too_long, timed_out, halted, yielded, unfed;
    bool stderr_in_line; /* the last byte on stderr is not a newline */
};

/* Returns the path of the program; NULL: it is not in PATH. The caller owns the result. */
static char *search_path(const char *program)
{
    if (strchr(program, '/')) return xstrdup(program);
    const char *dirs = getenv("PATH");
    if (!dirs) dirs = "/usr/local/bin:/bin:/usr/bin";
    for (const char *end; *program; dirs = end + 1) {
        end = strchrnul(dirs, ':');
        int len = (int)(end - dirs);
        char *candidate;
        if (asprintf(&candidate, "%.*s/%s", len ? len : 1, len ? dirs : ".", program) < 0) return NULL;
        if (access(candidate, X_OK) == 0) return candidate;
        free(candidate);
        if (!*end) return NULL;
    }
    return NULL;
}

/* Sets r->path. The path of the last program is kept, because usually all items have the same program. */
static void find_program(struct runner *r, const char *program)
{
    if (r->path && strcmp(r->program, program) == 0) return;
    free(r->program);
    free(r->path);
    r->program = xstrdup(program);
    r->path = search_path(program);
}

bool runner_init(struct runner *r, uint64_t timeout_ms, size_t error_bytes)
{
    *r = (struct runner){.timeout_ms = timeout_ms, .stderr_read = -1, .stderr_write = -1, .lines_fd = -1};
    int pipe_fds[2];
    r->null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (r->null_fd < 0 || pipe2(pipe_fds, O_CLOEXEC) != 0) return false;
    r->stderr_read = pipe_fds[0];
    r->stderr_write = pipe_fds[1];
    if (fcntl(r->stderr_read, F_SETFL, O_NONBLOCK) != 0) return false;
    buf_init(&r->out, OUTPUT_BYTES);
    byte_tail_init(&r->err, error_bytes);
    exec_orphans_adopt();
    return true;
}

void runner_release(struct runner *r)
{
    close(r->null_fd);
    close(r->stderr_read);
    close(r->stderr_write);
    free(r->program);
    free(r->path);
    buf_release(&r->out);
    byte_tail_release(&r->err);
}

/* Runs in the child. The child uses the parent's memory, so this function may only make system calls. */
static int become_program(void *arg)
{
    struct launch *l = arg;
    signal(SIGPIPE, SIG_DFL);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (l->nice) setpriority(PRIO_PROCESS, 0, getpriority(PRIO_PROCESS, 0) + l->nice);
    if (getppid() != l->parent) _exit(127);
    dup2(l->stdin_fd, 0);
    dup2(l->stdout_fd, 1);
    dup2(l->stderr_fd, 2);
    execve(l->path, l->argv, environ);
    if (errno == ENOEXEC) {
        /* If the file is a script that has no #! line, runs it in the shell, as execvp() does. */
        static char shell[] = "/bin/sh";
        char *name = l->argv[0];
        l->argv[0] = (char *)(uintptr_t)l->path;
        l->argv[-1] = shell;
        execve(shell, l->argv - 1, environ);
        l->argv[0] = name;
    }
    l->error = errno;
    _exit(127);
}

/* Returns a descriptor from which the command reads the item. Before the command starts, writes a small item to a pipe,
 * and a large item to a memory file (memfd). */
static int open_text(const struct runner *r, const char *input, size_t len)
{
    if (!input) return fcntl(r->null_fd, F_DUPFD_CLOEXEC, 3);
    if (len <= PIPE_BYTES) {
        int fds[2];
        if (pipe2(fds, O_CLOEXEC) != 0) return -1;
        if (len > 0 && write(fds[1], input, len) != (ssize_t)len) BUG("an empty pipe did not take %zu bytes", len);
        close(fds[1]);
        return fds[0];
    }
    int fd = memfd_create("item", MFD_CLOEXEC);
    if (fd >= 0 && (!write_all(fd, input, len) || lseek(fd, 0, SEEK_SET) != 0)) {
        close(fd);
        return -1;
    }
    return fd;
}

/* On failure returns -1, with the reason in *failed. */
static int open_input(const struct runner *r, struct exec_run *run, const struct run_input *input,
                      struct run_outcome *failed)
{
    int fd;
    if (input->block) {
        fd = block_feed_open(&run->feed, input->block, r->gate ? r->gate->shared->seats_count : 1);
        *failed = (struct run_outcome){RUN_UNFED, run->feed.error};
    } else {
        fd = open_text(r, input->text, input->len);
        *failed = (struct run_outcome){RUN_NOT_STARTED, errno};
    }
    return fd;
}

/* If the command cannot be started, returns false, with the reason in *failed. */
static bool launch(struct runner *r, struct exec_run *run, char **argv, const struct run_input *input,
                   struct run_outcome *failed)
{
    static char stack[CHILD_STACK_BYTES] __attribute__((aligned(16)));
    int out[2], in = open_input(r, run, input, failed);
    if (in < 0) return false;
    if (pipe2(out, O_CLOEXEC) != 0) {
        *failed = (struct run_outcome){RUN_NOT_STARTED, errno};
        close(in);
        return false;
    }
    struct launch l = {r->path, argv, in, out[1], r->stderr_write, getpid(), r->nice, 0};
    run->pid =
        clone(become_program, stack + sizeof stack, CLONE_VM | CLONE_VFORK | CLONE_PIDFD | SIGCHLD, &l, &run->pid_fd);
    *failed = (struct run_outcome){RUN_NOT_STARTED, run->pid < 0 ? errno : l.error};
    close(in);
    close(out[1]);
    run->out_fd = out[0];
    if (failed->code == 0) return true;
    close(out[0]);
    if (run->pid > 0) {
        close(run->pid_fd);
        waitpid(run->pid, NULL, 0);
    }
    return false;
}

static void kill_run(struct exec_run *run, bool *why)
{
    *why = true;
    kill(run->pid, SIGKILL);
}

/* Passes on the bytes of `out` before `end`. */
static void pass_on(struct runner *r, size_t end)
{
    struct buf tagged = {0};
    const char *lines = r->out.data + r->passed;
    size_t len = end - r->passed;
    r->passed = end;
    if (r->tag) {
        buf_add(&tagged, lines, len);
        if (!tag_lines(&tagged, r->tag->data, r->tag->len)) BUG("a buffer without a cap is full");
        lines = tagged.data;
        len = tagged.len;
    }
    line_pipe_write(r->lines_fd, lines, len);
    buf_release(&tagged);
}

/* Passes on the lines that the last `n` bytes of `out` have completed. The last bytes of these lines stay in `out`, for
 * the error if the command fails. */
static void pass_on_lines(struct runner *r, size_t n)
{
    const char *newline = memrchr(r->out.data + r->out.len - n, '\n', n);
    if (!newline) return;
    pass_on(r, (size_t)(newline + 1 - r->out.data));
    if (r->passed < PASSED_BYTES + r->err.most) return;
    size_t surplus = r->passed - r->err.most;
    buf_drop_front(&r->out, surplus);
    r->passed -= surplus;
    r->dropped += surplus;
}

/* If the last line has no newline, adds one and passes the line on. After a line that is too long, nothing is passed
 * on. */
static void pass_on_rest(struct runner *r, const struct exec_run *run)
{
    if (r->lines_fd < 0 || run->too_long || r->passed >= r->out.len) return;
    if (buf_add_char(&r->out, '\n')) pass_on(r, r->out.len);
    r->out.len--;
}

/* Calls read() once for stdout. Returns false if stdout has no more bytes now. At the end of stdout, closes out_fd. */
static bool read_stdout(struct runner *r, struct exec_run *run)
{
    if (!buf_reserve(&r->out, READ_BYTES)) {
        if (!run->too_long) kill_run(run, &run->too_long);
        r->out.len = r->passed = 0;
        return true;
    }
    size_t room = r->out.alloc - r->out.len;
    ssize_t n = read(run->out_fd, r->out.data + r->out.len, room);
    if (n > 0 && r->files) result_files_write(r->files, RESULT_STDOUT, r->out.data + r->out.len, (size_t)n);
    if (n > 0) r->out.len += (size_t)n;
    if (n > 0 && r->lines_fd >= 0 && !run->too_long) pass_on_lines(r, (size_t)n);
    if (n == 0) {
        close(run->out_fd);
        run->out_fd = -1;
    }
    return n == (ssize_t)room;
}

/* Passes on a piece of stderr, with the tag before each line. If the piece begins within a line, that line already has
 * its tag. */
static void pass_on_stderr(const struct runner *r, const struct exec_run *run, const char *piece, size_t len)
{
    struct buf tagged = {0};
    const char *newline = run->stderr_in_line ? memchr(piece, '\n', len) : NULL;
    size_t begun = newline ? (size_t)(newline + 1 - piece) : run->stderr_in_line ? len : 0;
    if (r->tag) buf_add(&tagged, piece + begun, len - begun);
    if (r->tag && !tag_lines(&tagged, r->tag->data, r->tag->len)) BUG("a buffer without a cap is full");
    write_all(STDERR_FILENO, piece, r->tag ? begun : len);
    write_all(STDERR_FILENO, tagged.data, tagged.len);
    buf_release(&tagged);
}

/* Calls read() once for stderr. Returns true if there may be more to read now. */
static bool read_stderr(struct runner *r, struct exec_run *run)
{
    char piece[STDERR_BYTES];
    ssize_t n = read(r->stderr_read, piece, sizeof piece);
    if (n <= 0) return false;
    byte_tail_add(&r->err, piece, (size_t)n);
    if (r->files) result_files_write(r->files, RESULT_STDERR, piece, (size_t)n);
    pass_on_stderr(r, run, piece, (size_t)n);
    run->stderr_in_line = piece[n - 1] != '\n';
    return n == sizeof piece;
}

/* Ends the last line that the command has written to stderr, so that the output of the next command begins on a new
 * line. */
static void end_stderr_line(const struct exec_run *run)
{
    if (run->stderr_in_line) write_all(STDERR_FILENO, "\n", 1);
}

static bool is_killed(const struct exec_run *run)
{
    return run->too_long || run->timed_out || run->halted || run->yielded || run->unfed;
}

/* Kills the command if it has run for too long, or if the gate demands this. Returns the number of milliseconds after
 * which this function must be called again; -1: no call is needed. */
static int check_limits(const struct runner *r, struct exec_run *run)
{
    uint64_t now = now_ns(), next_ns = UINT64_MAX;
    enum gate_order order = GATE_GO_ON;
    if (is_killed(run)) return -1;
    if (r->gate) order = gate_look(r->gate, now, &next_ns);
    if (run->deadline_ns && now >= run->deadline_ns) order = GATE_TIMED_OUT;
    if (run->deadline_ns && run->deadline_ns < next_ns) next_ns = run->deadline_ns;
    switch (order) {
    case GATE_TIMED_OUT: kill_run(run, &run->timed_out); return -1;
    case GATE_CUT: kill_run(run, &run->halted); return -1;
    case GATE_YIELD: kill_run(run, &run->yielded); return -1;
    case GATE_GO_ON: break;
    }
    if (next_ns == UINT64_MAX) return -1;
    uint64_t left_ms = next_ns > now ? (next_ns - now) / NS_PER_MS + 1 : 1;
    return left_ms < INT_MAX ? (int)left_ms : INT_MAX;
}

static void feed(struct exec_run *run, bool has_room)
{
    if (block_feed_step(&run->feed, has_room, now_ns())) return;
    if (!is_killed(run)) kill_run(run, &run->unfed);
}

/* Like poll(), but also returns when the feed is due. */
static int wait_for_event(const struct exec_run *run, struct pollfd *fds, size_t count, int timeout_ms)
{
    if (run->feed.state != FEED_PAUSING) return poll(fds, count, timeout_ms);
    uint64_t now = now_ns(), left = run->feed.due_ns > now ? run->feed.due_ns - now : 0;
    if (timeout_ms >= 0 && left > (uint64_t)timeout_ms * NS_PER_MS) left = (uint64_t)timeout_ms * NS_PER_MS;
    struct timespec timeout = {.tv_nsec = (long)left};
    return ppoll(fds, count, &timeout, NULL);
}

/* Feeds the command, and reads its output, until the command has ended. */
static void wait_for_end(struct runner *r, struct exec_run *run)
{
    for (bool ended = false; !ended;) {
        struct pollfd fds[] = {
            {.fd = run->pid_fd, .events = POLLIN},
            {.fd = run->out_fd, .events = POLLIN},
            {.fd = r->stderr_read, .events = POLLIN},
            {.fd = block_feed_poll_fd(&run->feed), .events = POLLOUT},
        };
        int n = wait_for_event(run, fds, ARRAY_SIZE(fds), check_limits(r, run));
        if (run->feed.state == FEED_PAUSING || run->feed.state == FEED_WAITING) feed(run, n > 0 && fds[3].revents);
        if (n <= 0) continue;
        ended = fds[0].revents != 0;
        if (fds[1].revents) read_stdout(r, run);
        if (fds[2].revents) read_stderr(r, run);
    }
    /* A descendant of the command may keep the pipes open and print more. So the loops below read only the bytes that
     * are in the pipes now, without waiting. */
    if (run->out_fd >= 0) fcntl(run->out_fd, F_SETFL, O_NONBLOCK);
    while (run->out_fd >= 0 && read_stdout(r, run)) continue;
    for (int pieces = 0; pieces < LAST_STDERR_PIECES && read_stderr(r, run); pieces++) continue;
    end_stderr_line(run);
    pass_on_rest(r, run);
}

static int64_t time_of_day_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

struct run_outcome runner_run(struct runner *r, char **argv, const struct run_input *input)
{
    struct exec_run run = {.out_fd = -1, .feed = {.from = -1, .to = -1}};
    buf_clear(&r->out);
    r->passed = r->dropped = 0;
    byte_tail_clear(&r->err);
    find_program(r, argv[0]);
    uint64_t began_ns = now_ns();
    r->usage = (struct run_usage){.start_us = time_of_day_us()};
    struct run_outcome failed = {RUN_NOT_STARTED, ENOENT};
    if (!r->path || !launch(r, &run, argv, input, &failed)) {
        block_feed_close(&run.feed);
        return failed;
    }

    if (r->timeout_ms) run.deadline_ns = now_ns() + r->timeout_ms * NS_PER_MS;
    wait_for_end(r, &run);
    int feed_error = run.feed.error;
    block_feed_close(&run.feed);
    if (run.out_fd >= 0) close(run.out_fd);
    close(run.pid_fd);
    int status = 0;
    struct rusage used = {0};
    while (wait4(run.pid, &status, 0, &used) < 0 && errno == EINTR) continue;
    r->usage.took_us = (int64_t)((now_ns() - began_ns) / NS_PER_US);
    r->usage.peak_bytes = (int64_t)used.ru_maxrss * KIB;
    exec_orphans_kill();

    if (run.too_long) return (struct run_outcome){RUN_TOO_LONG, 0};
    if (run.timed_out) return (struct run_outcome){RUN_TIMED_OUT, 0};
    if (run.halted) return (struct run_outcome){RUN_HALTED, 0};
    if (run.yielded) return (struct run_outcome){RUN_YIELDED, 0};
    if (run.unfed) return (struct run_outcome){RUN_UNFED, feed_error};
    if (WIFSIGNALED(status)) return (struct run_outcome){RUN_SIGNALLED, WTERMSIG(status)};
    return (struct run_outcome){RUN_EXITED, WEXITSTATUS(status)};
}
