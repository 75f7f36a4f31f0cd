/*
 * Private to the scheduler's files: its objects and the functions between the files. The files, in reading order:
 * scheduler.c (the loop), sched_job.c, sched_end.c, sched_chunk.c, sched_span.c, sched_attempt.c (the objects and their
 * events), then the decisions: fairness.c (which job), rate.c (how many items per second), balancer.c (which
 * endpoint), endpoint_health.c (its health), sched_lane.c (its window), chunker.c (how many items), retry.c (whether
 * and when items are sent again), halving.c (which item crashed the worker), hedge.c (a second attempt for late items),
 * demand.c (slots wanted).
 */
#ifndef FANTAIL_COORDINATOR_SCHED_SCHEDULER_INTERNAL_H
#define FANTAIL_COORDINATOR_SCHED_SCHEDULER_INTERNAL_H

#include "common/base/limits.h"
#include "common/base/random.h"
#include "coordinator/sched/sched_job.h"
#include "coordinator/sched/sched_lane.h"
#include "coordinator/sched/sched_stats.h"
#include "coordinator/sched/scheduler.h"

/* Constants that several files use. A constant that only one file uses is in that file. */
#define CHUNK_FIXED_MOST_NS ((double)30 * NS_PER_MS) /* upper limit of the fixed part of a chunk's slot time */
#define TAIL_ITEMS_KNOWN    64 /* a job that has measured this many items measures no further items at its tail */
#define CHUNKS_PER_WORKER   (LIMIT_WORKER_CHUNKS * 3 / 4)
#define LINGER_NS           NS_PER_S /* after this time, an attempt with all answers but no end line is cut off */
#define OVERCOMMIT          2.0      /* a job below its share may fill a window to this many times the window's size */
#define HEDGE_TOKENS_MIN    10.0     /* hedge_tokens at the start */
#define RAMP_CHUNKS         32       /* a job may have this many chunks in flight while its chunks still grow */
#define RAMP_CHUNKS_AGAIN   8        /* instead of RAMP_CHUNKS, after CHUNK_GROWTH items of one chunk were answered */
#define WAITING_AFTER_NS    (500 * NS_PER_MS) /* a job counts as waiting after this time without a usable endpoint */

/* The constants of the retry budget (retry.c). docs/decisions/scheduler.md gives the reason for each value. */
#define RETRY_WAIT_BYTES (32 * MIB) /* a job cuts no items while more bytes than this wait to be sent again */
/* Each waiting run of consecutive items counts as this many bytes, in addition to the bytes of its items. */
#define RETRY_RUN_BYTES KIB
/* Failed items of a chunk are gathered for at most this time, and then retried together. */
#define RETRY_GATHER_NS    (50 * NS_PER_MS)
#define RETRY_GATHER_BYTES (256 * KIB) /* no items join a chunk of retries that is larger than this */
#define BUDGET_SHARE       0.2         /* retries per first attempt */
#define BUDGET_MIN         3.0         /* every job may make at least this many retries */
#define BUDGET_ALL_MIN     100.0
#define BUDGET_ALL_MAX     1000.0
#define BUDGET_TRICKLE_NS  (100 * NS_PER_MS) /* time between two retries of a job whose budget is used up */
/* The time between two attempts of a job to endpoints on probation, when the retry budget of the job is used up. */
#define PROBATION_TRICKLE_NS (30 * NS_PER_S)

struct sched_endpoint {
    struct scheduler *s;
    void *owner;
    bool balancer;
    enum sched_endpoint_state state, before; /* `before` is the state that led to PROBING or PROBATION */
    bool probe_ok;                           /* a probe found it ready; it has not answered or failed since */
    struct sched_timer timer; /* fires when a pause, ejection or drain is over, or a probe takes too long */
    uint32_t index;           /* index in s->endpoints; UINT32_MAX: removed */
    struct list attempts;     /* attempts of all tasks */
    struct list lanes;
    double busy;                       /* sum of `busy` of its lanes */
    unsigned slots_hint;               /* 0: unknown */
    struct sched_endpoint_task *tasks; /* the worker's tasks, if tasks_known */
    size_t tasks_n;
    bool tasks_known;

    /* The endpoint's health. */
    unsigned failures; /* consecutive failures */
    unsigned pauses, ejections;
    uint64_t failed_ns; /* when the endpoint last failed; failures of attempts that began earlier are not counted */
    bool isolated;      /* an item runs alone on this endpoint, see halving.c */
    uint32_t poison_suspects; /* attempts of chunks that are poison suspects, see halving.c */
    bool has_answered;        /* the endpoint has answered since its last failure */
    bool unreached; /* see sched_endpoint_reached(); affects only the figures, because an attempt may still succeed */
};

