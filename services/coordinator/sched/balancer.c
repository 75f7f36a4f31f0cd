#include <math.h>

#include "coordinator/sched/scheduler_internal.h"

#define ROUNDING   0.999 /* tolerance for sums of weights, which are fractions */
#define SLOW       2.0   /* an endpoint is slow if its items take this many times the mean; see too_slow() */
#define SLOWER     1.2   /* stricter limit for a warm lane: if there are few lanes, a slow lane raises the mean */
#define PICK_DRAWS 8
#define PICK_SCAN  64
#define PICK_MORE  16 /* instead of PICK_SCAN, if a crowded lane fits */
#define PICK_COLD  32 /* one choice in this many is made as if no lane had answered yet; see pick_warm() */

/*
 * Chooses the endpoint. Among idle endpoints, prefers the endpoint that has most recently answered items of the task.
 * The processes of this endpoint are running, its connection is open and its memory is in the caches. In all other
 * cases, draws two random endpoints with room for the task, and takes the one with less load per slot ("power of two
 * choices"). A worker that is busy with other tasks is chosen only if no other worker that was checked fits. A lane is
 * in its task's array `open` while its endpoint takes attempts and has the task, and while the lane is not full
 * (sched_lane.c). An open lane that may have room is also in the array `available`. So the cost of a choice does not
 * depend on the number of workers.
 */

static void array_put(struct sched_lane **array, uint32_t *n, struct sched_lane *l, uint32_t *place)
{
    *place = *n;
    array[(*n)++] = l;
}

