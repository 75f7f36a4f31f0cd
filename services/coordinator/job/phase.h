/*
 * One run of a job's items on the workers: where the items come from, what is sent with each chunk, the job in the
 * scheduler, and where the answers go. A job has one phase. The dispatcher works with phases: the owner of a sched_job
 * is its phase.
 */
#ifndef FANTAIL_COORDINATOR_JOB_PHASE_H
#define FANTAIL_COORDINATOR_JOB_PHASE_H

#include "coordinator/answers/answer_sink.h"
#include "coordinator/items/item_source.h"
#include "coordinator/sched/scheduler.h"

struct job;

struct phase {
    struct job *job;
    struct sched_job *sched; /* NULL before the start and after the end */
    struct buf chunk_header; /* the first line of every chunk */
    struct item_source items;
    struct generated_items generated; /* `items` reads from this, from `spooled`, or from the keeper's source */
    struct spooled_items spooled;
    struct answer_sink answers;
    uint64_t answer_bytes; /* the length of the last complete answer to a chunk; 0: none yet */
    bool knows_tasks;      /* workers have described the job's tasks */
};

/* Starts the run that job->spec describes. The answers of the run are added to the sink `answers`. */
void phase_start(struct phase *p, struct job *job, struct answer_sink answers);
/* Tells the scheduler that items have arrived. Does nothing before phase_start(): that function itself counts the items
 * that are in the spool. */
void phase_offer(struct phase *p, uint64_t items, uint64_t bytes);
void phase_no_more_items(struct phase *p);
/* Applies options that may change while the phase runs. */
void phase_update(struct phase *p);
/* If workers have described the job's tasks since the start, applies these descriptions. Call it when workers have
 * reported tasks. */
void phase_learn_tasks(struct phase *p);
/* Returns the strictest idempotency of the job's tasks, as far as it is known. */
enum idempotency phase_idempotency(const struct phase *p);
/* Call it after the end of the phase, or before its start. */
void phase_release(struct phase *p);

/* For the dispatcher. */

/* These functions are the scheduler's ops cut, drop, job_finished and waiting. phase_finished() may free the job. */
size_t phase_cut(struct phase *p, struct sched_chunk *chunk, size_t max_items, size_t max_bytes, size_t *bytes);
uint64_t phase_drop(struct phase *p, uint64_t max_items, uint64_t *first);
void phase_finished(struct phase *p, const struct sched_outcome *outcome);
void phase_waiting(struct phase *p, enum sched_waiting why);
/* Translates a reason of the scheduler into the reason that clients get. The text is borrowed from the job until the
 * next call. */
const char *phase_reason(struct phase *p, const char *reason);
/* Adds the answers of n items, beginning with item `first`, as lines in canonical form. */
void phase_add_values(struct phase *p, uint64_t first, uint64_t n, const char *lines, size_t len);
/* Adds one answer. The sink may take ownership of the memory of `line`. */
void phase_take_value(struct phase *p, uint64_t index, struct buf *line);
/* Adds the line {"error":{...}} for each of n items. */
void phase_add_error(struct phase *p, uint64_t first, uint64_t n, const char *line, size_t len);

/* Call it when there is no memory for an answer. If the job waits for memory, returns true, and the caller must end the
 * attempt. If the job fails, returns false. */
MUST_CHECK bool phase_lacks_memory(struct phase *p);

/* The functions below return what the dispatcher needs to send an attempt. */
const char *phase_task(const struct phase *p);
/* Returns the time until the job's deadline; UINT64_MAX: the job has no deadline. */
uint64_t phase_deadline_ms(const struct phase *p);
/* Returns how long a worker may send nothing before it counts as lost; 0: there is no limit. */
uint64_t phase_silence_ms(const struct phase *p);

#endif
