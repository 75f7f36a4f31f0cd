/* Reads the answers of a process and its stderr. */
#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "common/base/memory_room.h"
#include "common/loop/progress.h"
#include "common/observe/log.h"
#include "worker/process/process_internal.h"

#define READ_BYTES       (256 * KIB)
#define LONG_TURN_BYTES  (1 * MIB)  /* bytes to read in one turn of the loop if the lines of the process are long */
#define SHORT_TURN_BYTES (64 * KIB) /* bytes to read in a turn if lines are short; copying them takes 0.1 ms */
#define READ_SLACK_BYTES (4 * KIB)  /* a read may return this much less than was asked for, although more has come */
#define STDERR_READS     4
#define STDERR_BYTES     (16 * KIB)

/* ---- stdout ---- */

static char read_buffer[READ_BYTES];

/* Kills the process. `line` is the beginning of the invalid line; other lines may follow. */
static void fault_from_intake(struct process *p, const struct intake *in, const char *line, size_t len)
{
    const char *newline = memchr(line, '\n', len);
    size_t n = newline ? (size_t)(newline - line) : len;
    struct fault f;
    fault_set(&f, ITEM_BAD_OUTPUT, "%s", in->fault);
    fault_quote(&f, line, n);
    f.in_answer = true;
    if (in->surplus)
        log_warn("killing a process: it wrote more lines than it had items", LOG_STR("task", p->task->name),
                 LOG_I64("pid", p->child.pid), LOG_U64("line_bytes", n));
    process_kill(p, &f);
}

/* If answers have ids, lines that are not answers are logged like stderr. */
static void log_strays(struct process *p)
{
    struct buf *strays = &p->window.strays;
    struct tail_origin from = process_origin(p);
    if (strays->len) tail_add(&p->tail, strays->data, strays->len, &from, now_ns());
    buf_clear(strays);
}

/* Kills the process if its output is invalid. Returns false when the process is lost. `line` has `rest` bytes: either
 * an unfinished line, or the invalid line and the bytes after it. */
static bool check_output(struct process *p, const struct intake *in, const char *line, size_t rest)
{
    log_strays(p);
    if (process_is_lost(p)) return false;
    if (in->fault) {
        fault_from_intake(p, in, line, rest);
        return false;
    }
    if (rest > LIMIT_ANSWER_BYTES) {
        struct fault f;
        fault_set(&f, ITEM_BAD_OUTPUT, "the answer is larger than %u bytes", (unsigned)LIMIT_ANSWER_BYTES);
        f.in_answer = true;
        process_kill(p, &f);
        return false;
    }
    return true;
}

/* Sets waited_ns and ran_ns of the window. waited_ns is the time that the process has waited for a processor since the
 * last answers. It also includes the time that the worker has waited for a processor while the new answers may already
 * have been in the pipe. While the process hardly waits, its waiting time is rarely read from /proc. The waiting time
 * between two such reads is subtracted from the time of the answers that have arrived at the second read. Returns
 * `now`. */
static uint64_t count_wait(struct process *p, uint64_t now)
{
    struct cpu_wait none = {0}, *its = &p->cpu_wait, *ours = p->env->our_wait ? p->env->our_wait : &none;
    p->window.waited_ns = p->window.ran_ns = 0;
    if (!window_should_measure_wait(&p->window, now)) return now;
    cpu_wait_look(its, now);
    cpu_wait_read(ours, now);
    p->window.waited_ns = its->waited_ns - p->counted.waited_ns + ours->waited_ns - ours->waited_before_ns;
    p->window.ran_ns = its->ran_ns - p->counted.ran_ns;
    p->counted.waited_ns = its->waited_ns;
    p->counted.ran_ns = its->ran_ns;
    return now;
}

/* Reads the output of a process that has not yet reported that it is ready. Output that a process writes before it
 * reports that it is ready is logged like stderr. Consumes only whole lines, and returns how many bytes it consumed. */
