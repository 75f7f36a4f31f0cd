/* Private to the job's own files. */
#ifndef FANTAIL_COORDINATOR_JOB_JOB_INTERNAL_H
#define FANTAIL_COORDINATOR_JOB_JOB_INTERNAL_H

#include "coordinator/job/job.h"
#include "coordinator/job/reader.h"

/* jobs.c */
void jobs_add(struct jobs *t, struct job *j);
void jobs_remove(struct jobs *t, struct job *j);

/* job.c */

MUST_CHECK struct job *job_new(struct jobs *jobs);
void job_move(struct job *j, enum job_state to);
/* Its tasks are known to exist, or no worker could be asked. */
void job_start(struct job *j);
/* The exchange of its submission or of a reader is over, and that reader is freed. May free j. */
void job_client_gone(struct job *j);
void job_tick(struct job *j, uint64_t now_ns);

/* The request was wrong: it is answered with the problem, and items that already run are cancelled. members may be
 * NULL. */
void job_refuse(struct job *j, int status, const char *members, const char *detail_fmt, ...) PRINTF_LIKE(4, 5);
/* Clears b and writes "pointer":"..." to it; borrowed from b. */
const char *job_pointer_member(struct buf *b, const char *pointer);

/* Its answers go through a reduction: readers get the value that it makes, and the errors. */
bool job_is_reduced(const struct job *j);
/* The body has become whole, or the job has started: when both are true, readers get their answers. */
void job_open_answers(struct job *j);
void job_answers_came(struct job *j);
/* A sink could not keep answers: the job fails. */
void job_fail_to_keep(struct job *j, const struct answer_sink *sink);
/* The scheduler has reported the end. May free j. */
void job_phase_finished(struct job *j, const struct sched_outcome *outcome);
void job_set_waiting(struct job *j, enum sched_waiting why);

/* job_hint.c */

/* What the members of an item, a valid JSON text, make it look like. */
enum job_likeness job_likeness(const char *item, size_t len);
/* For the end of its answer: what its client may have meant; NULL. Static. */
const char *job_hint(const struct job *j);

/* task_check.c */

/* The options are known: starts the job when its tasks are known to exist, refuses it when one does not. */
void job_check_tasks(struct job *j);

#endif
