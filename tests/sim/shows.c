#include <math.h>

#include "sim/shows.h"

#define SEEDS_LARGE 3 /* number of seeds for a scenario whose result depends on chance */

/* The large scenarios. Each scenario prints the measured figures and the required figures. */
static unsigned missed; /* number of missed figures and of runs with a broken invariant */

struct sim_scenario show_fleet(const char *name, unsigned workers, unsigned slots, uint64_t items, double item_s)
{
    struct sim_scenario sc = {
        .name = name,
        .seed = 1,
        .workers = workers,
        .slots = slots,
        .items = items,
        .item_s = item_s,
        .spread = SPREAD_LOGNORMAL,
        .sigma = 1,
        .chunk_limit = 64,
        .tell_slots = true,
        .can_probe = true,
        .latency_s = 0.0005,
        .silence_s = 30,
        .worker_wait_s = 60,
        .turn_cost_s = 2e-6,
        .send_cost_s = 14e-6,
        .answer_cost_s = 7e-6,
        .chunk_cost_s = 30e-6,
        .tell_costs = true,
        .jobs = 1,
        .horizon_s = 36000,
    };
    sched_job_params_init(&sc.params);
    return sc;
}

struct sim_result show_run(const struct sim_scenario *sc)
{
    struct sim_result r = sim_run(sc);
    if (!r.ok) printf("%s: seed %llu BROKEN: %s\n", sc->name, (unsigned long long)sc->seed, r.why);
    missed += !r.ok;
    return r;
}

void show_judge(const char *name, const char *what, double is, double limit, bool at_most)
{
    bool ok = at_most ? is <= limit : is >= limit;
    printf("%-12s %-50s %9.4g  (%s %g) %s\n", name, what, is, at_most ? "at most" : "at least", limit,
           ok ? "ok" : "MISSED");
    missed += !ok;
}

static void makespan(void)
{
    struct sim_scenario sc = show_fleet("makespan", 1000, 8, 1000000, 0.2);
    struct sim_result r = show_run(&sc);
    show_judge(sc.name, "makespan / ideal, 1000 x 8, 1e6 log-normal", r.makespan_s / r.ideal_s, 1.03, true);
}

static void short_items(void)
{
    struct sim_scenario sc = show_fleet("short", 100, 8, 1000000, 0.005);
    struct sim_result r = show_run(&sc);
    show_judge(sc.name, "makespan / ideal, 100 x 8, 5 ms log-normal", r.makespan_s / r.ideal_s, 1.03, true);
}

static void stragglers(void)
{
    double ratio = 0, better = 0, hedged = 0, extra = 0;
    for (uint64_t seed = 1; seed <= SEEDS_LARGE; seed++) {
        struct sim_scenario sc = show_fleet("stragglers", 1000, 8, 1000000, 0.2);
        sc.seed = seed;
        sc.faults.straggle = 0.01;
        sc.faults.straggle_times = 10;
        struct sim_result on = show_run(&sc);
        sc.params.hedge_enabled = false;
        struct sim_result off = show_run(&sc);
        if (!on.ok || !off.ok) return;
        /* The ideal time includes the work of the stragglers, but is computed as if the longest item were not a
         * straggler. */
        ratio = fmax(ratio, on.makespan_s / (on.ideal_s + on.work_s * 0.09 / 8000));
        better += off.makespan_s / on.makespan_s / SEEDS_LARGE;
        hedged = fmax(hedged, 100.0 * (double)on.counts.hedged / 1e6);
        extra = fmax(extra, 100 * (on.done_s / on.work_s - 1));
    }
    const char *name = "stragglers";
    show_judge(name, "1 % of runs are 10 times as long, hedged: worst makespan / ideal", ratio, 1.1, true);
    show_judge(name, "hedging off / hedging on, mean", better, 1.5, false);
    show_judge(name, "items sent twice, at most, %", hedged, 5, true);
    show_judge(name, "extra work, at most, %", extra, 5, true);
}

