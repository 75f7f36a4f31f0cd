#include <math.h>

#include "coordinator/sched/scheduler_internal.h"

/*
 * Limits how many items of a job are sent per second (max_rate). The job has a bucket of tokens, one for each item that
 * it may send. Tokens arrive at max_rate. The bucket holds as many tokens as arrive in RATE_BURST_S, but at least one.
 * A job begins with one token. So in any period of T seconds, a job sends at most max_rate * (T + RATE_BURST_S) + 1
 * items. Only a chunk that is larger than the bucket can exceed this number.
 *
 * A chunk is cut so that the tokens suffice for it. A chunk that is sent again may be larger than the bucket, if
 * max_rate has been lowered since it was cut. It is sent when the bucket is full. The tokens then fall below 0, and
 * nothing is sent until they have been paid back. Every attempt takes tokens, because an item that runs twice also uses
 * twice what the limit protects.
 */
#define RATE_BURST_S  0.1  /* the bucket holds the tokens of this time */
#define RATE_LEAST_S  0.02 /* a chunk waits for the tokens of this time, so that a high rate needs few chunks */
#define RATE_ROUNDING 1e-6

static double bucket(const struct sched_job *job)
{
    return fmax(1, job->p.max_rate * RATE_BURST_S);
}

static double tokens(const struct sched_job *job)
{
    double since_s = (double)(job->s->now_ns - job->rate_ns) / (double)NS_PER_S;
    return fmin(job->rate_tokens + since_s * job->p.max_rate, bucket(job));
}

static void count_tokens(struct sched_job *job)
{
    job->rate_tokens = tokens(job);
    job->rate_ns = job->s->now_ns;
}

/* Returns how many tokens the job needs for its next items: the first pending chunk, or else a new chunk. */
static double needed(const struct sched_job *job)
{
    struct list_link *first = list_next(&job->lists[CHUNK_PENDING], NULL);
    if (first) return fmin(chunk_left(CONTAINER_OF(first, struct sched_chunk, link)), bucket(job));
    return fmin(fmax(1, job->p.max_rate * RATE_LEAST_S), (double)job->uncut);
}

bool rate_may_send(struct sched_job *job)
{
    if (job->p.max_rate <= 0) return true;
    double missing = needed(job) - tokens(job);
    if (missing <= RATE_ROUNDING) return true;
    double wait_ns = fmin(ceil(missing / job->p.max_rate * (double)NS_PER_S), 1e18);
    timer_set(job->s, &job->rate_timer, job->s->now_ns + (uint64_t)wait_ns);
    return false;
}

double rate_room(const struct sched_job *job)
{
    return job->p.max_rate > 0 ? fmax(1, floor(tokens(job) + RATE_ROUNDING)) : INFINITY;
}

void rate_take(struct sched_job *job, uint32_t items)
{
    if (job->p.max_rate <= 0) return;
    count_tokens(job);
    job->rate_tokens -= items;
}

void rate_change(struct sched_job *job, double max_rate)
{
    count_tokens(job);
    job->p.max_rate = max_rate;
    job->rate_tokens = fmax(0, fmin(job->rate_tokens, bucket(job)));
}

void rate_timer_fired(struct sched_job *job)
{
    job_changed(job);
}