/* A task, or a pipeline of tasks, that jobs name. */
struct sched_task {
    struct scheduler *s;
    char *name;
    struct list_link link; /* link on s->tasks */
    struct list jobs;
    unsigned priorities; /* sum of the priorities of its jobs */

    struct list lanes; /* one lane for each endpoint */
    uint32_t lanes_alloc;
    struct sched_lane **open, **available; /* lanes that take attempts; the open lanes that have room */
    uint32_t open_n, available_n;
    struct list warm;           /* idle lanes whose last answer was a value; the one that answered last comes first */
    double slots;               /* slots of the usable lanes */
    double unreached_slots;     /* the part of `slots` whose endpoints are unreached */
    uint32_t usable;            /* lanes that are not full, whose endpoint is OPEN and has the task */
    uint32_t serving;           /* lanes that are usable or full, and are known to work */
    uint32_t lacking;           /* lanes whose endpoint does not have the task */
    uint32_t full;              /* lanes that are full */
    uint64_t unserved_since_ns; /* when serving became 0 */

    struct heap ready;   /* jobs that can send, fairness.c */
    struct list blocked; /* jobs that found no room in the last run */
    uint64_t vtime;      /* vtime of the job that sent last */
    uint64_t uncut_items, pending_items, backoff_items, in_flight_items, demand_slots;
};

struct scheduler {
    struct scheduler_config config;
    struct scheduler_ops ops;
    void *ctx;
    struct random_source random;
    uint64_t now_ns; /* time of the last event or run */
    struct heap timers;

    struct list jobs;
    struct list tasks;  /* the task that is served next comes first */
    struct list ending; /* jobs that may have ended */
    struct sched_endpoint **endpoints;
    uint32_t endpoints_n, endpoints_alloc;
    size_t lanes_n;
    uint32_t rejecting_n;             /* endpoints that reject our token */
    struct sched_endpoint *isolating; /* gets no other chunks, so that an item can run alone on it; NULL: none */
    uint32_t isolations_pending;

    struct list settled; /* chunks to be released */
    struct list slices;  /* chunks to be sliced */
    struct list cuts;    /* attempts to be cut off */
    struct list lingering;
    struct list changed;     /* jobs whose demand, turn, hedging and waiting must be updated */
    struct heap hedge_scans; /* jobs that may hedge, hedge.c */
    uint64_t demand_slots;
    double tokens;
    double hedge_tokens;         /* how many more small jobs may hedge an item, see hedge.c */
    double chunk_cost_ns;        /* processor time that a chunk costs the coordinator */
    double worker_chunk_cost_ns; /* processor time that a chunk costs a worker, the mean of what workers state */
    /* How many endpoints failed after they had reported that they were ready. An answer of an endpoint on probation
     * resets this number to 0. */
    unsigned failed_after_ready;
    uint64_t pending_items, backoff_items, uncut_items;
    size_t worker_table_bytes;
    size_t span_bytes; /* memory of the spans of all chunks */
    size_t cut_bytes;  /* bytes cut in this run */
    unsigned ops_left; /* how many more ops this part of the run may call */
    struct sched_stats stats;
};

/* scheduler.c */
/* Call it when a part of the run begins. The number of ops in each part is limited. */
void run_begin_part(struct scheduler *s);
void run_count_op(struct scheduler *s);
/* Returns whether this part of the run may call more ops. If the result is false, the next run continues the work. */
bool run_has_room(const struct scheduler *s);
/* Returns whether the shell can begin another attempt soon. */
bool shell_may_send(const struct scheduler *s);
/* Sets the timer. SCHED_NEVER stops it. */
void timer_set(struct scheduler *s, struct sched_timer *t, uint64_t at_ns);
void timer_stop(struct scheduler *s, struct sched_timer *t);

/* sched_chunk.c */
struct sched_chunk *sched_chunk_new(struct sched_job *job, uint64_t first, uint32_t count);
void chunk_move(struct sched_chunk *chunk, enum sched_chunk_state to, bool at_front);
/* Makes a chunk of items [at, end). The new chunk is not on a list yet, and gets its payload in the next run. */
struct sched_chunk *chunk_slice(struct sched_chunk *chunk, uint32_t at, uint32_t end);
/* Adds item `at` of the chunk's parent. This item must come after the chunk's last item. The chunk must be in
 * CHUNK_BACKOFF, or must not be on a list. */
