#include <math.h>

#include "coordinator/sched/scheduler_internal.h"

#define SLOTS_UNKNOWN            2 /* slots assumed for a worker that has not reported its slots; doubled at each answer */
#define SLOTS_UNKNOWN_MAX        64
#define WINDOW_SCALE_MIN         (1.0 / 64)
#define WINDOW_SCALE_STEP        0.02 /* minimum growth of a halved scale per answered chunk */
#define WORKERS_PER_BALANCER_MAX 16384
#define HOLD_NS                  (2 * NS_PER_S) /* first pause of a lane whose chunk was also sent elsewhere */
#define HOLD_DOUBLINGS           2
#define HOLD_SILENT_NS           NS_PER_S /* a lane that has answered within this time is not paused */

/*
 * A lane: the slots of one task at one endpoint, and the window of the task there. The window is slots * scale. Workers
 * report their slots. Until a worker has reported its slots, a few slots are assumed. The assumed number is doubled
 * after each answer. A 429 halves the scale, and answers raise it again step by step. A 429 also makes the lane `full`
 * for a short time. The endpoint's other lanes are not affected, because a worker limits the chunks of each task
 * separately.
 */

double lane_window(const struct sched_lane *l)
{
    return fmax(l->slots * l->scale, 1);
}

unsigned lane_workers(const struct sched_lane *l)
{
    return l->workers_n > 0 ? l->workers_n : 1;
}

/* If more items are in flight than the lane has slots, the surplus items wait and use no slot. So a lane never uses
 * more than its slots. */
void lane_count_busy(struct sched_lane *l)
{
    double busy = fmin((double)l->in_flight / fmax(l->slots, 1), 1);
    l->endpoint->busy += busy - l->busy;
    l->busy = busy;
}

/* Updates what the task counts: the lanes that are usable, the lanes that serve the task, and the slots of the usable
 * lanes. What the task's jobs wait for depends only on whether the two numbers of lanes are 0, so the jobs are updated
 * only when that changes. While any lane serves the task, changes to `usable` do not matter. So the jobs are not
 * updated each time that the only worker of a fleet becomes full, or has free slots again. */
void lane_recount(struct sched_lane *l)
{
    const struct sched_endpoint *e = l->endpoint;
    struct sched_task *t = l->task;
    bool was_served = t->serving > 0, had_any = t->serving + t->usable > 0;
    bool there = e->index != UINT32_MAX && !l->lacks && !l->gone;
    bool usable = e->state == ENDPOINT_OPEN && there && !l->full;
    bool serving = (usable || (l->full && endpoint_takes_attempts(e) && there)) && e->has_answered;
    double slots = usable ? l->slots : 0, unreached = e->unreached ? slots : 0;
    t->slots += slots - l->counted_slots;
    t->unreached_slots += unreached - l->counted_unreached;
    l->window_full = false;
    l->counted_slots = slots;
    l->counted_unreached = unreached;
    if (usable != l->counted_usable) {
        l->counted_usable = usable;
        t->usable += usable ? 1 : UINT32_MAX;
        if (t->usable == 0) t->slots = t->unreached_slots = 0;
    }
    if (serving != l->counted_serving) {
        l->counted_serving = serving;
        t->serving += serving ? 1 : UINT32_MAX;
        if (t->serving == 0) t->unserved_since_ns = t->s->now_ns;
    }
    if (was_served != (t->serving > 0) || had_any != (t->serving + t->usable > 0)) task_serving_changed(t);
    balancer_update(l);
}

static void set_lacks(struct sched_lane *l, bool lacks)
{
    bool was_nowhere = task_is_nowhere(l->task);
    if (l->lacks == lacks) return;
    l->lacks = lacks;
    l->task->lacking += lacks ? 1 : UINT32_MAX;
    lane_recount(l);
    if (was_nowhere != task_is_nowhere(l->task)) task_serving_changed(l->task);
}

void lane_task_unknown(struct sched_lane *l)
{
    set_lacks(l, true);
}

static void set_full(struct sched_lane *l, bool full, uint64_t until_ns)
{
    l->task->full += full - l->full;
    l->full = full;
    timer_set(l->task->s, &l->timer, until_ns);
    lane_recount(l);
}

/* Halves the scale. The endpoint gets no further chunk of the task until it has answered a chunk of the task, or until
 * the pause is over. Retry-After is in whole seconds, but a slot is usually free much sooner. So a Retry-After header
 * can only shorten the pause. */
void lane_busy(struct sched_lane *l, const struct sched_attempt *a, uint64_t retry_after_ms)
{
    struct scheduler *s = l->task->s;
    struct sched_endpoint *e = l->endpoint;
    if (a->started_ns < l->busy_ns) return; /* the window is halved once for all attempts that were already running */
    l->busy_ns = s->now_ns + 1;
    l->scale = fmax(l->scale / 2, WINDOW_SCALE_MIN);
    uint64_t asked_ns = retry_after_ms * NS_PER_MS;
    uint64_t pause_ns = pause_length(s, &l->pauses);
    if (asked_ns > 0 && asked_ns < pause_ns) pause_ns = asked_ns;
    if (e == s->isolating) isolation_end(s); /* the endpoint may be kept free for a chunk of this task */
    set_full(l, true, s->now_ns + pause_ns);
}

