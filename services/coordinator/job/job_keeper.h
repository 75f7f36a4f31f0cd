/*
 * A job that has no client has a keeper, which supplies the items and takes the answers. The job calls the ops of the
 * keeper. The keeper outlives the job. The keeper also counts the settled items and the end of the job in the metrics,
 * because only the keeper knows whether the job itself has ended: it may also stop a job that continues on another
 * coordinator.
 */
#ifndef FANTAIL_COORDINATOR_JOB_JOB_KEEPER_H
#define FANTAIL_COORDINATOR_JOB_JOB_KEEPER_H

#include "coordinator/job/job.h"

struct job_keeper_ops {
    /* Called when items have been taken from the source. May be called from inside an action of the scheduler. */
    void (*items_taken)(void *keeper);
    /* Called when answers have been added to the sink. May be called from inside an action of the scheduler. */
    void (*answers_came)(void *keeper);
    /* Returns whether many answers wait in the sink. While is_behind() returns true, no new items are sent. */
    bool (*is_behind)(void *keeper);
    /* Called when there is no memory for an answer. If lacks_memory() returns true, the job waits for memory, and
     * is_behind() returns true for a while. If lacks_memory() returns false, the job fails. */
    bool (*lacks_memory)(void *keeper);
    /* Called when the job begins to wait, waits for something else, or continues; job->waiting says what it waits for.
     * The call comes from inside an action of the scheduler. */
    void (*waiting_changed)(void *keeper);
    /* Called when the scheduler has reported the end of the job; job->outcome is set. The call comes from inside an
     * action of the scheduler. The job lives until job_let_go(). */
    void (*finished)(void *keeper);
};

struct job_keeper {
    const struct job_keeper_ops *ops;
    void *keeper;
    struct item_source items;
    struct answer_sink answers;
    enum idempotency idempotent; /* the idempotency of the job's tasks, as it was known when the job was accepted */
    struct sched_counts before;  /* items that an earlier run of the job has settled */
    /* The trace that the job belongs to; NULL: none. Borrowed until job_new_kept() returns. */
    const char *traceparent, *tracestate;
};

/* Makes a job with this id and starts it. Moves `spec` into the job, and leaves `spec` empty. `keeper` is borrowed
 * until job_let_go(). The keeper offers the items with phase_offer() and phase_no_more_items(). */
MUST_CHECK struct job *job_new_kept(struct jobs *jobs, const char *id, struct jobspec *spec,
                                    const struct job_keeper *keeper);
/* Pauses or resumes the job. Call it when the result of is_behind() may have changed, but not from inside an action of
 * the scheduler. */
void job_keeper_changed(struct job *j);
/* Call it after `finished` has been called, but not from inside an action of the scheduler. Frees the job. */
void job_let_go(struct job *j);

#endif
