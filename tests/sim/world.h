/*
 * A simulated world around the scheduler: a virtual clock, a network with delays, and workers that run items on slots,
 * with all faults that a scenario sets. One seed determines a whole simulated run. world.c has the clock and the
 * events. shell.c plays the coordinator and records the state of the items. workers.c plays the workers and the
 * network, and lives.c decides when workers join and vanish. checks.c has the invariants. scenarios.c and shows.c
 * define the scenarios. main.c runs the seeds.
 */
#ifndef FANTAIL_SIM_WORLD_H
#define FANTAIL_SIM_WORLD_H

#include "coordinator/sched/scheduler_internal.h"

#define SIM_ITEM_BYTES 8
#define SIM_TASKS_MAX  4

enum sim_spread { SPREAD_CONSTANT, SPREAD_UNIFORM, SPREAD_EXPONENTIAL, SPREAD_LOGNORMAL };

/* The faults of a worker, as probabilities unless stated otherwise. */
struct sim_faults {
    double item_crash; /* per start of an item: its process crashes (item error "crashed") */
    double item_error; /* per item, the same at each attempt: the task returns an error */
    double straggle;   /* per start of an item: it takes straggle_times as long */
    double straggle_times;
    double truncate;     /* per chunk: the connection is lost in the middle of the answer */
    double wrong_count;  /* per chunk: the answer ends as "complete" with items missing */
    double server_error; /* per chunk: the answer is 500 */
    double unavailable;  /* per chunk: the answer is 503 */
    double swallow;      /* per chunk: it is never answered */
    double die_per_s;    /* the worker dies without notice: times per second of its life */
    double drain_per_s;  /* the worker drains and ends: times per second of its life */
    double freeze_per_s; /* the worker is stopped for down_s (SIGSTOP), with open connections: times per second */
    double cut_per_s;    /* the worker loses its connections and is unreachable for down_s: times per second */
    double down_s;       /* how long a dead, frozen or unreachable worker is away; < 0: for ever */
};

struct sim_scenario {
    const char *name;
    uint64_t seed;
    unsigned workers, workers_later; /* `workers_later` workers join during the run, one every join_s */
    double join_s, first_worker_s;   /* the first `workers` workers join at first_worker_s */
    unsigned slots;                  /* of each task at each worker */
    unsigned chunk_limit; /* maximum number of chunks of a task at a worker, which answers further chunks with 429 */
    bool balancer;        /* all workers are behind one endpoint, a load balancer */
    bool tell_slots;      /* workers send Fantail-Slots */
    bool can_probe, lying_probes;  /* the scheduler can probe; probes answer 200 even if the worker refuses chunks */
    bool forget_dead;              /* the endpoint of a lost worker is removed while attempts run on it, as with DNS */
    double slow_share, slow_times; /* the share of slow workers, and how many times slower they are */
    double speed_spread;           /* sigma of the log-normal distribution of the speed of workers */
    double latency_s;
    double silence_s; /* the shell ends a silent attempt after this time */
    double turn_cost_s, send_cost_s,
        answer_cost_s;   /* processor time of the coordinator for a turn of its loop, a request, and an event of an
                            answer; events that come during a turn wait for the next one */
    double chunk_cost_s; /* processor time of the worker's loop for a chunk */
    double wake_s;       /* how much longer the first item of a chunk takes, because its process was asleep */
    bool tell_costs;     /* workers report the cost of their items, and the shell the cost of a chunk */
    double load_s;       /* how long the processes of a worker load, from its first chunk on */
    double worker_wait_s;
    struct sim_faults faults;
    unsigned faulty; /* how many workers have the faults; 0: all */