static size_t read_start(struct process *p, const char *data, size_t len)
{
    static const char ready[] = "#ready";
    struct tail_origin from = process_origin(p);
    size_t used = 0;
    while (p->state == PROCESS_STARTING) {
        const char *line = data + used, *newline = memchr(line, '\n', len - used);
        if (!newline) break;
        size_t n = (size_t)(newline - line);
        used += n + 1;
        if (n && line[n - 1] == '\r') n--;
        if (n == sizeof ready - 1 && memcmp(line, ready, n) == 0)
            process_become_ready(p, count_wait(p, now_ns()));
        else
            tail_add(&p->tail, line, (size_t)(newline + 1 - line), &from, now_ns());
    }
    return used;
}

/* Reads the answers in `data`, and keeps the unfinished line. Returns false when the process is lost. */
static bool read_answers(struct process *p, const char *data, size_t len)
{
    if (p->state == PROCESS_STARTING) {
        size_t used = read_start(p, data, len);
        data += used;
        len -= used;
    }
    struct intake in = {0};
    if (p->state != PROCESS_STARTING)
        in = window_intake(&p->window, data, len, count_wait(p, now_ns()), p->hooks->progress);
    buf_add(&p->partial, data + in.used, len - in.used);
    return check_output(p, &in, data + in.used, len - in.used);
}

/* Like read_answers(), for a long line. The line grows in p->partial; its first `seen` bytes have no newline. When the
 * line is complete, its memory moves to the chunk. read_answers() reads the bytes after the line. */
static bool read_long_line(struct process *p, size_t seen)
{
    struct buf line = p->partial, rest = {0};
    struct intake in = {0};
    size_t frame = window_frame_bytes(&p->window);
    char *newline = memchr(line.data + seen, '\n', line.len - seen);
    if (!newline) {
        in.fault = window_look(&p->window, line.data, line.len);
        return check_output(p, &in, line.data + frame, line.len - frame);
    }
    size_t len = (size_t)(newline + 1 - line.data);
    buf_add(&rest, newline + 1, line.len - len);
    line.len = len;
    p->partial = (struct buf){0};
    p->long_line = len >= READ_BYTES ? len : 0;
    in = window_intake_buf(&p->window, &line, count_wait(p, now_ns()), p->hooks->progress);
    bool ok = check_output(p, &in, in.fault ? line.data + frame : "", in.fault ? line.len - frame : 0) &&
              (rest.len == 0 || read_answers(p, rest.data, rest.len));
    buf_release(&line);
    buf_release(&rest);
    return ok;
}

static bool has_long_lines(const struct process *p)
{
    return p->partial.len >= READ_BYTES / 4 || p->long_line;
}

/* Returns whether to expect a long line: the last line of the process was long, and there is memory for another long
 * line. */
static bool expects_long_line(struct process *p)
{
    if (p->long_line && !memory_has_room(p->long_line + 2 * READ_BYTES)) p->long_line = 0;
    return p->long_line;
}

/* Returns whether there is memory for more of the long line and for a copy of this line. If there is too little memory,
 * kills the process. */
static bool has_room(struct process *p)
{
    size_t growth = buf_growth(&p->partial, READ_BYTES);
    if (!growth || memory_has_room(growth + p->partial.len + READ_BYTES)) return true;
    struct fault f;
    fault_set(&f, ITEM_OUT_OF_MEMORY, "the worker has reached its memory limit, and the answer needs more memory");
    f.in_answer = true;
    process_kill(p, &f);
    return false;
}

/* Calls read() once, and reads the answers. Returns how many bytes it read, 0 at the end of the output, or -1 if
 * nothing can be read now or the process is lost. Short lines are read into a buffer that all processes share, after
 * the unfinished line. A long line grows in the buffer of its process. */