#define ARRAY_TAKE(t, array, l, field)                                                                                 \
    do {                                                                                                               \
        struct sched_lane *last_ = (t)->array[--(t)->array##_n];                                                       \
        (t)->array[(l)->field] = last_;                                                                                \
        last_->field = (l)->field;                                                                                     \
        (l)->field = UINT32_MAX;                                                                                       \
    } while (0)

/* Returns whether the worker may hold one more chunk of this task. Each task has its own limit, so the chunks of one
 * task leave room for the chunks of another task. */
static bool has_request_room(const struct sched_lane *l)
{
    return l->attempts_n < (size_t)l->endpoint->s->config.max_chunks_per_worker * lane_workers(l);
}

static bool is_open(const struct sched_lane *l)
{
    const struct sched_endpoint *e = l->endpoint;
    return endpoint_takes_attempts(e) && e->index != UINT32_MAX && !l->lacks && !l->gone && !l->full;
}

static bool is_available(const struct sched_lane *l)
{
    const struct sched_endpoint *e = l->endpoint;
    if (!is_open(l)) return false;
    if (e->isolated || (e == e->s->isolating && e->attempts.n > 0)) return false;
    if (e->state == ENDPOINT_PROBATION) return e->attempts.n == 0;
    if (!has_request_room(l)) return false;
    return l->in_flight == 0 || (!l->window_full && l->load < lane_window(l) * ROUNDING);
}

/* A worker that answers each item immediately with an error would always be the worker that answered most recently. So
 * a lane whose last answer was an error is not warm. */
static bool is_warm(const struct sched_lane *l)
{
    const struct sched_endpoint *e = l->endpoint;
    return l->in_flight == 0 && l->answers_well && e->state == ENDPOINT_OPEN && !e->balancer;
}

static void set_warm(struct sched_lane *l, bool warm)
{
    if (warm && !l->is_warm) list_push_front(&l->task->warm, &l->warm_link);
    if (!warm && l->is_warm) list_remove(&l->task->warm, &l->warm_link);
    l->is_warm = warm;
}

void balancer_update(struct sched_lane *l)
{
    struct sched_task *t = l->task;
    struct sched_endpoint *e = l->endpoint;
    if (e == e->s->isolating && (e->state != ENDPOINT_OPEN || e->index == UINT32_MAX)) e->s->isolating = NULL;
    bool open = is_open(l);
    if (open && l->open_index == UINT32_MAX)
        array_put(t->open, &t->open_n, l, &l->open_index);
    else if (!open && l->open_index != UINT32_MAX)
        ARRAY_TAKE(t, open, l, open_index);
    bool has_room = is_available(l);
    if (has_room && l->available_index == UINT32_MAX)
        array_put(t->available, &t->available_n, l, &l->available_index);
    else if (!has_room && l->available_index != UINT32_MAX)
        ARRAY_TAKE(t, available, l, available_index);
    set_warm(l, has_room && is_warm(l));
}

void balancer_update_all(struct sched_endpoint *e)
{
    for (struct list_link *at = list_next(&e->lanes, NULL); at; at = list_next(&e->lanes, at))
        balancer_update(CONTAINER_OF(at, struct sched_lane, endpoint_link));
}

struct sched_endpoint *sched_endpoint_add(struct scheduler *s, void *owner, bool balancer, unsigned slots_hint,
                                          uint64_t now_ns)
{
    s->now_ns = now_ns;
    if (s->endpoints_n == s->endpoints_alloc) {
        s->endpoints_alloc = s->endpoints_alloc ? 2 * s->endpoints_alloc : 16;
        s->endpoints = xrealloc(s->endpoints, s->endpoints_alloc * sizeof(struct sched_endpoint *));
    }
    struct sched_endpoint *e = xcalloc(1, sizeof *e);
    e->s = s;
    e->owner = owner;
    e->balancer = balancer;
    e->slots_hint = slots_hint;
    e->timer.kind = TIMER_ENDPOINT;
    list_init(&e->attempts);
    list_init(&e->lanes);
    e->index = s->endpoints_n;
    s->endpoints[s->endpoints_n++] = e;
    s->stats.endpoints[ENDPOINT_OPEN]++;
    endpoint_move(e, ENDPOINT_OPEN, ENDPOINT_OPEN, SCHED_NEVER);
    for (struct list_link *at = list_next(&s->tasks, NULL); at; at = list_next(&s->tasks, at))
        lane_new(CONTAINER_OF(at, struct sched_task, link), e);
    return e;
}

void sched_endpoint_remove(struct scheduler *s, struct sched_endpoint *e)
{
    for (struct list_link *at; (at = list_next(&e->attempts, NULL)) != NULL;)
        attempt_orphan(CONTAINER_OF(at, struct sched_attempt, link));
    struct sched_endpoint *last = s->endpoints[--s->endpoints_n];
    s->endpoints[e->index] = last;
    last->index = e->index;
    endpoint_gone(e);
    timer_stop(s, &e->timer);
    s->stats.endpoints[e->state]--;
    endpoint_free(e);
}

/* Returns the load that the chunk, or the job's next chunk, would add to the lane. */
static double need_of(const struct sched_job *job, const struct sched_chunk *chunk, const struct sched_lane *l)
{
    uint32_t items = chunk ? chunk_left(chunk) : chunker_items(job, l);
    return items * chunker_weight(job, l, items);
}

/* At the end of a job, an endpoint gets no items if one item would take longer there than all remaining items take
 * elsewhere. */
static bool too_slow(const struct sched_job *job, const struct sched_lane *l)
{
    const struct sched_task *t = l->task;
    double slowness = chunker_slowness(l);
    if (slowness < SLOW || !job_is_whole(job) || job->in_flight_items == 0 || t->usable < 2) return false;
    return slowness > 2 + (double)(job->uncut + job->pending_items) / fmax(t->slots, 1);
}

static bool avoided(const struct sched_chunk *chunk, const struct sched_lane *l)
{
    if (!chunk || chunk->avoid != l->endpoint || l->endpoint->balancer) return false;
    return l->task->usable > (l->counted_usable ? 1u : 0u); /* another lane is usable */
}

/* Returns whether the chunk may go to the lane if the lane's window is multiplied by `times`. A lane without items in
 * flight accepts a chunk of any size. */
static bool fits(struct sched_job *job, const struct sched_chunk *chunk, struct sched_lane *l, double times)
{
    const struct sched_endpoint *e = l->endpoint;
    bool alone = chunk && chunk->needs_isolation && !e->balancer;
    if (e->isolated || (alone ? e->attempts.n > 0 : e == e->s->isolating)) return false;
    if (avoided(chunk, l) || !halving_allows(chunk, l)) return false;
    if (!(chunk && chunk->avoid) && too_slow(job, l)) return false;
    if (e->state == ENDPOINT_PROBATION)
        return e->attempts.n == 0 && ((chunk && chunk->prepaid) || retry_may_try(job, e));
    if (!has_request_room(l)) return false;
    if (l->in_flight == 0) return true;
    double window = lane_window(l) * times;
    double need = need_of(job, chunk, l);
    if (need > window / 2) need = window / 2;
    if (l->load < window * ROUNDING && l->load + need <= window * (2 - ROUNDING)) return true;
    if (times <= 1) {
        l->window_full = true;
        balancer_update(l);
    }
    return false;
}

static double load_of(const struct sched_lane *l)
{
    return l->load / lane_window(l);
}

static struct sched_lane *better(struct sched_lane *a, struct sched_lane *b)
{
    return !a || load_of(b) < load_of(a) ? b : a;
}

/* Returns the lane of the idle endpoint that has answered most recently; NULL: choose another lane. Two coordinators
 * may prefer the same worker, and each of them would keep preferring this worker. So now and then the choice is
 * random. */
static struct sched_lane *pick_warm(struct sched_job *job, const struct sched_chunk *chunk)
{
    struct sched_task *t = job->task;
    unsigned looked_at = 0;
    if (random_below(&job->s->random, PICK_COLD) == 0) return NULL;
    for (struct list_link *at = list_next(&t->warm, NULL); at && looked_at < PICK_DRAWS;
         at = list_next(&t->warm, at), looked_at++) {
        struct sched_lane *l = CONTAINER_OF(at, struct sched_lane, warm_link);
        bool is_idle = l->endpoint->attempts.n == 0; /* also counts the chunks of other tasks */
        if (is_idle && chunker_slowness(l) < SLOWER && fits(job, chunk, l, 1)) return l;
    }
    return NULL;
}

/* Returns whether the items of other tasks use as many slots of the worker as one task has. The tasks of a worker may
 * share its slots (--slots), and always share its processors. So items of this task may have to wait there. */
static bool is_crowded(const struct sched_lane *l)
{
    return !l->endpoint->balancer && l->endpoint->busy - l->busy >= ROUNDING;
}

/* If pick_warm() finds a lane, returns it. Otherwise draws at most PICK_DRAWS lanes at random, until two of them fit
 * the chunk and are not crowded, and returns the less loaded of the two. If no drawn lane fits and is not crowded,
 * checks more lanes, and returns the first one that fits and is not crowded. If there is none, returns a crowded lane
 * that fits; NULL: no checked lane fits. */
static struct sched_lane *pick_available(struct sched_job *job, const struct sched_chunk *chunk)
{
    struct sched_task *t = job->task;
    struct random_source *random = &job->s->random;
    struct sched_lane *best = pick_warm(job, chunk), *crowded = NULL;
    unsigned found = 0;
    if (best) return best;
    for (unsigned i = 0; i < PICK_DRAWS && t->available_n > 0 && found < 2; i++) {
        struct sched_lane *l = t->available[random_below(random, t->available_n)];
        if (!fits(job, chunk, l, 1)) continue;
        if (is_crowded(l)) {
            crowded = better(crowded, l);
            continue;
        }
        best = better(best, l);
        found++;
    }
    if (found > 0 || t->available_n == 0) return best ? best : crowded;
    uint32_t start = random_below(random, t->available_n);
    for (uint32_t i = 0, n = 0; i < t->available_n && n < (crowded ? PICK_MORE : PICK_SCAN); n++) {
        struct sched_lane *l = t->available[(start + i) % t->available_n];
        bool is_fit = fits(job, chunk, l, 1);
        if (is_fit && !is_crowded(l)) return l;
        if (is_fit) crowded = l;
        if (l->available_index != UINT32_MAX) /* otherwise another lane has moved to index i */
            i++;
    }
    return crowded;
}

/* Call it when no lane has room. If the job has less than its share in flight, it may exceed a window that other jobs
 * have filled. */
static struct sched_lane *pick_overcommitted(struct sched_job *job, const struct sched_chunk *chunk)
{
    struct sched_task *t = job->task;
    if (t->jobs.n < 2 || job->load * t->priorities >= t->slots * job->p.priority * ROUNDING) return NULL;
    struct sched_lane *best = NULL;
    for (unsigned i = 0; i < PICK_DRAWS && t->open_n > 0; i++) {
        struct sched_lane *l = t->open[random_below(&job->s->random, t->open_n)];
        if (fits(job, chunk, l, OVERCOMMIT)) best = better(best, l);
    }
    return best;
}

void isolation_end(struct scheduler *s)
{
    struct sched_endpoint *e = s->isolating;
    s->isolating = NULL;
    if (e) balancer_update_all(e);
}

bool isolation_is_idle(const struct scheduler *s)
{
    return s->isolating && s->isolating->attempts.n == 0;
}

/* Chooses an endpoint on which the chunk will run alone. After this choice, the endpoint gets no other chunks, and so
 * becomes idle. If the endpoint is already idle, returns its lane. */
static struct sched_lane *isolation_begin(struct sched_job *job, const struct sched_chunk *chunk)
{
    struct sched_task *t = job->task;
    struct scheduler *s = t->s;
    for (unsigned i = 0; i < PICK_DRAWS && t->open_n > 0 && !s->isolating; i++) {
        struct sched_lane *l = t->open[random_below(&s->random, t->open_n)];
        struct sched_endpoint *e = l->endpoint;
        if (e->state == ENDPOINT_PROBATION || e->balancer || e->isolated || avoided(chunk, l)) continue;
        s->isolating = e;
        balancer_update_all(e);
        return fits(job, chunk, l, 1) ? l : NULL;
    }
    return NULL;
}

struct sched_lane *balancer_pick(struct sched_job *job, const struct sched_chunk *chunk)
{
    struct sched_lane *l = pick_available(job, chunk);
    if (!l && chunk && chunk->needs_isolation) return isolation_begin(job, chunk);
    return l ? l : pick_overcommitted(job, chunk);
}

static bool may_be_second(const struct sched_lane *l, const struct sched_attempt *late)
{
    const struct sched_endpoint *e = l->endpoint;
    return e->state != ENDPOINT_PROBATION && !e->isolated && e != e->s->isolating &&
           (e != late->endpoint || e->balancer);
}

static struct sched_lane *draw_free(struct sched_job *job, const struct sched_attempt *late, bool may_be_slow)
{
    struct sched_task *t = job->task;
    struct sched_lane *best = NULL;
    for (unsigned i = 0; i < 2 * PICK_DRAWS && t->available_n > 0; i++) {
        struct sched_lane *l = t->available[random_below(&job->s->random, t->available_n)];
        if (may_be_second(l, late) && (may_be_slow || chunker_slowness(l) < SLOW)) best = better(best, l);
    }
    return best;
}

/* Draws a lane. The window of this lane may be full: while the job has more to send, the windows of all lanes are
 * usually full. The chunk must not wait for room, because the answers of later items may have to wait for the answers
 * of this chunk. */
static struct sched_lane *draw_full(struct sched_job *job, const struct sched_attempt *late, bool must_run)
{
    struct sched_task *t = job->task;
    struct sched_lane *best = NULL;
    for (unsigned i = 0; i < 2 * PICK_DRAWS && t->open_n > 0; i++) {
        struct sched_lane *l = t->open[random_below(&job->s->random, t->open_n)];
        bool has_room = has_request_room(l) && l->load < lane_window(l) * OVERCOMMIT;
        if (has_room && may_be_second(l, late) && (!must_run || lane_runs(l))) best = better(best, l);
    }
    return best;
}

/* A slow second worker helps only if the first worker seems dead, not if the first worker is only late. */
struct sched_lane *balancer_pick_hedge(struct sched_job *job, const struct sched_attempt *late, bool seems_dead)
{
    struct sched_lane *l = draw_free(job, late, false);
    if (!l && seems_dead) l = draw_free(job, late, true);
    return l || !seems_dead ? l : draw_full(job, late, false);
}

struct sched_lane *balancer_pick_running(struct sched_job *job, const struct sched_attempt *starting)
{
    return draw_full(job, starting, true);
}
