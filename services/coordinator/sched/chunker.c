#include <math.h>

#include "coordinator/sched/scheduler_internal.h"

#define AHEAD_NS          (40 * NS_PER_MS) /* slot time of the items that may wait for each busy slot of a worker */
#define CHUNK_COST_SHARE  0.03             /* largest share of a chunk's slot time that its overhead may take */
#define CHUNK_COST_TIMES  5.0 /* minimum slot time of a chunk while slots are idle, in multiples of its overhead */
#define COORDINATOR_SHARE 0.5 /* share of the coordinator's time that chunks may take while all slots are busy */
#define RAMP_NS           (2 * NS_PER_MS) /* minimum time before job->ramp is doubled again */
#define CHUNKS_AHEAD      2.0             /* chunks of minimum size that may wait at a worker whose slots are busy */
#define CHUNKS_PER_WINDOW 4               /* minimum number of adaptive chunks in a worker's window */
#define LONG_ITEM_NS      (1.0 * NS_PER_MS)
#define LONG_PER_WINDOW   3    /* minimum number of adaptive chunks of long items in a window */
#define LONG_ITEMS_SHARE  0.03 /* share of the coordinator's time that chunks of long items should not exceed */
#define CHUNK_GROWTH      8    /* a chunk may be this many times as large as the largest answered chunk */
#define CHUNK_ITEMS_MAX   (1u << 22)
/* The highest cost of a chunk that is accepted from a worker. If a worker states a higher cost, this value is used. */
#define WORKER_COST_MOST_NS (1.0 * NS_PER_MS)
#define WORKER_COSTS_MEANT  16 /* each stated cost moves the mean by 1/16 of the difference */

/*
 * Decides how many items a chunk has, and estimates how much work an item is. Work is measured as slot time: how long
 * an item holds a slot. Workers may report the slot time in their answers. If a worker does not report it, the slot
 * time is estimated. Each lane has a clock. The rate of the clock is the rate at which one item in flight is served:
 * min(1, slots / items in flight). The slot time that an attempt uses between two answers is the number of its
 * unanswered items times the advance of the clock. This estimate of the slot time includes round trips, queues and the
 * delay of a busy coordinator. If chunks were so small that the coordinator could not keep all slots busy, the estimate
 * would count the coordinator's own delay as work. This wrong estimate would keep the chunks small, and the small
 * chunks would keep the coordinator busy. So chunks are always large enough for the coordinator to keep all slots busy.
 */

static const struct sched_item_cost *cost_of(const struct sched_job *job)
{
    return job->reported.items > 0 ? &job->reported : &job->seen;
}

double chunker_item_ns(const struct sched_job *job)
{
    return item_cost_mean_ns(cost_of(job));
}

double chunker_slowness(const struct sched_lane *l)
{
    return l->expected_ns > 0 ? fmin(fmax((l->used_ns + l->prior_ns) / (l->expected_ns + l->prior_ns), 0.5), 100) : 1;
}

void chunker_advance(struct sched_lane *l, uint64_t now_ns)
{
    if (now_ns <= l->clock_ns) return;
    double rate = l->in_flight > 0 ? fmin(1, l->slots / (double)l->in_flight) : 1;
    l->clock += (double)(now_ns - l->clock_ns) * rate;
    l->clock_ns = now_ns;
}

void sched_attempt_cost(struct sched_attempt *a, uint64_t items, uint64_t slot_ns, uint64_t chunk_ns)
{
    struct sched_job *job = a->chunk->job;
    if (items > a->cost_items && items <= a->to - a->from && slot_ns >= a->cost_ns) {
        item_cost_add(&job->reported, (double)(items - a->cost_items), (double)(slot_ns - a->cost_ns));
        a->cost_items = items;
        a->cost_ns = slot_ns;
        job_changed(job);
    }
    double *cost_ns = &job->s->worker_chunk_cost_ns;
    if (chunk_ns > 0) *cost_ns += (fmin((double)chunk_ns, WORKER_COST_MOST_NS) - *cost_ns) / WORKER_COSTS_MEANT;
}

