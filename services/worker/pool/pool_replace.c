/*
 * Replaces a task whose files have changed. A process of the new description is started first, on trial. The processes
 * of the former description serve until the new process is ready. If the new process ends before that, the former
 * processes continue, because the change is half written or wrong.
 */
#include "common/observe/log.h"
#include "worker/pool/pool_internal.h"

static void log_failed(const struct pool *p, const struct fault *f)
{
    char message[sizeof f->cause + 200];
    snprintf(message, sizeof message,
             "task %s has changed and cannot start (%.*s). Its old processes continue to serve.", p->task->name,
             (int)f->own, f->cause);
    log_error(message, LOG_SAID(LOG_STR("task", p->task->name)), LOG_SAID(LOG_STRN("cause", f->cause, f->own)));
}

static void on_trial_starting(struct process *process)
{
}

static void on_trial_ready(struct process *process)
{
    struct pool *p = process->pool;
    p->trial = NULL;
    p->busy_until_ns = process->ready_ns;
    pool_set_task(p, process->task, p->trial_size);
    process->hooks = &pool_hooks;
    pool_add_process(p, process);
    pool_feed(p);
}

static void on_trial_lost(struct process *process, struct fault *f)
{
    struct pool *p = process->pool;
    if (p->trial != process) return;
    p->trial = NULL;
    p->busy_until_ns = now_ns();
    log_failed(p, f);
}

static const struct process_hooks trial_hooks = {
    .starting = on_trial_starting, .ready = on_trial_ready, .lost = on_trial_lost};

void pool_drop_trial(struct pool *p)
{
    struct process *trial = p->trial;
    struct fault f;
    p->trial = NULL;
    if (!trial) return;
    fault_set(&f, ITEM_CANCELLED, "the process is not needed any more");
    process_kill(trial, &f);
}

void pool_replace(struct pool *p, struct task *task, unsigned size)
{
    struct fault f;
    pool_drop_trial(p);
    if (p->count == 0 || !task->ready) {
        pool_reload(p, task, size);
        return;
    }
    p->trial_size = size;
    p->trial = process_start(p->env, task, &trial_hooks, p, now_ns(), &f);
    if (!p->trial) log_failed(p, &f);
}