void chunk_join(struct sched_chunk *chunk, uint32_t at);
void chunk_answered(struct sched_chunk *chunk, uint32_t items);
uint32_t chunk_left(const struct sched_chunk *chunk);
/* Ends the chunk's unanswered items with an error, and so settles the chunk. */
void chunk_give_up(struct sched_chunk *chunk, enum item_error error, const char *cause);
/* Keeps the items before `at`. Returns the remaining items as a chunk that is not on a list yet. */
struct sched_chunk *chunk_split(struct sched_chunk *chunk, uint32_t at);
/* Call it when no more items may join the chunk. */
void chunk_close_retries(struct sched_chunk *chunk);
/* Call it when the retry budget has no token for the chunk, which stays in CHUNK_BACKOFF. */
void chunk_starve(struct sched_chunk *chunk);
/* Gives the new chunks their payloads. If some chunks are left for the next run, returns false. */
bool chunks_run_slices(struct scheduler *s);
/* Reports and releases settled chunks. Counts *steps down, and stops when *steps is 0. */
void chunks_run_settled(struct scheduler *s, unsigned *steps);
void chunk_free(struct sched_chunk *chunk);

/* sched_span.c */
/* Adds item `at` of the parent to the chunk's spans. The index of this item is `first`. Call it before chunk->count
 * grows. */
void spans_add(struct sched_chunk *chunk, uint64_t first, uint32_t at);
/* Copies the spans of items [at, end) of `from` to the chunk, which has no spans yet. */
void spans_copy(struct sched_chunk *chunk, const struct sched_chunk *from, uint32_t at, uint32_t end);
/* Removes the spans of the items that the chunk no longer has. */
void spans_cut(struct sched_chunk *chunk);
/* Returns the place of item `at` in the chunk's parent, and sets *n to the number of consecutive items from there on.
 */
uint32_t spans_parent_run(const struct sched_chunk *chunk, uint32_t at, uint32_t *n);
/* Returns how many runs of consecutive items the chunk has. */
uint32_t spans_count(const struct sched_chunk *chunk);
void spans_free(struct sched_chunk *chunk);

#define STARTING_NS          (2 * NS_PER_S) /* how long a worker's report of starting processes is valid */
#define STARTING_PATIENCE_NS (NS_PER_S / 2) /* after this time, items of a starting worker are sent elsewhere */

/* sched_attempt.c */
enum attempt_kind { ATTEMPT_PLAIN, ATTEMPT_HEDGE, ATTEMPT_RESCUE };
struct sched_attempt *attempt_start(struct sched_chunk *chunk, struct sched_lane *l, enum attempt_kind kind,
                                    double weight);
/* Call it when the attempt's endpoint is being removed. */
void attempt_orphan(struct sched_attempt *a);
/* Marks the attempt, so that one of the next runs of the scheduler cuts it off. */
void attempt_cut(struct sched_attempt *a);
void attempt_free(struct sched_attempt *a);
void attempts_run_cuts(struct scheduler *s);
void attempts_run_lingering(struct scheduler *s);

/* sched_end.c */
/* Ends jobs. A job that has much to settle stays on s->ending for the next run. */
void jobs_run_ending(struct scheduler *s, unsigned *steps);

/* sched_wait.c */
/* Call it after a change that may affect whether the task's jobs wait for a worker, or why they wait. Walks all jobs of
 * the task. */
void task_serving_changed(struct sched_task *t);
void job_timer_fired(struct sched_job *job);
void job_arm_timer(struct sched_job *job);
/* Tells the shell if the job has begun or stopped waiting, and what it waits for. */
void job_update_waiting(struct sched_job *job);

/* demand.c */
void demand_update(struct sched_job *job);
void demand_forget(struct sched_job *job);

/* fairness.c */
/* Returns the job whose turn it is; NULL if no job can send. */
struct sched_job *fairness_next(const struct sched_task *t);
void fairness_charge(struct sched_job *job, double slot_ns);
/* Corrects the charge that was made before the cost was known. Does not lower the job's virtual time below the virtual
 * time of its task. */
void fairness_correct(struct sched_job *job, double charged_ns, double cost_ns);
/* Returns whether the job's next items can become a chunk now. */
bool fairness_may_cut(struct sched_job *job);
/* Call it when the items that the job can send have changed. */
void fairness_update(struct sched_job *job);
/* Call it when there is no room for a chunk of the job. fairness_next() skips the job until fairness_unblock_all(). */
void fairness_block(struct sched_job *job);
void fairness_unblock_all(struct sched_task *t);
void fairness_forget(struct sched_job *job);

