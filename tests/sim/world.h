/*
 * A simulated world around the scheduler: a virtual clock, a network with delays, workers that run items on slots and
 * misbehave in every way a scenario asks for. Everything follows from one seed. shell.c plays the coordinator's shell
 * and keeps the books, checks.c holds the invariants, workers.c plays network and workers, scenarios.c and shows.c say
 * what happens, main.c runs seeds.
 */
#ifndef FANTAIL_SIM_WORLD_H
#define FANTAIL_SIM_WORLD_H

#include "coordinator/sched/scheduler_internal.h"

#define SIM_ITEM_BYTES 8

enum sim_spread { SPREAD_CONSTANT, SPREAD_UNIFORM, SPREAD_EXPONENTIAL, SPREAD_LOGNORMAL };

/* What one worker does wrong, as probabilities unless said otherwise. */
struct sim_faults {
    double item_crash; /* per start of an item: its process dies (item error "crashed") */
    double item_error; /* per item, always the same: the task says so */
    double straggle;   /* per start of an item: takes straggle_times as long */
    double straggle_times;
    double truncate;     /* per chunk: the connection is lost part-way */
    double wrong_count;  /* per chunk: says complete too early */
    double server_error; /* per chunk: 500 */
    double unavailable;  /* per chunk: 503 */
    double swallow;      /* per chunk: never answers */
    double die_per_s;    /* the worker vanishes, rate per second of its life */
    double drain_per_s;  /* the worker drains and goes away, rate */
    double freeze_per_s; /* SIGSTOP: silent, connections stay; thaws after down_s */
    double cut_per_s;    /* partition: connections lost, unreachable for down_s */
    double down_s;       /* until it is back; < 0: never */
};

struct sim_scenario {
    const char *name;
    uint64_t seed;
    unsigned workers, workers_later; /* the others join during the run, one every join_s */
    double join_s, first_worker_s;   /* the first ones join at first_worker_s */
    unsigned slots;
    unsigned chunk_limit;         /* chunks held at once by a worker; more is 429 */
    bool balancer;                /* one endpoint in front of all workers */
    bool tell_slots;              /* workers send Fantail-Slots */
    bool can_probe, lying_probes; /* lying: /readyz is well whatever the worker answers to chunks */
    bool forget_dead; /* an endpoint is removed when its worker has gone, as DNS does, with its attempts running */
    double slow_share, slow_times; /* so many workers are so many times slower */
    double speed_spread;           /* sigma of the log-normal speed of workers */
    double latency_s;
    double silence_s; /* the shell gives up on a silent attempt */
    double turn_cost_s, send_cost_s,
        answer_cost_s;   /* of the coordinator's processor: a turn of its loop, a request, an
                            event of an answer; what comes meanwhile waits for the next turn */
    double chunk_cost_s; /* of a worker's loop, for a chunk */
    bool tell_costs;     /* workers say what their items cost, the shell what a chunk costs */
    double worker_wait_s;
    struct sim_faults faults;
    unsigned faulty; /* how many workers have the faults; 0: all */

    unsigned jobs;
    uint64_t items; /* of the first job; the others have small_items */
    uint64_t small_items;
    double small_job_s; /* when the others come */
    enum sim_spread spread;
    double item_s, sigma;
    unsigned poison; /* items that kill their worker */
    double cancel_s; /* > 0: the first job is cancelled then */
    double offer_s;  /* > 0: items are offered over so long a time */
    uint64_t run;    /* > 0: after each so many items, indexes are missing */
    struct sched_job_params params;
    double horizon_s; /* the run must be over by then */
    bool check_items; /* per-item books: everything but the largest runs */
    bool verbose;
};

struct sim_result {
    bool ok;
    char why[400];                               /* the broken invariant */
    double makespan_s, first_job_s, small_job_s; /* small: mean of the others, from their coming */
    double ideal_s, work_s, done_s;              /* work asked for, and slot time really spent */
    enum sched_status status;
    struct sched_counts counts;
    struct sched_stats stats;
    uint64_t events, requests, peak_memory;
    double scheduler_cpu_s;
    double coordinator_s;         /* its processor time as the scenario has it */
    uint64_t trace;               /* hash of all that happened: the same seed gives the same */
    unsigned load_max, load_mean; /* items per worker */
    uint32_t largest_chunk;
    unsigned poison_attempts; /* most attempts of a poison item */
};

struct sim_result sim_run(const struct sim_scenario *scenario);

struct sim_call;

struct sim_worker {
    struct sim_world *w;
    unsigned index;
    struct sched_endpoint *endpoint; /* NULL behind the balancer or when removed */
    uint64_t id;
    unsigned generation; /* counts its lives */
    bool up, frozen, draining, joined;
    double slowness;
    unsigned busy_slots;
    struct sim_call *calls; /* accepted and not ended; round robin from here */
    unsigned calls_n;
    uint64_t items_done;
    double loop_free_s; /* when its loop has done what came until now */
    const struct sim_faults *faults;
};