    unsigned tasks;  /* job i has the task i % tasks; 0: all jobs have one task; at most SIM_TASKS_MAX */
    double others_s; /* until this time, each worker answers chunks of the first task with 429, as if it was full */
    double lacking;  /* share of the tasks that a worker does not have */
    bool tell_tasks; /* the scheduler knows the tasks of each worker; else it learns them by 404 */
    unsigned jobs;
    uint64_t items; /* items of the first job; the other jobs have small_items each */
    uint64_t small_items;
    double small_job_s; /* the other jobs begin one after another, at intervals of small_job_s */
    enum sim_spread spread;
    double item_s, sigma;
    double small_item_s; /* item_s of the other jobs; 0: the same as the first job */
    unsigned poison;     /* how many items kill their worker */
    double cancel_s;     /* > 0: the first job is cancelled at this time */
    double offer_s;      /* > 0: the items are offered over this time */
    uint64_t run;        /* > 0: indexes are missing after each run of this many items */
    struct sched_job_params params;
    double horizon_s;              /* the run must end within this simulated time */
    unsigned most_ops, most_sends; /* limits on one scheduler run; most_ops 0: the default; most_sends 0: no limit */
    double next_run_s;             /* if a scheduler run leaves work, the next run comes within this time */
    bool check_items;              /* keep records of each item; false only in the largest runs */
    bool verbose;
};

struct sim_result {
    bool ok;
    char why[400]; /* the broken invariant */
    double makespan_s, first_job_s, ideal_s;
    double small_job_s;    /* the mean time from start to end of the other jobs */
    double second_task_s;  /* the longest time of a job of the second task */
    double work_s, done_s; /* the slot time that the items need; the slot time that was used */
    enum sched_status status;
    struct sched_counts counts;
    struct sched_stats stats;
    uint64_t events, requests, peak_memory;
    double scheduler_cpu_s;
    double coordinator_s;         /* the processor time of the coordinator, by the costs of the scenario */
    uint64_t trace;               /* hash of all events: the same for the same seed */
    unsigned load_max, load_mean; /* items per worker */
    unsigned workers_used;        /* workers that have run an item */
    uint32_t largest_chunk;
    unsigned poison_attempts; /* largest number of attempts of a poison item */
};

struct sim_result sim_run(const struct sim_scenario *scenario);

struct sim_call;

struct sim_worker {
    struct sim_world *w;
    unsigned index;
    struct sched_endpoint *endpoint; /* NULL: behind the load balancer, or removed */
    uint64_t id;
    unsigned generation; /* how often the worker has started */
    bool up, frozen, draining, joined;
    double slowness;
    unsigned busy_slots[SIM_TASKS_MAX], held[SIM_TASKS_MAX]; /* busy slots and accepted calls of each task */
    struct sim_call *calls; /* accepted calls that have not ended; first the call whose turn is next */
    unsigned calls_n;
    uint64_t items_done;
    double loaded_s;    /* when the processes of the worker have loaded; 0: it has had no chunk yet */
    double loop_free_s; /* when the loop of the worker will have handled all requests so far */
    const struct sim_faults *faults;
};

/* One request. */
struct sim_call {
    struct sched_attempt *attempt; /* NULL: the shell has finished with it */
    struct sim_worker *worker;
    struct sim_job *job;
    unsigned generation, refs;
    struct sim_call *prev, *next;         /* links of its worker's list */
    struct sim_call *all_prev, *all_next; /* links of the list of calls that the shell has not finished with */
    uint64_t base;                        /* number of the item at `from` in the records (shell.c) */
    uint64_t *items;                      /* the number of each item; NULL: they are consecutive, from `base` on */
    uint32_t from, n;
    uint32_t started, prefix, sent, delivered, cut_at;
    uint8_t *results; /* enum sim_answer per item */
    double cost_s;    /* slot time of its finished items */
    uint32_t cost_items;
    bool accepted, arrived, flushing, ended, swallowed;
    enum sched_end cut_how;
};
enum sim_answer { ANSWER_NONE, ANSWER_RIGHT, ANSWER_TASK_ERROR, ANSWER_CRASHED };

struct sim_job {
    struct sim_world *w;
    struct sched_job *job; /* NULL: finished */
    unsigned index;
    uint64_t total, offered, cut, settled;
    double start_s, end_s;
    uint64_t *poison;
    unsigned poison_n;
    uint8_t *book;    /* per item: BOOK_* */
    uint8_t *starts;  /* per item: how often a slot has started it */
    uint8_t *charged; /* per item: how many failed attempts were charged to it */
    uint8_t *sends;
    uint64_t failed, succeeded, cancelled, retries, firsts, hedged_items;
    uint64_t rated_items; /* items sent, without hedges */
    uint32_t largest_chunk;
    uint64_t calls; /* calls that the shell has not finished with */
    struct sched_outcome outcome;
};

