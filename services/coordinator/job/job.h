/*
 * One job, from its POST request to the last byte of its answer. Its submission receives the options and items, its
 * phase runs the items, and its readers send the answers. A job is freed when the scheduler, the submission's exchange,
 * all readers and its keeper (job_keeper.h) are done with it.
 *
 *                     the workers have its tasks
 *   NEW ---------------------------------------------------> RUNNING ---> ENDED
 *    |                                                          ^
 *    +---> ASKING (a worker is asked which tasks there are) ----+
 *    |        |
 *    +--------+---> REFUSED (the request was wrong)
 *
 * If the request is refused while the job runs, the job is cancelled. The job stays RUNNING until the cancellation is
 * done.
 */
#ifndef FANTAIL_COORDINATOR_JOB_JOB_H
#define FANTAIL_COORDINATOR_JOB_JOB_H

#include "common/trace/trace_scope.h"
#include "coordinator/answers/answer_buffer.h"
#include "coordinator/answers/fold.h"
#include "coordinator/items/jobspec.h"
#include "coordinator/job/jobs.h"
#include "coordinator/job/phase.h"
#include "coordinator/job/submission.h"
#include "common/observe/uuid.h"
#include "coordinator/status/status.h"

enum job_state { JOB_NEW, JOB_ASKING, JOB_RUNNING, JOB_ENDED, JOB_REFUSED, JOB_STATE_COUNT };

struct job_keeper;

struct job {
    struct jobs *jobs;
    const struct job_keeper *keeper; /* see job_keeper.h; NULL: none, or job_let_go() was called */
    bool is_kept;                    /* the job has or had a keeper */
    struct list_link by_age;         /* used by jobs.c */
    struct job *next_in_bucket;      /* used by jobs.c */
    enum job_state state;
    char id[UUID_TEXT_SIZE];
    uint64_t started_ns;
    struct trace_scope trace;
    struct jobspec spec;

    struct submission submission;
    struct survey_question *question; /* the open question to the workers about the tasks; NULL: none */
    struct phase phase;
    struct answer_buffer answers;
    bool folds_more; /* the job is on jobs->folds, because more answers have arrived for the reduction */
    struct list_link fold_link;
    bool spills_more; /* the job is on jobs->spills, because a long answer is being written to the disk */
    struct list_link spill_link;
    struct fold fold; /* only for a reduced job; set when its answers can be read */
    bool readable;    /* job_open_answers() has given the answers to the readers */
    struct list readers;

    enum sched_status cancel_status;
    const char *cancel_reason; /* NULL: not cancelled */
    bool drained;              /* the job was cancelled because the coordinator drains */
    bool cancel_is_noted;      /* the job is on jobs->cancels */
    struct list_link cancel_link;
    enum sched_waiting waiting;
    /* Why at least one of the job's tasks can run on no worker, according to the last reports of the workers. NULL: the
     * workers can run the tasks, or it is not known whether they can. */
    char *task_fault;
    uint64_t starting; /* how many task processes are starting on the worker that last reported this number */
    bool paused; /* the job is on jobs->paused: no new items are sent until its reader has caught up (job_pause.c) */
    struct list_link paused_link;
    struct sched_outcome outcome;
    char failure[512]; /* why the coordinator made the job fail; "": it did not */
    bool disk_failed;  /* the job failed because answers could not be stored on the disk or read back */
};

/* Ends the job early: in the next scheduler_run(), or when the job starts. `reason` must be a literal, or stay valid
 * until the job is freed. If the job is cancelled again, the first reason counts. */
void job_cancel(struct job *j, enum sched_status status, const char *reason);
/* Returns what the job waits for. The strings in the result are borrowed from the job and the fleet. */
struct status_waiting job_waits_for(const struct job *j);
/* Returns the status of the job. The strings in the result are borrowed from the job. */
struct status_job job_status(const struct job *j);

#endif
