#include "coordinator/sched/scheduler_internal.h"

static const char *const end_names[] = {
    [SCHED_END_COMPLETE] = "complete",   [SCHED_END_DRAINING] = "draining",
    [SCHED_END_DEADLINE] = "deadline",   [SCHED_END_NOT_CONNECTED] = "not_connected",
    [SCHED_END_BUSY] = "busy",           [SCHED_END_UNAVAILABLE] = "unavailable",
    [SCHED_END_REFUSED] = "refused",     [SCHED_END_NO_ROOM] = "no_room",
    [SCHED_END_LOST] = "lost",           [SCHED_END_SILENT] = "silent",
    [SCHED_END_NO_MEMORY] = "no_memory", [SCHED_END_BAD_STATUS] = "bad_status",
    [SCHED_END_PROTOCOL] = "protocol",   [SCHED_END_TASK_UNKNOWN] = "task_unknown",
    [SCHED_END_OLD_TOKEN] = "old_token",
};
static_assert(ARRAY_SIZE(end_names) == SCHED_END_COUNT, "one name per way to end");

const char *sched_end_name(enum sched_end how)
{
    return end_names[how];
}

static void count_send(struct sched_attempt *a)
{
    struct sched_chunk *chunk = a->chunk;
    struct sched_stats *stats = &chunk->job->s->stats;
    if (a->is_hedge)
        stats->attempts_hedge++;
    else if (!chunk->was_sent)
        stats->attempts_first++;
    else if (chunk->handed_back || chunk->is_item_retry)
        stats->attempts_free++;
    else
        stats->attempts_retry++;
    if (!chunk->was_sent) {
        retry_first_attempt(chunk->job);
        hedge_first_attempt(chunk->job, chunk_left(chunk));
    }
    chunk->was_sent = true;
    chunk->is_item_retry = false;
    chunk->sends++;
}

/* Call it when an attempt has been added to the lane or removed from it. The change affects the endpoint's other lanes
 * only if all lanes share one limit of the endpoint. */
static void attempts_changed(struct sched_lane *l)
{
    struct sched_endpoint *e = l->endpoint;
    bool shared = e->state == ENDPOINT_PROBATION || e->isolated || e == e->s->isolating ||
                  e->attempts.n + 1 >= e->s->config.max_chunks_per_worker;
    if (shared)
        balancer_update_all(e);
    else
        balancer_update(l);
}

struct sched_attempt *attempt_start(struct sched_chunk *chunk, struct sched_lane *l, enum attempt_kind kind,
                                    double weight)
{
    struct sched_endpoint *e = l->endpoint;
    struct scheduler *s = e->s;
    struct sched_attempt *a = xcalloc(1, sizeof *a);
    a->chunk = chunk;
    a->endpoint = e;
    a->lane = l;
    a->from = chunk->answered;
    a->to = chunk->count;
    a->started_ns = a->progress_ns = s->now_ns;
    a->is_hedge = kind != ATTEMPT_PLAIN;
    a->is_rescue = kind == ATTEMPT_RESCUE;
    a->is_probation = e->state == ENDPOINT_PROBATION;
    a->poison_suspect = halving_is_poison_suspect(chunk);
    e->poison_suspects += a->poison_suspect;
    a->alone = chunk->needs_isolation && !e->balancer && !a->is_hedge;
    e->isolated |= a->alone;
    a->weight = weight;
    chunker_advance(l, s->now_ns);
    a->clock = l->clock;
    uint32_t items = a->to - a->from;
    rate_take(chunk->job, items);
    l->load += weight * items;
    chunk->job->load += weight * items;
    l->in_flight += items;
    lane_count_busy(l);
    l->attempts_n++;
    list_push_back(&e->attempts, &a->link);
    if (a->is_hedge)
        chunk->hedge = a;
    else
        chunk->attempt = a;
    if (a->alone) isolation_end(s);
    if (a->is_probation && !chunk->prepaid) a->paid = retry_take_probation(chunk->job, e);
    chunk->prepaid = false;
    count_send(a);
    attempts_changed(l);
    s->ops.send(s->ctx, a);
    return a;
}

/* Subtracts `items` of the attempt's items from the load of its lane and of its job. */
static void leave(struct sched_attempt *a, uint32_t items)
{
    struct sched_lane *l = a->lane;
    if (!l || items == 0) return;
    l->load -= a->weight * items;
    l->in_flight -= items;
    l->window_full = false;
    if (l->in_flight == 0) l->load = 0;
    lane_count_busy(l);
    a->chunk->job->load -= a->weight * items;
}

static uint32_t unreceived(const struct sched_attempt *a)
{
    return a->to - a->from - a->received;
}

