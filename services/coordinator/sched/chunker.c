#include <math.h>

#include "coordinator/sched/scheduler_internal.h"

/*
 * How many items go in a chunk, and how much work an item is. The measure is slot time: how long an item holds a slot.
 * Workers say it in their answers. For those that do not, it is estimated: an endpoint's clock runs at the rate at
 * which one item in flight is being served, min(1, slots / items in flight), and an attempt's slot time between two
 * answers is its unanswered items times what the clock has advanced. Round trips, queues and a busy coordinator are in
 * that estimate. So a chunk is never so small that the coordinator could not keep all slots busy with such chunks:
 * otherwise its own delay would be taken for work, which keeps chunks small, which keeps it busy.
 */
double chunker_seen_ns(const struct sched_job *job)
{
    return job->seen_items > 0 ? job->seen_ns / job->seen_items : 0;
}

double chunker_item_ns(const struct sched_job *job)
{
    return job->told_items > 0 ? job->told_ns / job->told_items : chunker_seen_ns(job);
}

double chunker_slowness(const struct sched_endpoint *e)
{
    return e->expected_ns > 0 ? fmin(fmax((e->used_ns + e->prior_ns) / (e->expected_ns + e->prior_ns), 0.5), 100) : 1;
}

void chunker_advance(struct sched_endpoint *e, uint64_t now_ns)
{
    if (now_ns <= e->clock_ns) return;
    double rate = e->in_flight > 0 ? fmin(1, e->slots / (double)e->in_flight) : 1;
    e->clock += (double)(now_ns - e->clock_ns) * rate;
    e->clock_ns = now_ns;
}

/* Adds to a mean that forgets. */
static void remember(double *sum_ns, double *items, double ns, double n)
{
    *sum_ns += ns;
    *items += n;
    if (*items > ITEMS_REMEMBERED && *sum_ns > (double)NS_PER_S) {
        *sum_ns /= 2;
        *items /= 2;
    }
}

void sched_attempt_cost(struct sched_attempt *a, uint64_t items, uint64_t slot_ns, uint64_t chunk_ns)
{
    struct sched_job *job = a->chunk->job;
    if (items > a->cost_items && items <= a->to - a->from && slot_ns >= a->cost_ns) {
        remember(&job->told_ns, &job->told_items, (double)(slot_ns - a->cost_ns), (double)(items - a->cost_items));
        a->cost_items = items;
        a->cost_ns = slot_ns;
        job_changed(job);
    }
    if (a->endpoint && chunk_ns > 0) a->endpoint->chunk_cost_ns += ((double)chunk_ns - a->endpoint->chunk_cost_ns) / 8;
}

void sched_set_chunk_cost(struct scheduler *s, uint64_t ns)
{
    s->chunk_cost_ns = (double)ns;
}

void chunker_observe(struct sched_attempt *a, uint32_t left, uint32_t n)
{
    struct sched_endpoint *e = a->endpoint;
    struct sched_job *job = a->chunk->job;
    double used = (e->clock - a->clock) * left;
    a->clock = e->clock;
    if (n == 0) return;
    /* At a job's end mostly the long items are still out: they would raise the mean, and what is late would wait. */
    if (job->was_at_tail && job->seen_items >= TAIL_ITEMS_KNOWN) return;
    remember(&job->seen_ns, &job->seen_items, used, n);
    double item_ns = chunker_seen_ns(job);
    e->prior_ns = 4 * item_ns;
    e->used_ns += used;
    e->expected_ns += item_ns * n;
    if (e->expected_ns > fmax(64 * item_ns, e->slots * 0.2 * (double)NS_PER_S)) {
        e->used_ns /= 2;
        e->expected_ns /= 2;
    }
}

static double slots_of(const struct sched_job *job, const struct sched_endpoint *e)
{
    double slots = fmax(job->s->slots, e->slots);
    return job->p.max_concurrency > 0 ? fmin(slots, (double)job->p.max_concurrency) : slots;
}

/* Slot time that a chunk should have at least: its own cost must stay a small part of it, and the coordinator must be
 * able to keep all slots busy with such chunks. */
static double least_ns(const struct sched_job *job, const struct sched_endpoint *e)
{
    const struct scheduler *s = job->s;
    double share = (s->chunk_cost_ns + e->chunk_cost_ns) / CHUNK_COST_SHARE;
    return fmax(share, slots_of(job, e) * s->chunk_cost_ns / COORDINATOR_SHARE);
}

