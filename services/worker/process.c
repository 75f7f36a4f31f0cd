#include "process.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "log.h"
#include "process_end.h"
#include "spawn.h"

#define READ_BYTES       (256 * KIB)
#define READS_PER_TURN   4
#define PIPE_BYTES       (1 * MIB)
#define STDERR_BYTES     (16 * KIB)
#define CLOSED_GRACE_NS  (300 * NS_PER_MS) /* between the end of its stdout and the end of the process */
#define RETIRE_GRACE_NS  (2 * NS_PER_S)
#define ABANDONED_NS     (100 * NS_PER_MS) /* an item nobody waits for any more may still take so long */
#define MEMORY_CHECK_NS  (50 * NS_PER_MS)
#define OOM_SCORE_ADJUST 500
#define DATA_FACTOR      4 /* RLIMIT_DATA over memory_bytes: a backstop between two looks at its memory */

/* ---- stdin ---- */

static void on_writable(uv_poll_t *poll, int status, int events);

static void wait_for_room(struct process *p)
{
    if (!p->in_enlarged) {
        /* Only pipes that fill are enlarged: the kernel grants an unprivileged user few of them. */
        p->in_enlarged = true;
        if (fcntl(p->in_fd, F_SETPIPE_SZ, (int)PIPE_BYTES) > 0) return;
    }
    if (p->in_polled) return;
    p->in_polled = true;
    uv_poll_start(&p->in, UV_WRITABLE, on_writable);
}

static void stop_waiting_for_room(struct process *p)
{
    if (!p->in_polled) return;
    p->in_polled = false;
    uv_poll_stop(&p->in);
}

static void set_grace(struct process *p, uint64_t duration_ns, const char *cause)
{
    if (p->grace_until_ns) return;
    uint64_t now = now_ns();
    p->grace_until_ns = now + duration_ns;
    p->grace_cause = cause;
    process_check_time(p, now);
}

static void close_stdin(struct process *p)
{
    if (!p->in_open) return;
    process_close_pipe(p, &p->in, &p->in_open);
}

#define STRETCHES (PROCESS_TELLINGS + 1)

/* The bytes of the run being written that are still to go. */
static int stretches(const struct process *p, struct iovec iov[STRETCHES], size_t *left)
{
    const struct run *r = p->writing;
    size_t at = p->written;
    int n = 0;
    *left = 0;
    for (int i = 0; i < STRETCHES; i++) {
        struct common *told = i < PROCESS_TELLINGS ? p->telling[i] : NULL;
        char *data = told ? told->line : r->chunk->items.data + r->offset;
        size_t len = told ? told->len : i < PROCESS_TELLINGS ? 0 : r->len, skip = at < len ? at : len;
        at -= skip;
        if (skip == len) continue;
        iov[n++] = (struct iovec){data + skip, len - skip};
        *left += len - skip;
    }
    return n;
}

/* The process is to know `now` instead of *told; returns what it is sent for that. */
static struct common *tell(struct common **told, struct common *now, struct common *none)
{
    common_unref(*told);
    *told = common_ref(now);
    return now ? now : none;
}

/* Before a run of a chunk with another common value or trace the process is told the new one. */
static void begin_run(struct process *p, struct run *r)
{
    static struct common *no_common, *no_trace;
    p->writing = r;
    p->written = 0;
    p->telling[0] = p->telling[1] = NULL;
    if (!r) return;
    if (!no_common) {
        no_common = common_new("null", 4);
        no_trace = common_from_lines("#traceparent\n", 13);
    }
    struct chunk *c = r->chunk;
    if (p->task->common && !common_equal(p->common, c->common)) p->telling[0] = tell(&p->common, c->common, no_common);
    if (p->task->trace && p->trace != c->trace) p->telling[1] = tell(&p->trace, c->trace, no_trace);
}

static void write_runs(struct process *p)
{
    while (p->writing && p->in_open) {
        struct iovec iov[STRETCHES];
        size_t left;
        int count = stretches(p, iov, &left);
        ssize_t n = writev(p->in_fd, iov, count);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0 && errno == EAGAIN) {
            bool was_enlarged = p->in_enlarged;
            wait_for_room(p);
            if (was_enlarged || p->in_polled) return;
            continue;
        }
        if (n < 0) {
            close_stdin(p);
            set_grace(p, CLOSED_GRACE_NS, "it closed its stdin");
            return;
        }
        p->written += (size_t)n;
        if ((size_t)n == left) begin_run(p, p->writing->next_given);
    }
    stop_waiting_for_room(p);
    if (p->state == PROCESS_RETIRING && !p->writing) close_stdin(p);
}

static void on_writable(uv_poll_t *poll, int status, int events)
{
    write_runs(poll->data);
}