void sched_set_chunk_cost(struct scheduler *s, uint64_t ns)
{
    s->chunk_cost_ns = (double)ns;
}

void chunker_observe(struct sched_attempt *a, uint32_t left, uint32_t n)
{
    struct sched_lane *l = a->lane;
    struct sched_job *job = a->chunk->job;
    double used = (l->clock - a->clock) * left;
    a->clock = l->clock;
    if (n == 0) return;
    /* At a job's end, mostly long items are still in flight. If the slot time of these long items were measured, the
     * mean slot time would rise, and late items would be noticed later. */
    if (job->was_at_tail && job->seen.items >= TAIL_ITEMS_KNOWN) return;
    item_cost_add(&job->seen, n, used);
    a->seen_ns += used;
    double item_ns = item_cost_mean_ns(&job->seen);
    l->prior_ns = 4 * item_ns;
    l->used_ns += used;
    l->expected_ns += item_ns * n;
    if (l->expected_ns > fmax(64 * item_ns, l->slots * 0.2 * (double)NS_PER_S)) {
        l->used_ns /= 2;
        l->expected_ns /= 2;
    }
}

void chunker_observe_whole(const struct sched_attempt *a)
{
    struct sched_job *job = a->chunk->job;
    if (a->cost_items == a->to - a->from)
        item_cost_add_chunk(&job->reported, (double)a->cost_items, (double)a->cost_ns);
    item_cost_add_chunk(&job->seen, a->to - a->from, a->seen_ns);
    if (a->charged_ns > 0) fairness_correct(job, a->charged_ns, (a->to - a->from) * chunker_item_ns(job));
}

static double usable_slots(const struct sched_job *job, double slots)
{
    return job->p.max_concurrency > 0 ? fmin(slots, (double)job->p.max_concurrency) : slots;
}

static double slots_of(const struct sched_job *job, const struct sched_lane *l)
{
    return usable_slots(job, fmax(job->task->slots, l->slots));
}

/* Returns the minimum slot time that a chunk should have. The overhead of a chunk must be a small part of its slot
 * time. The coordinator must also be able to keep all slots busy with chunks of the minimum slot time. */
static double least_ns(const struct sched_job *job, double slots, double worker_cost_ns)
{
    double cost_ns = job->s->chunk_cost_ns;
    return fmax((cost_ns + worker_cost_ns) / CHUNK_COST_SHARE, slots * cost_ns / COORDINATOR_SHARE);
}

/* Returns the slot time of the next chunk if there are more slots than chunks. If a chunk costs c, then chunk i begins
 * at time i c. All chunks end together, at time T, if chunk i takes T - i c. The sum of these times is the work that is
 * left, W = T^2 / (2 c). So the next chunk could take T = sqrt(2 W c). The function returns half of T, because the cost
 * of items is only an estimate. */
static double even_end_ns(double left_ns, double cost_ns)
{
    return sqrt(2 * left_ns * cost_ns) / 2;
}

/* Returns the minimum slot time that a chunk should have even if slots are idle. The coordinator's overhead always
 * counts, because the coordinator sends the chunks one after another. The workers' overhead counts too, because workers
 * may share processors. But when the workers' overhead is a small part of a chunk's time, it does not make chunks
 * longer. */
static double worth_ns(const struct sched_job *job, double left_ns, double worker_cost_ns)
{
    double cost_ns = job->s->chunk_cost_ns, whole_ns = cost_ns + worker_cost_ns;
    double shared_ns = fmin(even_end_ns(left_ns, whole_ns), whole_ns / CHUNK_COST_SHARE);
    return fmax(CHUNK_COST_TIMES * whole_ns, fmax(even_end_ns(left_ns, cost_ns), shared_ns));
}