/* rate.c */
/* Returns whether max_rate allows the job to send its next items now. If not, sets the timer of the job for the time
 * when it will. */
bool rate_may_send(struct sched_job *job);
/* Returns how many items the job's next chunk may have; call it only after rate_may_send() has returned true. */
double rate_room(const struct sched_job *job);
/* Call it when items of the job are sent, for the first time or again. */
void rate_take(struct sched_job *job, uint32_t items);
/* Sets the job's max_rate. Tokens that the job owes under the old rate are not paid back. */
void rate_change(struct sched_job *job, double max_rate);
void rate_timer_fired(struct sched_job *job);

/* balancer.c */
/* Call it after any change of the endpoint's state, or of the lane's load or window. */
void balancer_update(struct sched_lane *l);
/* Calls balancer_update() for all lanes of the endpoint. */
void balancer_update_all(struct sched_endpoint *e);
/* Returns a lane with room for the chunk, or for the job's next chunk if `chunk` is NULL. Returns NULL if no lane has
 * room. */
struct sched_lane *balancer_pick(struct sched_job *job, const struct sched_chunk *chunk);
/* Lets the endpoint s->isolating take all chunks again. */
void isolation_end(struct scheduler *s);
/* Returns true if an endpoint is reserved for a chunk that must run alone, and that endpoint is idle now. */
bool isolation_is_idle(const struct scheduler *s);
/* Returns a lane for a copy of the attempt's suffix. */
struct sched_lane *balancer_pick_hedge(struct sched_job *job, const struct sched_attempt *late, bool seems_dead);
/* Returns a lane whose processes are running, for a copy of an attempt that waits for processes to start. */
struct sched_lane *balancer_pick_running(struct sched_job *job, const struct sched_attempt *starting);

/* sched_task.c */
/* Returns the task with this name. If there is no such task, makes it. */
struct sched_task *task_get(struct scheduler *s, const char *name);
/* Frees the task, which must have no jobs left. */
void task_free(struct sched_task *t);
/* Returns true if there are endpoints, but no endpoint has the task. */
bool task_is_nowhere(const struct sched_task *t);
/* Returns the slots of the usable lanes whose endpoints are not unreached. */
uint64_t task_reached_slots(const struct sched_task *t);

/* endpoint_health.c */
/* Returns the length of the next pause, and increments *pauses. Each pause is twice as long as the pause before, up to
 * PAUSE_MAX_NS, with jitter. */
uint64_t pause_length(struct scheduler *s, unsigned *pauses);
/* Returns whether the endpoint is in state OPEN or PROBATION. */
bool endpoint_takes_attempts(const struct sched_endpoint *e);
/* Changes e->state. No other function changes e->state. The state ends at `until_ns`; SCHED_NEVER: an event ends the
 * state. */
void endpoint_move(struct sched_endpoint *e, enum sched_endpoint_state to, enum sched_endpoint_state before,
                   uint64_t until_ns);
/* Call it when the endpoint has left the scheduler's arrays. */
void endpoint_gone(struct sched_endpoint *e);
/* Call it when an answer of the attempt has arrived. */
void endpoint_succeeded(struct sched_endpoint *e, const struct sched_attempt *a);
/* Call it when the attempt has ended and has been removed from its lists. `how` says how the attempt ended. */
void endpoint_ended(struct sched_endpoint *e, const struct sched_attempt *a, enum sched_end how,
                    uint64_t retry_after_ms);
void endpoint_timer_fired(struct sched_endpoint *e);
void endpoint_free(struct sched_endpoint *e);

/* item_cost.c */
void item_cost_add(struct sched_item_cost *c, double items, double ns);
/* Call it when a whole chunk of `items` items has used `ns` of slot time. */
void item_cost_add_chunk(struct sched_item_cost *c, double items, double ns);
double item_cost_mean_ns(const struct sched_item_cost *c); /* 0: not known */
/* Returns what one more item adds to a chunk's cost. Until this cost can be estimated well, returns the mean cost of an
 * item. */
double item_cost_marginal_ns(const struct sched_item_cost *c);
bool item_cost_is_sure(const struct sched_item_cost *c);