/* ---- stdout ---- */

static char read_buffer[READ_BYTES];

static void fault_from_intake(struct process *p, const struct intake *in)
{
    struct fault f;
    fault_set(&f, ITEM_BAD_OUTPUT, "%s", in->fault);
    if (in->unasked)
        log_warn("a process is ended: it wrote a line nobody asked for", LOG_STR("task", p->task->name),
                 LOG_I64("pid", p->child.pid));
    process_kill(p, &f);
}

/* False when the process was killed, for what it wrote or meanwhile. `rest`: bytes of the line that is not whole. */
static bool judge_output(struct process *p, const struct intake *in, size_t rest)
{
    if (p->state == PROCESS_DYING) return false;
    if (in->fault) {
        fault_from_intake(p, in);
        return false;
    }
    if (rest > LIMIT_ANSWER_BYTES) {
        struct fault f;
        fault_set(&f, ITEM_BAD_OUTPUT, "its answer is larger than %u bytes", (unsigned)LIMIT_ANSWER_BYTES);
        process_kill(p, &f);
        return false;
    }
    return true;
}

/* Takes the answers in data; keeps the beginning of the last line. */
static bool take_output(struct process *p, const char *data, size_t len)
{
    struct intake in = window_intake(&p->window, data, len, p->task->envelope, now_ns(), p->hooks->progress);
    buf_add(&p->partial, data + in.used, len - in.used);
    return judge_output(p, &in, len - in.used);
}

/* The same for a long line that gathers in p->partial, of which `seen` bytes were there before. When its end has come
 * it goes to its chunk with its memory; what stands behind it begins anew. */
static bool take_long_line(struct process *p, size_t seen)
{
    struct buf line = p->partial, behind = {0};
    struct intake in = {0};
    char *newline = memchr(line.data + seen, '\n', line.len - seen);
    if (!newline) {
        p->window.seen = line.len;
        return judge_output(p, &in, line.len);
    }
    size_t len = (size_t)(newline + 1 - line.data);
    buf_add(&behind, newline + 1, line.len - len);
    line.len = len;
    p->partial = (struct buf){0};
    p->long_line = len >= READ_BYTES ? len : 0;
    in = window_take(&p->window, &line, p->task->envelope, now_ns(), p->hooks->progress);
    buf_release(&line);
    bool ok = judge_output(p, &in, 0) && (behind.len == 0 || take_output(p, behind.data, behind.len));
    buf_release(&behind);
    return ok;
}

/* One read() and its answers. Returns the bytes read, 0 at the end, -1 for nothing now or killed. A short beginning of
 * a line is put before the shared buffer's bytes; a long line grows in the process's own. */
static ssize_t read_once(struct process *p, int fd, size_t *room)
{
    struct buf *b = &p->partial;
    bool is_long = b->len >= READ_BYTES / 4 || p->long_line;
    size_t before = b->len;
    char *dst;
    if (is_long) {
        buf_expect(b, READ_BYTES, p->long_line + READ_BYTES);
        if (!buf_reserve(b, READ_BYTES)) return -1;
        dst = b->data;
        *room = READ_BYTES;
    } else {
        dst = read_buffer;
        if (before) memcpy(dst, b->data, before);
        *room = READ_BYTES - before;
    }
    ssize_t n;
    do n = read(fd, dst + before, *room);
    while (n < 0 && errno == EINTR);
    if (n <= 0) {
        if (b->len == 0) buf_release(b);
        return n;
    }
    bool ok;
    if (is_long) {
        b->len += (size_t)n;
        ok = take_long_line(p, before);
    } else {
        buf_clear(b);
        ok = take_output(p, dst, before + (size_t)n);
    }
    return ok ? n : -1;
}

static int pipe_fd(const uv_poll_t *poll)
{
    uv_os_fd_t fd = -1;
    uv_fileno((const uv_handle_t *)poll, &fd);
    return fd;
}

/* False at the end of the output. */
static bool read_output(struct process *p, unsigned reads)
{
    int fd = pipe_fd(&p->out);
    while (reads-- > 0) {
        size_t room;
        ssize_t n = read_once(p, fd, &room);
        if (n == 0) return false;
        if (n < 0) return p->state == PROCESS_DYING || errno == EAGAIN;
        if (!p->out_enlarged && n >= 60 * (ssize_t)KIB) {
            p->out_enlarged = true;
            fcntl(fd, F_SETPIPE_SZ, (int)PIPE_BYTES);
        }
        if ((size_t)n < room && n < 60 * (ssize_t)KIB) break; /* it was all there was */
    }
    return true;
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
    struct process *p = poll->data;
    uint64_t before = p->window.answered;
    bool more = read_output(p, READS_PER_TURN);
    if (p->state == PROCESS_DYING) return;
    if (!more) {
        process_close_pipe(p, &p->out, &p->out_open);
        set_grace(p, p->state == PROCESS_RETIRING ? RETIRE_GRACE_NS : CLOSED_GRACE_NS, "it closed its stdout");
    }
    if (p->state == PROCESS_RETIRING && !p->window.head)
        set_grace(p, RETIRE_GRACE_NS, "it did not end when its input ended");
    if (p->window.answered == before) return;
    p->hooks->answered(p);
    process_check_time(p, now_ns());
}