void attempt_orphan(struct sched_attempt *a)
{
    list_remove(&a->endpoint->attempts, &a->link);
    leave(a, unreceived(a));
    a->lane->attempts_n--;
    a->endpoint = NULL;
    a->lane = NULL;
}

/* Removes the attempt from every list. The chunk still points to the attempt. */
static void detach(struct sched_attempt *a)
{
    struct scheduler *s = a->chunk->job->s;
    struct sched_endpoint *e = a->endpoint;
    if (a->dead)
        list_remove(&s->cuts, &a->queue);
    else if (a->lingers)
        list_remove(&s->lingering, &a->queue);
    if (e) {
        bool was_isolated = e->isolated;
        chunker_advance(a->lane, s->now_ns);
        leave(a, unreceived(a));
        e->poison_suspects -= a->poison_suspect;
        e->isolated &= !a->alone;
        list_remove(&e->attempts, &a->link);
        a->lane->attempts_n--;
        if (was_isolated)
            balancer_update_all(e);
        else
            attempts_changed(a->lane);
    }
}

void attempt_free(struct sched_attempt *a)
{
    detach(a);
    struct sched_chunk *chunk = a->chunk;
    if (chunk->attempt == a) chunk->attempt = NULL;
    if (chunk->hedge == a) chunk->hedge = NULL;
    free(a);
}

void attempt_cut(struct sched_attempt *a)
{
    struct scheduler *s = a->chunk->job->s;
    if (a->dead) return;
    if (a->lingers) list_remove(&s->lingering, &a->queue);
    a->lingers = false;
    a->dead = true;
    list_push_back(&s->cuts, &a->queue);
}

/* Call it when this attempt is the only remaining attempt of its chunk, and the chunk has not been answered. If a late
 * attempt was about to be cut off, it continues instead. */
static void keep_alive(struct sched_attempt *a)
{
    if (!a->dead) return;
    list_remove(&a->chunk->job->s->cuts, &a->queue);
    a->dead = false;
}

/* A chunk whose items are all answered is settled when the last of its attempts has ended. */
static void settle_if_done(struct sched_chunk *chunk)
{
    if (chunk->state == CHUNK_IN_FLIGHT && chunk_left(chunk) == 0 && !chunk->attempt && !chunk->hedge)
        chunk_move(chunk, CHUNK_SETTLED, false);
}

void attempts_run_cuts(struct scheduler *s)
{
    struct list_link *at;
    while ((at = list_next(&s->cuts, NULL)) != NULL && run_has_room(s)) {
        run_count_op(s);
        struct sched_attempt *a = CONTAINER_OF(at, struct sched_attempt, queue);
        struct sched_chunk *chunk = a->chunk;
        s->stats.attempts_cut++;
        s->ops.cut_off(s->ctx, a, job_has_ended(chunk->job) ? chunk->job->reason : "answered elsewhere");
        attempt_free(a);
        settle_if_done(chunk);
    }
}

void attempts_run_lingering(struct scheduler *s)
{
    struct list_link *at;
    while ((at = list_next(&s->lingering, NULL)) != NULL) {
        struct sched_attempt *a = CONTAINER_OF(at, struct sched_attempt, queue);
        if (a->progress_ns + LINGER_NS > s->now_ns) return;
        attempt_cut(a);
    }
}

/* Call it when n more of the attempt's items have been answered, with values or with an error. Updates the load and the
 * speed of the lane, and the health of the endpoint. */
static void progress(struct sched_attempt *a, uint32_t n, bool measures, bool are_values)
{
    struct scheduler *s = a->chunk->job->s;
    struct sched_endpoint *e = a->endpoint;
    if (e) {
        chunker_advance(a->lane, s->now_ns);
        chunker_observe(a, unreceived(a), measures ? n : 0);
        hedge_observe(a);
        leave(a, n);
        lane_answered(a->lane, are_values);
        endpoint_succeeded(e, a);
        if (a->paid) retry_return_probation(a->chunk->job); /* the endpoint answered, so the token is returned */
        a->paid = false;
    }
    a->received += n;
    a->progress_ns = s->now_ns;
    a->starting_since_ns = 0;
    if (a->lane) balancer_update(a->lane);
    if (unreceived(a) == 0 && !a->dead) {
        a->lingers = true;
        list_push_back(&s->lingering, &a->queue);
    }
}

/* If all items of the chunk are answered, cuts off each attempt that still has unanswered items of its own. */
static void cut_losers(struct sched_chunk *chunk)
{
    if (chunk_left(chunk) > 0) return;
    if (chunk->attempt && !chunk->attempt->lingers) attempt_cut(chunk->attempt);
    if (chunk->hedge && !chunk->hedge->lingers) attempt_cut(chunk->hedge);
}

