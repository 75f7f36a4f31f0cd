#include "coordinator/sched/scheduler_internal.h"

#define SLICE_RUN_BYTES (4 * MIB) /* bytes that slicing may read in one run; the next run follows immediately */

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
    if (chunk->retries) chunk->retries->parent = NULL;
    chunk->job->s->stats.chunks--;
    spans_free(chunk);
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

static bool is_waiting(const struct sched_chunk *chunk)
{
    return chunk->state == CHUNK_PENDING || chunk->state == CHUNK_BACKOFF;
}

void chunk_close_retries(struct sched_chunk *chunk)
{
    struct sched_chunk *parent = chunk->parent;
    if (parent && parent->retries == chunk) parent->retries = NULL;
    if (chunk->sliced == chunk->count) chunk->parent = NULL;
}

static void set_starved(struct sched_chunk *chunk, bool starved)
{
    chunk->job->starved_n += (size_t)starved - (size_t)chunk->starved;
    chunk->starved = starved;
}

void chunk_starve(struct sched_chunk *chunk)
{
    set_starved(chunk, true);
    job_changed(chunk->job);
}

/* Takes the chunk off the list of its state. */
static void leave(struct sched_chunk *chunk)
{
    struct scheduler *s = chunk->job->s;
    if (chunk->state == CHUNK_STATE_COUNT) return;
    if (chunk->state == CHUNK_SETTLED) BUG("chunk %llu is settled and cannot move", (unsigned long long)chunk->first);
    if (is_waiting(chunk)) chunk->job->wait_bytes -= retry_wait_bytes(chunk);
    if (chunk->state == CHUNK_BACKOFF) {
        chunk_close_retries(chunk);
        set_starved(chunk, false);
    }
    list_remove(list_of(chunk, chunk->state), &chunk->link);
    gauge(chunk, chunk->state, -(uint64_t)chunk_left(chunk));
    timer_stop(s, &chunk->timer);
    heap_remove(&chunk->job->order, &chunk->order);
}

