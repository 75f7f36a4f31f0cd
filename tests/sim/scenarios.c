#include <math.h>

#include "sim/world.h"

static double between(struct random_source *r, double low, double high)
{
    return low * pow(high / low, random_unit(r));
}

static bool maybe(struct random_source *r, double p)
{
    return random_unit(r) < p;
}

static void random_faults(struct random_source *r, struct sim_scenario *sc)
{
    struct sim_faults *f = &sc->faults;
    f->down_s = between(r, 0.05, 3);
    f->straggle_times = 10;
    f->item_error = maybe(r, 0.3) ? 0.4 * random_unit(r) * random_unit(r) : 0;
    f->item_crash = maybe(r, 0.3) ? 0.1 * random_unit(r) : 0;
    f->straggle = maybe(r, 0.4) ? 0.05 : 0;
    f->truncate = maybe(r, 0.2) ? 0.2 * random_unit(r) : 0;
    f->wrong_count = maybe(r, 0.1) ? 0.1 * random_unit(r) : 0;
    f->server_error = maybe(r, 0.2) ? 0.3 * random_unit(r) : 0;
    f->unavailable = maybe(r, 0.2) ? 0.3 * random_unit(r) : 0;
    f->swallow = maybe(r, 0.1) ? 0.02 : 0;
    f->die_per_s = maybe(r, 0.4) ? between(r, 0.02, 2) : 0;
    f->drain_per_s = maybe(r, 0.3) ? between(r, 0.02, 1) : 0;
    f->freeze_per_s = maybe(r, 0.2) ? between(r, 0.02, 0.5) : 0;
    f->cut_per_s = maybe(r, 0.2) ? between(r, 0.02, 0.5) : 0;
    if (maybe(r, 0.1)) /* the faulty workers answer every chunk with 500, or every chunk with 503 */
        *(maybe(r, 0.5) ? &f->server_error : &f->unavailable) = 1;
    sc->faulty = maybe(r, 0.5) ? 1 + random_below(r, sc->workers) : 0;
}

static void random_job(struct random_source *r, struct sim_scenario *sc)
{
    struct sched_job_params *p = &sc->params;
    sched_job_params_init(p);
    p->chunk_size = maybe(r, 0.2) ? 1 + random_below(r, 64) : 0;
    p->max_concurrency = maybe(r, 0.15) ? 1 + random_below(r, 32) : 0;
    p->max_chunk_bytes = maybe(r, 0.1) ? SIM_ITEM_BYTES * (1 + random_below(r, 100)) : 0;
    p->retry.max_attempts = 1 + random_below(r, 5);
    p->retry.interval_s = between(r, 0.001, 0.5);
    p->retry.max_delay_s = between(r, 0.01, 5);
    p->retry.full_jitter = maybe(r, 0.9);
    if (sc->seed % 4 == 1) p->retry.on |= SCHED_RETRY_ON(ITEM_TASK_ERROR);
    p->hedge_enabled = maybe(r, 0.7);
    p->hedge_max_extra_percent = random_unit(r) * 20;
    p->idempotent = maybe(r, 0.85);
    p->deadline_ns = maybe(r, 0.1) ? (uint64_t)(between(r, 0.01, 5) * 1e9) : SCHED_NEVER;
    if (maybe(r, 0.15)) p->tolerated_failure_count = random_below(r, 5);
    if (maybe(r, 0.15)) p->tolerated_failure_percentage = random_unit(r) * 10;
    sc->items = (uint64_t)between(r, 1, 3000);
    sc->spread = (enum sim_spread)random_below(r, 4);
    sc->item_s = between(r, 1e-5, 0.2);
    sc->sigma = 1;
    sc->poison = maybe(r, 0.15) ? 1 + random_below(r, 3) : 0;
    sc->cancel_s = maybe(r, 0.1) ? between(r, 0.001, 3) : 0;
    sc->offer_s = maybe(r, 0.2) ? between(r, 0.001, 1) : 0;
}

struct sim_scenario sim_random_scenario(uint64_t seed)
{
    struct random_source random = {sim_hash(seed, 5, 6)}, *r = &random;
    struct sim_scenario sc = {.name = "random", .seed = seed, .check_items = true, .horizon_s = 36000};
    sc.workers = 1 + random_below(r, maybe(r, 0.1) ? 100 : 12);
    sc.slots = 1 + random_below(r, maybe(r, 0.2) ? 64 : 8);
    sc.chunk_limit = maybe(r, 0.3) ? 1 + random_below(r, 8) : 64;
    sc.balancer = maybe(r, 0.25);
    sc.tell_slots = maybe(r, 0.8);
    sc.can_probe = maybe(r, 0.5);
    sc.lying_probes = maybe(r, 0.3);
    sc.forget_dead = maybe(r, 0.3);
    sc.latency_s = between(r, 2e-5, 0.05);
    sc.silence_s = between(r, 0.5, 10);
    /* Some members are computed from the seed and not drawn, because one more draw would change all later draws. */
    if (sc.seed % 3 == 0) {
        sc.turn_cost_s = 5e-6;
        sc.send_cost_s = 20e-6;
        sc.answer_cost_s = 10e-6;
        sc.chunk_cost_s = 50e-6;
    }
    sc.load_s = sc.seed % 7 == 3 ? 3 : 0;
    sc.tell_costs = sc.seed % 2 == 0;
    sc.most_ops = sc.seed % 11 < 4 ? 1 + (unsigned)(sc.seed % 11) : 0;
    sc.most_sends = sc.seed % 13 < 3 ? 1 + (unsigned)(sc.seed % 13) : 0;
    sc.next_run_s = sc.seed % 17 < 5 ? 0.002 : 0;
    sc.tasks = sc.seed % 5 < 2 ? 1 + (unsigned)(sc.seed % 3) : 0;
    sc.lacking = sc.seed % 5 == 0 ? 0.4 : 0;
    sc.tell_tasks = sc.seed % 10 == 0;
    sc.worker_wait_s = maybe(r, 0.2) ? between(r, 0.1, 5) : 60;
    sc.speed_spread = maybe(r, 0.5) ? 0.5 * random_unit(r) : 0;
    sc.slow_share = maybe(r, 0.2) ? 0.3 : 0;
    sc.slow_times = 20;
    sc.first_worker_s = maybe(r, 0.15) ? between(r, 0.01, 10) : 0;
    sc.workers_later = maybe(r, 0.2) ? random_below(r, 5) : 0;
    sc.join_s = between(r, 0.01, 1);
    if (maybe(r, 0.8)) random_faults(r, &sc);
    random_job(r, &sc);
    if (sc.seed % 23 < 3) sc.params.max_rate = (double)sc.items / (1 + (double)(sc.seed % 41)); /* takes 1 s to 41 s */
    if (sc.seed % 19 < 4) sc.params.hedge_max_extra_percent = 100;
    sc.jobs = maybe(r, 0.3) ? 1 + random_below(r, 5) : 1;
    sc.small_items = 1 + random_below(r, 30);
    sc.small_job_s = between(r, 0.0001, 0.5);
    sc.run = maybe(r, 0.25) ? 1 + random_below(r, 200) : 0;
    return sc;
}
