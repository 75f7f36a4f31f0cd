#include <math.h>

#include "coordinator/sched/scheduler_internal.h"

#define PAUSE_MIN_NS          (20 * NS_PER_MS)
#define PAUSE_MAX_NS          (2 * NS_PER_S)
#define PAUSE_RETRY_MAX_NS    (30 * NS_PER_S) /* a longer Retry-After is shortened to this */
#define PAUSE_DRAIN_NS        (5 * NS_PER_S)
#define PAUSE_DRAIN_PROBED_NS (100 * NS_PER_MS) /* pause of a draining endpoint that can be probed */
#define EJECT_AFTER           3 /* consecutive failures that eject an endpoint; see sched_endpoint.failed_ns */
#define EJECT_NS              (5 * NS_PER_S)
#define EJECT_MAX_NS          (60 * NS_PER_S)
#define BALANCER_PATIENCE     5 /* after this many consecutive failures, a balancer counts as failed */
#define PROBE_PATIENCE_NS     (5 * NS_PER_S)

/*
 * One endpoint's health. A failure puts the endpoint on probation: the endpoint gets one attempt at a time until it
 * answers. After most kinds of failure, the endpoint is paused before the probation. Each further pause is longer, up
 * to a limit. scheduler.h shows the states.
 */
static const char *const state_names[] = {
    [ENDPOINT_OPEN] = "open",
    [ENDPOINT_PROBATION] = "probation",
    [ENDPOINT_PAUSED] = "paused",
    [ENDPOINT_PROBING] = "probing",
    [ENDPOINT_EJECTED] = "ejected",
    [ENDPOINT_DRAINING] = "draining",
    [ENDPOINT_REJECTS_TOKEN] = "rejects_token",
};
static_assert(ARRAY_SIZE(state_names) == ENDPOINT_STATE_COUNT, "one name per state");

const char *sched_endpoint_state_name(enum sched_endpoint_state state)
{
    return state_names[state];
}

static bool is_member(const struct sched_endpoint *e)
{
    return e->index != UINT32_MAX;
}

bool endpoint_takes_attempts(const struct sched_endpoint *e)
{
    return e->state == ENDPOINT_OPEN || e->state == ENDPOINT_PROBATION;
}

static void recount(struct sched_endpoint *e)
{
    for (struct list_link *at = list_next(&e->lanes, NULL); at; at = list_next(&e->lanes, at))
        lane_recount(CONTAINER_OF(at, struct sched_lane, endpoint_link));
}

bool sched_endpoint_rejects_token(const struct sched_endpoint *e)
{
    bool remembers = e->state == ENDPOINT_PROBING || e->state == ENDPOINT_PROBATION;
    return e->state == ENDPOINT_REJECTS_TOKEN || (remembers && e->before == ENDPOINT_REJECTS_TOKEN);
}

static bool counts_as_rejecting(const struct sched_endpoint *e)
{
    return is_member(e) && sched_endpoint_rejects_token(e);
}

/* Call it when s->rejecting_n has changed; `before` is the old value. Updates the waiting jobs, which report whether
 * workers reject the token. */
static void rejecting_changed(struct scheduler *s, uint32_t before)
{
    if ((s->rejecting_n > 0) == (before > 0)) return;
    for (struct list_link *at = list_next(&s->tasks, NULL); at; at = list_next(&s->tasks, at))
        task_serving_changed(CONTAINER_OF(at, struct sched_task, link));
}

void endpoint_move(struct sched_endpoint *e, enum sched_endpoint_state to, enum sched_endpoint_state before,
                   uint64_t until_ns)
{
    struct scheduler *s = e->s;
    enum sched_endpoint_state from = e->state;
    uint32_t rejecting = s->rejecting_n;
    s->rejecting_n -= counts_as_rejecting(e);
    s->stats.endpoints[from]--;
    s->stats.endpoints[to]++;
    e->state = to;
    e->before = before;
    s->rejecting_n += counts_as_rejecting(e);
    timer_set(s, &e->timer, until_ns);
    recount(e);
    rejecting_changed(s, rejecting);
    if (from != to && s->ops.endpoint_moved) s->ops.endpoint_moved(s->ctx, e, from, to);
}

static void to_probation(struct sched_endpoint *e, enum sched_endpoint_state before)
{
    endpoint_move(e, ENDPOINT_PROBATION, before, SCHED_NEVER);
}

void endpoint_gone(struct sched_endpoint *e)
{
    uint32_t rejecting = e->s->rejecting_n;
    e->s->rejecting_n -= counts_as_rejecting(e);
    e->index = UINT32_MAX;
    recount(e);
    rejecting_changed(e->s, rejecting);
}