static void straggling_tail(void)
{
    struct sim_scenario sc = show_fleet("tail", 1000, 8, 40000, 0.2);
    sc.sigma = 0.25;
    sc.faults.straggle = 0.01;
    sc.faults.straggle_times = 10;
    struct sim_result on = show_run(&sc);
    sc.params.hedge_enabled = false;
    struct sim_result off = show_run(&sc);
    show_judge(sc.name, "short job, hedging off / hedging on", off.makespan_s / on.makespan_s, 1.4, false);
    show_judge(sc.name, "items sent twice, %", 100.0 * (double)on.counts.hedged / 40000, 5, true);
}

static void slow_workers(void)
{
    struct sim_scenario sc = show_fleet("slow 1 %", 1000, 8, 1000000, 0.2);
    sc.slow_share = 0.01;
    sc.slow_times = 10;
    struct sim_result r = show_run(&sc);
    show_judge(sc.name, "1 % of workers x 10 slower: makespan / ideal", r.makespan_s / r.ideal_s, 1.1, true);
    show_judge(sc.name, "items sent twice, %", 100.0 * (double)r.counts.hedged / 1e6, 5, true);
}

static void deaths(void)
{
    struct sim_scenario sc = show_fleet("deaths", 1000, 8, 1000000, 0.2);
    sc.faults.die_per_s = 0.001;
    sc.faults.down_s = 5;
    struct sim_result r = show_run(&sc);
    show_judge(sc.name, "workers dying at 1 per s: makespan / ideal", r.makespan_s / r.ideal_s, 1.15, true);
    show_judge(sc.name, "items lost", (double)(1000000 - r.counts.succeeded), 0, true);
}

static void one_slow(void)
{
    struct sim_scenario sc = show_fleet("one slow", 7, 8, 20000, 0.01);
    struct sim_result without = show_run(&sc);
    sc.workers = 8;
    sc.slow_share = 0.125;
    sc.slow_times = 20;
    struct sim_result r = show_run(&sc);
    show_judge(sc.name, "one of 8 is 20 times slower / without it", r.makespan_s / without.makespan_s, 1.25, true);
}

static void black_hole(void)
{
    struct sim_scenario sc = show_fleet("black hole", 7, 8, 20000, 0.01);
    struct sim_result without = show_run(&sc);
    sc.workers = 8;
    sc.faulty = 1;
    sc.faults.server_error = 1;
    struct sim_result r = show_run(&sc);
    show_judge(sc.name, "one of 8 answers 500 / without it", r.makespan_s / without.makespan_s, 1.1, true);
    show_judge(sc.name, "items failed", (double)r.counts.failed, 0, true);
}

/* Workers are killed (or stopped) at random, on average one every 200 ms. */
static void kills(const char *name, double die_per_s, double freeze_per_s)
{
    double failed = 0, worst = 0;
    for (uint64_t seed = 1; seed <= 100; seed++) {
        struct sim_scenario sc = show_fleet(name, 4, 4, 20000, 0.005);
        sc.seed = seed;
        sc.spread = SPREAD_CONSTANT;
        sc.check_items = true;
        sc.faults.die_per_s = die_per_s;
        sc.faults.freeze_per_s = freeze_per_s;
        sc.faults.down_s = 0.1;
        struct sim_result r = show_run(&sc);
        failed += (double)r.counts.failed;
        worst = fmax(worst, r.makespan_s / r.ideal_s);
    }
    show_judge(name, "every 200 ms, 100 runs: items failed", failed, 0, true);
    show_judge(name, "worst makespan / ideal", worst, 1.7, true);
}

static void kill_9(void)
{
    kills("kill", 1.25, 0);
}

static void stop(void)
{
    kills("stop", 0, 1.25);
}

