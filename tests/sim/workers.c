#include <math.h>

#include "sim/world.h"

/* What workers do with calls, and the network between them and the coordinator. */
static bool chance(struct sim_world *w, double p)
{
    return p > 0 && random_unit(&w->random) < p;
}

double item_seconds(const struct sim_job *job, uint64_t index)
{
    const struct sim_scenario *sc = job->w->sc;
    double item_s = job->index > 0 && sc->small_item_s > 0 ? sc->small_item_s : sc->item_s;
    double u = sim_unit(sim_hash(sc->seed, job->index, index * 2));
    double v = sim_unit(sim_hash(sc->seed, job->index, index * 2 + 1));
    switch (sc->spread) {
    case SPREAD_CONSTANT: return item_s;
    case SPREAD_UNIFORM: return item_s * 2 * u;
    case SPREAD_EXPONENTIAL: return -item_s * log(1 - u);
    case SPREAD_LOGNORMAL:
        return item_s * exp(sc->sigma * sqrt(-2 * log(1 - u)) * cos(2 * M_PI * v) - sc->sigma * sc->sigma / 2);
    }
    return item_s;
}

unsigned task_of(const struct sim_job *job)
{
    unsigned tasks = job->w->sc->tasks;
    return tasks > 0 ? job->index % tasks : 0;
}

void write_task_name(unsigned task, char name[8])
{
    snprintf(name, 8, "t%u", task % 1000);
}

/* A worker that comes back may have other tasks than before. Behind a balancer, all workers have the same tasks. */
bool worker_has(const struct sim_world *w, const struct sim_worker *worker, unsigned task)
{
    if (w->sc->lacking <= 0 || w->sc->balancer) return true;
    return sim_unit(sim_hash(w->sc->seed, 500 + task, worker->index + 1000u * worker->generation)) >= w->sc->lacking;
}

static bool is_poison(const struct sim_job *job, uint64_t index)
{
    for (unsigned i = 0; i < job->poison_n; i++)
        if (job->poison[i] == index) return true;
    return false;
}

void call_unref(struct sim_call *call)
{
    if (--call->refs > 0) return;
    free(call->results);
    free(call->items);
    free(call);
}

uint64_t call_item(const struct sim_call *call, uint32_t i)
{
    return call->items ? call->items[i] : call->base + i;
}

void call_at(struct sim_world *w, double delay_s, enum sim_event_kind kind, struct sim_call *call, uint32_t a)
{
    call->refs++;
    sim_at(w, delay_s, kind, call, a, call->generation);
}

double network_latency(const struct sim_world *w)
{
    return w->sc->latency_s;
}

static struct sim_worker *worker_behind_balancer(struct sim_world *w)
{
    for (unsigned i = 0; i < 4 * w->workers_n; i++) {
        struct sim_worker *worker = &w->workers[random_below(&w->random, w->workers_n)];
        if (worker->joined && worker->up) return worker;
    }
    return &w->workers[0];
}

void call_new(struct sim_world *w, struct sched_attempt *a)
{
    struct sim_call *call = xcalloc(1, sizeof *call);
    struct sim_payload *payload = a->chunk->payload;
    call->attempt = a;
    call->job = sched_job_owner(a->chunk->job);
    call->worker = w->balancer ? worker_behind_balancer(w) : sched_endpoint_owner(a->endpoint);
    call->from = a->from;
    call->n = a->to - a->from;
    call->base = payload->items ? payload->items[a->from] : payload->first + a->from;
    if (payload->items) {
        call->items = xcalloc(call->n, sizeof *call->items);
        memcpy(call->items, payload->items + a->from, call->n * sizeof *call->items);
    }
    call->refs = 1; /* the reference of the shell */
    call->cut_at = UINT32_MAX;
    call->job->calls++;
    a->call = call;
    call->all_next = w->calls;
    if (w->calls) w->calls->all_prev = call;
    w->calls = call;
    call_at(w, w->turn_s + network_latency(w), EV_ARRIVE, call, 0);
}

void call_forget(struct sim_world *w, struct sim_call *call)
{
    call->attempt = NULL;
    call->job->calls--;
    if (call->all_prev)
        call->all_prev->all_next = call->all_next;
    else
        w->calls = call->all_next;
    if (call->all_next) call->all_next->all_prev = call->all_prev;
    call_unref(call);
}

void call_unlink(struct sim_call *call)
{
    struct sim_worker *worker = call->worker;
    if (!call->accepted || call->ended) return;
    call->ended = true;
    worker->calls_n--;
    worker->held[task_of(call->job)]--;
    if (call->next == call) {
        worker->calls = NULL;
    } else {
        call->prev->next = call->next;
        call->next->prev = call->prev;
        if (worker->calls == call) worker->calls = call->next;
    }
    call_unref(call);
}