/* The payload of a chunk: which items the chunk has. */
struct sim_payload {
    uint64_t first;
    uint32_t count;
    uint64_t *items; /* the number of each item in the records; NULL: they are consecutive, from `first` on */
    const struct sched_endpoint *failed_at; /* compared only, never dereferenced */
};

struct sim_event;

struct sim_world {
    const struct sim_scenario *sc;
    struct sim_result result;
    struct scheduler *s;
    uint64_t now_ns, wake_ns;
    double turn_s, busy_s;  /* processor time of this turn, and since the last report of the cost of a chunk */
    uint64_t free_ns;       /* when the turn of the coordinator ends */
    uint64_t costed_chunks; /* calls that have ended since the last report of the cost of a chunk */
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
    unsigned run_sends; /* attempts sent in this run of the scheduler */
    uint64_t spins, payloads;
    struct sim_call *calls; /* calls that the shell has not finished with */
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
    EV_PROBED,
    EV_LOADED,
    EV_TELL,
    EV_STARTING
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
/* Adds processor time to this turn of the coordinator. The requests of this turn are sent only when this processor time
 * has passed. */
void sim_spend(struct sim_world *w, double seconds);
uint64_t sim_hash(uint64_t a, uint64_t b, uint64_t c);
double sim_unit(uint64_t hash);

/* lives.c: how workers join and vanish. */
void workers_init(struct sim_world *w);
void workers_free(struct sim_world *w);
void worker_event(struct sim_world *w, const struct sim_event *ev);

/* workers.c: workers and network. */
void worker_fill_slots(struct sim_world *w, struct sim_worker *worker);
double network_latency(const struct sim_world *w);
void call_at(struct sim_world *w, double delay_s, enum sim_event_kind kind, struct sim_call *call, uint32_t a);
void call_flush(struct sim_world *w, struct sim_call *call);
void call_end(struct sim_world *w, struct sim_call *call, enum sched_end how);
void call_unlink(struct sim_call *call);
void workers_event(struct sim_world *w, const struct sim_event *ev);
void call_new(struct sim_world *w, struct sched_attempt *a);
void call_hang_up(struct sim_world *w, struct sim_call *call);
void call_unref(struct sim_call *call);
/* Returns the number that item i of the call has in the records. */
uint64_t call_item(const struct sim_call *call, uint32_t i);
/* The shell calls this when it has finished with the call. */
void call_forget(struct sim_world *w, struct sim_call *call);
/* Returns whether the worker has the task. */
bool worker_has(const struct sim_world *w, const struct sim_worker *worker, unsigned task);
unsigned task_of(const struct sim_job *job);
void write_task_name(unsigned task, char name[8]);
double item_seconds(const struct sim_job *job, uint64_t index);
void worker_probe(struct sim_world *w, struct sim_worker *worker);

/* payload.c: the items of chunks. */
/* Returns the number that item i of the payload has in the records. */
uint64_t payload_item(const struct sim_payload *payload, uint32_t i);
/* Ops of the scheduler. */
size_t payload_slice(void *ctx, struct sched_chunk *whole, uint32_t at, uint32_t end, struct sched_chunk *part);
void payload_release(void *ctx, struct sched_chunk *chunk);

/* shell.c: the coordinator and the records of items. */
void shell_ops(struct scheduler_ops *ops);
void shell_event(struct sim_world *w, const struct sim_event *ev);
void shell_start_jobs(struct sim_world *w);
void shell_free_jobs(struct sim_world *w);

/* checks.c */
void sim_check_step(struct sim_world *w);
void sim_check_end(struct sim_world *w);

/* scenarios.c */
struct sim_scenario sim_random_scenario(uint64_t seed);

/* shows.c: runs the large scenarios; if `only` is not NULL, runs only the scenario with this name. Returns 0 if every
 * measured figure meets the required figure and no invariant was broken. */
int sim_shows(const char *only);

#endif