static void poison(void)
{
    unsigned wrong = 0;
    double most = 0, worst = 0;
    for (uint64_t seed = 1; seed <= 200; seed++) {
        struct sim_scenario sc = show_fleet("poison", 4, 4, 10000, 0.002);
        sc.seed = seed;
        sc.poison = 3;
        sc.check_items = true;
        sc.faults.down_s = 0.1;
        struct sim_result r = show_run(&sc);
        wrong += !r.ok || r.counts.failed != 3 || r.counts.succeeded != 9997;
        most = fmax(most, r.poison_attempts - log2(r.largest_chunk));
        worst = fmax(worst, r.makespan_s / r.ideal_s);
    }
    show_judge("poison", "of 200 runs: not exactly the 3 items failed", wrong, 0, true);
    show_judge("poison", "attempts of a poison item - log2(chunk)", most, 3, true);
    show_judge("poison", "worst makespan / ideal", worst, 4.5, true);
}

static void small_beside_big(void)
{
    struct sim_scenario sc = show_fleet("small job", 8, 8, 10, 0.01);
    sc.spread = SPREAD_CONSTANT;
    struct sim_result alone = show_run(&sc);
    sc.items = 1000000;
    sc.jobs = 2;
    sc.small_items = 10;
    sc.small_job_s = 5;
    struct sim_result r = show_run(&sc);
    show_judge(sc.name, "10 items beside 1e6 of 10 ms / alone", r.small_job_s / alone.makespan_s, 3, true);
}

/* Three jobs of one task have 50 short items each, while the workers also run 18 items of 8 s of another task. Returns
 * the longest time of such a short job in 20 runs. */
static double short_beside_long(double others_s)
{
    double worst_s = 0;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct sim_scenario sc = show_fleet("two tasks", 3, 2, 18, 8);
        sc.seed = seed;
        sc.spread = SPREAD_CONSTANT;
        sc.tasks = 2;
        sc.jobs = 6; /* the first job has the long items; every second job is of the other task */
        sc.small_items = 50;
        sc.small_item_s = 0.0005;
        sc.small_job_s = 1 + 0.37 * (double)seed;
        sc.others_s = others_s;
        worst_s = fmax(worst_s, show_run(&sc).second_task_s);
    }
    return worst_s;
}

static void two_tasks(void)
{
    show_judge("two tasks", "50 of 0.5 ms beside 18 of 8 s of another task, s", short_beside_long(0), 0.03, true);
    show_judge("two tasks", "the same, workers answer 429 to the other task, s", short_beside_long(30), 0.03, true);
}

static void storm(void)
{
    struct sim_scenario sc = show_fleet("storm", 8, 8, 100000, 0.01);
    sc.faults.unavailable = 1;
    struct sim_result r = show_run(&sc);
    show_judge(sc.name, "all answer 503: requests / (1.2 first + 3)",
               (double)r.requests / (1.2 * (double)r.stats.attempts_first + 3), 1, true);
    sc.lying_probes = true;
    r = show_run(&sc);
    show_judge(sc.name, "the same, but /readyz answers 200, a trial each 30 s",
               ((double)r.requests - 2) / (1.2 * (double)r.stats.attempts_first + 3), 1, true);
    sc.can_probe = false;
    r = show_run(&sc);
    show_judge(sc.name, "the same without probes, a trial each 30 s",
               ((double)r.requests - 2) / (1.2 * (double)r.stats.attempts_first + 3), 1, true);
}

static void from_zero(void)
{
    struct sim_scenario sc = show_fleet("from zero", 4, 4, 1000, 0.01);
    sc.first_worker_s = 10;
    struct sim_result r = show_run(&sc);
    show_judge(sc.name, "first worker after 10 s: job ends at, s", r.makespan_s, 11.5, true);
    show_judge(sc.name, "items failed", (double)r.counts.failed, 0, true);
    sc.first_worker_s = 100;
    r = show_run(&sc);
    show_judge(sc.name, "first worker too late: job gives up at, s", r.makespan_s, 60.01, true);
}

