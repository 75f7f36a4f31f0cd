#include <math.h>

#include "coordinator/sched/scheduler_internal.h"

#define HEDGE_PATIENCE_MIN  1.5 /* an answer is late after at least this many expected waits */
#define HEDGE_PATIENCE_MAX  4.0 /* the patience grows to this many expected waits */
#define WAIT_MAX            10.0
#define DEAD_PATIENCE       10.0 /* a worker seems dead after a silence of this many expected waits + DEAD_MIN_NS */
#define DEAD_MIN_NS         NS_PER_S
#define HEDGE_SCAN_NS       NS_PER_MS
#define HEDGE_SCAN_CHUNK_NS (2 * NS_PER_US)
#define HEDGES_MAX          4 /* a chunk gets at most this many second attempts, one after the other */
#define HEDGE_TOKENS_MAX    1000.0
#define HEDGE_MIN_NS        (10 * NS_PER_MS)

/*
 * When a job has nothing left to send, a chunk that has been silent for too long gets a second attempt at its
 * unanswered suffix. The items of these second attempts are limited to max_extra_percent of the job's items. While the
 * job still has something to send, a chunk is sent twice only if its worker seems dead, that is, after a much longer
 * silence. This second attempt takes a retry token. The first answer of each item is used.
 *
 * While a worker starts processes for a chunk, the chunk does not count as late. But if another worker has running
 * processes and room, the chunk is also sent to that worker. None of the chunk's items has begun, so this second
 * attempt costs nothing and takes no token.
 */

static bool can_hedge(const struct sched_job *job)
{
    return job->p.hedge_enabled && job->p.idempotent && !job_has_ended(job) && job->in_flight_items > 0;
}

static bool at_tail(const struct sched_job *job)
{
    return job_is_whole(job) && job->uncut == 0 && job->lists[CHUNK_PENDING].n == 0;
}

/* Returns how many of its items the job may hedge. */
static double share(const struct sched_job *job)
{
    return job->p.hedge_max_extra_percent / 100 * (double)job->counts.total;
}

static bool within_share(const struct sched_job *job, uint32_t items)
{
    return (double)(job->counts.hedged - job->moved_items + items) <= share(job);
}

/* A job whose share is less than one item may still hedge one item. This hedge takes a token. */
static bool within_extra(const struct sched_job *job, uint32_t items)
{
    bool is_only_one = job->counts.hedged == job->moved_items && items == 1 && share(job) > 0;
    return within_share(job, items) || (is_only_one && job->s->hedge_tokens >= 1);
}

/* Without a common limit, many jobs of one item each could hedge all their items. So small jobs share one budget of
 * tokens. Each item of a small job adds max_extra_percent of a token. A larger job stays within its own share, so it
 * adds no tokens. */
void hedge_first_attempt(struct sched_job *job, uint32_t items)
{
    struct scheduler *s = job->s;
    if (share(job) >= 1) return;
    s->hedge_tokens = fmin(s->hedge_tokens + job->p.hedge_max_extra_percent / 100 * items, HEDGE_TOKENS_MAX);
}

/* Computes the expected wait for the next answer from the mean time of an item. */
static double expected_wait_ns(const struct sched_job *job, const struct sched_lane *l)
{
    double queue = l ? fmax(1, (double)l->in_flight / l->slots) : 1;
    return item_cost_mean_ns(&job->seen) * queue;
}

/* Keeps the mean and the mean deviation of the waits, as multiples of the expected wait, like TCP's retransmission
 * timer (RFC 6298). */
void hedge_observe(const struct sched_attempt *a)
{
    struct sched_job *job = a->chunk->job;
    double expected = expected_wait_ns(job, a->lane);
    if (expected <= 0 || (job->was_at_tail && job->seen.items >= TAIL_ITEMS_KNOWN)) return;
    double wait = fmin((double)(job->s->now_ns - a->progress_ns) / expected, WAIT_MAX);
    job->wait_mean += (wait - job->wait_mean) / 32;
    job->wait_deviation += (fabs(wait - job->wait_mean) - job->wait_deviation) / 32;
}

