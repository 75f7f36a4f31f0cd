#include <math.h>

#include "coordinator/sched/scheduler_internal.h"

/*
 * How many items go in a chunk, and how much work an item is. The measure is slot time: what an item holds a slot for.
 * An endpoint's clock runs at the rate at which one item in flight is being served, min(1, slots / items in flight);
 * so an attempt's slot time between two answers is its unanswered items times what the clock has advanced. Single
 * answers are attributed crudely by this (a worker serves one item after the other), their sums are right.
 */
double chunker_item_ns(const struct sched_job *job)
{
    return job->used_items > 0 ? job->used_ns / job->used_items : 0;
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

void chunker_observe(struct sched_attempt *a, uint32_t left, uint32_t n)
{
    struct sched_endpoint *e = a->endpoint;
    struct sched_job *job = a->chunk->job;
    double used = (e->clock - a->clock) * left;
    a->clock = e->clock;
    if (n == 0) return;
    job->used_ns += used;
    job->used_items += n;
    double item_ns = chunker_item_ns(job);
    if (job->used_items > ITEMS_REMEMBERED && job->used_ns > (double)NS_PER_S) {
        job->used_ns /= 2;
        job->used_items /= 2;
    }
    e->prior_ns = 4 * item_ns;
    e->used_ns += used;
    e->expected_ns += item_ns * n;
    if (e->expected_ns > fmax(64 * item_ns, e->slots * 0.2 * (double)NS_PER_S)) {
        e->used_ns /= 2;
        e->expected_ns /= 2;
    }
}

/* So many items are not worth splitting: a request costs more than sharing them out gains. */
static double least_items(double item_ns)
{
    return item_ns > 0 ? (double)CHUNK_LEAST_NS / item_ns : 0;
}

/* Items per slot that may wait at a worker beyond the one that runs: enough that no slot waits for a round trip, but
 * no more than half a fair share of what is left, so that all slots end together (guided self-scheduling). */
static double ahead(const struct sched_job *job, const struct sched_endpoint *e)
{
    double item_ns = chunker_item_ns(job) * chunker_slowness(e);
    double items = item_ns > 0 ? (double)AHEAD_NS / item_ns : 1;
    if (!job->no_more) return items;
    double slots = fmax(job->s->slots, e->slots);
    if (job->p.max_concurrency > 0) slots = fmin(slots, (double)job->p.max_concurrency);
    return fmin(items, fmax((double)(job->uncut + job->pending_items) / (2 * slots), least_items(item_ns)));
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
    items = fmax(items, fmax(amortised, least_items(item_ns)));
    items = fmin(items, growth_limit(job));
    return fmax(items, ceil(window / job->s->config.max_chunks_per_worker));
}

uint32_t chunker_items(const struct sched_job *job, const struct sched_endpoint *e)
{
    double items = job->p.chunk_size > 0 ? job->p.chunk_size : adaptive_items(job, e);
    items = fmin(items, fmin((double)job->uncut, (double)concurrency_room(job)));
    return (uint32_t)fmin(items, CHUNK_ITEMS_MAX);
}
