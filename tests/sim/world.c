#include <stdarg.h>
#include <math.h>
#include <time.h>

#include "sim/world.h"

/* The clock, the events, the random numbers, and a run from its first event to its last. */
static bool before(const struct sim_event *a, const struct sim_event *b)
{
    return a->at_ns < b->at_ns || (a->at_ns == b->at_ns && a->sequence < b->sequence);
}

void sim_at(struct sim_world *w, double delay_s, enum sim_event_kind kind, void *what, uint32_t a, uint32_t b)
{
    if (w->events_n == w->events_alloc) {
        w->events_alloc = w->events_alloc ? 2 * w->events_alloc : 1024;
        w->events = xrealloc(w->events, w->events_alloc * sizeof *w->events);
    }
    struct sim_event ev = {w->now_ns + (uint64_t)(fmax(delay_s, 0) * 1e9), w->sequence++, kind, a, b, what};
    size_t i = w->events_n++;
    for (; i > 0 && before(&ev, &w->events[(i - 1) / 2]); i = (i - 1) / 2) w->events[i] = w->events[(i - 1) / 2];
    w->events[i] = ev;
}

void sim_spend(struct sim_world *w, double seconds)
{
    w->turn_s += seconds;
}

static struct sim_event next_event(struct sim_world *w)
{
    struct sim_event top = w->events[0];
    struct sim_event last = w->events[--w->events_n];
    size_t i = 0;
    for (;;) {
        size_t child = 2 * i + 1;
        if (child >= w->events_n) break;
        if (child + 1 < w->events_n && before(&w->events[child + 1], &w->events[child])) child++;
        if (!before(&w->events[child], &last)) break;
        w->events[i] = w->events[child];
        i = child;
    }
    if (w->events_n > 0) w->events[i] = last;
    return top;
}

uint64_t sim_hash(uint64_t a, uint64_t b, uint64_t c)
{
    struct random_source r = {a * UINT64_C(0x2545f4914f6cdd1d) ^ b * UINT64_C(0x9e3779b97f4a7c15) ^ c};
    (void)random_u64(&r);
    return random_u64(&r);
}

double sim_unit(uint64_t hash)
{
    return (double)(hash >> 11) * 0x1p-53;
}

void sim_broken(struct sim_world *w, const char *fmt, ...)
{
    if (w->stop) return;
    w->stop = true;
    w->result.ok = false;
    va_list args;
    va_start(args, fmt);
    vsnprintf(w->result.why, sizeof w->result.why, fmt, args);
    va_end(args);
}

void sim_trace(struct sim_world *w, const char *fmt, ...)
{
    if (!w->sc->verbose) return;
    printf("%12.6f ", (double)w->now_ns / 1e9);
    va_list args;
    va_start(args, fmt);
    vprintf(fmt, args);
    va_end(args);
    putchar('\n');
}

static double cpu_seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* A run of the scheduler may leave work for the next run. Returns the time of the next run. Events before this time are
 * handled first. */
static uint64_t next_run_ns(const struct sim_world *w)
{
    uint64_t most_ns = (uint64_t)(w->sc->next_run_s * 1e9);
    return w->now_ns + (most_ns > 0 ? sim_hash(w->sc->seed, w->now_ns, w->result.events) % most_ns : 0);
}

static void run_scheduler(struct sim_world *w)
{
    w->in_run = true;
    w->run_sends = 0;
    double cpu = w->sc->check_items ? 0 : cpu_seconds();
    uint64_t next = scheduler_run(w->s, w->now_ns);
    if (!w->sc->check_items) w->result.scheduler_cpu_s += cpu_seconds() - cpu;
    w->in_run = false;
    if (next <= w->now_ns && ++w->spins > 1000)
        sim_broken(w, "the scheduler asks again and again to run at the present time");
    if (next <= w->now_ns) next = next_run_ns(w);
    if (next != SCHED_NEVER && (next < w->wake_ns || w->wake_ns <= w->now_ns)) {
        w->wake_ns = next > w->now_ns ? next : w->now_ns;
        sim_at(w, (double)(w->wake_ns - w->now_ns) / 1e9 + 1e-9, EV_WAKE, NULL, 0, 0);
    }
}

static bool is_shells(enum sim_event_kind kind)
{
    return kind == EV_HEAD || kind == EV_DELIVER || kind == EV_STARTING || kind == EV_END || kind == EV_JOB ||
           kind == EV_OFFER || kind == EV_CANCEL || kind == EV_PROBED;
}