static double patience(const struct sched_job *job)
{
    return fmin(fmax(job->wait_mean + 3 * job->wait_deviation, HEDGE_PATIENCE_MIN), HEDGE_PATIENCE_MAX);
}

/* Returns the instant from which the attempt's next answer is late. */
static uint64_t late_at(const struct sched_job *job, const struct sched_attempt *a, double times)
{
    double wait_ns = fmax(times * expected_wait_ns(job, a->lane), (double)HEDGE_MIN_NS);
    uint64_t late = a->progress_ns + (uint64_t)fmin(wait_ns, 1e18);
    return late > a->starting_until_ns ? late : a->starting_until_ns;
}

static uint64_t dead_at(const struct sched_chunk *chunk)
{
    return late_at(chunk->job, chunk->attempt, DEAD_PATIENCE) + DEAD_MIN_NS;
}

/* Returns when to send the chunk a second time. A poison suspect, and a chunk that is at its last attempt after a
 * failure, are never sent a second time. A chunk that has lost a worker is sent a second time only if its current
 * worker seems dead. */
static uint64_t due_at(const struct sched_chunk *chunk, bool tail)
{
    unsigned failed = chunk->erred + chunk->charged;
    bool is_last = failed > 0 && failed + 1 >= chunk->job->p.retry.max_attempts;
    if (halving_is_poison_suspect(chunk) || is_last) return SCHED_NEVER;
    return tail && chunk->lost == 0 ? late_at(chunk->job, chunk->attempt, patience(chunk->job)) : dead_at(chunk);
}

/* Returns the time from which the chunk may also be sent to a worker whose processes are already running. */
static uint64_t move_at(const struct sched_chunk *chunk)
{
    const struct sched_attempt *a = chunk->attempt;
    uint64_t now = chunk->job->s->now_ns;
    if (!a->lane || !a->starting_since_ns || a->starting_until_ns <= now) return SCHED_NEVER;
    if (halving_is_poison_suspect(chunk) || lane_runs(a->lane)) return SCHED_NEVER;
    return a->starting_since_ns + STARTING_PATIENCE_NS;
}

/* Sends the chunk a second time, to a worker whose processes are already running. If the chunk cannot be sent now,
 * returns when to try again; otherwise returns SCHED_NEVER. */
static uint64_t move_elsewhere(struct sched_chunk *chunk)
{
    struct sched_job *job = chunk->job;
    uint32_t left = chunk_left(chunk);
    if (!shell_may_send(job->s)) return job->s->now_ns;
    struct sched_lane *l = balancer_pick_running(job, chunk->attempt);
    if (!l) return job->s->now_ns + STARTING_PATIENCE_NS;
    job->counts.hedged += left;
    job->moved_items += left;
    job->s->stats.items_hedged += left;
    lane_hold(chunk->attempt->lane);
    attempt_start(chunk, l, ATTEMPT_RESCUE, chunker_weight(job, l, left));
    return SCHED_NEVER;
}

static void count_hedged(struct sched_job *job, uint32_t items)
{
    if (!within_share(job, items)) job->s->hedge_tokens -= 1;
    job->counts.hedged += items;
    job->s->stats.items_hedged += items;
}

/* Sends the chunk a second time. If the chunk's first worker seems dead and the retry budget allows it, the second
 * attempt is a rescue, which counts as a retry. In all other cases, the second attempt is a hedge, if a hedge is
 * allowed now. Returns false if no second attempt was sent. */
static bool send_twice(struct sched_chunk *chunk, bool tail)
{
    struct sched_job *job = chunk->job;
    uint32_t left = chunk_left(chunk);
    bool seems_dead = dead_at(chunk) <= job->s->now_ns;
    if (!shell_may_send(job->s)) return false;
    struct sched_lane *l = balancer_pick_hedge(job, chunk->attempt, seems_dead);
    if (!l) return false;
    bool rescue = seems_dead && retry_take_token(job);
    if (!rescue && (!tail || chunk->lost > 0 || !within_extra(job, left))) return false;
    if (rescue)
        retry_count_items(chunk);
    else
        count_hedged(job, left);
    if (rescue && chunk->attempt->lane) lane_hold(chunk->attempt->lane);
    chunk->hedges++;
    attempt_start(chunk, l, rescue ? ATTEMPT_RESCUE : ATTEMPT_HEDGE, chunker_weight(job, l, left));
    return true;
}