/* ---- stderr ---- */

static void read_stderr(struct process *p)
{
    char text[STDERR_BYTES];
    struct run *r = p->window.head;
    struct tail_origin from = {.task = p->task->name, .pid = p->child.pid};
    if (r && !r->chunk->abandoned_ns) {
        from.chunk = r->chunk->name;
        from.index = r->first + r->answered;
        from.trace_id = r->chunk->trace_id;
    }
    for (int i = 0; i < READS_PER_TURN && p->err_open; i++) {
        ssize_t n = read(pipe_fd(&p->err), text, sizeof text);
        if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
        if (n <= 0) {
            process_close_pipe(p, &p->err, &p->err_open);
            return;
        }
        tail_add(&p->tail, text, (size_t)n, &from, now_ns());
    }
}

static void on_stderr(uv_poll_t *poll, int status, int events)
{
    read_stderr(poll->data);
}

void process_read_rest(struct process *p, bool answers)
{
    if (p->err_open) read_stderr(p);
    /* An enlarged pipe holds a few reads; a descendant that goes on writing must not keep us here. */
    if (answers && p->out_open) read_output(p, 3 * PIPE_BYTES / READ_BYTES);
}

/* ---- time and memory ---- */

/* When the item it is at must be answered; UINT64_MAX: whenever. */
static uint64_t item_deadline(const struct process *p)
{
    const struct run *r = p->window.head;
    if (!r) return UINT64_MAX;
    uint64_t since = p->window.head_since_ns, until = UINT64_MAX;
    if (r->chunk->item_timeout_ns) until = since + r->chunk->item_timeout_ns;
    if (r->chunk->abandoned_ns) {
        uint64_t from = since > r->chunk->abandoned_ns ? since : r->chunk->abandoned_ns;
        if (from + ABANDONED_NS < until) until = from + ABANDONED_NS;
    }
    return until;
}

static bool over_time(struct process *p, uint64_t now)
{
    struct fault f;
    if (p->grace_until_ns && now >= p->grace_until_ns) {
        fault_set(&f, ITEM_BAD_OUTPUT, "%s", p->grace_cause);
    } else if (now >= item_deadline(p)) {
        uint64_t limit = p->window.head->chunk->item_timeout_ns;
        fault_set(&f, ITEM_TIMED_OUT, "no answer within %g s", (double)limit / (double)NS_PER_S);
    } else {
        return false;
    }
    process_kill(p, &f);
    return true;
}

static bool over_memory(struct process *p)
{
    uint64_t limit = p->task->memory_bytes;
    if (!limit || !p->window.head) return false;
    uint64_t used = process_memory(p->child.pid);
    if (used <= limit) return false;
    struct fault f;
    fault_set(&f, ITEM_OUT_OF_MEMORY, "it used %llu bytes of memory, more than memory_bytes (%llu)",
              (unsigned long long)used, (unsigned long long)limit);
    process_kill(p, &f);
    return true;
}

static void on_timer(uv_timer_t *timer)
{
    struct process *p = timer->data;
    uint64_t now = now_ns();
    p->timer_due = false;
    if (p->state == PROCESS_DYING) return;
    /* An answer may lie in the pipe already: read before judging. */
    if (p->out_open) on_readable(&p->out, 0, UV_READABLE);
    if (p->state == PROCESS_DYING || over_time(p, now) || over_memory(p)) return;
    process_check_time(p, now);
}

/* The timer is left alone while it runs: it looks again when it fires, so a quick item costs no timer call. */
void process_check_time(struct process *p, uint64_t now)
{
    if (p->state == PROCESS_DYING) return;
    uint64_t until = item_deadline(p);
    if (p->task->memory_bytes && p->window.head && now + MEMORY_CHECK_NS < until) until = now + MEMORY_CHECK_NS;
    if (p->grace_until_ns && p->grace_until_ns < until) until = p->grace_until_ns;
    if (until == UINT64_MAX) return;
    uint64_t ms = until > now ? (until - now) / NS_PER_MS + 1 : 0;
    if (p->timer_due && uv_timer_get_due_in(&p->timer) <= ms) return;
    p->timer_due = true;
    uv_timer_start(&p->timer, on_timer, ms, 0);
}

