#include <math.h>

#include "coordinator/sched/scheduler_internal.h"

/*
 * One endpoint's window and health. The window is slots * scale: slots as its workers report them (until then a few,
 * doubling with each answer), scale halved by 429 and regained step by step. A failure puts it on probation: one
 * attempt at a time until it answers. Most failures pause it first, longer each time. scheduler.h draws the states.
 */
static const char *const state_names[] = {
    [ENDPOINT_OPEN] = "open",           [ENDPOINT_FULL] = "full",
    [ENDPOINT_PROBATION] = "probation", [ENDPOINT_PAUSED] = "paused",
    [ENDPOINT_PROBING] = "probing",     [ENDPOINT_EJECTED] = "ejected",
    [ENDPOINT_DRAINING] = "draining",   [ENDPOINT_REJECTS_TOKEN] = "rejects_token",
};
static_assert(ARRAY_SIZE(state_names) == ENDPOINT_STATE_COUNT, "one name per state");

const char *sched_endpoint_state_name(enum sched_endpoint_state state)
{
    return state_names[state];
}

double endpoint_window(const struct sched_endpoint *e)
{
    return fmax(e->slots * e->scale, 1);
}

unsigned endpoint_workers(const struct sched_endpoint *e)
{
    return e->workers_n > 0 ? e->workers_n : 1;
}

static bool is_member(const struct sched_endpoint *e)
{
    return e->index != UINT32_MAX;
}

bool endpoint_takes_attempts(const struct sched_endpoint *e)
{
    return e->state == ENDPOINT_OPEN || e->state == ENDPOINT_PROBATION;
}