static void long_items(void)
{
    struct sim_scenario sc = show_fleet("sleep", 1, 64, 2000, 0.01);
    sc.spread = SPREAD_CONSTANT;
    sc.latency_s = 0.0001;
    struct sim_result one = show_run(&sc);
    sc.workers = 4;
    sc.slots = 16;
    struct sim_result four = show_run(&sc);
    double rounds = ceil(2000 / 64.0) * 0.01;
    show_judge(sc.name, "2000 of 10 ms: ideal / makespan, 1 x 64", rounds / one.makespan_s, 0.97, false);
    show_judge(sc.name, "2000 of 10 ms: ideal / makespan, 4 x 16", rounds / four.makespan_s, 0.97, false);
}

static void tiny_items(void)
{
    struct sim_scenario sc = show_fleet("tiny", 1, 2, 1000000, 0.6e-6);
    sc.spread = SPREAD_CONSTANT;
    sc.latency_s = 0.00005;
    struct sim_result r = show_run(&sc);
    show_judge(sc.name, "1e6 of 0.6 us on 2 slots: makespan / ideal", r.makespan_s / r.ideal_s, 1.1, true);
    show_judge(sc.name, "chunks", (double)r.requests, 300, true);
}

static void balance(void)
{
    struct sim_scenario sc = show_fleet("balance", 20, 4, 20000, 0.01);
    sc.spread = SPREAD_CONSTANT;
    struct sim_result r = show_run(&sc);
    show_judge(sc.name, "20 workers, equal items: max / mean", (double)r.load_max / r.load_mean, 1.2, true);
}

static void huge(void)
{
    struct sim_scenario sc = show_fleet("huge", 10000, 8, 10000000, 0.05);
    struct sim_result r = show_run(&sc);
    printf("huge         scheduler %.2f s for %llu requests, makespan / ideal %.3f\n", r.scheduler_cpu_s,
           (unsigned long long)r.requests, r.makespan_s / r.ideal_s);
    show_judge(sc.name, "1e4 workers, 1e7 items of 50 ms: us per item", r.scheduler_cpu_s * 1e6 / 1e7, 2, true);
    show_judge(sc.name, "us per chunk", r.scheduler_cpu_s * 1e6 / (double)r.requests, 20, true);
    show_judge(sc.name, "MiB of scheduler memory", (double)r.peak_memory / 1048576, 128, true);
    uint64_t peak = r.peak_memory;
    sc.items = 2000000;
    r = show_run(&sc);
    show_judge(sc.name, "memory / memory for a fifth of the items", (double)peak / (double)r.peak_memory, 1.2, true);
}

/* Many workers and tiny items: the coordinator is the bottleneck, and its own delay must not be counted as work. */
static void many_workers(void)
{
    const char *name = "many workers";
    double one_s = 0;
    for (unsigned workers = 1; workers <= 1000; workers *= 10) {
        struct sim_scenario sc = show_fleet(name, workers, 2, 1000000, 0.6e-6);
        sc.spread = SPREAD_CONSTANT;
        sc.latency_s = 0.0001;
        struct sim_result r = show_run(&sc);
        if (workers == 1) one_s = r.makespan_s;
        printf("%-12s %u workers: %.0f items/s, %llu chunks, coordinator %.2f s\n", name, workers, 1e6 / r.makespan_s,
               (unsigned long long)r.requests, r.coordinator_s);
        if (workers > 1) show_judge(name, "1e6 of 0.6 us: rate / one worker's", one_s / r.makespan_s, 4, false);
        show_judge(name, "chunks", (double)r.requests, 800, true);
        sc.tell_costs = false;
        r = show_run(&sc);
        if (workers > 1)
            show_judge(name, "the same, but workers do not report costs", one_s / r.makespan_s, 0.2, false);
    }
    struct sim_scenario sleepy = show_fleet(name, 1000, 1, 1000000, 0.1e-6);
    sleepy.spread = SPREAD_CONSTANT;
    sleepy.wake_s = 0.002;
    struct sim_result woken = show_run(&sleepy);
    show_judge(name, "1e6 of 0.1 us, the first of a chunk 2 ms: chunks", (double)woken.requests, 1000, true);
    show_judge(name, "the same: workers used", (double)woken.workers_used, 120, true);
    struct sim_scenario sc = show_fleet(name, 100, 8, 200000, 0.01);
    struct sim_result r = show_run(&sc);
    show_judge(name, "2e5 of 10 ms on 100 x 8: ideal / makespan", r.ideal_s / r.makespan_s, 0.85, false);
    sc.tell_costs = false;
    r = show_run(&sc);
    show_judge(name, "the same, but workers do not report costs", r.ideal_s / r.makespan_s, 0.85, false);
}

