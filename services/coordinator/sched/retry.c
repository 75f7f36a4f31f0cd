#include <math.h>

#include "coordinator/sched/scheduler_internal.h"

/*
 * Decides whether and when failed items are sent again. A budget limits the cost of workers' faults. The number of
 * retries may be only a fraction of the number of first attempts, both for each job and for all jobs together. When the
 * budget is used up, a job makes one retry every BUDGET_TRICKLE_NS. These extra retries are safe, because max_attempts
 * limits the attempts of each chunk. A retry for an error that the task itself reported takes no token: max_attempts
 * and the delays limit such retries.
 */

void retry_first_attempt(struct sched_job *job)
{
    struct scheduler *s = job->s;
    job->tokens += BUDGET_SHARE;
    s->tokens = fmin(s->tokens + BUDGET_SHARE, BUDGET_ALL_MAX);
}

static bool has_token(const struct sched_job *job)
{
    return job->tokens >= 1 && job->s->tokens >= 1;
}

static void take_token(struct sched_job *job)
{
    job->tokens -= 1;
    job->s->tokens -= 1;
}

bool retry_take_token(struct sched_job *job)
{
    uint64_t now = job->s->now_ns;
    if (has_token(job)) {
        take_token(job);
        job->trickle_ns = now + BUDGET_TRICKLE_NS;
        return true;
    }
    job->s->stats.budget_exhausted++;
    if (now < job->trickle_ns) return false;
    job->trickle_ns = now + BUDGET_TRICKLE_NS;
    return true;
}

/* Returns whether the endpoint has reported that it is ready, and no endpoint has recently failed after such a
 * report. */
static bool is_trusted(const struct sched_endpoint *e)
{
    return e->probe_ok && e->s->failed_after_ready == 0;
}

bool retry_may_try(const struct sched_job *job, const struct sched_endpoint *e)
{
    return has_token(job) || is_trusted(e) || job->s->now_ns >= job->probation_ns;
}

bool retry_take_probation(struct sched_job *job, const struct sched_endpoint *e)
{
    bool pays = has_token(job);
    if (pays) take_token(job);
    if (pays || !is_trusted(e)) job->probation_ns = job->s->now_ns + PROBATION_TRICKLE_NS;
    return pays;
}

void retry_return_probation(struct sched_job *job)
{
    job->tokens += 1;
    job->s->tokens = fmin(job->s->tokens + 1, BUDGET_ALL_MAX);
}

/* Returns how long to wait before the chunk is sent again. With full jitter, this time is a random part of the delay:
 * chunks that failed together should not be sent again together. */
static uint64_t backoff_ns(struct sched_chunk *chunk)
{
    const struct sched_retry *r = &chunk->job->p.retry;
    /* Sending one half of a halved chunk is not a retry. So for halved chunks, only the failures of a single item
     * lengthen the delay. */
    unsigned failures = chunk->origin > 1 && chunk->lost > 0 ? chunk->failures_alone : chunk->erred + chunk->charged;
    double power = failures > 0 ? failures - 1 : 0;
    double delay = fmin(r->interval_s * pow(r->backoff_rate, power), r->max_delay_s);
    if (r->full_jitter) delay *= random_unit(&chunk->job->s->random);
    return delay > 0 ? (uint64_t)(delay * (double)NS_PER_S) : 0;
}

void retry_backoff(struct sched_chunk *chunk)
{
    struct scheduler *s = chunk->job->s;
    chunk->handed_back = false;
    chunk_move(chunk, CHUNK_BACKOFF, false);
    chunk->opened_ns = s->now_ns;
    chunk->backoff_ns = backoff_ns(chunk);
    timer_set(s, &chunk->timer, s->now_ns + chunk->backoff_ns);
}

size_t retry_wait_bytes(const struct sched_chunk *chunk)
{
    return chunk->bytes + (size_t)spans_count(chunk) * RETRY_RUN_BYTES;
}

/* Returns whether an item that fails now may join this chunk of items that failed earlier. When an item joins, the
 * delay of all items in the chunk begins again. So items may join only for a short time after the chunk was made. This
 * time is at most the delay. */
