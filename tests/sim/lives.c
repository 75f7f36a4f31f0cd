#include <math.h>

#include "sim/world.h"

/* The lives of workers: workers join, die, freeze and drain. */
static double rate_delay(struct sim_world *w, double per_s)
{
    return -log(1 - random_unit(&w->random)) / per_s;
}

/* Draws the faults that this worker will have until it dies. */
static void plan_life(struct sim_world *w, struct sim_worker *worker)
{
    const struct sim_faults *f = worker->faults;
    if (f->die_per_s > 0) sim_at(w, rate_delay(w, f->die_per_s), EV_DIE, worker, 0, worker->generation);
    if (f->drain_per_s > 0) sim_at(w, rate_delay(w, f->drain_per_s), EV_DRAIN, worker, 0, worker->generation);
    if (f->freeze_per_s > 0) sim_at(w, rate_delay(w, f->freeze_per_s), EV_FREEZE, worker, 0, worker->generation);
    if (f->cut_per_s > 0) sim_at(w, rate_delay(w, f->cut_per_s), EV_CUT, worker, 0, worker->generation);
}

static void tell_tasks(struct sim_world *w, struct sim_worker *worker)
{
    struct sched_endpoint_task tasks[SIM_TASKS_MAX];
    char names[SIM_TASKS_MAX][8];
    size_t n = 0;
    for (unsigned i = 0; i < w->sc->tasks && n < ARRAY_SIZE(tasks); i++) {
        if (!worker_has(w, worker, i)) continue;
        write_task_name(i, names[n]);
        tasks[n] = (struct sched_endpoint_task){names[n], w->sc->slots};
        n++;
    }
    sched_endpoint_set_tasks(w->s, worker->endpoint, tasks, n, w->now_ns);
}

static void join(struct sim_world *w, struct sim_worker *worker)
{
    worker->joined = worker->up = true;
    worker->id = sim_hash(w->sc->seed, 1000 + worker->index, worker->generation) | 1;
    if (!w->balancer && !worker->endpoint) worker->endpoint = sched_endpoint_add(w->s, worker, false, 0, w->now_ns);
    if (worker->endpoint && w->sc->tasks > 0 && (w->sc->tell_tasks || worker->generation > 0)) tell_tasks(w, worker);
    plan_life(w, worker);
}

/* Ends the processes and connections of the worker. */
static void vanish(struct sim_world *w, struct sim_worker *worker)
{
    if (!worker->up) return;
    sim_trace(w, "worker %u is gone", worker->index);
    while (worker->calls) call_end(w, worker->calls, SCHED_END_LOST);
    worker->up = worker->draining = worker->frozen = false;
    memset(worker->busy_slots, 0, sizeof worker->busy_slots);
    worker->loaded_s = 0;
    worker->generation++;
    if (w->sc->forget_dead && worker->endpoint) {
        sched_endpoint_remove(w->s, worker->endpoint);
        worker->endpoint = NULL;
    }
    double down_s = worker->faults->down_s > 0 ? worker->faults->down_s * (0.5 + random_unit(&w->random)) : 0.3;
    if (worker->faults->down_s >= 0) sim_at(w, down_s, EV_BACK, worker, 0, worker->generation);
}

static void freeze(struct sim_world *w, struct sim_worker *worker)
{
    worker->frozen = true;
    sim_trace(w, "worker %u is frozen", worker->index);
    for (unsigned i = 0; i < worker->calls_n; i++, worker->calls = worker->calls->next)
        call_at(w, w->sc->silence_s, EV_END, worker->calls, SCHED_END_SILENT);
    sim_at(w, worker->faults->down_s, EV_BACK, worker, 1, worker->generation);
}

static void back(struct sim_world *w, struct sim_worker *worker, bool thawed)
{
    if (thawed && worker->frozen) {
        worker->frozen = false;
        worker_fill_slots(w, worker);
        sim_at(w, rate_delay(w, worker->faults->freeze_per_s), EV_FREEZE, worker, 0, worker->generation);
    } else if (!thawed && !worker->up) {
        join(w, worker);
    }
}

static void drain(struct sim_world *w, struct sim_worker *worker)
{
    worker->draining = true;
    sim_trace(w, "worker %u drains", worker->index);
    struct sim_call *first = worker->calls;
    for (unsigned i = 0, n = worker->calls_n; i < n && first; i++, first = first->next) call_flush(w, first);
    sim_at(w, 0.05, EV_DRAINED, worker, 0, worker->generation);
}

static void drained(struct sim_world *w, struct sim_worker *worker)
{
    if (worker->calls_n > 0)
        sim_at(w, 0.05, EV_DRAINED, worker, 0, worker->generation);
    else
        vanish(w, worker);
}

void worker_probe(struct sim_world *w, struct sim_worker *worker)
{
    bool ready =
        worker->up && !worker->frozen && !worker->draining && (w->sc->lying_probes || worker->faults->unavailable < 1);
    sim_at(w, 2 * network_latency(w), EV_PROBED, worker, ready, 0);
}

void workers_init(struct sim_world *w)
{
    static const struct sim_faults none;
    const struct sim_scenario *sc = w->sc;
    w->workers_n = sc->workers + sc->workers_later;
    w->workers = xcalloc(w->workers_n, sizeof *w->workers);
    for (unsigned i = 0; i < w->workers_n; i++) {
        struct sim_worker *worker = &w->workers[i];
        worker->w = w;
        worker->index = i;
        worker->faults = sc->faulty == 0 || i < sc->faulty ? &sc->faults : &none;
        double u = random_unit(&w->random), v = random_unit(&w->random);
        worker->slowness = exp(sc->speed_spread * sqrt(-2 * log(1 - u)) * cos(2 * M_PI * v));
        if (i < (unsigned)(sc->slow_share * sc->workers + 0.5)) worker->slowness *= sc->slow_times;
        double when = i < sc->workers ? sc->first_worker_s : sc->join_s * (i - sc->workers + 1);
        if (when > 0)
            sim_at(w, when, EV_JOIN, worker, 0, 0);
        else
            join(w, worker);
    }
}

void workers_free(struct sim_world *w)
{
    for (unsigned i = 0; i < w->workers_n; i++)
        while (w->workers[i].calls) call_unlink(w->workers[i].calls);
    while (w->calls) call_forget(w, w->calls);
    free(w->workers);
}

void worker_event(struct sim_world *w, const struct sim_event *ev)
{
    struct sim_worker *worker = ev->what;
    if (ev->kind == EV_JOIN) {
        join(w, worker);
        return;
    }
    if (ev->b != worker->generation) return;
    switch (ev->kind) {
    case EV_DIE:
    case EV_CUT: vanish(w, worker); break;
    case EV_LOADED:
        worker->loaded_s = (double)w->now_ns / 1e9;
        worker_fill_slots(w, worker);
        break;
    case EV_DRAIN: drain(w, worker); break;
    case EV_DRAINED: drained(w, worker); break;
    case EV_FREEZE: freeze(w, worker); break;
    default: back(w, worker, ev->a == 1); break;
    }
}