void lane_full_is_over(struct sched_lane *l)
{
    set_full(l, false, SCHED_NEVER);
}

void lane_answered(struct sched_lane *l, bool well)
{
    uint64_t now = l->task->s->now_ns;
    l->answered_ns = now;
    l->answers_well = well;
    if (!l->runs_since_ns) l->runs_since_ns = now;
    if (l->holds && l->full) lane_full_is_over(l);
    l->holds = 0;
}

/* Some processes of the task may be starting while others already run. So the processes of a lane that has answered
 * recently count as running. */
void lane_starting(struct sched_lane *l)
{
    if (l->answered_ns + STARTING_NS <= l->task->s->now_ns) l->runs_since_ns = 0;
}

bool lane_runs(const struct sched_lane *l)
{
    return l->runs_since_ns && l->runs_since_ns + STARTING_PATIENCE_NS <= l->task->s->now_ns;
}

/* Pauses the lane if it is silent. A chunk that is sent after the pause shows whether the lane answers again. If the
 * lane does not answer, this chunk may delay the answers of other chunks. So each further pause is longer. The lane of
 * a balancer is not paused, because a balancer stands for many workers. */
void lane_hold(struct sched_lane *l)
{
    uint64_t now = l->task->s->now_ns;
    if (l->full || l->endpoint->balancer || l->answered_ns + HOLD_SILENT_NS > now) return;
    set_full(l, true, now + (HOLD_NS << (l->holds < HOLD_DOUBLINGS ? l->holds : HOLD_DOUBLINGS)));
    l->holds++;
}

/* Returns what the endpoint has reported about one task. NULL: the endpoint does not have the task. */
static const struct sched_endpoint_task *find_known(const struct sched_endpoint *e, const char *name, size_t len)
{
    for (size_t i = 0; i < e->tasks_n; i++)
        if (strlen(e->tasks[i].name) == len && memcmp(e->tasks[i].name, name, len) == 0) return &e->tasks[i];
    return NULL;
}

/* The lane of a pipeline can be used only if the endpoint has all tasks of the pipeline. A pipeline has as many slots
 * as its task with the fewest slots. */
static void apply_known_tasks(struct sched_lane *l)
{
    const struct sched_endpoint *e = l->endpoint;
    unsigned slots = 0;
    if (!e->tasks_known) return;
    for (const char *at = l->task->name;; at++) {
        size_t len = strcspn(at, ",");
        const struct sched_endpoint_task *known = find_known(e, at, len);
        if (!known) {
            set_lacks(l, true);
            return;
        }
        if (slots == 0 || (known->slots && known->slots < slots)) slots = known->slots;
        at += len;
        if (!*at) break;
    }
    if (slots && l->workers_n == 0) {
        l->slots = slots;
        l->slots_known = true;
    }
    set_lacks(l, false);
    lane_recount(l);
}

static void free_known_tasks(struct sched_endpoint *e)
{
    for (size_t i = 0; i < e->tasks_n; i++) free((char *)(uintptr_t)e->tasks[i].name);
    free(e->tasks);
    e->tasks = NULL;
    e->tasks_n = 0;
}

void sched_endpoint_set_tasks(struct scheduler *s, struct sched_endpoint *e, const struct sched_endpoint_task *tasks,
                              size_t n, uint64_t now_ns)
{
    s->now_ns = now_ns;
    if (e->balancer) return;
    free_known_tasks(e);
    e->tasks = xcalloc(n + 1, sizeof *e->tasks);
    e->tasks_n = n;
    e->tasks_known = true;
    for (size_t i = 0; i < n; i++) e->tasks[i] = (struct sched_endpoint_task){xstrdup(tasks[i].name), tasks[i].slots};
    for (struct list_link *at = list_next(&e->lanes, NULL); at; at = list_next(&e->lanes, at))
        apply_known_tasks(CONTAINER_OF(at, struct sched_lane, endpoint_link));
}

struct sched_lane *lane_new(struct sched_task *t, struct sched_endpoint *e)
{
    struct scheduler *s = t->s;
    struct sched_lane *l = xcalloc(1, sizeof *l);
    l->endpoint = e;
    l->task = t;
    l->slots = e->slots_hint > 0 ? e->slots_hint : SLOTS_UNKNOWN;
    l->slots_known = e->slots_hint > 0;
    l->scale = 1;
    l->clock_ns = s->now_ns;
    l->timer.kind = TIMER_LANE;
    l->open_index = l->available_index = UINT32_MAX;
    if (t->lanes.n == t->lanes_alloc) {
        t->lanes_alloc = t->lanes_alloc ? 2 * t->lanes_alloc : 16;
        t->open = xrealloc(t->open, t->lanes_alloc * sizeof(struct sched_lane *));
        t->available = xrealloc(t->available, t->lanes_alloc * sizeof(struct sched_lane *));
    }
    list_push_back(&t->lanes, &l->task_link);
    list_push_back(&e->lanes, &l->endpoint_link);
    s->lanes_n++;
    apply_known_tasks(l);
    lane_recount(l);
    return l;
}