/* The scheduler must count what each chunk costs its worker. The scheduler must stop making chunks larger when this
 * cost is a small part of the chunk. */
static void costly_chunks(void)
{
    const char *name = "costly chunks";
    struct sim_scenario sc = show_fleet(name, 100, 1, 20000, 10e-6);
    sc.spread = SPREAD_CONSTANT;
    sc.latency_s = 0.0001;
    sc.chunk_cost_s = 0.0005;
    struct sim_result r = show_run(&sc);
    show_judge(name, "2e4 of 10 us, a chunk costs a worker 0.5 ms: chunks", (double)r.requests, 150, true);
    struct sim_scenario longer = show_fleet(name, 1000, 8, 8000, 0.01);
    longer.spread = SPREAD_CONSTANT;
    longer.latency_s = 0.0001;
    struct sim_scenario fewer = show_fleet(name, 248, 8, 1984, 0.01);
    fewer.spread = SPREAD_CONSTANT;
    fewer.latency_s = 0.0001;
    show_judge(name, "1,984 of 10 ms on 1,984 slots: seconds", show_run(&fewer).makespan_s, 0.04, true);
    /* If one run sent all 8,000 chunks, the job would take 0.062 s, but nobody else would be served for 40 ms. */
    show_judge(name, "8e3 of 10 ms on 8000 slots: seconds", show_run(&longer).makespan_s, 0.075, true);
}

/* The time of a round trip must not be counted as work. */
static void far_workers(void)
{
    struct sim_scenario sc = show_fleet("far workers", 100, 4, 200000, 1e-6);
    sc.spread = SPREAD_CONSTANT;
    sc.latency_s = 0.05;
    struct sim_result r = show_run(&sc);
    show_judge(sc.name, "2e5 of 1 us, round trips of 0.1 s: seconds", r.makespan_s, 1, true);
    show_judge(sc.name, "chunks", (double)r.requests, 1500, true);
}

/* A worker whose processes are loading must not count as dead, however long they load. */
static void loading(void)
{
    struct sim_scenario sc = show_fleet("loading", 10, 4, 20, 0.001);
    sc.load_s = 60;
    struct sim_result r = show_run(&sc);
    show_judge(sc.name, "workers load for 60 s: items sent twice", (double)(r.stats.items_hedged + r.counts.retried), 0,
               true);
    show_judge(sc.name, "seconds", r.makespan_s, 61, true);
}

static const struct show {
    const char *name;
    void (*run)(void);
} shows[] = {
    {"makespan", makespan},
    {"short", short_items},
    {"stragglers", stragglers},
    {"tail", straggling_tail},
    {"slow", slow_workers},
    {"deaths", deaths},
    {"one-slow", one_slow},
    {"black-hole", black_hole},
    {"kill", kill_9},
    {"stop", stop},
    {"poison", poison},
    {"storm", storm},
    {"small-job", small_beside_big},
    {"two-tasks", two_tasks},
    {"from-zero", from_zero},
    {"long", long_items},
    {"tiny", tiny_items},
    {"balance", balance},
    {"many-workers", many_workers},
    {"costly-chunks", costly_chunks},
    {"far-workers", far_workers},
    {"loading", loading},
    {"failing", show_failing},
    {"backoff", show_backoff},
    {"huge", huge},
};

int sim_shows(const char *only)
{
    for (size_t i = 0; i < ARRAY_SIZE(shows); i++) {
        if (only && strcmp(only, shows[i].name) != 0) continue;
        shows[i].run();
        fflush(stdout);
    }
    printf("sim: %u failures (missed figures and broken runs)\n", missed);
    return missed > 0;
}