/* The second attempt may be late too, because one slow item delays the answers of all items after it. The next
 * runs of the scheduler cut off a late second attempt and send another one instead. Each replacement may take twice as
 * long as the attempt that it replaces. Returns when to check the second attempt again, or SCHED_NEVER. */
static uint64_t give_up_hedge(struct sched_chunk *chunk)
{
    struct sched_job *job = chunk->job;
    struct sched_attempt *a = chunk->hedge;
    if (a->dead) return job->s->now_ns;
    if (a->is_rescue || chunk->hedges >= HEDGES_MAX || !within_extra(job, chunk_left(chunk))) return SCHED_NEVER;
    uint64_t late = late_at(job, a, ldexp(patience(job), chunk->hedges));
    if (late > job->s->now_ns) return late;
    attempt_cut(a);
    return job->s->now_ns;
}

/* Checks the job's chunks in flight, and returns when to check them again. */
static uint64_t scan(struct sched_job *job)
{
    struct scheduler *s = job->s;
    struct list *flying = &job->lists[CHUNK_IN_FLIGHT];
    bool tail = at_tail(job);
    uint64_t next = SCHED_NEVER;
    uint64_t soonest = s->now_ns + HEDGE_SCAN_NS + flying->n * HEDGE_SCAN_CHUNK_NS;
    for (struct list_link *at = list_next(flying, NULL); at; at = list_next(flying, at)) {
        struct sched_chunk *chunk = CONTAINER_OF(at, struct sched_chunk, link);
        if (!chunk->attempt || chunk->attempt->dead || chunk_left(chunk) == 0) continue;
        uint64_t due = SCHED_NEVER;
        if (chunk->hedge)
            due = tail ? give_up_hedge(chunk) : SCHED_NEVER;
        else if (move_at(chunk) != SCHED_NEVER)
            due = move_at(chunk) <= s->now_ns ? move_elsewhere(chunk) : move_at(chunk);
        else if ((due = due_at(chunk, tail)) <= s->now_ns && send_twice(chunk, tail))
            due = tail ? give_up_hedge(chunk) : SCHED_NEVER;
        if (due < next) next = due;
    }
    return next == SCHED_NEVER || next > soonest ? next : soonest;
}

/* Returns when to scan the job again. The next scan is at most DEAD_MIN_NS from now, because scan() cannot foresee two
 * events. An attempt that starts after the scan may be the first to be late. A second attempt may end before the first
 * one, for example because a worker refuses it. */
static uint64_t next_scan(struct sched_job *job)
{
    uint64_t next = scan(job), most = job->s->now_ns + DEAD_MIN_NS;
    return next < most ? next : most;
}

void hedge_update(struct sched_job *job)
{
    struct scheduler *s = job->s;
    if (!can_hedge(job)) {
        heap_remove(&s->hedge_scans, &job->hedge_node);
        return;
    }
    bool tail = at_tail(job);
    if (tail == job->was_at_tail && job->hedge_node.place != 0) return;
    job->was_at_tail = tail;
    heap_set(&s->hedge_scans, &job->hedge_node, s->now_ns + (tail ? HEDGE_SCAN_NS : DEAD_MIN_NS));
}

uint64_t hedge_run(struct scheduler *s)
{
    struct heap_node *first;
    while ((first = heap_first(&s->hedge_scans)) != NULL && first->key <= s->now_ns)
        heap_set(&s->hedge_scans, first, next_scan(CONTAINER_OF(first, struct sched_job, hedge_node)));
    return first ? first->key : SCHED_NEVER;
}