static void set_unreached(struct sched_endpoint *e, bool unreached)
{
    if (e->unreached == unreached) return;
    e->unreached = unreached;
    recount(e);
}

void sched_endpoint_reached(struct scheduler *s, struct sched_endpoint *e, bool reached, uint64_t now_ns)
{
    s->now_ns = now_ns;
    if (reached || (!e->balancer && e->attempts.n == 0)) set_unreached(e, !reached);
}

void endpoint_succeeded(struct sched_endpoint *e, const struct sched_attempt *a)
{
    a->lane->pauses = 0;
    set_unreached(e, false);
    bool is_news = !e->has_answered || e->pauses > 0 || e->failures > 0 || e->state == ENDPOINT_PROBATION;
    if (a->started_ns < e->failed_ns || !is_news) return;
    e->failures = e->pauses = e->ejections = 0;
    e->has_answered = true;
    e->probe_ok = false;
    if (a->is_probation) e->s->failed_after_ready = 0;
    if (e->state == ENDPOINT_PROBATION)
        endpoint_move(e, ENDPOINT_OPEN, ENDPOINT_OPEN, SCHED_NEVER);
    else
        recount(e);
}

uint64_t pause_length(struct scheduler *s, unsigned *pauses)
{
    uint64_t pause_ns = PAUSE_MIN_NS << (*pauses < 7 ? *pauses : 7);
    ++*pauses;
    if (pause_ns > PAUSE_MAX_NS) pause_ns = PAUSE_MAX_NS;
    return (uint64_t)((double)pause_ns * (0.5 + 0.5 * random_unit(&s->random)));
}

/* Pauses the endpoint. The pause is at least `least_ns`, the time that the endpoint asked for. A `least_ns` above
 * PAUSE_RETRY_MAX_NS is lowered to it. */
static void pause(struct sched_endpoint *e, enum sched_endpoint_state state, uint64_t least_ns)
{
    uint64_t pause_ns = pause_length(e->s, &e->pauses);
    if (least_ns > PAUSE_RETRY_MAX_NS) least_ns = PAUSE_RETRY_MAX_NS;
    endpoint_move(e, state, state, e->s->now_ns + (pause_ns > least_ns ? pause_ns : least_ns));
}

/* Returns whether one more endpoint may be ejected. At most half of the endpoints may be ejected, so that wrong
 * suspicions cannot disable the whole fleet. */
static bool may_eject(const struct scheduler *s)
{
    return 2 * (s->stats.endpoints[ENDPOINT_EJECTED] + 1) <= s->endpoints_n;
}

static void eject(struct sched_endpoint *e)
{
    struct scheduler *s = e->s;
    uint64_t eject_ns = EJECT_NS << (e->ejections < 4 ? e->ejections : 4);
    e->ejections++;
    endpoint_move(e, ENDPOINT_EJECTED, ENDPOINT_EJECTED,
                  s->now_ns + (eject_ns < EJECT_MAX_NS ? eject_ns : EJECT_MAX_NS));
}

/* Call it when the endpoint has given an answer that shows only that the endpoint is running. */
static void works(struct sched_endpoint *e)
{
    if (e->has_answered) return;
    e->has_answered = true;
    recount(e);
}

static void stop_trusting(struct sched_endpoint *e)
{
    e->probe_ok = false;
    e->has_answered = false;
}

/* A balancer stands for many workers, so only several consecutive failures say something about all of them. */
static void balancer_failed(struct sched_endpoint *e, enum sched_end how, uint64_t least_ns)
{
    if (how != SCHED_END_NOT_CONNECTED && e->failures < BALANCER_PATIENCE) return;
    stop_trusting(e);
    pause(e, how == SCHED_END_REFUSED ? ENDPOINT_REJECTS_TOKEN : ENDPOINT_PAUSED, least_ns);
}

static void worker_failed(struct sched_endpoint *e, enum sched_end how, uint64_t least_ns)
{
    /* If an item may have crashed the worker, the worker's report that it was ready may still have been right. So after
     * such a failure, workers that report that they are ready are still trusted. */
    if (e->probe_ok && how != SCHED_END_LOST && how != SCHED_END_SILENT) e->s->failed_after_ready++;
    stop_trusting(e);
    if (how == SCHED_END_REFUSED)
        pause(e, ENDPOINT_REJECTS_TOKEN, least_ns);
    else if (e->failures >= EJECT_AFTER && may_eject(e->s))
        eject(e);
    else if (how != SCHED_END_NO_MEMORY && how != SCHED_END_BAD_STATUS && how != SCHED_END_PROTOCOL)
        pause(e, ENDPOINT_PAUSED, least_ns);
    else
        to_probation(e, ENDPOINT_OPEN);
}

