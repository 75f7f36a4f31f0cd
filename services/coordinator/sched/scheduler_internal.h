/*
 * Private to the scheduler's files: its objects and the functions between the files. The files, in reading order:
 * scheduler.c (the loop), sched_job.c, sched_chunk.c, sched_attempt.c (the objects and their events), then the
 * thinking: fairness.c (which job), balancer.c (which endpoint), sched_endpoint.c (its window and its health),
 * chunker.c (how many items), retry.c (again, when and whether), blame.c (who took the worker down), hedge.c (a second
 * attempt for what is late), demand.c (slots wanted).
 */
#ifndef FANTAIL_COORDINATOR_SCHED_SCHEDULER_INTERNAL_H
#define FANTAIL_COORDINATOR_SCHED_SCHEDULER_INTERNAL_H

#include "common/base/limits.h"
#include "common/base/random.h"
#include "coordinator/sched/scheduler.h"

/* The numbers. docs/decisions/scheduler.md says why each is what it is. */
#define AHEAD_NS          (40 * NS_PER_MS) /* work queued at a worker beyond its busy slots, per slot */
#define CHUNK_COST_SHARE  0.03             /* largest share of a chunk's slot time for its own cost ... */
#define CHUNK_COST_TIMES  5.0       /* ... unless slots would idle: then its slot time is this many times its cost */
#define COORDINATOR_SHARE 0.5       /* of the coordinator's time that chunks may take with all slots busy */
#define RAMP_CHUNKS       32        /* chunks of a job that may be out while they are still small for their cost */
#define RAMP_NS           NS_PER_MS /* ... doubled after each such time */
#define CHUNKS_AHEAD      2.0       /* of the least size, waiting at a worker beyond its busy slots */
#define CHUNK_FIXED_MOST_NS                                                                                            \
    ((double)30 *                                                                                                      \
     NS_PER_MS) /* of a chunk's slot time that is not its items'; a slope over longer items is mostly noise */
#define CHUNKS_PER_WINDOW     4           /* least number of adaptive chunks in a worker's window */
#define CHUNK_GROWTH          8           /* times the largest chunk that was answered */
#define ITEMS_REMEMBERED      1024        /* beyond this, or 1 s of slot time, the sums of the mean are halved */
#define CUT_RUN_BYTES         (128 * KIB) /* item bytes cut in one run; the next one follows at once */
#define TAIL_ITEMS_KNOWN      64          /* with a mean over this many, a job stops measuring at its tail */
#define CHUNK_ITEMS_MAX       (1u << 22)
#define CHUNKS_PER_WORKER     (LIMIT_WORKER_CHUNKS * 3 / 4)
#define SLOTS_UNKNOWN         2 /* assumed of a worker never heard from; doubles with each answer */
#define SLOTS_UNKNOWN_MAX     64
#define WINDOW_SCALE_MIN      (1.0 / 64)
#define WINDOW_SCALE_STEP     0.02 /* least growth of the scale per answered chunk, after a 429 halved it */
#define OVERCOMMIT            2.0  /* windows a job below its share may fill at an endpoint that others keep full */
#define BUDGET_SHARE          0.2  /* retries per first attempt ... */
#define BUDGET_MIN            3.0  /* ... and at least this many per job */
#define BUDGET_ALL_MIN        100.0
#define BUDGET_ALL_MAX        1000.0
#define BUDGET_TRICKLE_NS     (100 * NS_PER_MS) /* without budget, one retry of a job in this time */
#define PAUSE_MIN_NS          (20 * NS_PER_MS)
#define PAUSE_MAX_NS          (2 * NS_PER_S)
#define PAUSE_RETRY_MAX_NS    (30 * NS_PER_S) /* a Retry-After beyond this is not believed */
#define PAUSE_DRAIN_NS        (5 * NS_PER_S)
#define PAUSE_DRAIN_PROBED_NS (100 * NS_PER_MS) /* the same when it can be asked */
#define EJECT_AFTER           3                 /* failures in a row, of attempts begun one after the other */
#define EJECT_NS              (5 * NS_PER_S)
#define EJECT_MAX_NS          (60 * NS_PER_S)
#define BALANCER_PATIENCE     5 /* failures in a row that say something about all workers of a balancer */
#define PROBATION_TRICKLE_NS                                                                                           \
    (30 * NS_PER_S) /* without budget, one attempt at an endpoint on probation in this time                            \
                     */
