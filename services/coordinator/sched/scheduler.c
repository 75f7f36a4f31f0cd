#include <math.h>

#include "coordinator/sched/scheduler_internal.h"

#define CUT_RUN_BYTES          (128 * KIB) /* item bytes cut in one run; the next run follows immediately */
#define DEFAULT_WORKER_WAIT_NS (60 * NS_PER_S)
#define PENDING_LOOKED_AT      8
#define MISSES_MAX             16  /* a run stops serving a task after this many of its jobs found no room */
#define OPS_PER_RUN            100 /* an op takes about 10 us */
#define TIMERS_PER_OP          10  /* a timer takes much less time than an op */
#define SETTLED_PER_OP         20  /* settling a chunk or reporting an error also takes much less time than an op */
#define PROBATION_LOOK_NS      NS_PER_S

void scheduler_config_init(struct scheduler_config *config)
{
    *config = (struct scheduler_config){
        .seed = 1,
        .chunk_target_ns = DEFAULT_CHUNK_TARGET_MS * NS_PER_MS,
        .worker_wait_ns = DEFAULT_WORKER_WAIT_NS,
        .worker_forget_ns = 30 * NS_PER_S,
        .max_chunks_per_worker = CHUNKS_PER_WORKER,
    };
}

struct scheduler *scheduler_new(const struct scheduler_config *config, const struct scheduler_ops *ops, void *ctx)
{
    struct scheduler *s = xcalloc(1, sizeof *s);
    s->config = *config;
    if (s->config.chunk_target_ns == 0) s->config.chunk_target_ns = DEFAULT_CHUNK_TARGET_MS * NS_PER_MS;
    if (s->config.max_chunks_per_worker == 0) s->config.max_chunks_per_worker = CHUNKS_PER_WORKER;
    if (s->config.max_ops_per_run == 0) s->config.max_ops_per_run = OPS_PER_RUN;
    s->ops = *ops;
    s->ctx = ctx;
    s->random.state = config->seed;
    s->tokens = BUDGET_ALL_MIN;
    s->hedge_tokens = HEDGE_TOKENS_MIN;
    s->chunk_cost_ns = s->worker_chunk_cost_ns = (double)DEFAULT_CHUNK_COST_NS;
    list_init(&s->jobs);
    list_init(&s->ending);
    list_init(&s->settled);
    list_init(&s->slices);
    list_init(&s->cuts);
    list_init(&s->lingering);
    list_init(&s->changed);
    list_init(&s->tasks);
    return s;
}

static void free_chunk_and_attempts(struct sched_chunk *chunk)
{
    if (chunk->attempt) attempt_free(chunk->attempt);
    if (chunk->hedge) attempt_free(chunk->hedge);
    if (chunk->state != CHUNK_SETTLED) chunk_move(chunk, CHUNK_SETTLED, false);
}

void scheduler_free(struct scheduler *s)
{
    if (!s) return;
    while (!chunks_run_slices(s)) continue;
    struct list_link *at;
    for (at = list_next(&s->jobs, NULL); at; at = list_next(&s->jobs, at)) {
        struct sched_job *job = CONTAINER_OF(at, struct sched_job, link);
        for (size_t i = 0; i < ARRAY_SIZE(job->lists); i++)
            for (struct list_link *c; (c = list_next(&job->lists[i], NULL)) != NULL;)
                free_chunk_and_attempts(CONTAINER_OF(c, struct sched_chunk, link));
    }
    while ((at = list_next(&s->settled, NULL)) != NULL) {
        struct sched_chunk *chunk = CONTAINER_OF(at, struct sched_chunk, link);
        list_remove(&s->settled, at);
        s->ops.release(s->ctx, chunk);
        chunk_free(chunk);
    }
    while ((at = list_next(&s->jobs, NULL)) != NULL) job_free(CONTAINER_OF(at, struct sched_job, link));
    while (s->endpoints_n > 0) sched_endpoint_remove(s, s->endpoints[0]);
    while ((at = list_next(&s->tasks, NULL)) != NULL) task_free(CONTAINER_OF(at, struct sched_task, link));
    free(s->endpoints);
    heap_release(&s->timers);
    heap_release(&s->hedge_scans);
    free(s);
}

void timer_set(struct scheduler *s, struct sched_timer *t, uint64_t at_ns)
{
    if (at_ns == SCHED_NEVER)
        heap_remove(&s->timers, &t->node);
    else
        heap_set(&s->timers, &t->node, at_ns);
}