/* Keeps the scheduler's sums of usable endpoints and their slots. */
static void recount(struct sched_endpoint *e)
{
    struct scheduler *s = e->s;
    bool usable = e->state == ENDPOINT_OPEN && is_member(e);
    bool serving = (usable || (e->state == ENDPOINT_FULL && is_member(e))) && e->has_answered;
    double slots = usable ? e->slots : 0;
    s->slots += slots - e->counted_slots;
    e->window_full = false;
    e->counted_slots = slots;
    if (usable != e->counted_usable) {
        e->counted_usable = usable;
        s->usable += usable ? 1 : UINT32_MAX;
        if (s->usable == 0) s->slots = 0;
        if (s->usable <= 1) jobs_serving_changed(s);
    }
    if (serving != e->counted_serving) {
        e->counted_serving = serving;
        s->serving += serving ? 1 : UINT32_MAX;
        if (s->serving == 0) s->unserved_since_ns = s->now_ns;
        if (s->serving <= 1) jobs_serving_changed(s);
    }
    balancer_update(e);
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

void endpoint_move(struct sched_endpoint *e, enum sched_endpoint_state to, enum sched_endpoint_state before,
                   uint64_t until_ns)
{
    struct scheduler *s = e->s;
    enum sched_endpoint_state from = e->state;
    s->rejecting_n -= counts_as_rejecting(e);
    s->stats.endpoints[from]--;
    s->stats.endpoints[to]++;
    e->state = to;
    e->before = before;
    s->rejecting_n += counts_as_rejecting(e);
    timer_set(s, &e->timer, until_ns);
    recount(e);
    if (from != to && s->ops.endpoint_moved) s->ops.endpoint_moved(s->ctx, e, from, to);
}

static void to_probation(struct sched_endpoint *e, enum sched_endpoint_state before)
{
    endpoint_move(e, ENDPOINT_PROBATION, before, SCHED_NEVER);
}

void endpoint_gone(struct sched_endpoint *e)
{
    e->s->rejecting_n -= counts_as_rejecting(e);
    e->index = UINT32_MAX;
    recount(e);
}

void endpoint_succeeded(struct sched_endpoint *e, const struct sched_attempt *a)
{
    if (a->started_ns < e->failed_ns || (e->has_answered && e->pauses == 0 && e->failures == 0)) return;
    e->failures = e->pauses = e->ejections = 0;
    e->has_answered = true;
    e->probe_ok = false;
    if (a->is_probation) e->s->failed_after_ready = 0;
    if (e->state == ENDPOINT_FULL) e->before = ENDPOINT_OPEN;
    if (e->state == ENDPOINT_PROBATION)
        endpoint_move(e, ENDPOINT_OPEN, ENDPOINT_OPEN, SCHED_NEVER);
    else
        recount(e);
}

/* Twice as long each time, with jitter. */
static uint64_t pause_length(struct sched_endpoint *e)
{
    uint64_t pause_ns = PAUSE_MIN_NS << (e->pauses < 7 ? e->pauses : 7);
    e->pauses++;
    if (pause_ns > PAUSE_MAX_NS) pause_ns = PAUSE_MAX_NS;
    return (uint64_t)((double)pause_ns * (0.5 + 0.5 * random_unit(&e->s->random)));
}

/* At least as long as it asked for (`least_ns`), within reason. */
static void pause(struct sched_endpoint *e, enum sched_endpoint_state state, uint64_t least_ns)
{
    uint64_t pause_ns = pause_length(e);
    if (least_ns > PAUSE_RETRY_MAX_NS) least_ns = PAUSE_RETRY_MAX_NS;
    endpoint_move(e, state, state, e->s->now_ns + (pause_ns > least_ns ? pause_ns : least_ns));
}

/* Never more than half of them, so that a wrong suspicion cannot take the fleet away. */
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

/* Full: a smaller window, and nothing more until it has answered something or a pause is over. Retry-After counts in
 * whole seconds, far longer than a slot usually stays taken: it is the upper bound. */
static void busy(struct sched_endpoint *e, const struct sched_attempt *a, uint64_t retry_after_ms)
{
    struct scheduler *s = e->s;
    e->has_answered = true;
    if (a->started_ns < e->busy_ns) return; /* one halving for all that were on their way */
    e->busy_ns = s->now_ns + 1;
    e->scale = fmax(e->scale / 2, WINDOW_SCALE_MIN);
    if (!endpoint_takes_attempts(e)) return;
    uint64_t asked_ns = retry_after_ms * NS_PER_MS;
    uint64_t pause_ns = pause_length(e);
    if (asked_ns > 0 && asked_ns < pause_ns) pause_ns = asked_ns;
    endpoint_move(e, ENDPOINT_FULL, e->state, s->now_ns + pause_ns);
}

static void full_is_over(struct sched_endpoint *e)
{
    endpoint_move(e, e->before, ENDPOINT_OPEN, SCHED_NEVER);
}

static void stop_trusting(struct sched_endpoint *e)
{
    e->probe_ok = false;
    e->has_answered = false;
}

/* A balancer stands for many workers: only failure after failure says something about all of them. */
static void balancer_failed(struct sched_endpoint *e, enum sched_end how, uint64_t least_ns)
{
    if (how != SCHED_END_NOT_CONNECTED && e->failures < BALANCER_PATIENCE) return;
    stop_trusting(e);
    pause(e, how == SCHED_END_REFUSED ? ENDPOINT_REJECTS_TOKEN : ENDPOINT_PAUSED, least_ns);
}

static void worker_failed(struct sched_endpoint *e, enum sched_end how, uint64_t least_ns)
{
    /* A worker that dies of what it is given was ready all the same. */
    if (e->probe_ok && how != SCHED_END_LOST && how != SCHED_END_SILENT) e->s->failed_after_ready++;
    stop_trusting(e);
    if (how == SCHED_END_REFUSED)
        pause(e, ENDPOINT_REJECTS_TOKEN, least_ns);
    else if (e->failures >= EJECT_AFTER && may_eject(e->s))
        eject(e);
    else if (how != SCHED_END_BAD_STATUS && how != SCHED_END_PROTOCOL)
        pause(e, ENDPOINT_PAUSED, least_ns);
    else
        to_probation(e, ENDPOINT_OPEN);
}

static void failed(struct sched_endpoint *e, const struct sched_attempt *a, enum sched_end how, uint64_t retry_after_ms)
{
    if (a->started_ns < e->failed_ns) return; /* it began before the last failure was known: the same incident */
    e->failed_ns = e->s->now_ns + 1;
    /* Refusing is not failing: a worker that is away or full for a while has not earned an ejection. */
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
        /* One slot for a window of answers, but never at a snail's pace. */
        e->scale = fmin(e->scale + fmax(1 / (e->slots * (double)(e->attempts.n + 1)), WINDOW_SCALE_STEP), 1);
        if (!e->slots_known) e->slots = fmin(e->slots * 2, SLOTS_UNKNOWN_MAX);
        if (e->state == ENDPOINT_FULL)
            full_is_over(e);
        else
            recount(e);
        break;
    case SCHED_END_DRAINING: sched_endpoint_drain(e->s, e, e->s->now_ns); break;
    case SCHED_END_BUSY: busy(e, a, retry_after_ms); break;
    case SCHED_END_NOT_CONNECTED:
        if (a->paid) retry_return_probation(a->chunk->job);
        failed(e, a, how, retry_after_ms);
        break;
    case SCHED_END_UNAVAILABLE:
    case SCHED_END_REFUSED:
    case SCHED_END_LOST:
    case SCHED_END_SILENT:
    case SCHED_END_BAD_STATUS:
    case SCHED_END_PROTOCOL: failed(e, a, how, retry_after_ms); break;
    case SCHED_END_DEADLINE:
    case SCHED_END_TASK_UNKNOWN:
    case SCHED_END_COUNT: break;
    }
}