static ssize_t read_once(struct process *p, int fd, size_t *room)
{
    struct buf *b = &p->partial;
    bool is_long = b->len >= READ_BYTES / 4;
    size_t before = b->len;
    char *dst;
    if (is_long && !has_room(p)) return -1;
    is_long = is_long || expects_long_line(p);
    if (is_long) {
        buf_expect(b, READ_BYTES, p->long_line + READ_BYTES);
        if (!buf_reserve(b, READ_BYTES)) return -1;
        dst = b->data;
        *room = READ_BYTES;
    } else {
        dst = read_buffer;
        if (before) memcpy(dst, b->data, before);
        *room = SHORT_TURN_BYTES;
    }
    ssize_t n;
    if (*room > p->readable) *room = p->readable;
    do n = read(fd, dst + before, *room);
    while (n < 0 && errno == EINTR);
    if (n > 0 && p->readable != SIZE_MAX) p->readable -= (size_t)n;
    if (n <= 0) {
        if (b->len == 0) buf_release(b);
        return n;
    }
    progress_note();
    bool ok;
    if (is_long) {
        b->len += (size_t)n;
        before += window_frame(&p->window, b);
        ok = read_long_line(p, before);
    } else {
        buf_clear(b);
        ok = read_answers(p, dst, before + (size_t)n);
    }
    return ok ? n : -1;
}

/* Reads about `most` bytes, or all that are available, but not more than p->readable. Returns false at the end of the
 * output. */
static bool read_output(struct process *p, size_t most)
{
    int fd = p->out.fd;
    for (size_t taken = 0; taken + READ_SLACK_BYTES < most && p->readable > 0;) {
        size_t room;
        ssize_t n = read_once(p, fd, &room);
        if (n == 0) return false;
        if (n < 0) return process_is_lost(p) || errno == EAGAIN;
        bool full = (size_t)n + READ_SLACK_BYTES >= SHORT_TURN_BYTES;
        if (!p->out.enlarged && full) {
            p->out.enlarged = true;
            fcntl(fd, F_SETPIPE_SZ, (int)PROCESS_PIPE_BYTES);
        }
        if ((size_t)n < room && !full) break; /* the pipe is empty now */
        taken += (size_t)n;
    }
    return true;
}

/* ---- stderr ---- */

/* Returns the origin of a line that an item has written. If the chunk of the item was abandoned, the item is not
 * named. */
static struct tail_origin origin_of(const struct process *p, const struct chunk *c, uint64_t index)
{
    struct tail_origin from = process_origin(p);
    if (c->abandoned_ns) return from;
    from.has_item = true;
    from.index = c->base + index;
    from.job = c->job;
    from.chunk = *c->name ? c->name : NULL;
    from.attempt = c->attempt;
    from.trace_id = c->trace_id;
    return from;
}

/* Returns the origin of a line of stderr: the current item, unless its chunk was abandoned. If several items run at the
 * same time, the item is not known. */
static struct tail_origin item_origin(const struct process *p)
{
    const struct run *r = p->window.head;
    if (!r || (p->window.form == FORM_ANY_ORDER && p->window.items > 1)) return process_origin(p);
    return origin_of(p, r->chunk, window_index(&p->window));
}

/* Logs a line that an item has printed. */
void process_on_log(struct window *w, const struct run *r, const char *text, size_t len)
{
    struct process *p = CONTAINER_OF(w, struct process, window);
    struct tail_origin from = origin_of(p, r->chunk, r->first);
    tail_add_line(&p->tail, text, len, &from, now_ns());
}

static void read_stderr(struct process *p)
{
    char text[STDERR_BYTES];
    struct tail_origin from = item_origin(p);
    for (int i = 0; i < STDERR_READS && p->err.open; i++) {
        ssize_t n = read(p->err.fd, text, sizeof text);
        if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
        if (n <= 0) {
            process_close_pipe(&p->err);
            return;
        }
        progress_note();
        tail_add(&p->tail, text, (size_t)n, &from, now_ns());
    }
}