/* Restarts the wait for the next answer: no item has run since the last answer, so the silence does not mean that the
 * worker hangs. */
void sched_attempt_starting(struct sched_attempt *a, uint64_t now_ns)
{
    struct sched_job *job = a->chunk->job;
    job->s->now_ns = now_ns;
    if (a->dead || a->lingers || job_has_ended(job)) return;
    a->progress_ns = now_ns;
    if (!a->starting_since_ns) a->starting_since_ns = now_ns;
    a->starting_until_ns = job->starting_until_ns = now_ns + STARTING_NS;
    if (!job->starting_since_ns) job->starting_since_ns = now_ns;
    if (a->lane) {
        chunker_advance(a->lane, now_ns);
        lane_starting(a->lane);
        a->clock = a->lane->clock;
    }
    job_changed(job);
}

struct sched_accept sched_attempt_answered(struct sched_attempt *a, uint32_t n, uint64_t now_ns)
{
    struct sched_chunk *chunk = a->chunk;
    struct sched_job *job = chunk->job;
    struct sched_accept accept = {.at = chunk->answered, .drop = n};
    job->s->now_ns = now_ns;
    if (n > unreceived(a)) BUG("%u answers where %u are missing", n, unreceived(a));
    progress(a, n, true, true);
    uint32_t reached = a->from + a->received;
    if (job_has_ended(job) || reached <= chunk->answered) return accept;
    accept.keep = reached - chunk->answered;
    accept.drop = n - accept.keep;
    chunk_answered(chunk, accept.keep);
    chunker_grow(a);
    job->progress_ns = now_ns;
    job->starting_since_ns = job->starting_until_ns = 0;
    job->delivered = true;
    job_settled(job, accept.keep, ITEM_ERROR_COUNT, true);
    cut_losers(chunk);
    return accept;
}

struct sched_item_verdict sched_attempt_item_error(struct sched_attempt *a, enum item_error error, uint64_t now_ns)
{
    struct sched_chunk *chunk = a->chunk;
    struct sched_job *job = chunk->job;
    uint32_t at = a->from + a->received;
    struct sched_item_verdict v = {SCHED_ITEM_DROPPED, sched_chunk_index(chunk, at), 0};
    job->s->now_ns = now_ns;
    if (unreceived(a) == 0) BUG("an error where no answer is missing");
    bool ran = error == ITEM_TASK_ERROR;
    progress(a, 1, ran, false);
    if (job_has_ended(job) || at < chunk->answered) return v;
    if (ran) chunker_grow(a);
    v.attempts = 1 + halving_charged(chunk);
    bool again = retry_item_again(job, error, v.attempts);
    v.verdict = again ? SCHED_ITEM_RETRIED : SCHED_ITEM_FINAL;
    job->progress_ns = now_ns;
    job->starting_since_ns = job->starting_until_ns = 0;
    job->delivered = true;
    if (again) retry_item(chunk, a->endpoint, v.attempts, error);
    chunk_answered(chunk, 1);
    if (!again) job_settled(job, 1, error, false);
    cut_losers(chunk);
    return v;
}

void sched_attempt_refused(struct sched_attempt *a, const char *why)
{
    a->refusal = job_keep_refusal(a->chunk->job, why);
}

void sched_attempt_ended(struct sched_attempt *a, enum sched_end how, uint64_t retry_after_ms, uint64_t now_ns)
{
    struct sched_chunk *chunk = a->chunk;
    struct sched_job *job = chunk->job;
    struct scheduler *s = job->s;
    s->now_ns = now_ns;
    if (unreceived(a) == 0)
        how = SCHED_END_COMPLETE;
    else if (how == SCHED_END_COMPLETE)
        how = SCHED_END_PROTOCOL;
    s->stats.attempts_ended[how]++;
    if (how == SCHED_END_COMPLETE && !a->dead) chunker_observe_whole(a);
    struct sched_attempt gone = *a;
    attempt_free(a);
    if (gone.endpoint) endpoint_ended(gone.endpoint, &gone, how, retry_after_ms);
    if (chunk->state != CHUNK_IN_FLIGHT || job_has_ended(job)) return;
    if (chunk_left(chunk) == 0) {
        settle_if_done(chunk);
    } else if (!chunk->attempt && !chunk->hedge) {
        retry_chunk(chunk, &gone, how);
    } else {
        retry_count_other(chunk, &gone, how);
        if (!chunk->attempt) {
            chunk->attempt = chunk->hedge;
            chunk->hedge = NULL;
            keep_alive(chunk->attempt);
        }
    }
}