void lane_free(struct sched_lane *l)
{
    struct sched_task *t = l->task;
    struct scheduler *s = t->s;
    bool was_nowhere = task_is_nowhere(t);
    set_lacks(l, false);
    l->gone = true;
    lane_full_is_over(l);
    list_remove(&t->lanes, &l->task_link);
    if (was_nowhere != task_is_nowhere(t)) task_serving_changed(t);
    list_remove(&l->endpoint->lanes, &l->endpoint_link);
    s->worker_table_bytes -= l->workers_alloc * sizeof *l->workers;
    s->lanes_n--;
    free(l->workers);
    free(l);
}

void lanes_free(struct sched_endpoint *e)
{
    for (struct list_link *at; (at = list_next(&e->lanes, NULL)) != NULL;)
        lane_free(CONTAINER_OF(at, struct sched_lane, endpoint_link));
    free_known_tasks(e);
}

/* Raises the scale after an answered chunk. When a whole window of chunks has been answered, the window has grown by at
 * least one slot. It never grows beyond the lane's slots. The scale grows by at least WINDOW_SCALE_STEP for each
 * chunk. */
void lane_widen(struct sched_lane *l)
{
    l->scale = fmin(l->scale + fmax(1 / (l->slots * (double)(l->attempts_n + 1)), WINDOW_SCALE_STEP), 1);
    if (!l->slots_known) l->slots = fmin(l->slots * 2, SLOTS_UNKNOWN_MAX);
}

/* Returns the entry of a worker in the lane's table. If the worker has no entry, returns the free entry that the worker
 * would take. */
static struct sched_worker *find_worker(struct sched_worker *table, uint32_t alloc, uint64_t id)
{
    uint32_t i = (uint32_t)(id * UINT64_C(0x9e3779b97f4a7c15) >> 32) & (alloc - 1);
    while (table[i].id != 0 && table[i].id != id) i = (i + 1) & (alloc - 1);
    return &table[i];
}

/* Rebuilds the table without the workers that have not answered recently, and with room for one more worker. */
static void sweep_workers(struct sched_lane *l)
{
    struct scheduler *s = l->task->s;
    struct sched_worker *old = l->workers;
    uint32_t old_alloc = l->workers_alloc;
    uint32_t alloc = 4;
    while (alloc < 2 * (l->workers_n + 2)) alloc *= 2;
    l->workers = xcalloc(alloc, sizeof *l->workers);
    l->workers_alloc = alloc;
    l->workers_n = 0;
    for (uint32_t i = 0; i < old_alloc; i++) {
        if (old[i].id == 0 || old[i].heard_ns + s->config.worker_forget_ns < s->now_ns) continue;
        *find_worker(l->workers, alloc, old[i].id) = old[i];
        l->workers_n++;
    }
    s->worker_table_bytes += (alloc - (size_t)old_alloc) * sizeof *old;
    l->swept_ns = s->now_ns;
    free(old);
}

static void sum_slots(struct sched_lane *l)
{
    double slots = 0;
    for (uint32_t i = 0; i < l->workers_alloc; i++) slots += l->workers[i].slots;
    chunker_advance(l, l->task->s->now_ns);
    l->slots = fmax(slots, 1);
    l->slots_known = true;
    lane_recount(l);
}

static void learn(struct sched_lane *l, uint64_t id, unsigned slots)
{
    struct scheduler *s = l->task->s;
    bool full = 2 * (l->workers_n + 1) > l->workers_alloc;
    bool stale = l->workers_n > 1 && s->now_ns > l->swept_ns + s->config.worker_forget_ns / 4;
    uint32_t before = l->workers_n;
    if (full || stale) sweep_workers(l);
    if (!l->endpoint->balancer && l->workers_n > 0 && find_worker(l->workers, l->workers_alloc, id)->id == 0) {
        /* Another worker has this address now, so the previous worker and its speed are forgotten. */
        memset(l->workers, 0, l->workers_alloc * sizeof *l->workers);
        l->workers_n = 0;
        l->used_ns = l->expected_ns = 0;
        l->runs_since_ns = 0;
    }
    struct sched_worker *w = find_worker(l->workers, l->workers_alloc, id);
    bool changed = w->id == 0 || w->slots != slots || l->workers_n != before;
    if (w->id == 0) {
        if (l->workers_n >= WORKERS_PER_BALANCER_MAX) return;
        l->workers_n++;
        w->id = id;
    }
    w->heard_ns = s->now_ns;
    w->slots = slots;
    if (changed || !l->slots_known) sum_slots(l);
}

void sched_attempt_learned(struct sched_attempt *a, uint64_t worker_id, unsigned slots, uint64_t now_ns)
{
    a->chunk->job->s->now_ns = now_ns;
    if (a->lane && slots > 0) learn(a->lane, worker_id != 0 ? worker_id : 1, slots);
}
