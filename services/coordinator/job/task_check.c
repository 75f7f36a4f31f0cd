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

/* If the answer has not begun, refuses the job. If the answer has begun, makes the job fail. */
static void refuse(struct job *j, int status, const char *detail)
{
    struct buf members = {0};
    if (http_exchange_answered(j->submission.exchange))
        job_fail_for_task(j, detail);
    else
        job_refuse(j, status, job_pointer_member(&members, "/task"), "%s", detail);
    buf_release(&members);
}

/* If no worker can be reached (`ok` is false), the job starts anyway and waits for a worker. */
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

static int note_fault(struct job *j)
{
    struct buf detail = {0};
    int status = find_fault(j, &detail);
    free(j->task_fault);
    j->task_fault = status ? xstrdup(buf_cstr(&detail)) : NULL;
    buf_release(&detail);
    return status;
}

/* A job with a keeper is not refused: it continues when a worker of this coordinator or of another one can run its
 * tasks. */
static void workers_answered_again(void *data, bool ok)
{
    struct job *j = data;
    bool waits = j->state == JOB_RUNNING && j->waiting == SCHED_WAITING_NO_TASK && !j->cancel_reason;
    j->question = NULL;
    if (!waits) return;
    int status = note_fault(j);
    if (ok && status && j->submission.exchange && !has_answers(j))
        refuse(j, status, j->task_fault);
    else
        job_tell_waiting(j);
}

void job_check_tasks_again(struct job *j)
{
    if (j->question) return;
    note_fault(j);
    j->question = survey_question_new(&j->jobs->fleet->survey, NULL, workers_answered_again, j);
    if (!j->question) job_tell_waiting(j);
}

/* Call it when some workers cannot run the task and the other workers could not be reached. Appends to j->task_fault
 * that the other workers could not be reached. */
static void add_unreached(struct job *j)
{
    struct buf text = {0};
    buf_addf(&text, "%s; the other workers could not be reached", j->task_fault);
    free(j->task_fault);
    j->task_fault = xstrdup(buf_cstr(&text));
    buf_release(&text);
}

const char *job_reason(struct job *j, const char *reason)
{
    bool no_workers = reason == sched_cause_no_workers;
    if (!no_workers && reason != sched_cause_no_task) return reason;
    int status = note_fault(j);
    if (status == 0 || (no_workers && status != 422)) return reason;
    if (no_workers) add_unreached(j);
    return j->task_fault;
}