/* Ends the call on the worker. The bytes that the worker has already sent still arrive before the end. */
void call_end(struct sim_world *w, struct sim_call *call, enum sched_end how)
{
    /* call_at() must be called first, because call_unlink() may drop the last reference. */
    call_at(w, network_latency(w), EV_END, call, (uint32_t)how);
    call_unlink(call);
    call->ended = true;
}

void call_flush(struct sim_world *w, struct sim_call *call)
{
    if (call->flushing || call->ended) return;
    call->flushing = true;
    call_at(w, 0.0002, EV_FLUSH, call, 0);
}

static double start_seconds(struct sim_world *w, struct sim_worker *worker, struct sim_call *call, uint64_t index)
{
    double seconds = item_seconds(call->job, index) * worker->slowness;
    if (index == call->base) seconds += w->sc->wake_s;
    w->result.done_s += seconds;
    call->cost_s += seconds;
    call->cost_items++;
    if (chance(w, worker->faults->straggle)) seconds *= worker->faults->straggle_times;
    return seconds;
}

static bool loads(const struct sim_world *w, const struct sim_worker *worker)
{
    return w->sc->load_s > 0 && (double)w->now_ns / 1e9 < worker->loaded_s;
}

/* Begins to load the processes at the first chunk. Until the processes have loaded, the worker reports that they are
 * loading, as often as a real worker does. */
static void load(struct sim_world *w, struct sim_call *call)
{
    struct sim_worker *worker = call->worker;
    if (w->sc->load_s <= 0) return;
    if (worker->loaded_s == 0) {
        worker->loaded_s = (double)w->now_ns / 1e9 + w->sc->load_s;
        sim_at(w, w->sc->load_s, EV_LOADED, worker, 0, worker->generation);
    }
    call_at(w, 0, EV_TELL, call, 0);
}

static void tell(struct sim_world *w, struct sim_call *call)
{
    struct sim_worker *worker = call->worker;
    if (call->ended || call->generation != worker->generation || !worker->up || !loads(w, worker)) return;
    if (!worker->frozen) call_at(w, network_latency(w), EV_STARTING, call, 0);
    call_at(w, 0.2, EV_TELL, call, 0);
}

static bool has_free_slot(const struct sim_world *w, const struct sim_worker *worker)
{
    for (unsigned i = 0; i == 0 || i < w->sc->tasks; i++)
        if (worker->busy_slots[i] < w->sc->slots) return true;
    return false;
}

/* Starts items in the free slots, one item of each call in turn. */
void worker_fill_slots(struct sim_world *w, struct sim_worker *worker)
{
    unsigned in_vain = 0;
    if (loads(w, worker)) return;
    while (worker->up && !worker->frozen && worker->calls && in_vain < worker->calls_n && has_free_slot(w, worker)) {
        struct sim_call *call = worker->calls;
        unsigned *busy_slots = &worker->busy_slots[task_of(call->job)];
        worker->calls = call->next;
        if (*busy_slots >= w->sc->slots || call->started >= call->n || call->swallowed || worker->draining) {
            in_vain++;
            continue;
        }
        in_vain = 0;
        uint64_t index = call_item(call, call->started);
        ++*busy_slots;
        if (call->job->starts && call->job->starts[index] < 255) call->job->starts[index]++;
        if (call->job->poison_n > 0 && is_poison(call->job, index))
            sim_at(w, 0.0001, EV_DIE, worker, 1, worker->generation);
        call_at(w, start_seconds(w, worker, call, index), EV_ITEM, call, call->started++);
    }
}

/* A worker holds at most chunk_limit chunks of each task. */
static bool is_full(const struct sim_world *w, const struct sim_worker *worker, unsigned task)
{
    bool others = task == 0 && (double)w->now_ns / 1e9 < w->sc->others_s;
    return others || worker->held[task] >= w->sc->chunk_limit;
}

/* The loop of the worker reads one chunk after another. If the loop has not read this chunk yet, schedules a second
 * EV_ARRIVE for the time when it will have read the chunk, and returns true. */
static bool loop_is_busy(struct sim_world *w, struct sim_call *call)
{
    struct sim_worker *worker = call->worker;
    double now_s = (double)w->now_ns / 1e9;
    if (w->sc->chunk_cost_s <= 0 || call->arrived) return false;
    call->arrived = true;
    worker->loop_free_s = fmax(worker->loop_free_s, now_s) + w->sc->chunk_cost_s;
    call_at(w, worker->loop_free_s - now_s, EV_ARRIVE, call, 0);
    return true;
}