void timer_stop(struct scheduler *s, struct sched_timer *t)
{
    heap_remove(&s->timers, &t->node);
}

void run_begin_part(struct scheduler *s)
{
    s->ops_left = s->config.max_ops_per_run;
}

void run_count_op(struct scheduler *s)
{
    s->ops_left -= s->ops_left > 0;
}

bool run_has_room(const struct scheduler *s)
{
    return s->ops_left > 0;
}

bool shell_may_send(const struct scheduler *s)
{
    return !s->ops.may_send || s->ops.may_send(s->ctx);
}

static void run_timers(struct scheduler *s)
{
    unsigned most = s->config.max_ops_per_run * TIMERS_PER_OP;
    for (struct heap_node *first; (first = heap_first(&s->timers)) != NULL && first->key <= s->now_ns && most > 0;
         most--) {
        struct sched_timer *t = CONTAINER_OF(first, struct sched_timer, node);
        timer_stop(s, t);
        switch (t->kind) {
        case TIMER_CHUNK: retry_timer_fired(CONTAINER_OF(t, struct sched_chunk, timer)); break;
        case TIMER_ENDPOINT: endpoint_timer_fired(CONTAINER_OF(t, struct sched_endpoint, timer)); break;
        case TIMER_LANE: lane_full_is_over(CONTAINER_OF(t, struct sched_lane, timer)); break;
        case TIMER_JOB: job_timer_fired(CONTAINER_OF(t, struct sched_job, timer)); break;
        case TIMER_RAMP: chunker_ramp_timer_fired(CONTAINER_OF(t, struct sched_job, ramp_timer)); break;
        case TIMER_RATE: rate_timer_fired(CONTAINER_OF(t, struct sched_job, rate_timer)); break;
        }
    }
}

static struct sched_chunk *cut(struct sched_job *job, const struct sched_lane *l)
{
    struct scheduler *s = job->s;
    uint32_t items = chunker_items(job, l);
    struct sched_chunk *chunk = sched_chunk_new(job, 0, items);
    size_t n = s->ops.cut(s->ctx, chunk, items, job->p.max_chunk_bytes, &chunk->bytes);
    if (n == 0 || n > items) BUG("cut took %zu items of %u", n, items);
    s->cut_bytes += chunk->bytes;
    chunk->count = chunk->origin = (uint32_t)n;
    job->uncut -= n;
    s->uncut_items -= n;
    job->task->uncut_items -= n;
    job_changed(job);
    job->uncut_bytes -= chunk->bytes < job->uncut_bytes ? chunk->bytes : job->uncut_bytes;
    return chunk;
}

static void send(struct sched_job *job, struct sched_chunk *chunk, struct sched_lane *l)
{
    double weight = chunker_weight(job, l, chunk_left(chunk));
    double item_ns = chunker_item_ns(job);
    chunk_move(chunk, CHUNK_IN_FLIGHT, false);
    double charge_ns = chunk_left(chunk) * (item_ns > 0 ? item_ns : (double)NS_PER_MS);
    fairness_charge(job, charge_ns);
    attempt_start(chunk, l, ATTEMPT_PLAIN, weight)->charged_ns = charge_ns;
}

/* Sends one of the first pending chunks, or a new chunk. Returns false if no chunk can be sent now. */
static bool send_one(struct sched_job *job)
{
    struct list *pending = &job->lists[CHUNK_PENDING];
    unsigned looked_at = 0;
    for (struct list_link *at = list_next(pending, NULL); at && looked_at < PENDING_LOOKED_AT;
         at = list_next(pending, at), looked_at++) {
        struct sched_chunk *chunk = CONTAINER_OF(at, struct sched_chunk, link);
        if (job->p.max_concurrency > 0 && job->in_flight_items > 0 &&
            job->in_flight_items + chunk_left(chunk) > job->p.max_concurrency)
            continue;
        struct sched_lane *l = balancer_pick(job, chunk);
        if (!l) continue;
        send(job, chunk, l);
        return true;
    }
    if (!fairness_may_cut(job)) return false;
    struct sched_lane *l = balancer_pick(job, NULL);
    if (!l) return false;
    send(job, cut(job, l), l);
    return true;
}

static bool dispatch_task(struct sched_task *t)
{
    struct scheduler *s = t->s;
    unsigned misses = 0;
    fairness_unblock_all(t);
    if (t->open_n == 0) return false;
    for (struct sched_job *job; (job = fairness_next(t)) != NULL;) {
        if (s->cut_bytes >= CUT_RUN_BYTES || !run_has_room(s) || !shell_may_send(s)) return true;
        if (send_one(job)) {
            run_count_op(s);
            fairness_update(job);
        } else if (fairness_block(job), t->available_n == 0 && ++misses >= MISSES_MAX) {
            break;
        }
    }
    return false;
}