#define WAITING_AFTER_NS         (500 * NS_PER_MS) /* without a usable endpoint for this time, a job waits */
#define DEFAULT_WORKER_WAIT_NS   (60 * NS_PER_S)
#define PROBE_PATIENCE_NS        (5 * NS_PER_S)
#define ROUNDING                 0.999 /* weights are sums of fractions */
#define SLOW                     2.0   /* times the mean: an endpoint to avoid at the end of a job */
#define PICK_DRAWS               8
#define PICK_SCAN                64
#define PENDING_LOOKED_AT        8
#define MISSES_MAX               16 /* jobs in one run that may search in vain for room */
#define PROBATION_LOOK_NS        NS_PER_S
#define HEDGE_PATIENCE_MIN       1.5 /* times the expected wait: late; measured waits decide between these */
#define HEDGE_PATIENCE_MAX       4.0
#define WAIT_MAX                 10.0
#define DEAD_PATIENCE            10.0 /* this many times, and a second: treated as dead */
#define DEAD_MIN_NS              NS_PER_S
#define HEDGE_SCAN_NS            NS_PER_MS
#define HEDGE_SCAN_CHUNK_NS      (2 * NS_PER_US)
#define LINGER_NS                NS_PER_S /* all answered, but no end line: cut off after this */
#define HEDGES_MAX               4        /* second attempts of a chunk, one after the other */
#define HEDGE_TOKENS_MIN         10.0     /* items that may be sent twice at the start */
#define HEDGE_TOKENS_MAX         100000.0
#define HEDGE_MIN_NS             (10 * NS_PER_MS)
#define HALVE_AFTER_LOST         2
#define WORKERS_PER_BALANCER_MAX 16384

/* A worker heard from, at an endpoint or behind a balancer. */
struct sched_worker {
    uint64_t id; /* 0: free place */
    uint64_t heard_ns;
    uint32_t slots;
};

struct sched_endpoint {
    struct scheduler *s;
    void *owner;
    bool balancer;
    enum sched_endpoint_state state, before; /* `before`: the one that led to FULL, PROBING or PROBATION */
    bool probe_ok;                           /* its last probe answered that it is ready */
    struct sched_timer timer;                /* end of a pause, ejection or drain */
    uint32_t index;                          /* in s->endpoints; UINT32_MAX: removed */
    struct list attempts;                    /* of all tasks */
    struct list lanes;
    unsigned slots_hint;               /* 0: unknown */
    struct sched_endpoint_task *tasks; /* as it said, when tasks_known */
    size_t tasks_n;
    bool tasks_known;

    /* Its health. */
    unsigned failures; /* in a row */
    unsigned pauses, ejections;
    uint64_t failed_ns;       /* attempts begun before it say nothing new */
    uint64_t busy_ns;         /* the same for 429 */
    bool isolated;            /* an item runs here alone, blame.c */
    uint32_t poison_suspects; /* attempts of chunks that are poison suspects, blame.c */
    bool has_answered;        /* it has answered since its last failure */
};

/* The slots of one task at one endpoint. */
struct sched_lane {
    struct sched_endpoint *endpoint;
    struct sched_task *task;
    struct list_link endpoint_link, task_link;
    uint32_t open_index, available_index; /* places in the task's arrays; UINT32_MAX: not there */
    bool lacks;                           /* the endpoint does not have the task */
    bool gone;                            /* it is being freed */

    /* The window. */
    double slots;         /* known or assumed */
    double counted_slots; /* its part in the task's sum */
    bool slots_known, counted_usable, counted_serving;
    double scale;                 /* of the window, by 429 */
    double load;                  /* weights of the items in flight; full at slots * scale */
    bool window_full;             /* a chunk has found no room since the load last fell or the window grew */
    uint64_t in_flight;           /* items */
    size_t attempts_n;            /* that run */
    struct sched_worker *workers; /* open hash table */
    uint32_t workers_n, workers_alloc;
    uint64_t swept_ns;

    /* Its speed: slot time used here by items, compared with the means of their jobs. */
    double clock;         /* service one item in flight has had, ns; see chunker.c */
    double chunk_cost_ns; /* processor time of a chunk at the worker */
    uint64_t clock_ns;
    double used_ns, expected_ns, prior_ns;
};

/* A task, or a pipeline of them, that jobs name. */
struct sched_task {
    struct scheduler *s;
    char *name;
    struct list_link link; /* on s->tasks */
    struct list jobs;
    unsigned priorities; /* of all its jobs */

    struct list lanes; /* one for each endpoint */
    uint32_t lanes_alloc;
    struct sched_lane **open, **available; /* those that take attempts; of these, those with room */
    uint32_t open_n, available_n;
    double slots;               /* of the usable ones */
    uint32_t usable;            /* lanes whose endpoint is OPEN and has the task */
    uint32_t serving;           /* lanes known to work: usable or full, and not only hoped for */
    uint32_t lacking;           /* lanes whose endpoint does not have the task */
    uint64_t unserved_since_ns; /* when serving became 0 */

