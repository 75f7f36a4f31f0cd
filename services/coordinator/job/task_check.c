/* Checks whether the workers have the tasks of a job. */
#include "coordinator/job/job_internal.h"

static const struct catalog_task *find_task(const struct job *j, size_t i)
{
    return catalog_find(&j->jobs->fleet->survey.catalog, j->spec.tasks[i]);
}

/* Returns the first task that workers have, but that none of them could run when they were asked last. */
static const struct catalog_task *first_broken_task(const struct job *j)
{
    for (size_t i = 0; i < j->spec.task_count; i++) {
        const struct catalog_task *task = find_task(j, i);
        if (task && !task->runs) return task;
    }
    return NULL;
}

static void refuse_broken_task(struct job *j, const struct catalog_task *task)
{
    struct buf members = {0};
    job_refuse(j, 422, job_pointer_member(&members, "/task"), "the task \"%s\" cannot run: %s", task->name,
               task->error);
    buf_release(&members);
}

static const char *first_unknown_task(const struct job *j)
{
    for (size_t i = 0; i < j->spec.task_count; i++)
        if (!find_task(j, i)) return j->spec.tasks[i];
    return NULL;
}

/* If a stream has begun, the job fails instead. */
static void refuse_unknown_task(struct job *j, const char *task)
{
    struct buf names = {0}, members = {0};
    char why[400];
    catalog_list_names(&j->jobs->fleet->survey.catalog, &names);
    snprintf(why, sizeof why, "there is no task \"%s\"; the workers have %s", task, buf_cstr(&names));
    if (http_exchange_answered(j->submission.exchange))
        job_fail_for_task(j, why);
    else
        job_refuse(j, 404, job_pointer_member(&members, "/task"), "%s", why);
    buf_release(&names);
    buf_release(&members);
}

static bool has_answers(const struct job *j)
{
    struct sched_counts counts = sched_job_counts(j->phase.sched);
    return counts.succeeded + counts.failed > 0;
}

static bool tasks_are_there(void *data)
{
    const struct job *j = data;
    return !first_unknown_task(j) && !first_broken_task(j);
}

/* If no worker could answer, the job starts anyway and waits for a worker. */
static void workers_answered(void *data, bool ok)
{
    struct job *j = data;
    j->question = NULL;
    if (j->state != JOB_ASKING) return;
    const char *unknown = first_unknown_task(j);
    const struct catalog_task *broken = first_broken_task(j);
    if (ok && unknown)
        refuse_unknown_task(j, unknown);
    else if (ok && broken)
        refuse_broken_task(j, broken);
    else
        job_start(j);
}

void job_check_tasks(struct job *j)
{
    struct survey *survey = &j->jobs->fleet->survey;
    if (!tasks_are_there(j)) j->question = survey_question_new(survey, tasks_are_there, workers_answered, j);
    if (j->question)
        job_move(j, JOB_ASKING);
    else
        job_start(j);
}

/* The workers were asked again, because none of them has the job's task any more. */
static void workers_answered_again(void *data, bool ok)
{
    struct job *j = data;
    const char *unknown = first_unknown_task(j);
    bool waits = j->state == JOB_RUNNING && j->waiting == SCHED_WAITING_NO_TASK && !j->cancel_reason;
    j->question = NULL;
    if (ok && unknown && waits && j->submission.exchange && !has_answers(j)) refuse_unknown_task(j, unknown);
}

void job_check_tasks_again(struct job *j)
{
    if (j->question || has_answers(j)) return;
    j->question = survey_question_new(&j->jobs->fleet->survey, NULL, workers_answered_again, j);
}