/* Sends the chunks that can be sent. Cutting large chunks and starting many calls takes time that other work may need.
 * So dispatch() stops and returns true when CUT_RUN_BYTES have been cut in this run, when enough attempts have been
 * sent, or when the shell cannot begin another call soon. The task that was interrupted comes last in the next run. */
static bool dispatch(struct scheduler *s)
{
    s->cut_bytes = 0;
    run_begin_part(s);
    if (s->isolations_pending == 0) isolation_end(s);
    for (struct list_link *at = list_next(&s->tasks, NULL); at; at = list_next(&s->tasks, at)) {
        if (!dispatch_task(CONTAINER_OF(at, struct sched_task, link))) continue;
        list_remove(&s->tasks, at);
        list_push_back(&s->tasks, at);
        return true;
    }
    return false;
}

/* Returns whether this run has left work for the next run, other than chunks to be sent. */
static bool is_behind(const struct scheduler *s)
{
    return s->cuts.n > 0 || s->settled.n > 0 || s->ending.n > 0 || s->changed.n > 0;
}

uint64_t scheduler_run(struct scheduler *s, uint64_t now_ns)
{
    unsigned steps = s->config.max_ops_per_run * SETTLED_PER_OP;
    s->now_ns = now_ns;
    if (!chunks_run_slices(s)) return now_ns;
    run_timers(s);
    attempts_run_lingering(s);
    run_begin_part(s);
    attempts_run_cuts(s);
    chunks_run_settled(s, &steps);
    jobs_run_ending(s, &steps);
    jobs_run_changed(s);
    bool late = s->changed.n > 0; /* jobs that are updated only after dispatch() send their chunks in the next run */
    bool more = dispatch(s);
    /* The endpoint that was kept free is idle, but the chunk that must run alone could not use it. So the endpoint is
     * opened to all chunks. If it stayed reserved, the other chunks might wait for ever. */
    if (!more && isolation_is_idle(s)) {
        isolation_end(s);
        more = dispatch(s);
    }
    uint64_t next = hedge_run(s);
    jobs_run_changed(s);
    /* Even if the retry budget is used up, a job may send an attempt to an endpoint on probation every
     * PROBATION_TRICKLE_NS. So the scheduler runs regularly while an endpoint is on probation. */
    if (s->stats.endpoints[ENDPOINT_PROBATION] > 0 && s->now_ns + PROBATION_LOOK_NS < next)
        next = s->now_ns + PROBATION_LOOK_NS;
    struct list_link *linger = list_next(&s->lingering, NULL);
    if (linger) {
        uint64_t over = CONTAINER_OF(linger, struct sched_attempt, queue)->progress_ns + LINGER_NS;
        next = over < next ? over : next;
    }
    struct heap_node *due = heap_first(&s->timers);
    if (due && due->key < next) next = due->key;
    return more || late || is_behind(s) ? s->now_ns : next;
}

/* Returns the slots of the task that has the most slots. Tasks share processors, so the sum over tasks would be too
 * large. */
static uint64_t slots_of_all(const struct scheduler *s)
{
    uint64_t most = 0;
    for (struct list_link *at = list_next(&s->tasks, NULL); at; at = list_next(&s->tasks, at)) {
        uint64_t slots = task_reached_slots(CONTAINER_OF(at, struct sched_task, link));
        if (slots > most) most = slots;
    }
    return most;
}

struct sched_stats sched_stats(const struct scheduler *s)
{
    struct sched_stats stats = s->stats;
    stats.queued_items = s->uncut_items + s->pending_items + s->backoff_items;
    stats.slots = slots_of_all(s);
    stats.demand_slots = s->demand_slots;
    stats.memory_bytes = sizeof *s + s->jobs.n * sizeof(struct sched_job) +
                         stats.chunks * (sizeof(struct sched_chunk) + sizeof(struct sched_attempt)) +
                         s->endpoints_alloc * (sizeof(struct sched_endpoint) + sizeof(void *)) +
                         s->lanes_n * (sizeof(struct sched_lane) + 2 * sizeof(void *)) +
                         s->timers.alloc * sizeof(void *) + s->span_bytes + s->worker_table_bytes;
    return stats;
}
