/*
 * One run of items through the workers: where its items come from, what goes with each chunk, its job in the scheduler
 * and where its answers go. A job has one. The dispatcher knows phases; a sched_job's owner is its phase.
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
    struct generated_items generated; /* the source is one of these */
    struct spooled_items spooled;
    struct answer_sink answers;
};

/* Starts what job->spec asks for; its answers go to the sink. */
void phase_start(struct phase *p, struct job *job, struct answer_sink answers);
/* Does nothing before the start, because the start counts all items in the spool itself. */
void phase_offer(struct phase *p, uint64_t items, uint64_t bytes);
void phase_no_more_items(struct phase *p);
/* Options that may change while it runs. */
void phase_update(struct phase *p);
/* After its end, or before its start. */
void phase_release(struct phase *p);

/* For the dispatcher. */

/* The scheduler's actions cut, drop, job_finished (may free the job) and waiting. */
size_t phase_cut(struct phase *p, struct sched_chunk *chunk, size_t max_items, size_t max_bytes, size_t *bytes);
uint64_t phase_drop(struct phase *p, uint64_t max_items, uint64_t *first);
void phase_finished(struct phase *p, const struct sched_outcome *outcome);
void phase_waiting(struct phase *p, enum sched_waiting why);
/* Answers: n lines in canonical form, of items from `first` on. */
void phase_add_values(struct phase *p, uint64_t first, uint64_t n, const char *lines, size_t len);
/* One of them; its memory may be taken. */
void phase_take_value(struct phase *p, uint64_t index, struct buf *line);
/* One line {"error":{...}} for each of n items. */
void phase_add_error(struct phase *p, uint64_t first, uint64_t n, const char *line, size_t len);

/* What an attempt is sent with. */
const char *phase_task(const struct phase *p);
/* Until the job's deadline; UINT64_MAX: it has none. */
uint64_t phase_deadline_ms(const struct phase *p);
/* A worker that sends nothing for longer counts as lost; 0: it may take for ever. */
uint64_t phase_silence_ms(const struct phase *p);

#endif
