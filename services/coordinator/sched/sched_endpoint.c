#include <math.h>

#include "coordinator/sched/scheduler_internal.h"

/*
 * One endpoint's window and health. The window is slots * scale: slots as its workers told (until then a few, doubling
 * with each answer), scale halved by 429 and regained step by step. Failures make it suspect: it then gets one attempt
 * at a time until it answers; most of them pause it first, longer each time.
 */
static const char *const state_names[] = {
    [ENDPOINT_OPEN] = "open",
    [ENDPOINT_PAUSED] = "paused",
    [ENDPOINT_EJECTED] = "ejected",
    [ENDPOINT_DRAINING] = "draining",
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

/* Keeps the scheduler's sums of usable endpoints and their slots. */
static void recount(struct sched_endpoint *e)
{
    struct scheduler *s = e->s;
    bool usable = e->state == ENDPOINT_OPEN && !e->suspect && e->index != UINT32_MAX;
    bool serving = (usable || (e->full && e->index != UINT32_MAX)) && e->proven;
    double slots = usable ? e->slots : 0;
    s->slots += slots - e->counted_slots;
    e->refused = false;
    e->counted_slots = slots;
    if (usable != e->counted_usable) {
        e->counted_usable = usable;
        s->usable += usable ? 1 : UINT32_MAX;
        if (s->usable == 0) s->slots = 0;
    }
    if (serving != e->counted_serving) {
        e->counted_serving = serving;
        s->serving += serving ? 1 : UINT32_MAX;
        if (s->serving == 0) s->unserved_since_ns = s->now_ns;
        if (s->serving <= 1) jobs_serving_changed(s);
    }
    balancer_update(e);
}

void endpoint_set_state(struct sched_endpoint *e, enum sched_endpoint_state state, uint64_t until_ns)
{
    struct scheduler *s = e->s;
    s->stats.endpoints[e->state]--;
    s->stats.endpoints[state]++;
    e->state = state;
    e->probing = false;
    e->full = e->full && state == ENDPOINT_PAUSED;
    timer_set(&s->timers, &e->timer, state == ENDPOINT_OPEN ? SCHED_NEVER : until_ns);
    recount(e);
}

static void set_suspect(struct sched_endpoint *e, bool suspect)
{
    e->suspect = suspect;
    e->vouched = false;
    e->proven &= !suspect;
    recount(e);
}

static void set_refuses(struct sched_endpoint *e, bool refuses)
{
    e->s->refusing += (uint32_t)refuses - (uint32_t)e->refuses;
    e->refuses = refuses;
}

void endpoint_gone(struct sched_endpoint *e)
{
    set_refuses(e, false);
    e->index = UINT32_MAX;
    recount(e);
}

void endpoint_succeeded(struct sched_endpoint *e, const struct sched_attempt *a)
{
    if (a->started_ns < e->failed_ns || (e->proven && e->pauses == 0 && e->failures == 0)) return;
    e->failures = e->pauses = e->ejections = 0;
    e->proven = true;
    set_refuses(e, false);
    if (a->on_trial) e->s->lies = 0;
    set_suspect(e, false);
}

/* Twice as long each time, with jitter. */
static uint64_t pause_length(struct sched_endpoint *e)
{
    uint64_t pause_ns = PAUSE_MIN_NS << (e->pauses < 7 ? e->pauses : 7);
    e->pauses++;
    if (pause_ns > PAUSE_MAX_NS) pause_ns = PAUSE_MAX_NS;
    return (uint64_t)((double)pause_ns * (0.5 + 0.5 * random_unit(&e->s->random)));
}

/* `least_ns` when it asked for that. */
static void pause(struct sched_endpoint *e, uint64_t least_ns)
{
    uint64_t pause_ns = pause_length(e);
    if (least_ns > PAUSE_RETRY_MAX_NS) least_ns = PAUSE_RETRY_MAX_NS;
    endpoint_set_state(e, ENDPOINT_PAUSED, e->s->now_ns + (pause_ns > least_ns ? pause_ns : least_ns));
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
    endpoint_set_state(e, ENDPOINT_EJECTED, s->now_ns + (eject_ns < EJECT_MAX_NS ? eject_ns : EJECT_MAX_NS));
}

/* Full: a smaller window, and nothing more until it has answered something or a pause is over. Retry-After counts in
 * whole seconds, far longer than a slot stays taken as a rule: it is the upper bound. */
static void busy(struct sched_endpoint *e, const struct sched_attempt *a, uint64_t retry_after_ms)
{
    struct scheduler *s = e->s;
    e->proven = true;
    if (a->started_ns < e->busy_ns) /* one halving for all that were on their way */
        return;
    e->busy_ns = s->now_ns + 1;
    e->scale = fmax(e->scale / 2, WINDOW_SCALE_MIN);
    if (e->state == ENDPOINT_OPEN) {
        uint64_t asked_ns = retry_after_ms * NS_PER_MS;
        uint64_t pause_ns = pause_length(e);
        e->full = true;
        endpoint_set_state(e, ENDPOINT_PAUSED, s->now_ns + (asked_ns > 0 && asked_ns < pause_ns ? asked_ns : pause_ns));
    }
}

/* A balancer stands for many workers: only failure after failure says something about all of them. */
static void balancer_failed(struct sched_endpoint *e, enum sched_end how, uint64_t retry_after_ms)
{
    if (how != SCHED_END_NOT_CONNECTED && e->failures < BALANCER_PATIENCE) return;
    set_suspect(e, true);
    set_refuses(e, how == SCHED_END_REFUSED);
    pause(e, how == SCHED_END_UNAVAILABLE ? retry_after_ms * NS_PER_MS : 0);
}

static void worker_failed(struct sched_endpoint *e, enum sched_end how, uint64_t retry_after_ms)
{
    /* One that dies of what it is given has not lied. */
    if (e->vouched && how != SCHED_END_LOST && how != SCHED_END_SILENT) e->s->lies++;
    set_suspect(e, true);
    set_refuses(e, how == SCHED_END_REFUSED);
    if (e->failures >= EJECT_AFTER && may_eject(e->s))
        eject(e);
    else if (how != SCHED_END_BAD_STATUS && how != SCHED_END_PROTOCOL)
        pause(e, how == SCHED_END_UNAVAILABLE ? retry_after_ms * NS_PER_MS : 0);
}

static void failed(struct sched_endpoint *e, const struct sched_attempt *a, enum sched_end how, uint64_t retry_after_ms)
{
    if (a->started_ns < e->failed_ns) return; /* it began before the last failure was known: the same incident */
    e->failed_ns = e->s->now_ns + 1;
    /* Refusing is not failing: a worker that is away or full for a while has not earned an ejection. */
    if (e->balancer || (how != SCHED_END_NOT_CONNECTED && how != SCHED_END_UNAVAILABLE && how != SCHED_END_REFUSED))
        e->failures++;
    if (e->state != ENDPOINT_OPEN) return;
    if (e->balancer)
        balancer_failed(e, how, retry_after_ms);
    else
        worker_failed(e, how, retry_after_ms);
}

void endpoint_ended(struct sched_endpoint *e, const struct sched_attempt *a, enum sched_end how,
                    uint64_t retry_after_ms)
{
    switch (how) {
    case SCHED_END_COMPLETE:
        /* One slot for a window of answers, but never at a snail's pace. */
        e->scale = fmin(e->scale + fmax(1 / (e->slots * (double)(e->attempts.n + 1)), WINDOW_SCALE_STEP), 1);
        if (!e->slots_known) e->slots = fmin(e->slots * 2, SLOTS_UNKNOWN_MAX);
        if (e->full) endpoint_set_state(e, ENDPOINT_OPEN, 0);
        recount(e);
        break;
    case SCHED_END_DRAINING: sched_endpoint_drain(e->s, e, e->s->now_ns); break;
    case SCHED_END_BUSY: busy(e, a, retry_after_ms); break;
    case SCHED_END_NOT_CONNECTED:
        if (a->paid) retry_return_trial(a->chunk->job);
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
    if (e->suspect && s->ops.probe && !e->probing) {
        e->probing = true;
        timer_set(&s->timers, &e->timer, s->now_ns + PROBE_PATIENCE_NS);
        s->ops.probe(s->ctx, e);
        return;
    }
    endpoint_set_state(e, ENDPOINT_OPEN, 0);
}

void sched_endpoint_probed(struct scheduler *s, struct sched_endpoint *e, bool ready, uint64_t now_ns)
{
    s->now_ns = now_ns;
    if (!e->probing) return;
    e->probing = false;
    if (!ready) {
        endpoint_set_state(e, e->state, now_ns + pause_length(e));
        return;
    }
    endpoint_set_state(e, ENDPOINT_OPEN, 0);
    set_refuses(e, false);
    e->vouched = true;
}

void sched_endpoint_drain(struct scheduler *s, struct sched_endpoint *e, uint64_t now_ns)
{
    s->now_ns = now_ns;
    if (e->balancer || e->state == ENDPOINT_DRAINING) return;
    set_suspect(e, true);
    endpoint_set_state(e, ENDPOINT_DRAINING, now_ns + (s->ops.probe ? PAUSE_DRAIN_PROBED_NS : PAUSE_DRAIN_NS));
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

bool sched_endpoint_refuses(const struct sched_endpoint *e)
{
    return e->refuses;
}

void *sched_endpoint_owner(const struct sched_endpoint *e)
{
    return e->owner;
}

enum sched_endpoint_state sched_endpoint_state(const struct sched_endpoint *e)
{
    return e->state;
}