    struct heap ready;   /* jobs that can send, fairness.c */
    struct list blocked; /* jobs that found no room in the last run */
    uint64_t vtime;      /* of the job served last */
    uint64_t uncut_items, pending_items, backoff_items, in_flight_items, demand_slots;
};

/* What items cost in slot time, item_cost.c. */
struct sched_item_cost {
    double ns, items;            /* decaying sums over items */
    double chunks, n, nn, y, ny; /* decaying sums over whole chunks: n items, y ns, and their products */
};

struct sched_job {
    struct scheduler *s;
    struct sched_job_params p;
    struct sched_task *task;
    struct list_link link;            /* on s->jobs */
    struct list_link task_link;       /* on task->jobs */
    struct list_link ending_link;     /* on s->ending */
    struct list lists[CHUNK_SETTLED]; /* pending, backoff, in flight */
    struct sched_timer timer;         /* when the job must end or gives up, whichever is first */
    struct sched_counts counts;
    uint64_t added_ns;
    uint64_t uncut, uncut_bytes;
    uint64_t pending_items, backoff_items, in_flight_items;
    bool no_more, ended, delivered, no_workers, on_ending, starved, was_at_tail;
    enum sched_status status; /* when ended */
    enum item_error rest;     /* how the rest is settled when ended */
    const char *reason;
    enum sched_waiting waiting;

    double load;                 /* weights of its items in flight, at all endpoints */
    struct sched_item_cost told; /* as workers say it */
    struct sched_item_cost seen; /* as measured here, round trips and queues included */
    uint64_t ramp;               /* chunks that may be out while they still grow */
    struct sched_timer ramp_timer;
    double wait_mean, wait_deviation; /* of the waits for an answer, in expected waits, hedge.c */
    uint32_t largest_answered;        /* items of the largest chunk answered */
    double tokens;
    uint64_t trickle_ns, probation_ns; /* when the next retry or trial may go without a token */
    uint64_t progress_ns;              /* last answer */
    struct heap_node hedge_node;       /* in s->hedge_scans, by when to look for late attempts */

    uint64_t vtime;              /* fairness.c */
    struct heap_node ready_node; /* in task->ready, by vtime */
    bool blocked;                /* on task->blocked: it found no room in this run */
    struct list_link blocked_link;

    bool changed; /* on s->changed */
    struct list_link changed_link;
    uint64_t demand_slots; /* its part in the scheduler's sum */
};

struct scheduler {
    struct scheduler_config config;
    struct scheduler_ops ops;
    void *ctx;
    struct random_source random;
    uint64_t now_ns; /* of the last event or run */
    struct heap timers;
    struct sched_timer timer; /* lingering attempts and hedge scans */

    struct list jobs;
    struct list tasks;  /* the next one to be served first */
    struct list ending; /* jobs that may have come to their end */
    struct sched_endpoint **endpoints;
    uint32_t endpoints_n, endpoints_alloc;
    size_t lanes_n;
    uint32_t rejecting_n;             /* endpoints that do not take our token */
    struct sched_endpoint *isolating; /* being emptied for an item that must run alone */
    uint32_t isolations_pending;

    struct list settled; /* chunks to be released */
    struct list slices;  /* chunks to be sliced */
    struct list cuts;    /* attempts to be cut off */
    struct list lingering;
    struct list changed;     /* jobs whose demand, turn, hedging and waiting must be updated */
    struct heap hedge_scans; /* jobs that may hedge, hedge.c */
    uint64_t demand_slots;
    double tokens;
    double hedge_tokens;         /* items that may be sent twice, of all jobs together */
    double chunk_cost_ns;        /* processor time of a chunk here */
    unsigned failed_after_ready; /* trials that failed since one succeeded, of endpoints that said they were ready */
    uint64_t pending_items, backoff_items, uncut_items;
    size_t worker_table_bytes;
    size_t cut_bytes; /* in this run */
    struct sched_stats stats;
};

/* scheduler.c */
/* SCHED_NEVER stops it. */
void timer_set(struct scheduler *s, struct sched_timer *t, uint64_t at_ns);
void timer_stop(struct scheduler *s, struct sched_timer *t);

