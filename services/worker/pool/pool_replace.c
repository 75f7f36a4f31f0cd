/*
 * Replaces a task whose files have changed. A process of the new description is started first: the candidate. The
 * processes of the previous description serve until the candidate is ready. If the candidate ends before it is ready,
 * the previous processes continue, because the new files may be incomplete or wrong.
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

static void on_candidate_starting(struct process *process)
{
}

static void on_candidate_ready(struct process *process)
{
    struct pool *p = process->pool;
    p->candidate = NULL;
    p->busy_until_ns = process->ready_ns;
    pool_set_task(p, process->task, p->candidate_size);
    process->hooks = &pool_hooks;
    pool_add_process(p, process);
    pool_feed(p);
}

static void on_candidate_lost(struct process *process, struct fault *f)
{
    struct pool *p = process->pool;
    if (p->candidate != process) return;
    p->candidate = NULL;
    p->busy_until_ns = now_ns();
    log_failed(p, f);
}

static const struct process_hooks candidate_hooks = {
    .starting = on_candidate_starting, .ready = on_candidate_ready, .lost = on_candidate_lost};

void pool_drop_candidate(struct pool *p)
{
    struct process *candidate = p->candidate;
    struct fault f;
    p->candidate = NULL;
    if (!candidate) return;
    fault_set(&f, ITEM_CANCELLED, "the process is no longer needed");
    process_kill(candidate, &f);
}

void pool_replace(struct pool *p, struct task *task, unsigned size)
{
    struct fault f;
    pool_drop_candidate(p);
    if (p->count == 0 || !task->ready) {
        pool_reload(p, task, size);
        return;
    }
    p->candidate_size = size;
    p->candidate = process_start(p->env, task, &candidate_hooks, p, now_ns(), &f);
    if (!p->candidate) log_failed(p, &f);
}
