#include "worker/process/process_internal.h"
#include "worker/system/memory_usage.h"
#include "worker/system/scratch.h"

#include <signal.h>
#include <unistd.h>

#include "common/observe/log.h"

/* How long a process may take to exit before it is killed. */
#define RETIRE_GRACE_NS (2 * NS_PER_S)    /* a retired process: after we have closed its stdin */
#define CLOSED_GRACE_NS (300 * NS_PER_MS) /* any other process: after it has closed a pipe */

void process_expect_end(struct process *p, const char *cause)
{
    if (p->state > PROCESS_RETIRING) return;
    uint64_t now = now_ns();
    process_move(p, PROCESS_ENDING);
    p->grace_until_ns = now + (p->retired ? RETIRE_GRACE_NS : CLOSED_GRACE_NS);
    p->grace_cause = cause;
    process_check_time(p, now);
}

static void on_pipe_closed(uv_handle_t *handle)
{
    struct process *p = handle->data;
    p->handles--;
    process_release(p);
}

/* uv_close() of a poll handle does not close the descriptor. After uv_poll_stop(), libuv no longer watches the
 * descriptor, so we may close it. */
void process_close_pipe(struct process_pipe *pipe)
{
    if (!pipe->open) return;
    pipe->open = false;
    uv_poll_stop(&pipe->poll);
    uv_close((uv_handle_t *)&pipe->poll, on_pipe_closed);
    close(pipe->fd);
}

void process_release(struct process *p)
{
    if (p->handles || p->state != PROCESS_GONE) return;
    scratch_remove_inner(p->env->loop, p->scratch);
    if (p->in_peer >= 0) close(p->in_peer);
    common_value_unref(p->common);
    common_value_unref(p->trace);
    buf_release(&p->partial);
    buf_release(&p->numbered);
    buf_release(&p->outbox);
    window_release(&p->window);
    tail_release(&p->tail);
    cpu_wait_release(&p->cpu_wait);
    task_unref(p->task);
    free(p);
}

static void lose(struct process *p, struct fault *f)
{
    struct tail_origin from = process_origin(p);
    process_move(p, p->state == PROCESS_EXITED ? PROCESS_GONE : PROCESS_KILLED);
    tail_start_end(&p->tail, false, &from, now_ns());
    process_end_writing(p);
    p->hooks->lost(p, f);
}

static void close_all(struct process *p)
{
    if (p->env->gate) output_gate_leave(p->env->gate, &p->held);
    process_close_pipe(&p->in);
    process_close_pipe(&p->out);
    process_close_pipe(&p->err);
    if (!uv_is_closing((uv_handle_t *)&p->timer)) uv_close((uv_handle_t *)&p->timer, on_pipe_closed);
}

void process_kill(struct process *p, const struct fault *f)
{
    if (process_is_lost(p)) return;
    if (p->state != PROCESS_EXITED) kill(-p->child.pid, SIGKILL);
    process_read_rest(p, false);
    struct fault copy = *f;
    lose(p, &copy);
    close_all(p);
}

static bool says_out_of_memory(const struct tail *t)
{
    size_t len;
    const char *kept = byte_tail_get(&t->kept, &len);
    return fault_says_out_of_memory(kept, len);
}

/* Sets f->name to ITEM_OUT_OF_MEMORY if the process ended for lack of memory. The exit status does not show whether
 * memory ran out. */
static void detect_out_of_memory(const struct process *p, struct fault *f, const struct rusage *usage)
{
    static uint64_t known_kills;
    uint64_t kills = f->signal == SIGKILL ? memory_usage_oom_kills() : known_kills,
             peak = (uint64_t)usage->ru_maxrss * KIB;
    if (kills > known_kills)
        f->name = ITEM_OUT_OF_MEMORY;
    else if (p->task->memory_bytes && (peak > p->task->memory_bytes || says_out_of_memory(&p->tail)))
        f->name = ITEM_OUT_OF_MEMORY;
    known_kills = kills;
}

/* For a process that was reaped: reads the rest of its output, and finds out why the process ended. */
static void lose_exited(struct process *p, int status, const struct rusage *usage)
{
    process_read_rest(p, true);
    if (process_is_lost(p)) return;
    /* If the process ended normally, and wrote exactly as many lines as it had items, its answers are confirmed. */
    bool good_end = p->retired || status == 0;
    if (p->window.unconfirmed && good_end) window_confirm(&p->window, now_ns(), p->hooks->progress);
    if (process_is_lost(p)) return;
    struct fault f;
    fault_from_exit(&f, status, p->window.answered > 0);
    if (p->partial.len && f.exit_code == 0)
        fault_set(&f, ITEM_BAD_OUTPUT, "the process exited in the middle of a line");
    else if (f.signal ? p->window.given == 0 : p->window.answered == 0)
        fault_name_command(&f, p->task->command, task_words_folder(p->task));
    detect_out_of_memory(p, &f, usage);
    lose(p, &f);
}

void process_on_exit(struct reaped *child, int status, const struct rusage *usage)
{
    struct process *p = CONTAINER_OF(child, struct process, child);
    if (process_is_lost(p)) {
        process_move(p, PROCESS_GONE);
    } else {
        process_move(p, PROCESS_EXITED);
        lose_exited(p, status, usage);
    }
    struct tail_origin from = process_origin(p);
    tail_end(&p->tail, &from, now_ns());
    close_all(p);
    process_release(p);
}