/* The same in items. Fewer when slots would idle otherwise, as long as splitting gains more than it costs. */
static double least_items(const struct sched_job *job, const struct sched_endpoint *e, double item_ns)
{
    if (item_ns <= 0) return 0;
    double least = least_ns(job, e) / item_ns;
    if (!job->no_more) return least;
    double worth = CHUNK_COST_TIMES * (job->s->chunk_cost_ns + e->chunk_cost_ns) / item_ns;
    return fmin(least, fmax((double)(job->uncut + job->pending_items) / (2 * slots_of(job, e)), worth));
}

/* Items per slot that may wait at a worker beyond the one that runs: enough that no slot waits for a round trip, but
 * no more than half a fair share of what is left, so that all slots end together (guided self-scheduling). */
static double ahead(const struct sched_job *job, const struct sched_endpoint *e)
{
    double item_ns = chunker_item_ns(job) * chunker_slowness(e);
    double items = item_ns > 0 ? (double)AHEAD_NS / item_ns : 1;
    if (!job->no_more) return items;
    double share = (double)(job->uncut + job->pending_items) / (2 * slots_of(job, e));
    return fmin(items, fmax(share, least_items(job, e, item_ns)));
}

static double growth_limit(const struct sched_job *job)
{
    return fmax(1, (double)CHUNK_GROWTH * job->largest_answered);
}

/* While chunks still grow, few of them fill a window: more would only be many small ones to wait for. */
double chunker_weight(const struct sched_job *job, const struct sched_endpoint *e, uint32_t items)
{
    double weight = 1 / (1 + ahead(job, e));
    if (job->p.chunk_size > 0 || items < growth_limit(job)) return weight;
    double share = endpoint_window(e) / endpoint_workers(e) / CHUNKS_PER_WINDOW;
    return fmin(fmax(weight, share / items), 1);
}

static uint64_t concurrency_room(const struct sched_job *job)
{
    if (job->p.max_concurrency == 0) return UINT64_MAX;
    return job->in_flight_items < job->p.max_concurrency ? job->p.max_concurrency - job->in_flight_items : 0;
}

static double adaptive_items(const struct sched_job *job, const struct sched_endpoint *e)
{
    double item_ns = fmax(chunker_item_ns(job) * chunker_slowness(e), 1);
    double window = endpoint_window(e) * (1 + ahead(job, e)) / endpoint_workers(e);
    double items = fmin((double)job->s->config.chunk_target_ns / item_ns, window / CHUNKS_PER_WINDOW);
    /* Sending `common` must stay a small part of a chunk's time: about a nanosecond a byte, below a twentieth. */
    double amortised = fmin(20.0 * (double)job->p.common_bytes / item_ns, window);
    items = fmax(items, fmax(amortised, least_items(job, e, item_ns)));
    items = fmin(items, growth_limit(job));
    return fmax(items, ceil(window / job->s->config.max_chunks_per_worker));
}

uint32_t chunker_items(const struct sched_job *job, const struct sched_endpoint *e)
{
    double items = job->p.chunk_size > 0 ? job->p.chunk_size : adaptive_items(job, e);
    items = fmin(items, fmin((double)job->uncut, (double)concurrency_room(job)));
    return (uint32_t)fmin(items, CHUNK_ITEMS_MAX);
}

/* While chunks are too small for their cost, few are sent at once: with many slots, one for each would be thousands.
 * Items that take long are no reason to wait, so the limit doubles with time. */
bool chunker_ramp_is_full(struct sched_job *job)
{
    if (job->p.chunk_size > 0 || job->lists[CHUNK_IN_FLIGHT].n < job->ramp) return false;
    double item_ns = chunker_item_ns(job), cost_ns = job->s->chunk_cost_ns + CHUNK_COST_NS;
    if (item_ns > 0 && growth_limit(job) * item_ns * CHUNK_COST_SHARE >= cost_ns) return false;
    if (job->ramp_timer.node.place == 0) timer_set(job->s, &job->ramp_timer, job->s->now_ns + RAMP_NS);
    return true;
}

void chunker_ramp_timer_fired(struct sched_job *job)
{
    job->ramp *= 2;
    job_changed(job);
}