static bool may_join(const struct sched_chunk *chunk, const struct sched_endpoint *e, unsigned attempts,
                     const char *cause)
{
    uint64_t open_ns = chunk->backoff_ns < RETRY_GATHER_NS ? chunk->backoff_ns : RETRY_GATHER_NS;
    bool in_time = chunk->sliced < chunk->count || chunk->job->s->now_ns - chunk->opened_ns < open_ns;
    return in_time && chunk->bytes < RETRY_GATHER_BYTES && chunk->avoid == e && chunk->erred == attempts &&
           chunk->cause == cause;
}

static struct sched_chunk *new_retries(struct sched_chunk *chunk, struct sched_endpoint *e, unsigned attempts,
                                       const char *cause)
{
    struct sched_chunk *retries = chunk_slice(chunk, chunk->answered, chunk->answered + 1);
    retries->erred = attempts;
    retries->charged = retries->lost = retries->failures = 0;
    retries->origin = 1;
    retries->avoid = e;
    retries->cause = cause;
    retries->was_sent = true;
    retries->is_item_retry = true;
    return retries;
}

void retry_item(struct sched_chunk *chunk, struct sched_endpoint *e, unsigned attempts, enum item_error error)
{
    struct scheduler *s = chunk->job->s;
    const char *cause = item_error_name(error);
    struct sched_chunk *retries = chunk->retries;
    if (retries && may_join(retries, e, attempts, cause)) {
        chunk_join(retries, chunk->answered);
        timer_set(s, &retries->timer, s->now_ns + retries->backoff_ns);
    } else {
        if (retries) chunk_close_retries(retries);
        chunk->retries = new_retries(chunk, e, attempts, cause);
        retry_backoff(chunk->retries);
    }
    chunk->job->counts.retried++;
    s->stats.items_retried++;
}

void retry_timer_fired(struct sched_chunk *chunk)
{
    struct sched_job *job = chunk->job;
    struct scheduler *s = job->s;
    if (chunk->is_item_retry) {
        chunk_move(chunk, CHUNK_PENDING, true);
        return;
    }
    chunk->prepaid = has_token(job); /* a retry that BUDGET_TRICKLE_NS allows takes no token */
    if (retry_take_token(job)) {
        chunk_move(chunk, CHUNK_PENDING, !halving_is_poison_suspect(chunk) || halving_needs_isolation(chunk));
        return;
    }
    chunk_starve(chunk);
    uint64_t jitter = (uint64_t)(random_unit(&s->random) * (double)NS_PER_MS);
    timer_set(s, &chunk->timer, job->trickle_ns + jitter);
}

void retry_count_items(struct sched_chunk *chunk)
{
    chunk->job->counts.retried += chunk_left(chunk);
    chunk->job->s->stats.items_retried += chunk_left(chunk);
}

static void hand_back(struct sched_chunk *chunk)
{
    chunk->handed_back = true;
    chunk_move(chunk, CHUNK_PENDING, true);
}

bool retry_is_on(const struct sched_job *job, enum item_error error)
{
    return (job->p.retry.on & SCHED_RETRY_ON(error)) != 0;
}

bool retry_item_again(const struct sched_job *job, enum item_error error, uint32_t attempts)
{
    return retry_is_on(job, error) && job->p.idempotent && attempts < job->p.retry.max_attempts;
}

/* Returns the error for the items that are still unanswered after an attempt that ended as `how`. */
static enum item_error error_of(enum sched_end how)
{
    return how == SCHED_END_NO_MEMORY ? ITEM_OUT_OF_MEMORY : ITEM_WORKER_LOST;
}

/* Call it when the attempt failed at the worker. A worker that had no memory for the items has run none of them, so the
 * items may be sent to another worker. */