/* A client may kill this worker as soon as it has the last answer. So the output that the task printed before an answer
 * is shown before the answer is sent. */
static void show_output(struct process *p)
{
    if (p->env->output == TAIL_LOG) return;
    if (p->err.open) read_stderr(p);
    struct tail_origin from = process_origin(p);
    if (!p->window.head) tail_pause(&p->tail, &from, now_ns());
    log_flush();
}

/* ---- the gate: lines that standard error does not take ---- */

static void on_gate_open(struct output_waiter *w, uint64_t waited_ns)
{
    struct process *p = CONTAINER_OF(w, struct process, held);
    if (p->window.head) p->window.head_since_ns += waited_ns; /* the item could not go on */
    process_prolong(p, waited_ns);
    if (p->out.open) uv_poll_start(&p->out.poll, UV_READABLE, process_on_readable);
    if (p->err.open) uv_poll_start(&p->err.poll, UV_READABLE, process_on_stderr);
    process_check_time(p, now_ns());
}

/* Returns whether the output of the process must not be read now, because log lines wait to be written. When these
 * lines have been written, reading continues. */
static bool is_held(struct process *p)
{
    if (!p->env->gate) return false;
    if (p->held.waits) return true;
    if (output_gate_is_open()) return false;
    if (p->out.open) uv_poll_stop(&p->out.poll);
    if (p->err.open) uv_poll_stop(&p->err.poll);
    p->held.resume = on_gate_open;
    output_gate_wait(p->env->gate, &p->held);
    return true;
}

static size_t bytes_in(int pipe_fd)
{
    int bytes = 0;
    return ioctl(pipe_fd, FIONREAD, &bytes) == 0 ? (size_t)bytes : 0;
}

/* Returns whether answers may be read now, and sets p->readable. If there is an output gate, only the answers that are
 * in the pipe now may be read. What the task printed before these answers is read first, and must be written first. */
static bool may_read_answers(struct process *p)
{
    p->readable = SIZE_MAX;
    if (!p->env->gate) return true;
    if (is_held(p)) return false;
    size_t bytes = bytes_in(p->out.fd);
    if (p->err.open) read_stderr(p);
    if (is_held(p)) return false;
    if (bytes) p->readable = bytes;
    return bytes || bytes_in(p->out.fd) == 0; /* without bytes, only the end of the output can be read */
}

/* ---- events ---- */

void process_on_readable(uv_poll_t *poll, int status, int events)
{
    struct process *p = poll->data;
    uint64_t before = p->window.answered;
    bool was_starting = p->state == PROCESS_STARTING;
    if (!may_read_answers(p)) return;
    bool more = read_output(p, has_long_lines(p) ? LONG_TURN_BYTES : SHORT_TURN_BYTES);
    if (process_is_lost(p)) return;
    show_output(p);
    if (!more) {
        process_close_pipe(&p->out);
        process_expect_end(p, "the process closed its stdout");
    }
    if (p->state == PROCESS_RETIRING && !p->window.head) {
        process_close_input(p);
        process_expect_end(p, PROCESS_STAYED);
    }
    if (was_starting && p->state == PROCESS_RUNNING) p->hooks->ready(p);
    if (p->window.answered == before || process_is_lost(p)) return;
    process_confirm(p, now_ns());
    if (process_is_lost(p)) return;
    p->hooks->answered(p);
    process_check_time(p, now_ns());
}

void process_on_stderr(uv_poll_t *poll, int status, int events)
{
    struct process *p = poll->data;
    if (!is_held(p)) read_stderr(p);
}

void process_read_rest(struct process *p, bool answers)
{
    p->readable = SIZE_MAX;
    if (p->err.open) read_stderr(p);
    /* The limit is needed because a descendant may never stop writing. Even an enlarged pipe holds fewer bytes than the
     * limit. */
    if (answers && p->out.open) read_output(p, 3 * PROCESS_PIPE_BYTES);
}
