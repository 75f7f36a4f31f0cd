/*
 * Ends jobs. A job that ends early may have many chunks. The chunks are settled in slices, a few in each run of the
 * scheduler. Chunks are settled in the order of their items, so equal errors of adjacent items are reported together.
 */
#include <inttypes.h>

#include "coordinator/sched/scheduler_internal.h"

/* Counts one step of work. Returns false if this run has no step left. */
static bool take_step(unsigned *steps)
{
    if (*steps == 0) return false;
    --*steps;
    return true;
}

static void cut_attempts(struct sched_chunk *chunk)
{
    if (chunk->attempt) attempt_cut(chunk->attempt);
    if (chunk->hedge) attempt_cut(chunk->hedge);
}

/* Cuts off the attempts of an ended job. Returns false if the next run must continue this work. */
static bool cut_rest(struct sched_job *job)
{
    struct list *flying = &job->lists[CHUNK_IN_FLIGHT];
    if (job->state == SCHED_JOB_ENDED) {
        for (struct list_link *at = list_next(flying, NULL); at; at = list_next(flying, at))
            cut_attempts(CONTAINER_OF(at, struct sched_chunk, link));
        sched_job_move(job, SCHED_JOB_CUT);
    }
    attempts_run_cuts(job->s);
    return job->s->cuts.n == 0;
}

/* Adds the chunks of the list to job->order. Moves each added chunk to the end of the list. */
static bool order_list(struct sched_job *job, struct list *list, unsigned *steps)
{
    for (struct list_link *at; (at = list_next(list, NULL)) != NULL;) {
        struct sched_chunk *chunk = CONTAINER_OF(at, struct sched_chunk, link);
        if (chunk->order.place != 0) return true;
        if (!take_step(steps)) return false;
        timer_stop(job->s, &chunk->timer);
        heap_set(&job->order, &chunk->order, chunk->first);
        list_remove(list, at);
        list_push_back(list, at);
    }
    return true;
}

static bool order_chunks(struct sched_job *job, unsigned *steps)
{
    for (size_t i = 0; i < ARRAY_SIZE(job->lists); i++)
        if (!order_list(job, &job->lists[i], steps)) return false;
    return true;
}

static const char waited_for_budget[] =
    "the job's deadline has passed while the item waited to be sent again, because the retry budget was used up";

/* Returns the cause for the unsettled items of a chunk whose job has ended. */
static const char *cause_of_rest(const struct sched_chunk *chunk)
{
    const struct sched_job *job = chunk->job;
    return chunk->starved && job->rest == ITEM_DEADLINE_EXCEEDED ? waited_for_budget : job->reason;
}

static bool give_up_chunks(struct sched_job *job, unsigned *steps)
{
    for (struct heap_node *first; (first = heap_first(&job->order)) != NULL;) {
        if (!take_step(steps)) return false;
        struct sched_chunk *chunk = CONTAINER_OF(first, struct sched_chunk, order);
        chunk->cut_off = chunk->state == CHUNK_IN_FLIGHT;
        chunk_give_up(chunk, job->rest, cause_of_rest(chunk));
    }
    return true;
}

static bool settle_uncut(struct sched_job *job, unsigned *steps)
{
    struct scheduler *s = job->s;
    struct sched_failure why = {job->rest, 0, job->reason, false};
    while (job->uncut > 0) {
        if (!take_step(steps)) return false;
        uint64_t first, n = s->ops.drop(s->ctx, job, job->uncut, &first);
        if (n == 0 || n > job->uncut) BUG("drop took %" PRIu64 " items of %" PRIu64, n, job->uncut);
        job->uncut -= n;
        s->uncut_items -= n;
        job->task->uncut_items -= n;
        job_changed(job);
        job_settled(job, n, job->rest, false);
        s->ops.settle_error(s->ctx, job, first, n, &why);
    }
    return true;
}

/* Settles all items of an ended job that are not settled yet. The attempts of the job must have been cut off. Returns
 * false if this run has no step left. */
static bool settle_rest(struct sched_job *job, unsigned *steps)
{
    while (job_has_chunks(job))
        if (!order_chunks(job, steps) || !give_up_chunks(job, steps)) return false;
    chunks_run_settled(job->s, steps);
    return job->settled_n == 0 && settle_uncut(job, steps);
}

static void finish(struct sched_job *job)
{
    struct scheduler *s = job->s;
    struct sched_outcome outcome = {.status = job->status,
                                    .reason = job->reason,
                                    .counts = job->counts,
                                    .no_workers = job->no_workers,
                                    .delivered = job->delivered};
    if (!job_has_ended(job))
        outcome.status = job->counts.failed + job->counts.cancelled > 0 ? SCHED_PARTIAL : SCHED_SUCCEEDED;
    list_remove(&s->ending, &job->ending_link);
    s->ops.job_finished(s->ctx, job, &outcome);
    job_free(job);
}

/* A job that ends with many attempts or chunks takes several runs. Between these runs, other jobs have their turns. */
void jobs_run_ending(struct scheduler *s, unsigned *steps)
{
    run_begin_part(s);
    for (size_t n = s->ending.n; n > 0 && run_has_room(s); n--) {
        struct list_link *at = list_next(&s->ending, NULL);
        struct sched_job *job = CONTAINER_OF(at, struct sched_job, ending_link);
        run_count_op(s);
        if (job_has_ended(job) ? cut_rest(job) && settle_rest(job, steps) : job->settled_n == 0) {
            finish(job);
        } else {
            list_remove(&s->ending, at);
            list_push_back(&s->ending, at);
        }
    }
}