static void failed(struct sched_endpoint *e, const struct sched_attempt *a, enum sched_end how, uint64_t retry_after_ms)
{
    if (a->started_ns < e->failed_ns) return; /* the same incident: the attempt began before the last failure */
    e->failed_ns = e->s->now_ns + 1;
    /* A worker that could not be reached, or answered 503, 401 or 403, may be away or full for a while. So such a
     * failure does not count towards ejecting the worker. For a balancer, failures of every kind are counted. */
    if (e->balancer || (how != SCHED_END_NOT_CONNECTED && how != SCHED_END_UNAVAILABLE && how != SCHED_END_REFUSED))
        e->failures++;
    if (!endpoint_takes_attempts(e)) return;
    uint64_t least_ns = how == SCHED_END_UNAVAILABLE ? retry_after_ms * NS_PER_MS : 0;
    if (e->balancer)
        balancer_failed(e, how, least_ns);
    else
        worker_failed(e, how, least_ns);
}

void endpoint_ended(struct sched_endpoint *e, const struct sched_attempt *a, enum sched_end how,
                    uint64_t retry_after_ms)
{
    switch (how) {
    case SCHED_END_COMPLETE:
        lane_widen(a->lane);
        lane_full_is_over(a->lane);
        break;
    case SCHED_END_DRAINING: sched_endpoint_drain(e->s, e, e->s->now_ns); break;
    case SCHED_END_BUSY:
        works(e);
        lane_busy(a->lane, a, retry_after_ms);
        break;
    case SCHED_END_NOT_CONNECTED:
        if (a->paid) retry_return_probation(a->chunk->job);
        failed(e, a, how, retry_after_ms);
        break;
    case SCHED_END_UNAVAILABLE:
    case SCHED_END_REFUSED:
    case SCHED_END_LOST:
    case SCHED_END_SILENT:
    case SCHED_END_NO_MEMORY:
    case SCHED_END_BAD_STATUS:
    case SCHED_END_PROTOCOL: failed(e, a, how, retry_after_ms); break;
    case SCHED_END_TASK_UNKNOWN:
        if (!e->balancer) lane_task_unknown(a->lane);
        break;
    case SCHED_END_DEADLINE:
    case SCHED_END_OLD_TOKEN:
    case SCHED_END_NO_ROOM:
    case SCHED_END_COUNT: break;
    }
}

void endpoint_timer_fired(struct sched_endpoint *e)
{
    struct scheduler *s = e->s;
    if (e->state == ENDPOINT_PROBING || !s->ops.probe) {
        to_probation(e, e->before);
    } else {
        endpoint_move(e, ENDPOINT_PROBING, e->state, s->now_ns + PROBE_PATIENCE_NS);
        s->ops.probe(s->ctx, e);
    }
}

void sched_endpoint_probed(struct scheduler *s, struct sched_endpoint *e, bool ready, uint64_t now_ns)
{
    s->now_ns = now_ns;
    if (e->state != ENDPOINT_PROBING) return;
    if (!ready) {
        endpoint_move(e, e->before, e->before, now_ns + pause_length(s, &e->pauses));
        return;
    }
    e->probe_ok = true;
    to_probation(e, ENDPOINT_OPEN);
}

void sched_endpoint_probe_now(struct scheduler *s, struct sched_endpoint *e, uint64_t now_ns)
{
    s->now_ns = now_ns;
    if (e->state == ENDPOINT_PROBING || endpoint_takes_attempts(e)) return;
    endpoint_timer_fired(e);
}

void sched_endpoint_drain(struct scheduler *s, struct sched_endpoint *e, uint64_t now_ns)
{
    s->now_ns = now_ns;
    if (e->balancer || e->state == ENDPOINT_DRAINING) return;
    stop_trusting(e);
    endpoint_move(e, ENDPOINT_DRAINING, ENDPOINT_DRAINING,
                  now_ns + (s->ops.probe ? PAUSE_DRAIN_PROBED_NS : PAUSE_DRAIN_NS));
}

void endpoint_free(struct sched_endpoint *e)
{
    if (!e) return;
    lanes_free(e);
    free(e);
}

void *sched_endpoint_owner(const struct sched_endpoint *e)
{
    return e->owner;
}

enum sched_endpoint_state sched_endpoint_state(const struct sched_endpoint *e)
{
    return e->state;
}
