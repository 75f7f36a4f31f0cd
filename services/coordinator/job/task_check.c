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

/* If no worker could answer, the job starts anyway and waits for a worker. */
static void workers_answered(void *data, bool ok)
{
    struct job *j = data;
    struct buf detail = {0}, members = {0};
    j->question = NULL;
    if (j->state != JOB_ASKING) return;
    int status = ok ? find_fault(j, &detail) : 0;
    if (status)
        job_refuse(j, status, job_pointer_member(&members, "/task"), "%s", buf_cstr(&detail));
    else
        job_start(j);
    buf_release(&detail);
    buf_release(&members);
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