/* Returns the minimum number of items that a chunk should have, rounded up. (If 1.6 were rounded down, chunks of one
 * item would never grow.) If chunks of this size would leave slots idle, the number is smaller, but only if smaller
 * chunks save more time than they cost. */
static double least_items_with(const struct sched_job *job, double slots, double worker_cost_ns, double item_ns)
{
    if (item_ns <= 0) return 0;
    double least = ceil(least_ns(job, slots, worker_cost_ns) / item_ns);
    if (!job_is_whole(job)) return least;
    double left = (double)(job->uncut + job->pending_items);
    return fmin(least, fmax(left / (2 * slots), worth_ns(job, left * item_ns, worker_cost_ns) / item_ns));
}

static double least_items(const struct sched_job *job, const struct sched_lane *l, double item_ns)
{
    return least_items_with(job, slots_of(job, l), job->s->worker_chunk_cost_ns, item_ns);
}

/* Returns how many items per slot may wait at a worker, besides the item that runs. Enough items must wait to keep the
 * slots busy during a round trip. At most half a fair share of the remaining work may wait, because all slots should
 * finish at about the same time (guided self-scheduling). */
static double ahead(const struct sched_job *job, const struct sched_lane *l)
{
    double item_ns = item_cost_marginal_ns(cost_of(job)) * chunker_slowness(l);
    double items = item_ns > 0 ? (double)AHEAD_NS / item_ns : 1;
    double least = least_items(job, l, item_ns), slots = lane_window(l) / lane_workers(l);
    /* Answers arrive in order. A long item delays the answers of the items after it, although the slots of those items
     * are free again. So the window must have room for whole chunks. */
    items = fmax(items, CHUNKS_AHEAD * least / slots);
    if (!job_is_whole(job)) return items;
    double share = (double)(job->uncut + job->pending_items) / (2 * slots_of(job, l));
    return fmin(items, fmax(share, least));
}

static double growth_limit(const struct sched_job *job)
{
    return fmax(1, (double)CHUNK_GROWTH * job->largest_answered);
}

/* While chunks still grow, their items weigh more, so that a few chunks fill a window. If more small chunks fitted in a
 * window, all of them would have to end before larger chunks could be sent. */
double chunker_weight(const struct sched_job *job, const struct sched_lane *l, uint32_t items)
{
    double weight = 1 / (1 + ahead(job, l));
    if (job->p.chunk_size > 0 || items < growth_limit(job)) return weight;
    double share = lane_window(l) / lane_workers(l) / CHUNKS_PER_WINDOW;
    return fmin(fmax(weight, share / items), 1);
}

static uint64_t concurrency_room(const struct sched_job *job)
{
    if (job->p.max_concurrency == 0) return UINT64_MAX;
    return job->in_flight_items < job->p.max_concurrency ? job->p.max_concurrency - job->in_flight_items : 0;
}

/* Chunks of a single size do not show how much one more item costs. Returns the size of a larger chunk to try: twice
 * the size of the largest answered chunk, unless a chunk of this size would take too long. */
static double larger_to_try(const struct sched_job *job, const struct sched_lane *l, double item_ns)
{
    double most = CHUNK_FIXED_MOST_NS / item_ns;
    if (job_is_whole(job)) most = fmin(most, (double)(job->uncut + job->pending_items) / (4 * slots_of(job, l)));
    return fmin(2.0 * job->largest_answered, most);
}

/* Returns how much of a window one chunk may fill. A chunk of long items has few bytes, so it is sent and read quickly,
 * and fewer and longer chunks suffice. They are used if the fleet is so large that short chunks would take too much of
 * the coordinator's time. When the job ends soon, chunks stay short, so that all slots end together. */