static void worker_failed(struct sched_chunk *chunk, enum sched_end how, const char *cause)
{
    const struct sched_job *job = chunk->job;
    bool delivered = how != SCHED_END_TASK_UNKNOWN && how != SCHED_END_NO_MEMORY;
    bool again =
        (job->p.idempotent || !delivered) && (retry_is_on(job, ITEM_WORKER_LOST) || retry_is_on(job, error_of(how)));
    chunk->failures++;
    if (chunk->erred + ++chunk->charged >= job->p.retry.max_attempts || !again) {
        chunk_give_up(chunk, error_of(how), cause);
        return;
    }
    chunk->cause = cause;
    retry_count_items(chunk);
    retry_backoff(chunk);
}

/* Returns whether the attempt was sent to a balancer. Returns false if the endpoint was removed: a removed endpoint
 * gets no more chunks anyway. */
static bool is_balancer(const struct sched_attempt *a)
{
    return a->endpoint && a->endpoint->balancer;
}

static void note_where(struct sched_chunk *chunk, const struct sched_attempt *a, enum sched_end how)
{
    if (how != SCHED_END_BUSY && a->endpoint && !a->endpoint->balancer) chunk->avoid = a->endpoint;
}

void retry_count_other(struct sched_chunk *chunk, const struct sched_attempt *a, enum sched_end how)
{
    note_where(chunk, a, how);
    if (how == SCHED_END_LOST || how == SCHED_END_SILENT)
        halving_count_lost(chunk, a);
    else if (how == SCHED_END_BAD_STATUS || how == SCHED_END_PROTOCOL || how == SCHED_END_NO_MEMORY ||
             (how == SCHED_END_TASK_UNKNOWN && is_balancer(a)))
        chunk->charged++;
}

void retry_chunk(struct sched_chunk *chunk, const struct sched_attempt *a, enum sched_end how)
{
    note_where(chunk, a, how);
    switch (how) {
    case SCHED_END_DRAINING:
    case SCHED_END_DEADLINE:
    case SCHED_END_NOT_CONNECTED:
    case SCHED_END_BUSY:
    case SCHED_END_UNAVAILABLE:
    case SCHED_END_OLD_TOKEN:
    case SCHED_END_REFUSED: hand_back(chunk); return;
    case SCHED_END_NO_ROOM:
        if (chunk->job->p.idempotent)
            hand_back(chunk);
        else
            worker_failed(chunk, how, "the coordinator had no memory for the answer");
        return;
    case SCHED_END_LOST: halving_on_lost(chunk, a, "the worker vanished"); return;
    case SCHED_END_SILENT: halving_on_lost(chunk, a, "the worker fell silent"); return;
    case SCHED_END_NO_MEMORY: worker_failed(chunk, how, "the worker has no memory for the items"); return;
    case SCHED_END_BAD_STATUS:
        worker_failed(chunk, how, a->refusal ? a->refusal : "the worker answered with a server error");
        return;
    case SCHED_END_PROTOCOL: worker_failed(chunk, how, "the worker's answer broke the protocol"); return;
    case SCHED_END_TASK_UNKNOWN:
        /* If the endpoint is a worker, its lane is closed, so the chunk can be handed back. If the endpoint is a
         * balancer, its lane stays open, because it is unknown which worker lacks the task. */
        if (is_balancer(a))
            worker_failed(chunk, how, "the worker does not have the task");
        else
            hand_back(chunk);
        return;
    case SCHED_END_COMPLETE:
    case SCHED_END_COUNT: break;
    }
    BUG("an attempt of a chunk with unanswered items has ended as %s", sched_end_name(how));
}

/* Returns how many lost workers make an item fail. If the job allows retries, the first loss never does, because
 * another item may have caused the loss. Instead, the item then runs alone on a worker, even if its own errors have
 * used up its attempts. */
static unsigned losses_allowed(const struct sched_chunk *chunk)
{
    unsigned most = chunk->job->p.retry.max_attempts, least = most < 2 ? most : 2;
    return most > chunk->erred + least ? most - chunk->erred : least;
}

bool retry_used_up(const struct sched_chunk *chunk, unsigned more)
{
    unsigned most = losses_allowed(chunk);
    unsigned failures = chunk->failures + more;
    if (chunk_left(chunk) > 1 || failures < most) return false;
    return chunk->failures_alone + more >= most || failures + 1 >= most + log2(chunk->origin);
}
