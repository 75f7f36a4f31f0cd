#include "coordinator/sched/scheduler_internal.h"

static const char *const state_names[] = {
    [CHUNK_PENDING] = "pending",
    [CHUNK_BACKOFF] = "backoff",
    [CHUNK_IN_FLIGHT] = "in_flight",
    [CHUNK_SETTLED] = "settled",
};
static_assert(ARRAY_SIZE(state_names) == CHUNK_STATE_COUNT, "one name per state");

const char *sched_chunk_state_name(enum sched_chunk_state state)
{
    return state < CHUNK_STATE_COUNT ? state_names[state] : "new";
}

struct sched_chunk *sched_chunk_new(struct sched_job *job, uint64_t first, uint32_t count)
{
    struct sched_chunk *chunk = xcalloc(1, sizeof *chunk);
    chunk->job = job;
    chunk->first = first;
    chunk->count = chunk->origin = count;
    chunk->timer.kind = TIMER_CHUNK;
    chunk->state = CHUNK_STATE_COUNT;
    job->s->stats.chunks++;
    return chunk;
}

void chunk_free(struct sched_chunk *chunk)
{
    if (!chunk) return;
    chunk->job->s->stats.chunks--;
    free(chunk);
}

uint32_t chunk_left(const struct sched_chunk *chunk)
{
    return chunk->count - chunk->answered;
}

/* Adds `items` to the gauges of the state. `items` is negative (modulo 2^64) when the chunk leaves the state. */
static void gauge(struct sched_chunk *chunk, enum sched_chunk_state state, uint64_t items)
{
    struct sched_job *job = chunk->job;
    job_changed(job);
    switch (state) {
    case CHUNK_PENDING:
        job->pending_items += items;
        job->s->pending_items += items;
        job->task->pending_items += items;
        break;
    case CHUNK_BACKOFF:
        job->backoff_items += items;
        job->s->backoff_items += items;
        job->task->backoff_items += items;
        break;
    case CHUNK_IN_FLIGHT:
        job->in_flight_items += items;
        job->s->stats.in_flight_items += items;
        job->task->in_flight_items += items;
        break;
    case CHUNK_SETTLED:
    case CHUNK_STATE_COUNT: break;
    }
}

static struct list *list_of(struct sched_chunk *chunk, enum sched_chunk_state state)
{
    return state == CHUNK_SETTLED ? &chunk->job->s->settled : &chunk->job->lists[state];
}

void chunk_move(struct sched_chunk *chunk, enum sched_chunk_state to, bool at_front)
{
    struct scheduler *s = chunk->job->s;
    enum sched_chunk_state from = chunk->state;
    if (chunk->state != CHUNK_STATE_COUNT) {
        if (chunk->state == CHUNK_SETTLED)
            BUG("chunk %llu is settled and cannot move", (unsigned long long)chunk->first);
        list_remove(list_of(chunk, chunk->state), &chunk->link);
        gauge(chunk, chunk->state, -(uint64_t)chunk_left(chunk));
        timer_stop(s, &chunk->timer);
    }
    if (to == CHUNK_PENDING) chunk->needs_isolation = blame_needs_isolation(chunk);
    if (chunk->needs_isolation)
        s->isolations_pending += (uint32_t)(to == CHUNK_PENDING) - (uint32_t)(chunk->state == CHUNK_PENDING);
    s->stats.in_flight_chunks += (uint64_t)(to == CHUNK_IN_FLIGHT) - (uint64_t)(chunk->state == CHUNK_IN_FLIGHT);
    chunk->state = to;
    gauge(chunk, to, chunk_left(chunk));
    if (at_front)
        list_push_front(list_of(chunk, to), &chunk->link);
    else
        list_push_back(list_of(chunk, to), &chunk->link);
    job_changed(chunk->job);
    if (s->ops.chunk_moved) s->ops.chunk_moved(s->ctx, chunk, from, to);
    if (to == CHUNK_SETTLED) job_check_end(chunk->job);
}

void chunk_answered(struct sched_chunk *chunk, uint32_t items)
{
    gauge(chunk, chunk->state, -(uint64_t)items);
    chunk->answered += items;
}

struct sched_chunk *chunk_slice(struct sched_chunk *chunk, uint32_t at, uint32_t end)
{
    struct sched_chunk *part = sched_chunk_new(chunk->job, chunk->first + at, end - at);
    part->bytes = (size_t)((double)chunk->bytes * (double)(end - at) / (double)chunk->count);
    part->parent = chunk;
    part->charged = chunk->charged;
    part->lost = chunk->lost;
    part->failures = chunk->failures;
    part->origin = chunk->origin;
    part->avoid = chunk->avoid;
    part->cause = chunk->cause;
    part->sends = chunk->sends;
    part->was_sent = chunk->was_sent;
    list_push_back(&chunk->job->s->slices, &part->slice_link);
    return part;
}

struct sched_chunk *chunk_split(struct sched_chunk *chunk, uint32_t at)
{
    struct sched_chunk *upper = chunk_slice(chunk, at, chunk->count);
    gauge(chunk, chunk->state, -(uint64_t)upper->count);
    chunk->bytes -= upper->bytes;
    chunk->count = at;
    return upper;
}

void chunk_give_up(struct sched_chunk *chunk, enum item_error error, const char *cause)
{
    uint32_t left = chunk_left(chunk);
    chunk_answered(chunk, left);
    chunk->given_up = left;
    chunk->given_up_as = error;
    chunk->cause = cause;
    chunk_move(chunk, CHUNK_SETTLED, false);
    job_settled(chunk->job, left, error, false);
}

void chunks_run_slices(struct scheduler *s)
{
    struct list_link *at;
    while ((at = list_next(&s->slices, NULL)) != NULL) {
        struct sched_chunk *part = CONTAINER_OF(at, struct sched_chunk, slice_link);
        list_remove(&s->slices, at);
        s->ops.slice(s->ctx, part->parent, part);
        part->parent = NULL;
    }
}

void chunks_run_settled(struct scheduler *s)
{
    struct list_link *at;
    while ((at = list_next(&s->settled, NULL)) != NULL) {
        struct sched_chunk *chunk = CONTAINER_OF(at, struct sched_chunk, link);
        list_remove(&s->settled, at);
        if (chunk->given_up > 0) {
            /* Items that must not run twice can have run only if their chunk was in flight when the job ended. */
            bool sent = chunk->job->p.idempotent ? chunk->sends > 0 : chunk->cut_off;
            struct sched_failure why = {chunk->given_up_as, chunk->charged, chunk->cause, sent};
            s->ops.settle_error(s->ctx, chunk->job, chunk->first + chunk->count - chunk->given_up, chunk->given_up,
                                &why);
        }
        s->ops.release(s->ctx, chunk);
        chunk_free(chunk);
    }
}