/* sched_chunk.c */
struct sched_chunk *sched_chunk_new(struct sched_job *job, uint64_t first, uint32_t count);
void chunk_move(struct sched_chunk *chunk, enum sched_chunk_state to, bool at_front);
/* Items [at, end) of it as a chunk of their own, not on a list yet; to be sliced in the next run. */
struct sched_chunk *chunk_slice(struct sched_chunk *chunk, uint32_t at, uint32_t end);
void chunk_answered(struct sched_chunk *chunk, uint32_t items);
uint32_t chunk_left(const struct sched_chunk *chunk);
/* Its unanswered items end here with an error; it is settled. */
void chunk_give_up(struct sched_chunk *chunk, enum item_error error, const char *cause);
/* The half with the lower indexes stays; the other is returned, not on a list yet. */
struct sched_chunk *chunk_halve(struct sched_chunk *chunk);
void chunks_run_slices(struct scheduler *s);
void chunks_run_settled(struct scheduler *s);
void chunk_free(struct sched_chunk *chunk);

/* sched_attempt.c */
enum attempt_kind { ATTEMPT_PLAIN, ATTEMPT_HEDGE, ATTEMPT_RESCUE };
struct sched_attempt *attempt_start(struct sched_chunk *chunk, struct sched_lane *l, enum attempt_kind kind,
                                    double weight);
/* Its endpoint is being removed. */
void attempt_orphan(struct sched_attempt *a);
/* It is cut off in the next run. */
void attempt_cut(struct sched_attempt *a);
void attempt_free(struct sched_attempt *a);
void attempts_run_cuts(struct scheduler *s);
void attempts_run_lingering(struct scheduler *s);

/* sched_job.c */
/* Items were added, moved or removed: what depends on them is updated in this run or the next. */
void job_changed(struct sched_job *job);
void jobs_run_changed(struct scheduler *s);
void job_settled(struct sched_job *job, uint64_t items, enum item_error error, bool succeeded);
void job_end(struct sched_job *job, enum sched_status status, enum item_error rest, const char *reason);
void job_check_end(struct sched_job *job);
void job_check_tolerance(struct sched_job *job);
void task_serving_changed(struct sched_task *t);
void job_timer_fired(struct sched_job *job);
void job_arm_timer(struct sched_job *job);
void jobs_run_ending(struct scheduler *s);
void job_free(struct sched_job *job);

/* demand.c */
void demand_update(struct sched_job *job);
void demand_forget(struct sched_job *job);

/* fairness.c */
/* The job whose turn it is; NULL: none can send. */
struct sched_job *fairness_next(const struct sched_task *t);
void fairness_charge(struct sched_job *job, double slot_ns);
/* Corrects the charge that was made before the cost was known. The job gets no credit from this. */
void fairness_correct(struct sched_job *job, double charged_ns, double cost_ns);
/* Whether the job's next items can become a chunk now. */
bool fairness_may_cut(struct sched_job *job);
/* After a change of what the job could send. */
void fairness_update(struct sched_job *job);
/* It found no room: it has no turn until fairness_unblock_all(). */
void fairness_block(struct sched_job *job);
void fairness_unblock_all(struct sched_task *t);
void fairness_forget(struct sched_job *job);

/* balancer.c */
/* After any change of state, load or window. */
void balancer_update(struct sched_lane *l);
/* The same for all lanes of the endpoint. */
void balancer_update_all(struct sched_endpoint *e);
/* A lane with room for the chunk (NULL: for the job's next one); NULL when there is none. */
struct sched_lane *balancer_pick(struct sched_job *job, const struct sched_chunk *chunk);
/* The endpoint that was being emptied takes all chunks again. */
void isolation_end(struct scheduler *s);
/* One for a copy of the attempt's suffix. */
struct sched_lane *balancer_pick_hedge(struct sched_job *job, const struct sched_attempt *late, bool seems_dead);

/* sched_task.c */
/* Makes it when it is new. */
struct sched_task *task_get(struct scheduler *s, const char *name);
/* Its jobs are gone. */
void task_free(struct sched_task *t);
/* There are endpoints, and none has the task. */
bool task_is_nowhere(const struct sched_task *t);

/* sched_lane.c */
struct sched_lane *lane_new(struct sched_task *t, struct sched_endpoint *e);
void lane_free(struct sched_lane *l);
/* Those of an endpoint that is going away; its attempts are gone. */
void lanes_free(struct sched_endpoint *e);
double lane_window(const struct sched_lane *l);
unsigned lane_workers(const struct sched_lane *l);
/* After a change of its slots, or of its endpoint's state. */
void lane_recount(struct sched_lane *l);
/* A chunk was answered whole: more may be sent. */
void lane_widen(struct sched_lane *l);
/* The endpoint answered that it does not have the task. */
void lane_task_unknown(struct sched_lane *l);