void endpoint_timer_fired(struct sched_endpoint *e)
{
    struct scheduler *s = e->s;
    if (e->state == ENDPOINT_FULL) {
        full_is_over(e);
    } else if (e->state == ENDPOINT_PROBING || !s->ops.probe) {
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
        endpoint_move(e, e->before, e->before, now_ns + pause_length(e));
        return;
    }
    e->probe_ok = true;
    to_probation(e, ENDPOINT_OPEN);
}

void sched_endpoint_drain(struct scheduler *s, struct sched_endpoint *e, uint64_t now_ns)
{
    s->now_ns = now_ns;
    if (e->balancer || e->state == ENDPOINT_DRAINING) return;
    stop_trusting(e);
    endpoint_move(e, ENDPOINT_DRAINING, ENDPOINT_DRAINING,
                  now_ns + (s->ops.probe ? PAUSE_DRAIN_PROBED_NS : PAUSE_DRAIN_NS));
}

/* The place of a worker in the endpoint's table, or the free one it would take. */
static struct sched_worker *find_worker(struct sched_worker *table, uint32_t alloc, uint64_t id)
{
    uint32_t i = (uint32_t)(id * UINT64_C(0x9e3779b97f4a7c15) >> 32) & (alloc - 1);
    while (table[i].id != 0 && table[i].id != id) i = (i + 1) & (alloc - 1);
    return &table[i];
}

/* Rebuilds the table without the workers not heard from lately, with room for one more. */
static void sweep_workers(struct sched_endpoint *e)
{
    struct scheduler *s = e->s;
    struct sched_worker *old = e->workers;
    uint32_t old_alloc = e->workers_alloc;
    uint32_t alloc = 4;
    while (alloc < 2 * (e->workers_n + 2)) alloc *= 2;
    e->workers = xcalloc(alloc, sizeof *e->workers);
    e->workers_alloc = alloc;
    e->workers_n = 0;
    for (uint32_t i = 0; i < old_alloc; i++) {
        if (old[i].id == 0 || old[i].heard_ns + s->config.worker_forget_ns < s->now_ns) continue;
        *find_worker(e->workers, alloc, old[i].id) = old[i];
        e->workers_n++;
    }
    s->worker_table_bytes += (alloc - (size_t)old_alloc) * sizeof *old;
    e->swept_ns = s->now_ns;
    free(old);
}

static void sum_slots(struct sched_endpoint *e)
{
    double slots = 0;
    for (uint32_t i = 0; i < e->workers_alloc; i++) slots += e->workers[i].slots;
    chunker_advance(e, e->s->now_ns);
    e->slots = fmax(slots, 1);
    e->slots_known = true;
    recount(e);
}

void sched_endpoint_learned(struct scheduler *s, struct sched_endpoint *e, uint64_t worker_id, unsigned slots,
                            unsigned free_slots, uint64_t now_ns)
{
    s->now_ns = now_ns;
    uint64_t id = worker_id != 0 ? worker_id : 1;
    if (slots == 0) return;
    bool full = 2 * (e->workers_n + 1) > e->workers_alloc;
    bool stale = e->workers_n > 1 && now_ns > e->swept_ns + s->config.worker_forget_ns / 4;
    uint32_t before = e->workers_n;
    if (full || stale) sweep_workers(e);
    if (!e->balancer && e->workers_n > 0 && find_worker(e->workers, e->workers_alloc, id)->id == 0) {
        /* Another worker at this address: forget the one before it, and how fast that was. */
        memset(e->workers, 0, e->workers_alloc * sizeof *e->workers);
        e->workers_n = 0;
        e->used_ns = e->expected_ns = 0;
    }
    struct sched_worker *w = find_worker(e->workers, e->workers_alloc, id);
    bool changed = w->id == 0 || w->slots != slots || e->workers_n != before;
    if (w->id == 0) {
        if (e->workers_n >= WORKERS_PER_BALANCER_MAX) return;
        e->workers_n++;
        w->id = id;
    }
    w->heard_ns = now_ns;
    w->slots = slots;
    if (changed || !e->slots_known) sum_slots(e);
}

void endpoint_free(struct sched_endpoint *e)
{
    if (!e) return;
    e->s->worker_table_bytes -= e->workers_alloc * sizeof *e->workers;
    free(e->workers);
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
