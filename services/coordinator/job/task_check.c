/* Checks whether the workers have the tasks of a job. */
#include "coordinator/job/job_internal.h"
#include "coordinator/job/job_tasks.h"

static int find_fault(const struct job *j, struct buf *detail)
{
    return job_tasks_fault(&j->jobs->fleet->survey.catalog, &j->spec, detail);
}

static bool tasks_are_there(void *data)
{
    return find_fault(data, NULL) == 0;
}

/* Refuses the job. If the answer has already begun, the job fails instead. */
static void refuse(struct job *j, int status, const char *detail)
{
    struct buf members = {0};
    if (http_exchange_answered(j->submission.exchange))
        job_fail_for_task(j, detail);
    else
        job_refuse(j, status, job_pointer_member(&members, "/task"), "%s", detail);
    buf_release(&members);
}

/* If no worker could answer, the job starts anyway and waits for a worker. */
static void workers_answered(void *data, bool ok)
{
    struct job *j = data;
    struct buf detail = {0};
    j->question = NULL;
    if (j->state != JOB_ASKING) return;
    int status = ok ? find_fault(j, &detail) : 0;
    if (status)
        refuse(j, status, buf_cstr(&detail));
    else
        job_start(j);
    buf_release(&detail);
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

static bool has_answers(const struct job *j)
{
    struct sched_counts counts = sched_job_counts(j->phase.sched);
    return counts.succeeded + counts.failed > 0;
}

/* If no worker has the job's tasks any more, the workers are asked again. This function is called after they have
 * answered. */
static void workers_answered_again(void *data, bool ok)
{
    struct job *j = data;
    struct buf detail = {0};
    bool waits = j->state == JOB_RUNNING && j->waiting == SCHED_WAITING_NO_TASK && !j->cancel_reason;
    j->question = NULL;
    if (ok && waits && j->submission.exchange && !has_answers(j) && find_fault(j, &detail) == 404)
        refuse(j, 404, buf_cstr(&detail));
    buf_release(&detail);
}

void job_check_tasks_again(struct job *j)
{
    if (j->question || has_answers(j)) return;
    j->question = survey_question_new(&j->jobs->fleet->survey, NULL, workers_answered_again, j);
}