/* sched_endpoint.c */
/* OPEN or PROBATION. */
bool endpoint_takes_attempts(const struct sched_endpoint *e);
/* The one that changes e->state. `until_ns` is the end of the state (SCHED_NEVER: an event ends it). */
void endpoint_move(struct sched_endpoint *e, enum sched_endpoint_state to, enum sched_endpoint_state before,
                   uint64_t until_ns);
/* It has left the scheduler's arrays. */
void endpoint_gone(struct sched_endpoint *e);
/* The attempt brought an answer. */
void endpoint_succeeded(struct sched_endpoint *e, const struct sched_attempt *a);
/* The attempt, already gone, has ended in this way. */
void endpoint_ended(struct sched_endpoint *e, const struct sched_attempt *a, enum sched_end how,
                    uint64_t retry_after_ms);
void endpoint_timer_fired(struct sched_endpoint *e);
void endpoint_free(struct sched_endpoint *e);

/* item_cost.c */
void item_cost_add(struct sched_item_cost *c, double items, double ns);
/* A whole chunk of `items` items has used `slot_ns` of slot time. */
void item_cost_add_chunk(struct sched_item_cost *c, double items, double ns);
double item_cost_mean_ns(const struct sched_item_cost *c); /* 0: not known */
/* What one more item in a chunk adds; the mean as long as that is not sure. */
double item_cost_marginal_ns(const struct sched_item_cost *c);
bool item_cost_is_sure(const struct sched_item_cost *c);

/* chunker.c */
double chunker_item_ns(const struct sched_job *job); /* slot time; 0: not known */
double chunker_slowness(const struct sched_lane *l); /* 1: as the others */
/* One item's part of the lane's window, in a chunk of `items` items. */
double chunker_weight(const struct sched_job *job, const struct sched_lane *l, uint32_t items);
uint32_t chunker_items(const struct sched_job *job, const struct sched_lane *l);
/* n of the attempt's items were answered now; `left` were unanswered before. */
void chunker_observe(struct sched_attempt *a, uint32_t left, uint32_t n);
/* The attempt has ended, and all of its items are answered. */
void chunker_observe_whole(const struct sched_attempt *a);
void chunker_advance(struct sched_lane *l, uint64_t now_ns);
/* Whether the job must wait for answers before it sends more, as its chunks are still small for their cost. */
bool chunker_ramp_is_full(struct sched_job *job);
void chunker_ramp_timer_fired(struct sched_job *job);

/* retry.c */
void retry_first_attempt(struct sched_job *job);
/* Whether a retry may go out now; takes the tokens. */
bool retry_take_token(struct sched_job *job);
/* Whether an endpoint that failed last may be tried now; if so, this counts as the try. */
bool retry_may_try(const struct sched_job *job, const struct sched_endpoint *e);
/* True if it took a token. The token is given back when the endpoint answers or was not reached. */
bool retry_take_probation(struct sched_job *job, const struct sched_endpoint *e);
void retry_return_probation(struct sched_job *job);
/* The chunk's attempt failed in this way, and no other of its attempts runs: where it goes now. */
void retry_chunk(struct sched_chunk *chunk, const struct sched_attempt *a, enum sched_end how);
/* The same while another attempt of the chunk runs on: the failure counts, and that is all. */
void retry_count_other(struct sched_chunk *chunk, const struct sched_attempt *a, enum sched_end how);
void retry_backoff(struct sched_chunk *chunk);
void retry_timer_fired(struct sched_chunk *chunk);

void retry_count_items(struct sched_chunk *chunk);

/* blame.c */
/* It has lost two workers. */
bool blame_is_poison_suspect(const struct sched_chunk *chunk);
/* A single item that the next loss would convict: it must run alone on a worker. */
bool blame_needs_isolation(const struct sched_chunk *chunk);
/* Whether the chunk may join those that the endpoint already has. */
bool blame_allows(const struct sched_chunk *chunk, const struct sched_lane *l);
void blame_count(struct sched_chunk *chunk, const struct sched_attempt *a);
/* Its worker has vanished, and no other attempt of it runs: where it goes now. */
void blame_lost(struct sched_chunk *chunk, const struct sched_attempt *a, const char *cause);

/* hedge.c */
/* Sends late chunks a second time; returns when to scan again. */
uint64_t hedge_run(struct scheduler *s);
/* After a change of what the job has in flight or has left to send. */
void hedge_update(struct sched_job *job);
/* `items` items of the job were sent for the first time. */
void hedge_first_attempt(struct sched_job *job, uint32_t items);
/* The attempt is being answered. */
void hedge_observe(const struct sched_attempt *a);

#endif
