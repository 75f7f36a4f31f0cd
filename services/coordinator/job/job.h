/*
 * One job from its POST to its last byte: its submission brings options and items, its phase runs the items, its
 * answers go to its readers. It lives until the scheduler, the submission's exchange and the readers are done with it.
 *
 *                     the workers have its tasks
 *   NEW ---------------------------------------------------> RUNNING ---> ENDED
 *    |                                                          ^
 *    +---> ASKING (a worker is asked which tasks there are) ----+
 *    |        |
 *    +--------+---> REFUSED (the request was wrong)
 *
 * A request that turns out wrong while the job runs already leaves it RUNNING: it is cancelled and ends.
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
#include "coordinator/job/uuid.h"
#include "coordinator/status/status.h"

enum job_state { JOB_NEW, JOB_ASKING, JOB_RUNNING, JOB_ENDED, JOB_REFUSED, JOB_STATE_COUNT };

struct job {
    struct jobs *jobs;
    struct list_link by_age;    /* jobs.c */
    struct job *next_in_bucket; /* jobs.c */
    enum job_state state;
    char id[UUID_TEXT_SIZE];
    uint64_t started_ns;
    struct trace_scope trace;
    struct jobspec spec;

    struct submission submission;
    struct survey_question *question; /* ASKING */
    struct phase phase;
    struct answer_buffer answers;
    struct fold fold; /* of a reduced job, from when its answers can be read */
    bool readable;    /* job_open_answers() has opened them */
    struct list readers;

    enum sched_status cancel_status;
    const char *cancel_reason; /* NULL: not cancelled */
    bool cancel_is_noted;      /* on jobs->cancels */
    struct list_link cancel_link;
    enum sched_waiting waiting;
    struct sched_outcome outcome;
    char failure[200]; /* why the coordinator itself failed the job; "" */
    bool disk_failed;  /* that is why */
};

/* Ends it early, before the next scheduler_run(), or when it starts. reason is a literal or lives as long as the job.
 * The first one counts. */
void job_cancel(struct job *j, enum sched_status status, const char *reason);
/* What watchers see of it. Borrowed from the job. */
struct status_job job_status(const struct job *j);

#endif