/* chunker.c */
double chunker_item_ns(const struct sched_job *job); /* slot time; 0: not known */
double chunker_slowness(const struct sched_lane *l); /* 1: as fast as the mean */
/* Returns how much of the lane's window, in slots, one item of a chunk of `items` items takes. */
double chunker_weight(const struct sched_job *job, const struct sched_lane *l, uint32_t items);
uint32_t chunker_items(const struct sched_job *job, const struct sched_lane *l);
/* Call it when n of the attempt's items have been answered. Before these answers, `left` items were unanswered. */
void chunker_observe(struct sched_attempt *a, uint32_t left, uint32_t n);
/* Call it when the attempt has ended and all of its items have been answered. */
void chunker_observe_whole(const struct sched_attempt *a);
void chunker_advance(struct sched_lane *l, uint64_t now_ns);
/* Returns whether the job must wait for answers before it sends more, because its chunks must still grow. */
bool chunker_ramp_is_full(struct sched_job *job);
void chunker_ramp_timer_fired(struct sched_job *job);
/* Call it when the attempt's answers have been accepted. After this call, larger chunks may be sent. */
void chunker_grow(const struct sched_attempt *a);

/* retry.c */
/* Returns whether the job's setting retry.on names this error. */
bool retry_is_on(const struct sched_job *job, enum item_error error);
/* Returns whether an item is sent again after `attempts` attempts. `error` is the item's own error in the last
 * attempt. */
bool retry_item_again(const struct sched_job *job, enum item_error error, uint32_t attempts);
/* Takes the first unanswered item out of the chunk. The item is sent again later, if possible to an endpoint other than
 * `e`. `attempts` attempts were charged to the item. */
void retry_item(struct sched_chunk *chunk, struct sched_endpoint *e, unsigned attempts, enum item_error error);
/* Returns how many bytes the chunk adds to job->wait_bytes. */
size_t retry_wait_bytes(const struct sched_chunk *chunk);
void retry_first_attempt(struct sched_job *job);
/* Returns whether a retry may be sent now. Takes a token if there is one. If there is no token, allows a retry every
 * BUDGET_TRICKLE_NS. */
bool retry_take_token(struct sched_job *job);
/* Returns whether the job may now send an attempt to this endpoint, which is on probation. */
bool retry_may_try(const struct sched_job *job, const struct sched_endpoint *e);
/* Call it when an attempt to an endpoint on probation starts. Returns whether the attempt took a token. If the attempt
 * took a token, give the token back when the endpoint has answered or could not be reached. */
bool retry_take_probation(struct sched_job *job, const struct sched_endpoint *e);
void retry_return_probation(struct sched_job *job);
/* Decides what happens to the chunk after its attempt has failed. No other attempt of the chunk may be running. */
void retry_chunk(struct sched_chunk *chunk, const struct sched_attempt *a, enum sched_end how);
/* Call it when an attempt has failed and another attempt of the chunk still runs. The function only counts the
 * failure. */
void retry_count_other(struct sched_chunk *chunk, const struct sched_attempt *a, enum sched_end how);
void retry_backoff(struct sched_chunk *chunk);
/* Returns whether `more` further failures would use up the item's attempts. The attempts are used up when the item has
 * failed max_attempts times while it was alone in its chunk. An item that comes from a larger chunk never has more than
 * max_attempts + log2(items of the larger chunk) attempts. */
bool retry_used_up(const struct sched_chunk *chunk, unsigned more);
void retry_timer_fired(struct sched_chunk *chunk);

void retry_count_items(struct sched_chunk *chunk);

/* halving.c */
/* Returns whether two workers have vanished while they had the chunk. */
bool halving_is_poison_suspect(const struct sched_chunk *chunk);
/* Returns whether the chunk is a single item that would fail permanently if it lost one more worker. If the result is
 * true, this item must run alone on a worker. */
bool halving_needs_isolation(const struct sched_chunk *chunk);
/* Returns whether the chunk may join the chunks that the endpoint already has. */
bool halving_allows(const struct sched_chunk *chunk, const struct sched_lane *l);
void halving_count_lost(struct sched_chunk *chunk, const struct sched_attempt *a);
/* Returns how many attempts are charged to each item of the chunk. */
unsigned halving_charged(const struct sched_chunk *chunk);
/* Decides what happens to the chunk after its worker has vanished. No other attempt of the chunk may be running. */
void halving_on_lost(struct sched_chunk *chunk, const struct sched_attempt *a, const char *cause);

/* hedge.c */
/* Sends late chunks a second time. Returns when to scan again. */
uint64_t hedge_run(struct scheduler *s);
/* Call it when the job's items in flight, or its items left to send, have changed. */
void hedge_update(struct sched_job *job);
/* Call it when `items` items of the job have been sent for the first time. */
void hedge_first_attempt(struct sched_job *job, uint32_t items);
/* Call it when an answer to the attempt has arrived. */
void hedge_observe(const struct sched_attempt *a);

#endif