/* One request. */
struct sim_call {
    struct sched_attempt *attempt; /* NULL when the shell has done with it */
    struct sim_worker *worker;
    struct sim_job *job;
    unsigned generation, refs;
    struct sim_call *prev, *next;         /* in its worker's round */
    struct sim_call *all_prev, *all_next; /* of those the shell knows */
    uint64_t base;                        /* index of the item at `from`, by its payload */
    uint32_t from, n;
    uint32_t started, prefix, sent, delivered, cut_at;
    uint8_t *results; /* enum sim_answer per item */
    double cost_s;    /* slot time of its items that are done */
    uint32_t cost_items;
    bool accepted, arrived, flushing, ended, swallowed;
    enum sched_end cut_how;
};
enum sim_answer { ANSWER_NONE, ANSWER_RIGHT, ANSWER_TASK_ERROR, ANSWER_CRASHED };

struct sim_job {
    struct sim_world *w;
    struct sched_job *job; /* NULL when finished */
    unsigned index;
    uint64_t total, offered, cut, settled;
    double start_s, end_s;
    uint64_t *poison;
    unsigned poison_n;
    uint8_t *book;    /* per item: BOOK_* */
    uint8_t *starts;  /* per item: times a slot began it */
    uint8_t *charged; /* per item: attempts that failed on it */
    uint8_t *sends;
    uint64_t failed, succeeded, cancelled, retries, firsts, hedged_items;
    uint32_t largest_chunk;
    uint64_t calls; /* out */
    struct sched_outcome outcome;
};

/* What hangs on a chunk: where its items are. */
struct sim_payload {
    uint64_t first;
    uint32_t count;
    const struct sched_endpoint *failed_at; /* compared, never followed */
};

struct sim_event;

struct sim_world {
    const struct sim_scenario *sc;
    struct sim_result result;
    struct scheduler *s;
    uint64_t now_ns, wake_ns;
    double turn_s, busy_s;  /* processor time of this turn; of all turns */
    uint64_t free_ns;       /* when the coordinator's turn is over */
    uint64_t costed_chunks; /* ended, of busy_s since it was told last */
    struct random_source random;
    struct sim_event *events; /* heap */
    size_t events_n, events_alloc;
    uint64_t sequence;
    struct sim_worker *workers;
    unsigned workers_n;
    struct sched_endpoint *balancer;
    struct sim_job *jobs;
    unsigned jobs_running;
    bool in_run, stop;
    uint64_t spins, payloads;
    struct sim_call *calls; /* known to the shell */
};

enum { BOOK_SETTLED = 1, BOOK_ERROR = 2 };

enum sim_event_kind {
    EV_ARRIVE,
    EV_HEAD,
    EV_ITEM,
    EV_FLUSH,
    EV_DELIVER,
    EV_END,
    EV_HANGUP,
    EV_WAKE,
    EV_JOB,
    EV_OFFER,
    EV_CANCEL,
    EV_JOIN,
    EV_DIE,
    EV_DRAIN,
    EV_DRAINED,
    EV_FREEZE,
    EV_CUT,
    EV_BACK,
    EV_PROBED
};
struct sim_event {
    uint64_t at_ns, sequence;
    enum sim_event_kind kind;
    uint32_t a, b;
    void *what;
};
void sim_at(struct sim_world *w, double delay_s, enum sim_event_kind kind, void *what, uint32_t a, uint32_t b);
void sim_broken(struct sim_world *w, const char *fmt, ...) PRINTF_LIKE(2, 3);
void sim_trace(struct sim_world *w, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* The coordinator's processor works that long in this turn: what it sends leaves after it. */
void sim_spend(struct sim_world *w, double seconds);
uint64_t sim_hash(uint64_t a, uint64_t b, uint64_t c);
double sim_unit(uint64_t hash);

/* workers.c: workers and network. */
void workers_init(struct sim_world *w);
void workers_free(struct sim_world *w);
void workers_event(struct sim_world *w, const struct sim_event *ev);
void call_new(struct sim_world *w, struct sched_attempt *a);
void call_hang_up(struct sim_world *w, struct sim_call *call);
void call_unref(struct sim_call *call);
/* The shell has done with it. */
void call_forget(struct sim_world *w, struct sim_call *call);
double item_seconds(const struct sim_job *job, uint64_t index);
void worker_probe(struct sim_world *w, struct sim_worker *worker);

/* shell.c: the coordinator's shell and the books. */
void shell_ops(struct scheduler_ops *ops);
void shell_event(struct sim_world *w, const struct sim_event *ev);
void shell_start_jobs(struct sim_world *w);
void shell_free_jobs(struct sim_world *w);

/* checks.c */
void sim_check_step(struct sim_world *w);
void sim_check_end(struct sim_world *w);

/* scenarios.c */
struct sim_scenario sim_random_scenario(uint64_t seed);

/* shows.c: 0 when the large scenarios (or the one named) reach their figures. */
int sim_shows(const char *only);

#endif