static double part_of_window(const struct sched_job *job, const struct sched_lane *l, double window, double item_ns)
{
    double part = window / CHUNKS_PER_WINDOW, left = (double)(job->uncut + job->pending_items);
    bool ends_soon = job_is_whole(job) && left * item_ns < 4 * slots_of(job, l) * (double)AHEAD_NS;
    if (item_ns < LONG_ITEM_NS || ends_soon) return part;
    double cheap = slots_of(job, l) * job->s->chunk_cost_ns / LONG_ITEMS_SHARE / item_ns;
    return fmin(fmax(part, cheap), window / LONG_PER_WINDOW);
}

static double adaptive_items(const struct sched_job *job, const struct sched_lane *l)
{
    const struct sched_item_cost *cost = cost_of(job);
    double item_ns = fmax(item_cost_marginal_ns(cost) * chunker_slowness(l), 1);
    double window = lane_window(l) * (1 + ahead(job, l)) / lane_workers(l);
    double items = fmin((double)job->s->config.chunk_target_ns / item_ns, part_of_window(job, l, window, item_ns));
    /* Sending `common` takes about a nanosecond per byte. Sending `common` must take less than a twentieth of the
     * chunk's time. */
    double amortised = fmin(20.0 * (double)job->p.common_bytes / item_ns, window);
    items = fmax(items, fmax(amortised, least_items(job, l, item_ns)));
    if (!item_cost_is_sure(cost)) items = fmax(items, larger_to_try(job, l, item_ns));
    items = fmin(items, growth_limit(job));
    return fmax(items, ceil(window / job->s->config.max_chunks_per_worker));
}

uint32_t chunker_items(const struct sched_job *job, const struct sched_lane *l)
{
    double items = job->p.chunk_size > 0 ? job->p.chunk_size : adaptive_items(job, l);
    items = fmin(fmin(items, rate_room(job)), fmin((double)job->uncut, (double)concurrency_room(job)));
    return (uint32_t)fmin(items, CHUNK_ITEMS_MAX);
}

/* Returns whether the job's chunks must still grow before they are large enough. While chunks are small, the cost of an
 * item is uncertain. A process that was asleep takes longer for its first item, so the items of a small chunk seem
 * long. */
static bool still_grows(const struct sched_job *job)
{
    double item_ns = item_cost_marginal_ns(cost_of(job)), slots = usable_slots(job, fmax(job->task->slots, 1));
    return item_ns <= 0 || growth_limit(job) < least_items_with(job, slots, DEFAULT_CHUNK_COST_NS, item_ns);
}

/* While chunks still grow, only job->ramp chunks may be in flight, because one chunk for each slot could be thousands
 * of chunks. If items are long, this limit must not leave slots idle. So if the size of the largest answered chunk has
 * not grown for some time, the limit doubles. On a crowded machine answers take longer, so the limit doubles less
 * often. */
bool chunker_ramp_is_full(struct sched_job *job)
{
    if (job->p.chunk_size > 0 || job->lists[CHUNK_IN_FLIGHT].n < job->ramp) return false;
    if (!still_grows(job)) return false;
    if (job->ramp_timer.node.place == 0) {
        job->ramp_largest = job->largest_answered;
        timer_set(job->s, &job->ramp_timer, job->s->now_ns + (job->growth_ns > RAMP_NS ? job->growth_ns : RAMP_NS));
    }
    return true;
}

void chunker_ramp_timer_fired(struct sched_job *job)
{
    if (job->largest_answered <= job->ramp_largest) job->ramp *= 2;
    job_changed(job);
}

/* Call it when answers of the attempt `a` have arrived. If the attempt has answered more items than any chunk before,
 * larger chunks may be sent. When CHUNK_GROWTH items of one chunk have been answered, fewer chunks in flight suffice to
 * find the right size. */
void chunker_grow(const struct sched_attempt *a)
{
    struct sched_job *job = a->chunk->job;
    if (a->received <= job->largest_answered) return;
    job->largest_answered = a->received;
    job->growth_ns = job->s->now_ns - a->started_ns;
    job->ramp = job->largest_answered >= CHUNK_GROWTH ? RAMP_CHUNKS_AGAIN : RAMP_CHUNKS;
}
