/* Private to the job's own files. */
#ifndef FANTAIL_COORDINATOR_JOB_JOB_INTERNAL_H
#define FANTAIL_COORDINATOR_JOB_JOB_INTERNAL_H

#include "coordinator/job/job.h"
#include "coordinator/job/reader.h"

/* jobs.c */
void jobs_add(struct jobs *t, struct job *j);
void jobs_remove(struct jobs *t, struct job *j);
/* Call it regularly. Resumes paused jobs, and lets readers add the control lines that are due. */
void jobs_tick(struct jobs *t, uint64_t now_ns);

/* job.c */

MUST_CHECK struct job *job_new(struct jobs *jobs);
void job_move(struct job *j, enum job_state to);
/* Starts the job. Call it when the tasks of the job are known to exist, or when no worker could be asked. */
void job_start(struct job *j);
/* Call it when the exchange of the submission or of a reader is over. The reader of this exchange must already be
 * freed. May free j. */
void job_client_gone(struct job *j);

/* Refuses the job: answers the request with the problem, and cancels the job if it already runs. `members` may be
 * NULL. */
void job_refuse(struct job *j, int status, const char *members, const char *detail_fmt, ...) PRINTF_LIKE(4, 5);
/* Clears b, writes "pointer":"..." to it and returns the text, which is borrowed from b. */
const char *job_pointer_member(struct buf *b, const char *pointer);

/* Returns whether the job has ended and all its answers can be read. */
bool job_has_all_answers(const struct job *j);
/* Folds some of the answers that have arrived. Call it while j->folds_more is set. */
void job_fold_more(struct job *j);
/* Call it when answers have been stored. If a long answer must be written to the disk, this is done in later turns of
 * the loop. */
void job_spill_later(struct job *j);
/* Writes the next part of a long answer to the disk. Call it while j->spills_more is set. */
void job_spill_more(struct job *j);
/* Returns whether the job has a built-in reduction. The readers of a job with a built-in reduction get the result of
 * the reduction and the errors. */
bool job_is_reduced(const struct job *j);
/* If the body has ended and the job has started, gives the answers to the readers. Call it when the body has ended, and
 * call it when the job has started. */
void job_open_answers(struct job *j);
void job_answers_came(struct job *j);
/* Makes the job fail because a sink could not store its answers. */
void job_fail_to_keep(struct job *j, const struct answer_sink *sink);
/* Makes the job fail because no worker can run one of its tasks. */
void job_fail_for_task(struct job *j, const char *why);
/* Makes the job fail because there is no memory for an answer. */
void job_fail_for_memory(struct job *j);
/* Call it when the scheduler has reported the end of the phase. May free j. */
void job_phase_finished(struct job *j, const struct sched_outcome *outcome);
void job_set_waiting(struct job *j, enum sched_waiting why);
/* Tells the keeper and the readers what the job waits for. */
void job_tell_waiting(struct job *j);

/* job_pause.c */

/* If the reader of the job is slow and the temporary files have reached half of their limit, pauses the job: no new
 * items are sent. Resumes the job when the reader has caught up. Without the pause, the job would fail when the limit
 * is reached. If the job has a keeper, is_behind() decides instead. Call it when answers have been added or read, but
 * not from inside an action of the scheduler. */
void job_pause_or_resume(struct job *j);

/* job_hint.c */

/* Returns a hint about what the client may have meant, or about a preference that was ignored. The hint belongs at the
 * end of the answer. Returns NULL when there is no hint. The text is static. */
const char *job_hint(const struct job *j);

/* task_check.c */

/* Call it when the options are known. Starts the job if the workers can run its tasks, or if no worker can be reached.
 * Refuses the job if one of its tasks is a task that no worker has or that no worker can run. */
void job_check_tasks(struct job *j);
/* Call it when the job waits because no worker can run its tasks. Asks the workers why. Refuses the job if three
 * conditions hold: the workers confirm that they cannot run the tasks, the job has a client, and no item has been
 * answered. If the answer to the client has already begun, the job fails instead. In all other cases, calls
 * job_tell_waiting(), with the reason in j->task_fault. */
void job_check_tasks_again(struct job *j);
/* Translates a reason of the scheduler into the reason that clients get. If no worker can run the tasks, clients get
 * the reason that the workers give. The text is static, or borrowed from the job until the next call. Returns NULL if
 * `reason` is NULL. */
const char *job_reason(struct job *j, const char *reason);

#endif