/* ---- life ---- */

static void open_pipe(struct process *p, uv_poll_t *poll, bool *open, int fd)
{
    if (uv_poll_init(p->env->loop, poll, fd) != 0) BUG("a pipe cannot be polled");
    poll->data = p;
    *open = true;
    p->handles++;
}

static bool spawn_process(struct process *p, struct spawned *s, struct fault *f)
{
    char token[64], scratch[300];
    size_t n = 0;
    while (p->task->env[n]) n++;
    const char **env = xcalloc(n + 4, sizeof *env);
    if (n) memcpy(env, p->task->env, n * sizeof *env);
    snprintf(token, sizeof token, "FANTAIL_PROCESS=%d-%llu", (int)getpid(), (unsigned long long)p->child.token);
    env[n++] = token;
    if (p->scratch) {
        snprintf(scratch, sizeof scratch, "TMPDIR=%s", p->scratch);
        env[n++] = scratch;
    }
    char worker[160];
    snprintf(worker, sizeof worker, "FANTAIL_WORKER=%s", p->env->worker_id);
    env[n++] = worker;
    struct spawn_plan plan = {.path = p->task->path,
                              .argv = p->task->argv,
                              .env = env,
                              .cwd = p->task->cwd,
                              .data_bytes = p->task->memory_bytes * DATA_FACTOR,
                              .sockets = p->task->mode != TASK_STREAM, /* its hosts are ours */
                              .oom_score_adj = OOM_SCORE_ADJUST};
    int error;
    const char *step;
    bool ok = spawn(&plan, s, &error, &step);
    if (!ok) fault_set(f, ITEM_CRASHED, "%s: cannot %s: %s", p->task->path, step, strerror(error));
    free(env);
    return ok;
}

static char *make_scratch(const struct process_env *env, uint64_t token)
{
    if (!env->scratch) return NULL;
    size_t size = strlen(env->scratch) + 24;
    char *path = xmalloc(size);
    snprintf(path, size, "%s/%llu", env->scratch, (unsigned long long)token);
    if (mkdir(path, 0700) == 0) return path;
    log_warn("cannot make a temporary directory", LOG_STR("path", path), LOG_STR("error", strerror(errno)));
    free(path);
    return NULL;
}

struct process *process_start(const struct process_env *env, struct task *task, const struct process_hooks *hooks,
                              void *pool, uint64_t now, struct fault *f)
{
    struct process *p = xcalloc(1, sizeof *p);
    p->env = env;
    p->hooks = hooks;
    p->pool = pool;
    p->task = task_ref(task);
    p->child.token = reaper_new_token(env->reaper);
    p->scratch = make_scratch(env, p->child.token);
    p->started_ns = now;
    window_init(&p->window);
    struct spawned s;
    if (!spawn_process(p, &s, f)) {
        process_release(p);
        return NULL;
    }
    p->child.pid = s.pid;
    p->child.on_exit = process_on_exit;
    reaper_add(env->reaper, &p->child);
    p->in_fd = s.in;
    open_pipe(p, &p->in, &p->in_open, s.in);
    open_pipe(p, &p->out, &p->out_open, s.out);
    open_pipe(p, &p->err, &p->err_open, s.err);
    uv_poll_start(&p->out, UV_READABLE, on_readable);
    uv_poll_start(&p->err, UV_READABLE, on_stderr);
    uv_timer_init(env->loop, &p->timer);
    p->timer.data = p;
    p->handles++;
    return p;
}

uint64_t process_room(struct process *p, uint64_t now)
{
    if (p->state != PROCESS_RUNNING || p->grace_until_ns) return 0;
    uint64_t room = window_room(&p->window, now), max = p->task->max_items_per_process;
    if (!max) return room;
    uint64_t left = p->window.given < max ? max - p->window.given : 0;
    return room < left ? room : left;
}

void process_give(struct process *p, struct run *r, uint64_t now)
{
    bool idle = !p->window.head;
    if (idle && p->window.answered) tail_restart(&p->tail);
    window_push(&p->window, r, now);
    if (!p->writing) {
        begin_run(p, r);
        write_runs(p);
    }
    if (p->task->max_items_per_process && p->window.given >= p->task->max_items_per_process) process_retire(p);
    if (idle) process_check_time(p, now);
}

void process_retire(struct process *p)
{
    if (p->state != PROCESS_RUNNING) return;
    p->state = PROCESS_RETIRING;
    p->retired = true;
    if (!p->writing) close_stdin(p);
    if (!p->window.head) set_grace(p, RETIRE_GRACE_NS, "it did not end when its input ended");
}