void chunk_move(struct sched_chunk *chunk, enum sched_chunk_state to, bool at_front)
{
    struct scheduler *s = chunk->job->s;
    enum sched_chunk_state from = chunk->state;
    leave(chunk);
    if (to == CHUNK_PENDING) chunk->needs_isolation = halving_needs_isolation(chunk);
    if (chunk->needs_isolation)
        s->isolations_pending += (uint32_t)(to == CHUNK_PENDING) - (uint32_t)(chunk->state == CHUNK_PENDING);
    s->stats.in_flight_chunks += (uint64_t)(to == CHUNK_IN_FLIGHT) - (uint64_t)(chunk->state == CHUNK_IN_FLIGHT);
    chunk->state = to;
    gauge(chunk, to, chunk_left(chunk));
    if (is_waiting(chunk)) chunk->job->wait_bytes += retry_wait_bytes(chunk);
    chunk->job->settled_n += to == CHUNK_SETTLED;
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

/* Estimates how many bytes `items` items of the chunk have, as a share of the size of the chunk. */
static size_t bytes_of(const struct sched_chunk *chunk, uint32_t items)
{
    return (size_t)((double)chunk->bytes * items / chunk->count);
}

struct sched_chunk *chunk_slice(struct sched_chunk *chunk, uint32_t at, uint32_t end)
{
    struct sched_chunk *part = sched_chunk_new(chunk->job, sched_chunk_index(chunk, at), end - at);
    spans_copy(part, chunk, at, end);
    part->bytes = bytes_of(chunk, end - at);
    part->parent = chunk;
    part->parent_at = at;
    part->erred = chunk->erred;
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

void chunk_join(struct sched_chunk *chunk, uint32_t at)
{
    struct sched_chunk *parent = chunk->parent;
    struct sched_job *job = chunk->job;
    if (is_waiting(chunk)) job->wait_bytes -= retry_wait_bytes(chunk);
    if (chunk->sliced == chunk->count) list_push_back(&job->s->slices, &chunk->slice_link);
    spans_add(chunk, sched_chunk_index(parent, at), at);
    chunk->origin = ++chunk->count;
    chunk->bytes += bytes_of(parent, 1);
    gauge(chunk, chunk->state, 1);
    if (is_waiting(chunk)) job->wait_bytes += retry_wait_bytes(chunk);
}

struct sched_chunk *chunk_split(struct sched_chunk *chunk, uint32_t at)
{
    struct sched_chunk *upper = chunk_slice(chunk, at, chunk->count);
    gauge(chunk, chunk->state, -(uint64_t)upper->count);
    chunk->bytes -= upper->bytes;
    chunk->count = at;
    spans_cut(chunk);
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

/* Adds the items that are not in the chunk's payload yet. Returns how many bytes the shell has read. */
static size_t slice(struct sched_chunk *chunk)
{
    struct scheduler *s = chunk->job->s;
    size_t bytes = 0;
    while (chunk->sliced < chunk->count) {
        uint32_t n, at = spans_parent_run(chunk, chunk->sliced, &n);
        bytes += s->ops.slice(s->ctx, chunk->parent, at, at + n, chunk);
        chunk->sliced += n;
    }
    if (chunk->parent->retries != chunk) chunk->parent = NULL;
    return bytes;
}

bool chunks_run_slices(struct scheduler *s)
{
    size_t bytes = 0;
    struct list_link *at;
    while ((at = list_next(&s->slices, NULL)) != NULL) {
        if (bytes >= SLICE_RUN_BYTES) return false;
        list_remove(&s->slices, at);
        bytes += slice(CONTAINER_OF(at, struct sched_chunk, slice_link));
    }
    return true;
}

/* Consecutive items that ended with the same error, and so are reported together. */
struct failed_run {
    struct sched_job *job;
    uint64_t first, n;
    struct sched_failure why;
};

static void report(struct scheduler *s, struct failed_run *run)
{
    if (run->n > 0) s->ops.settle_error(s->ctx, run->job, run->first, run->n, &run->why);
    run->n = 0;
}

static bool is_same(const struct sched_failure *a, const struct sched_failure *b)
{
    return a->error == b->error && a->attempts == b->attempts && a->cause == b->cause && a->sent == b->sent;
}

static void add_failure(struct failed_run *run, struct sched_job *job, uint64_t first, uint64_t n,
                        const struct sched_failure *why)
{
    if (run->n == 0 || run->job != job || run->first + run->n != first || !is_same(&run->why, why)) {
        report(job->s, run);
        *run = (struct failed_run){job, first, 0, *why};
    }
    run->n += n;
}

/* Reports the errors of those items of the chunk that have been given up. Stops when *steps is 0. */
static void report_given_up(struct sched_chunk *chunk, struct failed_run *run, unsigned *steps)
{
    /* The items of a task that is not idempotent can have run only if their chunk was in flight when the job ended. */
    bool sent = chunk->job->p.idempotent ? chunk->sends > 0 : chunk->cut_off;
    struct sched_failure why = {chunk->given_up_as, chunk->erred + chunk->charged, chunk->cause, sent};
    while (chunk->given_up > 0 && *steps > 0) {
        uint64_t first;
        uint32_t n = sched_chunk_run(chunk, chunk->count - chunk->given_up, &first);
        add_failure(run, chunk->job, first, n, &why);
        chunk->given_up -= n;
        --*steps;
    }
}

void chunks_run_settled(struct scheduler *s, unsigned *steps)
{
    struct failed_run run = {0};
    struct list_link *at;
    while (*steps > 0 && (at = list_next(&s->settled, NULL)) != NULL) {
        struct sched_chunk *chunk = CONTAINER_OF(at, struct sched_chunk, link);
        report_given_up(chunk, &run, steps);
        if (chunk->given_up > 0) break;
        *steps -= *steps > 0;
        list_remove(&s->settled, at);
        chunk->job->settled_n--;
        s->ops.release(s->ctx, chunk);
        chunk_free(chunk);
    }
    report(s, &run);
}
