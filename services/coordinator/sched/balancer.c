#include <math.h>

#include "coordinator/sched/scheduler_internal.h"

/*
 * Which endpoint: power of two choices on the load per slot, among those with room. An endpoint is in the array `open`
 * while its state is open, and in `available` while it may have room, so that choosing costs the same with ten workers
 * and with ten thousand.
 */
static void array_put(struct sched_endpoint **array, uint32_t *n, struct sched_endpoint *e, uint32_t *place)
{
    *place = *n;
    array[(*n)++] = e;
}

#define ARRAY_TAKE(s, array, e, field)                                                                                 \
    do {                                                                                                               \
        struct sched_endpoint *last_ = (s)->array[--(s)->array##_n];                                                   \
        (s)->array[(e)->field] = last_;                                                                                \
        last_->field = (e)->field;                                                                                     \
        (e)->field = UINT32_MAX;                                                                                       \
    } while (0)

static unsigned requests_max(const struct sched_endpoint *e)
{
    return e->s->config.max_chunks_per_worker * endpoint_workers(e);
}

static bool is_available(const struct sched_endpoint *e)
{
    if (!endpoint_takes_attempts(e) || e->index == UINT32_MAX) return false;
    if (e->isolated || (e == e->s->isolating && e->in_flight > 0)) return false;
    if (e->state == ENDPOINT_PROBATION) return e->attempts.n == 0;
    if (e->attempts.n >= requests_max(e)) return false;
    double window = endpoint_window(e);
    return e->in_flight == 0 || (!e->window_full && e->load < window * ROUNDING);
}

void balancer_update(struct sched_endpoint *e)
{
    struct scheduler *s = e->s;
    if (e == s->isolating && (e->state != ENDPOINT_OPEN || e->index == UINT32_MAX)) s->isolating = NULL;
    bool is_open = endpoint_takes_attempts(e) && e->index != UINT32_MAX;
    if (is_open && e->open_index == UINT32_MAX)
        array_put(s->open, &s->open_n, e, &e->open_index);
    else if (!is_open && e->open_index != UINT32_MAX)
        ARRAY_TAKE(s, open, e, open_index);
    bool has_room = is_available(e);
    if (has_room && e->available_index == UINT32_MAX)
        array_put(s->available, &s->available_n, e, &e->available_index);
    else if (!has_room && e->available_index != UINT32_MAX)
        ARRAY_TAKE(s, available, e, available_index);
}

struct sched_endpoint *sched_endpoint_add(struct scheduler *s, void *owner, bool balancer, unsigned slots_hint,
                                          uint64_t now_ns)
{
    s->now_ns = now_ns;
    if (s->endpoints_n == s->endpoints_alloc) {
        s->endpoints_alloc = s->endpoints_alloc ? 2 * s->endpoints_alloc : 16;
        s->endpoints = xrealloc(s->endpoints, s->endpoints_alloc * sizeof(struct sched_endpoint *));
        s->open = xrealloc(s->open, s->endpoints_alloc * sizeof(struct sched_endpoint *));
        s->available = xrealloc(s->available, s->endpoints_alloc * sizeof(struct sched_endpoint *));
    }
    struct sched_endpoint *e = xcalloc(1, sizeof *e);
    e->s = s;
    e->owner = owner;
    e->balancer = balancer;
    e->slots = slots_hint > 0 ? slots_hint : SLOTS_UNKNOWN;
    e->slots_known = slots_hint > 0;
    e->scale = 1;
    e->chunk_cost_ns = (double)DEFAULT_CHUNK_COST_NS;
    e->clock_ns = now_ns;
    e->timer.kind = TIMER_ENDPOINT;
    e->open_index = e->available_index = UINT32_MAX;
    list_init(&e->attempts);
    array_put(s->endpoints, &s->endpoints_n, e, &e->index);
    s->stats.endpoints[ENDPOINT_OPEN]++;
    endpoint_move(e, ENDPOINT_OPEN, ENDPOINT_OPEN, SCHED_NEVER);
    return e;
}

void sched_endpoint_remove(struct scheduler *s, struct sched_endpoint *e)
{
    for (struct list_link *at; (at = list_next(&e->attempts, NULL)) != NULL;)
        attempt_orphan(CONTAINER_OF(at, struct sched_attempt, link));
    ARRAY_TAKE(s, endpoints, e, index);
    endpoint_gone(e);
    timer_stop(s, &e->timer);
    s->stats.endpoints[e->state]--;
    endpoint_free(e);
}

/* What the chunk would add to the endpoint's load. */
static double need_of(const struct sched_job *job, const struct sched_chunk *chunk, const struct sched_endpoint *e)
{
    uint32_t items = chunk ? chunk_left(chunk) : chunker_items(job, e);
    return items * chunker_weight(job, e, items);
}

/* At the end of a job an endpoint that needs longer for one item than the others for all that is left gets none. */
static bool too_slow(const struct sched_job *job, const struct sched_endpoint *e)
{
    const struct scheduler *s = e->s;
    double slowness = chunker_slowness(e);
    if (slowness < SLOW || !job->no_more || job->in_flight_items == 0 || s->usable < 2) return false;
    return slowness > 2 + (double)(job->uncut + job->pending_items) / fmax(s->slots, 1);
}

static bool avoided(const struct sched_chunk *chunk, const struct sched_endpoint *e)
{
    if (!chunk || chunk->avoid != e || e->balancer) return false;
    return e->s->usable > (e->counted_usable ? 1u : 0u); /* another one is usable */
}

/* Whether the chunk may go there, for a window that counts `times`. A chunk too large for the window goes to an
 * endpoint that is idle. */
static bool fits(struct sched_job *job, const struct sched_chunk *chunk, struct sched_endpoint *e, double times)
{
    bool alone = chunk && chunk->needs_isolation && !e->balancer;
    if (e->isolated || (alone ? e->attempts.n > 0 : e == e->s->isolating)) return false;
    if (avoided(chunk, e) || !blame_allows(chunk, e)) return false;
    if (!(chunk && chunk->avoid) && too_slow(job, e)) return false;
    if (e->state == ENDPOINT_PROBATION)
        return e->attempts.n == 0 && ((chunk && chunk->prepaid) || retry_may_try(job, e));
    if (e->in_flight == 0) return true;
    if (e->attempts.n >= requests_max(e)) return false;
    double window = endpoint_window(e) * times;
    double need = need_of(job, chunk, e);
    if (need > window / 2) need = window / 2;
    if (e->load < window * ROUNDING && e->load + need <= window * (2 - ROUNDING)) return true;
    if (times <= 1) {
        e->window_full = true;
        balancer_update(e);
    }
    return false;
}

static double load_of(const struct sched_endpoint *e)
{
    return e->load / endpoint_window(e);
}

static struct sched_endpoint *better(struct sched_endpoint *a, struct sched_endpoint *b)
{
    return !a || load_of(b) < load_of(a) ? b : a;
}

/* Two fitting ones drawn at random, the less loaded; after some misses, the first that fits. */
static struct sched_endpoint *pick_available(struct sched_job *job, const struct sched_chunk *chunk)
{
    struct scheduler *s = job->s;
    struct sched_endpoint *best = NULL;
    unsigned found = 0;
    for (unsigned i = 0; i < PICK_DRAWS && s->available_n > 0 && found < 2; i++) {
        struct sched_endpoint *e = s->available[random_below(&s->random, s->available_n)];
        if (!fits(job, chunk, e, 1)) continue;
        best = better(best, e);
        found++;
    }
    if (found > 0 || s->available_n == 0) return best;
    uint32_t start = random_below(&s->random, s->available_n);
    for (uint32_t i = 0, n = 0; i < s->available_n && n < PICK_SCAN; n++) {
        struct sched_endpoint *e = s->available[(start + i) % s->available_n];
        if (fits(job, chunk, e, 1)) return e;
        if (e->available_index != UINT32_MAX) /* one without room leaves the array: another stands in its place */
            i++;
    }
    return NULL;
}

/* A job that has less in flight than its share may go where the others have filled the window. */
static struct sched_endpoint *pick_overcommitted(struct sched_job *job, const struct sched_chunk *chunk)
{
    struct scheduler *s = job->s;
    if (s->jobs.n < 2 || job->load * s->priorities >= s->slots * job->p.priority * ROUNDING) return NULL;
    struct sched_endpoint *best = NULL;
    for (unsigned i = 0; i < PICK_DRAWS && s->open_n > 0; i++) {
        struct sched_endpoint *e = s->open[random_below(&s->random, s->open_n)];
        if (fits(job, chunk, e, OVERCOMMIT)) best = better(best, e);
    }
    return best;
}

void isolation_end(struct scheduler *s)
{
    struct sched_endpoint *e = s->isolating;
    s->isolating = NULL;
    if (e) balancer_update(e);
}

/* No endpoint is idle: one of them gets nothing more until it is. */
static void isolation_begin(struct scheduler *s, const struct sched_chunk *chunk)
{
    for (unsigned i = 0; i < PICK_DRAWS && s->open_n > 0 && !s->isolating; i++) {
        struct sched_endpoint *e = s->open[random_below(&s->random, s->open_n)];
        if (e->state == ENDPOINT_PROBATION || e->balancer || e->isolated || avoided(chunk, e)) continue;
        s->isolating = e;
        balancer_update(e);
    }
}

struct sched_endpoint *balancer_pick(struct sched_job *job, const struct sched_chunk *chunk)
{
    struct sched_endpoint *e = pick_available(job, chunk);
    if (!e && chunk && chunk->needs_isolation) {
        isolation_begin(job->s, chunk);
        return NULL;
    }
    return e ? e : pick_overcommitted(job, chunk);
}

struct sched_endpoint *balancer_pick_hedge(struct sched_job *job, const struct sched_attempt *late)
{
    struct scheduler *s = job->s;
    struct sched_endpoint *best = NULL;
    for (unsigned i = 0; i < 2 * PICK_DRAWS && s->available_n > 0; i++) {
        struct sched_endpoint *e = s->available[random_below(&s->random, s->available_n)];
        if (e->state == ENDPOINT_PROBATION || e->isolated || e == s->isolating ||
            (e == late->endpoint && !e->balancer) || chunker_slowness(e) >= SLOW)
            continue;
        best = better(best, e);
    }
    return best;
}