static void arrive(struct sim_world *w, struct sim_call *call)
{
    struct sim_worker *worker = call->worker;
    const struct sim_faults *f = worker->faults;
    if (loop_is_busy(w, call)) return;
    call->generation = worker->generation;
    if (worker->up && worker->frozen) { /* the kernel accepts the connection; the worker reads the request later */
        call_at(w, 0.02, EV_ARRIVE, call, 0);
        return;
    }
    if (worker->up && chance(w, f->swallow)) {
        call_at(w, w->sc->silence_s, EV_END, call, SCHED_END_SILENT);
        return;
    }
    w->result.requests += worker->up ? 1 : 0;
    enum sched_end how = SCHED_END_COUNT;
    if (!worker->up || !worker->joined)
        how = SCHED_END_NOT_CONNECTED;
    else if (!worker_has(w, worker, task_of(call->job)))
        how = SCHED_END_TASK_UNKNOWN;
    else if (worker->draining || chance(w, f->unavailable))
        how = SCHED_END_UNAVAILABLE;
    else if (is_full(w, worker, task_of(call->job)))
        how = SCHED_END_BUSY;
    else if (chance(w, f->server_error))
        how = SCHED_END_BAD_STATUS;
    if (how != SCHED_END_COUNT) {
        call_at(w, network_latency(w), EV_END, call, (uint32_t)how);
        return;
    }
    call->accepted = true;
    call->refs++;
    call->results = xcalloc(call->n, 1);
    if (!worker->calls) {
        worker->calls = call->prev = call->next = call;
    } else {
        call->next = worker->calls;
        call->prev = worker->calls->prev;
        call->prev->next = call->next->prev = call;
    }
    worker->calls_n++;
    worker->held[task_of(call->job)]++;
    if (chance(w, f->truncate) || chance(w, f->wrong_count)) {
        call->cut_at = random_below(&w->random, call->n);
        call->cut_how = f->truncate > 0 ? SCHED_END_LOST : SCHED_END_COMPLETE;
    }
    if (w->sc->tell_slots) call_at(w, network_latency(w), EV_HEAD, call, 0);
    load(w, call);
    worker_fill_slots(w, worker);
}

static enum sim_answer answer_of(struct sim_world *w, const struct sim_call *call, uint64_t index)
{
    const struct sim_faults *f = call->worker->faults;
    if (f->item_error > 0 && sim_unit(sim_hash(w->sc->seed, 77 + call->job->index, index)) < f->item_error)
        return ANSWER_TASK_ERROR;
    return chance(w, f->item_crash) ? ANSWER_CRASHED : ANSWER_RIGHT;
}

static void item_done(struct sim_world *w, struct sim_call *call, uint32_t i)
{
    struct sim_worker *worker = call->worker;
    if (worker->generation != call->generation || !worker->up) return;
    if (worker->frozen) { /* a frozen worker finishes the item after it continues */
        call_at(w, 0.05, EV_ITEM, call, i);
        return;
    }
    worker->busy_slots[task_of(call->job)]--;
    if (!call->ended) {
        worker->items_done++;
        call->results[i] = (uint8_t)answer_of(w, call, call_item(call, i));
        uint32_t had = call->prefix;
        while (call->prefix < call->n && call->results[call->prefix] != ANSWER_NONE) call->prefix++;
        if (call->prefix > had || worker->draining) call_flush(w, call);
    }
    worker_fill_slots(w, worker);
}

static void flush_now(struct sim_world *w, struct sim_call *call)
{
    call->flushing = false;
    if (call->ended || call->worker->generation != call->generation) return;
    uint32_t upto = call->prefix < call->cut_at ? call->prefix : call->cut_at;
    if (upto > call->sent) call_at(w, network_latency(w), EV_DELIVER, call, upto);
    call->sent = upto;
    if (call->prefix >= call->cut_at)
        call_end(w, call, call->cut_how);
    else if (call->sent == call->n)
        call_end(w, call, SCHED_END_COMPLETE);
    else if (call->worker->draining && call->prefix == call->started)
        call_end(w, call, SCHED_END_DRAINING);
}

/* The client has closed the connection, so the worker starts no more items of the call. Items that already run keep
 * their slots until they end. */
static void hung_up(struct sim_world *w, struct sim_call *call)
{
    struct sim_worker *worker = call->worker;
    if (!call->accepted || call->ended || worker->generation != call->generation) return;
    call_unlink(call);
    worker_fill_slots(w, worker);
}

void call_hang_up(struct sim_world *w, struct sim_call *call)
{
    call_at(w, network_latency(w), EV_HANGUP, call, 0);
}

void workers_event(struct sim_world *w, const struct sim_event *ev)
{
    struct sim_call *call = ev->what;
    switch (ev->kind) {
    case EV_ARRIVE: arrive(w, call); break;
    case EV_ITEM: item_done(w, call, ev->a); break;
    case EV_FLUSH: flush_now(w, call); break;
    case EV_TELL: tell(w, call); break;
    case EV_HANGUP: hung_up(w, call); break;
    default: worker_event(w, ev); return;
    }
    call_unref(call);
}
