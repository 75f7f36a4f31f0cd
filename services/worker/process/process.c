#include "worker/process/process.h"

#include <errno.h>
#include <unistd.h>

#include "common/observe/log.h"
#include "worker/process/process_internal.h"
#include "worker/system/scratch.h"
#include "worker/system/spawn.h"
#include "worker/task/environment.h"

#define OOM_SCORE_ADJUST 500
#define DATA_FACTOR      4 /* RLIMIT_DATA / memory_bytes; stops growth that is too quick for the memory checks */

static const char *const state_names[] = {
    [PROCESS_STARTING] = "starting", [PROCESS_RUNNING] = "running", [PROCESS_RETIRING] = "retiring",
    [PROCESS_ENDING] = "ending",     [PROCESS_EXITED] = "exited",   [PROCESS_KILLED] = "killed",
    [PROCESS_GONE] = "gone",
};
static_assert(ARRAY_SIZE(state_names) == PROCESS_STATE_COUNT, "a name for each state");

void process_move(struct process *p, enum process_state to)
{
    log_debug("process moved", LOG_STR("task", p->task->name), LOG_I64("pid", p->child.pid),
              LOG_STR("from", state_names[p->state]), LOG_STR("to", state_names[to]));
    p->state = to;
}

static void open_pipe(struct process *p, struct process_pipe *pipe, int fd)
{
    if (uv_poll_init(p->env->loop, &pipe->poll, fd) != 0) BUG("a pipe cannot be polled");
    pipe->poll.data = p;
    pipe->fd = fd;
    pipe->open = true;
    p->handles++;
}

static bool spawn_process(struct process *p, struct spawned *s, struct fault *f)
{
    const struct environment_process of_process = {
        .worker = getpid(), .token = p->child.token, .scratch = p->scratch, .worker_id = p->env->worker_id};
    const char **env = environment_of_process(p->task->env, &of_process);
    struct spawn_plan plan = {.path = p->task->path,
                              .argv = p->task->argv,
                              .env = env,
                              .cwd = p->task->cwd,
                              .data_bytes = p->task->memory_bytes * DATA_FACTOR,
                              .sockets = p->task->mode != TASK_STREAM, /* host programs can use sockets */
                              .keeps_in_peer = p->task->mode != TASK_STREAM && p->task->in_order,
                              .oom_score_adj = OOM_SCORE_ADJUST};
    char why[SPAWN_WHY_SIZE];
    bool ok = spawn(&plan, s, why);
    if (!ok) {
        fault_set(f, ITEM_CRASHED, "%s", why);
        fault_name_command(f, (const char *const[]){p->task->path, NULL}, p->task->cwd);
    }
    environment_free(env);
    return ok;
}

static enum window_form task_form(const struct task *t)
{
    if (t->concurrency) return FORM_ANY_ORDER;
    if (t->mode != TASK_STREAM) return FORM_TRUSTED;
    if (t->ids) return FORM_NUMBERED;
    return t->envelope ? FORM_CHECKED : FORM_CHECKED_VALUE;
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
    p->scratch = task->own_tmpdir ? scratch_make_inner(env->scratch, p->child.token) : NULL;
    tail_init(&p->tail, task->error_bytes);
    p->started_ns = now;
    p->next_item = 1;
    p->due_ns = UINT64_MAX;
    p->in_peer = -1;
    window_init(&p->window, task_form(task), task_slots_per_process(task));
    p->window.log = process_on_log;
    struct spawned s;
    if (!spawn_process(p, &s, f)) {
        process_move(p, PROCESS_GONE);
        process_release(p);
        return NULL;
    }
    p->child.pid = s.pid;
    cpu_wait_init(&p->cpu_wait, s.pid);
    p->child.on_exit = process_on_exit;
    reaper_add(env->reaper, &p->child);
    p->in_peer = s.in_peer;
    open_pipe(p, &p->in, s.in);
    open_pipe(p, &p->out, s.out);
    open_pipe(p, &p->err, s.err);
    uv_poll_start(&p->out.poll, UV_READABLE, process_on_readable);
    uv_poll_start(&p->err.poll, UV_READABLE, process_on_stderr);
    uv_timer_init(env->loop, &p->timer);
    p->timer.data = p;
    p->handles++;
    p->ready_ns = now;
    if (task->ready)
        process_check_time(p, now);
    else
        process_move(p, PROCESS_RUNNING);
    return p;
}

void process_become_ready(struct process *p, uint64_t now)
{
    struct tail_origin from = process_origin(p);
    p->ready_ns = now;
    process_move(p, PROCESS_RUNNING);
    tail_start_end(&p->tail, true, &from, now);
    log_debug("a process is ready", LOG_STR("task", p->task->name), LOG_I64("pid", p->child.pid),
              LOG_MS("duration_ms", now - p->started_ns));
}

uint64_t process_room(struct process *p, uint64_t now)
{
    if (p->state != PROCESS_RUNNING) return 0;
    uint64_t room = window_room(&p->window, now), max = p->task->max_items_per_process;
    if (!max) return room;
    uint64_t left = p->window.given < max ? max - p->window.given : 0;
    return room < left ? room : left;
}

void process_give(struct process *p, struct run *r, uint64_t now)
{
    bool idle = !p->window.head;
    if (idle && p->window.answered && !p->window.unconfirmed) tail_restart(&p->tail);
    window_push(&p->window, r, now);
    if (p->window.form == FORM_ANY_ORDER) {
        process_post_run(p, r);
        process_watch_run(p, r);
        idle = true; /* the item has a time limit of its own */
    } else if (!p->writing.chunk) {
        process_begin_run(p, r);
        process_write_runs(p);
    }
    if (p->task->max_items_per_process && p->window.given >= p->task->max_items_per_process) process_retire(p);
    if (idle) process_check_time(p, now);
}

void process_retire(struct process *p)
{
    if (p->state > PROCESS_ENDING) return;
    p->retired = true;
    if (p->state == PROCESS_STARTING) process_expect_end(p, PROCESS_STAYED);
    if (p->state == PROCESS_RUNNING) process_move(p, PROCESS_RETIRING);
    process_close_input(p);
    if (!p->window.head) process_expect_end(p, PROCESS_STAYED);
}

void process_flush(struct process *p)
{
    if (p->window.form == FORM_ANY_ORDER && !process_is_lost(p)) process_write_outbox(p);
}