/* Takes the next event that is due now and that is for the coordinator. Returns false if there is no such event. */
static bool shells_event_now(struct sim_world *w, struct sim_event *ev)
{
    if (w->stop || w->events_n == 0 || w->events[0].at_ns > w->now_ns) return false;
    if (w->events[0].kind != EV_WAKE && !is_shells(w->events[0].kind)) return false;
    *ev = next_event(w);
    return true;
}

/* Reports the cost of a chunk to the scheduler, as the mean of several chunks. */
static void tell_chunk_cost(struct sim_world *w)
{
    if (!w->sc->tell_costs || w->costed_chunks < 32) return;
    sched_set_chunk_cost(w->s, (uint64_t)(w->busy_s / (double)w->costed_chunks * 1e9));
    w->busy_s = 0;
    w->costed_chunks = 0;
}

/* Runs one turn of the coordinator's loop: first all events that are due, then the scheduler. */
static void turn(struct sim_world *w, struct sim_event ev)
{
    w->turn_s = 0;
    sim_spend(w, w->sc->turn_cost_s);
    do {
        w->result.events++;
        w->result.trace = sim_hash(w->result.trace, ev.at_ns, ev.kind);
        if (ev.kind == EV_DELIVER || ev.kind == EV_END) sim_spend(w, w->sc->answer_cost_s);
        w->costed_chunks += ev.kind == EV_END;
        shell_event(w, &ev);
    } while (shells_event_now(w, &ev));
    run_scheduler(w);
    w->busy_s += w->turn_s;
    w->result.coordinator_s += w->turn_s;
    w->free_ns = w->now_ns + (uint64_t)(w->turn_s * 1e9);
    w->turn_s = 0;
    tell_chunk_cost(w);
    sim_check_step(w);
}

static void step(struct sim_world *w)
{
    struct sim_event ev = next_event(w);
    if (ev.at_ns > w->now_ns) w->spins = 0;
    w->now_ns = ev.at_ns;
    bool is_coordinators = ev.kind == EV_WAKE || is_shells(ev.kind);
    if (is_coordinators && w->now_ns < w->free_ns) {
        sim_at(w, (double)(w->free_ns - w->now_ns) / 1e9, ev.kind, ev.what, ev.a, ev.b);
    } else if (is_coordinators) {
        turn(w, ev);
    } else {
        w->result.events++;
        w->result.trace = sim_hash(w->result.trace, ev.at_ns, ev.kind);
        workers_event(w, &ev);
        if (ev.kind == EV_JOIN || ev.kind == EV_BACK) run_scheduler(w);
    }
}

static void clean_up(struct sim_world *w)
{
    while (w->events_n > 0) {
        struct sim_event ev = next_event(w);
        bool is_call = ev.kind <= EV_HANGUP || ev.kind == EV_TELL || ev.kind == EV_STARTING;
        if (is_call) call_unref(ev.what);
    }
    workers_free(w);
    free(w->events);
}

struct sim_result sim_run(const struct sim_scenario *scenario)
{
    struct sim_world world = {.sc = scenario, .random = {sim_hash(scenario->seed, 1, 2)}, .now_ns = NS_PER_S};
    struct sim_world *w = &world;
    w->result.ok = true;
    struct scheduler_config config;
    scheduler_config_init(&config);
    config.seed = sim_hash(scenario->seed, 3, 4);
    config.worker_wait_ns = (uint64_t)(scenario->worker_wait_s * 1e9);
    config.max_ops_per_run = scenario->most_ops;
    struct scheduler_ops ops;
    shell_ops(&ops);
    if (!scenario->can_probe) ops.probe = NULL;
    w->s = scheduler_new(&config, &ops, w);
    if (scenario->balancer) w->balancer = sched_endpoint_add(w->s, NULL, true, 0, w->now_ns);
    workers_init(w);
    shell_start_jobs(w);
    uint64_t horizon = w->now_ns + (uint64_t)(scenario->horizon_s * 1e9);
    while (!w->stop && w->events_n > 0 && w->jobs_running > 0 && w->now_ns < horizon) step(w);
    if (!w->stop) sim_check_end(w);
    scheduler_free(w->s);
    clean_up(w);
    shell_free_jobs(w);
    return w->result;
}
