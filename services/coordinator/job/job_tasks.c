#include "coordinator/job/job_tasks.h"

/* Returns the first task that is not in the catalog; NULL: there is none. */
static const char *first_unknown(struct catalog *c, const struct jobspec *spec)
{
    for (size_t i = 0; i < spec->task_count; i++)
        if (!catalog_find(c, spec->tasks[i])) return spec->tasks[i];
    return NULL;
}

/* Returns the first task that a worker has but that no worker can run. Only the latest report of each worker counts. */
static const struct catalog_task *first_broken(struct catalog *c, const struct jobspec *spec)
{
    for (size_t i = 0; i < spec->task_count; i++) {
        const struct catalog_task *task = catalog_find(c, spec->tasks[i]);
        if (task && !task->runs) return task;
    }
    return NULL;
}

static void explain_unknown(struct catalog *c, const char *task, struct buf *detail)
{
    struct buf names = {0};
    catalog_list_names(c, &names);
    buf_addf(detail, "there is no task \"%s\"; the workers have %s", task, buf_cstr(&names));
    buf_release(&names);
}

int job_tasks_fault(struct catalog *c, const struct jobspec *spec, struct buf *detail)
{
    const char *unknown = first_unknown(c, spec);
    const struct catalog_task *broken = first_broken(c, spec);
    if (unknown && detail) explain_unknown(c, unknown, detail);
    if (unknown) return 404;
    if (broken && detail) buf_addf(detail, "the task \"%s\" cannot run: %s", broken->name, broken->error);
    return broken ? 422 : 0;
}

bool job_tasks_are_described(struct catalog *c, const struct jobspec *spec)
{
    for (size_t i = 0; i < spec->task_count; i++) {
        const struct catalog_task *task = catalog_find(c, spec->tasks[i]);
        if (!task || !task->described) return false;
    }
    return true;
}

enum idempotency job_tasks_idempotency(struct catalog *c, const struct jobspec *spec)
{
    enum idempotency all = IDEMPOTENCY_YES;
    for (size_t i = 0; i < spec->task_count; i++) {
        const struct catalog_task *task = catalog_find(c, spec->tasks[i]);
        all = idempotency_of_both(all, task ? task->idempotent : IDEMPOTENCY_UNSAID);
    }
    return all;
}
