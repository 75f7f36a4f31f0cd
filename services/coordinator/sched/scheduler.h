/*
 * The scheduler decides which items form a chunk, when and to which endpoint a chunk is sent, and when it is sent again
 * after a failure. Pure: it has no socket and no clock. Each event is a function call that states the time. The
 * scheduler acts by calling scheduler_ops, and only from inside scheduler_run(). The shell (the code around the
 * scheduler) calls scheduler_run() once per loop turn, after the turn's events.
 *
 * Guarantees: each item offered is settled exactly once, either by an accepted answer or by settle_error. job_finished
 * is called exactly once per job, after its last item is settled. Memory grows with the items in flight, not with the
 * size of the job: a job cuts no more items while RETRY_WAIT_BYTES of its items wait to be sent again. One
 * run ends a limited number of chunks, so the end of a large job takes several runs.
 *
 *                 cut()                    send()                     all answered
 *   [offered] ----------------> PENDING ----------------> IN_FLIGHT ------------------> SETTLED --> release()
 *                                 ^  ^                     |  |  |  \
 *                                 |  |   hand-back (free)  |  |  |   \ attempts spent, cancelled, deadline
 *                                 |  +---------------------+  |  |    `-------> settle_error() --> SETTLED
 *                                 |                           |  |
 *                                 | delay over, budget allows |  | errors of items, to be retried: the items of the
 *                                 +---------- BACKOFF <-------+  | chunk that failed at about the same time become
 *                                              failed, or lost   v one chunk in BACKOFF
 *                                              (lost twice: in two halves)
 *
 * A chunk is always on the list of its state. Only chunk_move() (sched_chunk.c) moves a chunk to another list. A chunk
 * in flight has one attempt, or two when it is hedged. Each attempt sends a suffix of the chunk. The items of the
 * suffix are answered in order. The attempt with the furthest answer determines the answered prefix of the chunk. An
 * answer to an item inside that prefix is a duplicate and is dropped.
 *
 * Ownership: the scheduler owns jobs, chunks, attempts and endpoints. The shell owns what the void * members of these
 * objects point to.
 *   job       from sched_job_add() until job_finished() returns;
 *   chunk     from cut() or slice() until release() returns;
 *   attempt   from send() until the shell reports sched_attempt_ended(), or cut_off() returns;
 *   endpoint  from sched_endpoint_add() until sched_endpoint_remove() returns. The running attempts of the
 *             endpoint continue and are reported as before, but their member `endpoint` is set to NULL.
 * Ops may call only the scheduler's accessors, because accessors change nothing.
 */
#ifndef FANTAIL_COORDINATOR_SCHED_SCHEDULER_H
#define FANTAIL_COORDINATOR_SCHED_SCHEDULER_H

#include "common/base/base.h"
#include "common/base/heap.h"
#include "common/base/list.h"
#include "protocol/protocol.h"

#define SCHED_NEVER    UINT64_MAX
#define SCHED_NO_LIMIT UINT64_MAX

struct scheduler;
struct sched_job;
struct sched_endpoint;

enum sched_chunk_state { CHUNK_PENDING, CHUNK_BACKOFF, CHUNK_IN_FLIGHT, CHUNK_SETTLED, CHUNK_STATE_COUNT };
const char *sched_chunk_state_name(enum sched_chunk_state state);

/*
 * An endpoint. Only an endpoint in state OPEN or PROBATION gets attempts. A 429 changes no state: it is about one task,
 * and only that task's chunks are held back (sched_lane.c).
 *
 *   OPEN <---- an answer ---- PROBATION <---- ready, or no answer in time ---- PROBING
 *    |                            |                                             |  ^
 *    |                            |                                   not ready |  |
 *    |                            |                                             v  |
 *    +----------------------------+---> PAUSED, EJECTED, DRAINING, REJECTS_TOKEN --+
 *       a failure, a drain, 401 or 403  (as it was)               the pause is over
 */
enum sched_endpoint_state {
    ENDPOINT_OPEN,
    ENDPOINT_PROBATION,     /* it failed or drained, and gets one attempt at a time until it answers */
    ENDPOINT_PAUSED,        /* it failed */
    ENDPOINT_PROBING,       /* it is being asked whether it is ready */
    ENDPOINT_EJECTED,       /* it failed several times in a row */
    ENDPOINT_DRAINING,      /* it answered that it drains or closes its connections */
    ENDPOINT_REJECTS_TOKEN, /* it answered 401 or 403 */
    ENDPOINT_STATE_COUNT
};
const char *sched_endpoint_state_name(enum sched_endpoint_state state);

/* A timer of a chunk, an endpoint, a lane or a job. Only the scheduler uses timers of this type. */
enum sched_timer_kind { TIMER_CHUNK, TIMER_ENDPOINT, TIMER_LANE, TIMER_JOB, TIMER_RAMP, TIMER_RATE };
struct sched_timer {
    struct heap_node node; /* its key is the instant, ns; the timer is set while the node is in the heap */
    enum sched_timer_kind kind;
};

/* Items of a chunk whose indexes are consecutive. */
struct sched_span {
    uint64_t first;     /* index of the first of these items in the job */
    uint32_t at;        /* its place in the chunk */
    uint32_t parent_at; /* its place in the chunk that the items were taken from */
};

/* Items of one job that are sent together, in the order of their indexes. The indexes of the items are consecutive,
 * unless the chunk retries failed items. Between failed items there may have been items that did not fail. The shell
 * reads count and payload, and asks sched_chunk_run() for the indexes. */
struct sched_chunk {
    struct sched_job *job;
    uint64_t first;    /* index of its first item in the job */
    uint32_t count;    /* number of items; shrinks when the chunk is halved */
    uint32_t answered; /* items at its front that are answered */
    unsigned sends;    /* attempts started, including free ones (Fantail-Attempt) */
    void *payload;     /* the shell sets it in cut() and slice(), and frees it in release() */

    /* The scheduler's own. */
    enum sched_chunk_state state;
    struct list_link link;    /* on its state's list */
    struct sched_timer timer; /* CHUNK_BACKOFF: when the backoff is over */
    struct sched_span *spans; /* NULL: the indexes of its items are consecutive */
    uint32_t spans_n, spans_alloc;
    struct list_link slice_link;    /* on s->slices, while it has a parent and sliced < count */
    struct sched_chunk *parent;     /* its items are taken from this chunk; NULL: its payload is complete */
    uint32_t parent_at;             /* place of its first item in its parent */
    uint32_t sliced;                /* how many of its items were taken from its parent into its payload */
    struct sched_chunk *retries;    /* gathers its failed items, see retry_item(); NULL: none, or no more may join */
    uint64_t opened_ns, backoff_ns; /* when its first item failed; how long it stays in BACKOFF */
    struct heap_node order;         /* on job->order; its key is `first` */
    struct sched_attempt *attempt, *hedge;
    struct sched_endpoint *avoid; /* the endpoint where it failed last; never dereferenced */
    size_t bytes;
    unsigned erred;                    /* how often each of its items had failed before it was in this chunk */
    unsigned charged;                  /* failures of the chunk that count towards max_attempts */
    unsigned lost;                     /* charged failures that lost a worker; see halving_count_lost() */
    unsigned failures, failures_alone; /* all failures; failures while it was a single item */
    uint32_t origin;                   /* item count of the chunk that it was split from */
    bool handed_back;                  /* its last attempt handed its items back */
    bool prepaid;                      /* the token for its next attempt is already taken */
    bool starved;                      /* CHUNK_BACKOFF: it waits for the retry budget */
    bool is_item_retry;   /* its next attempt retries items after error lines (retry.on), and takes no token */
    bool needs_isolation; /* it must run alone on a worker, see halving.c */
    bool was_sent;        /* its items have been sent before */
    int hedges;           /* how many second attempts were sent */
    const char *cause;    /* cause of the last charged failure */
    uint32_t given_up;    /* items at its end that are to be settled with the error given_up_as */
    enum item_error given_up_as;
    bool cut_off; /* its job ended while it was in flight */
};

/* One attempt to get answers: a chunk's suffix, sent to one endpoint. The shell reads chunk, endpoint, from and to, and
 * stores its own call in `call`. */
struct sched_attempt {
    struct sched_chunk *chunk;
    struct sched_endpoint *endpoint; /* NULL after the endpoint's removal */
    struct sched_lane *lane;         /* the task's lane at the endpoint; only the scheduler uses it */
    uint32_t from;                   /* first item sent, counted from chunk->first */
    uint32_t to;                     /* one past the last item sent: the chunk's count at that time */
    uint32_t received;               /* items answered, including duplicates */
    uint64_t started_ns;
    void *call; /* the shell's own */

    /* The scheduler's own. */
    struct list_link link;        /* link on its endpoint's list */
    struct list_link queue;       /* link on the list of attempts to be cut off, or of attempts that linger */
    double weight;                /* weight of one item in the lane's load */
    double clock;                 /* the lane's clock (chunker.c) at the last answer */
    uint64_t cost_items, cost_ns; /* the cost that its worker reported last */
    double seen_ns;               /* slot time of its answered items, as the scheduler measured it */
    double charged_ns;            /* slot time charged to its job until its cost is known */
    uint64_t progress_ns;         /* when the last answer or report of starting processes arrived; else started_ns */
    uint64_t starting_since_ns;   /* first report of starting processes since the last answer; 0: none */
    uint64_t starting_until_ns;   /* because of such a report, the attempt is not late before this time */
    const char *refusal;          /* see sched_attempt_refused(); NULL: nothing was reported */
    bool is_hedge;
    bool is_rescue;      /* the worker of the chunk's first attempt seems dead, or still starts processes */
    bool dead;           /* it is to be cut off in one of the next runs */
    bool lingers;        /* all items are answered, but the end line has not arrived */
    bool alone;          /* it must run alone, so no other chunk is sent to its endpoint */
    bool poison_suspect; /* its chunk was a poison suspect; endpoint->poison_suspects counts this attempt */
    bool is_probation;   /* its endpoint was on probation */
    bool paid;           /* the attempt on probation took a token */
};

/* How an attempt ended. The answers that arrived before the end of the attempt are valid. "Free" means that an attempt
 * with this end does not count towards max_attempts. */
enum sched_end {
    SCHED_END_COMPLETE,      /* end line "complete" */
    SCHED_END_DRAINING,      /* end line "draining": the items are handed back, free */
    SCHED_END_DEADLINE,      /* end line "deadline": the items are handed back, free */
    SCHED_END_NOT_CONNECTED, /* the items were certainly not delivered: free */
    SCHED_END_BUSY,          /* 429, or 409 (the worker still runs an earlier attempt): free; pass retry_after_ms */
    SCHED_END_UNAVAILABLE,   /* 503: free; pass retry_after_ms */
    SCHED_END_REFUSED,       /* 401 or 403: the endpoint rejects our token; free */
    SCHED_END_OLD_TOKEN,     /* 401 or 403, but we have another token by now: free */
    SCHED_END_NO_ROOM,    /* the coordinator has no memory for the answer: free, unless the items must not run twice */
    SCHED_END_LOST,       /* connection lost after the request was (perhaps partly) sent, or the answer cut short */
    SCHED_END_SILENT,     /* silent for too long, so the shell ended it */
    SCHED_END_NO_MEMORY,  /* 507: the worker has no memory for the items; no item ran */
    SCHED_END_BAD_STATUS, /* any other status */
    SCHED_END_PROTOCOL,   /* the answer has a malformed line, too many or too few lines, or names another attempt */
    SCHED_END_TASK_UNKNOWN, /* 404 or 422: the worker does not have the task, or cannot run it */
    SCHED_END_COUNT
};
const char *sched_end_name(enum sched_end how);

enum sched_status {
    SCHED_SUCCEEDED,
    SCHED_PARTIAL,
    SCHED_FAILED,
    SCHED_CANCELLED,
    SCHED_TIMED_OUT,
    SCHED_STATUS_COUNT
};
const char *sched_status_name(enum sched_status status);

enum sched_waiting {
    SCHED_NOT_WAITING,
    SCHED_WAITING_NO_WORKERS,
    SCHED_WAITING_NO_TASK, /* no worker has the task */
    SCHED_WAITING_TOKEN_REFUSED,
    SCHED_WAITING_RETRY_BUDGET,
    SCHED_WAITING_STARTING, /* processes of its task are starting */
    SCHED_WAITING_COUNT
};
/* Returns "no_workers", "no_task", "token_refused", "retry_budget" or "starting". */
const char *sched_waiting_name(enum sched_waiting why);

struct sched_retry {
    unsigned max_attempts; /* attempts per item, at least 1 */
    double interval_s, backoff_rate, max_delay_s;
    bool full_jitter; /* the delay is multiplied by a random number from [0, 1) */
    uint32_t on;      /* the errors that are retried: a set of bits 1 << enum item_error */
};
#define SCHED_RETRY_ON(error) (1u << (error))

struct sched_counts {
    uint64_t total; /* items offered */
    uint64_t succeeded, failed, cancelled;
    uint64_t retried; /* items that were sent again after a failure */
    uint64_t hedged;  /* items sent a second time because they were late, or because processes were starting for them */
};

struct sched_job_params {
    void *owner;
    const char *task;         /* the task, or a pipeline's comma-separated tasks; NULL: ""; borrowed for the call */
    uint32_t chunk_size;      /* 0: adaptive */
    size_t max_chunk_bytes;   /* 0: DEFAULT_MAX_CHUNK_BYTES */
    size_t common_bytes;      /* bytes sent with each chunk besides its items */
    uint64_t max_concurrency; /* the most items in flight; 0: no limit */
    double max_rate;          /* the most items sent per second; 0: no limit */
    unsigned priority;        /* 1 .. 9; a job with a higher priority gets a larger share */
    struct sched_retry retry;
    bool hedge_enabled;
    double hedge_max_extra_percent;
    uint64_t tolerated_failure_count;    /* SCHED_NO_LIMIT: no limit is set */
    double tolerated_failure_percentage; /* percentage of all items; 100: no limit is set */
    uint64_t deadline_ns;                /* SCHED_NEVER: no deadline */
    bool idempotent;                     /* if false, a delivered item is never sent again, and never hedged */
    struct sched_counts before;          /* items that an earlier run of the job has settled */
};
/* Sets the defaults of the job object in docs/protocol.md. */
void sched_job_params_init(struct sched_job_params *p);

/* The causes that a job reports when it has waited too long for a worker. The causes are compared by address. */
extern const char sched_cause_no_workers[];
extern const char sched_cause_no_task[];
extern const char sched_cause_token[];

/* Says why items end without an answer line from a worker. */
struct sched_failure {
    enum item_error error;
    unsigned attempts;
    const char *cause; /* one phrase; lives as long as the job */
    bool sent;         /* false: the job ended before the items ran on any worker */
};

struct sched_outcome {
    enum sched_status status;
    const char *reason; /* one phrase: static, or from sched_job_cancel(); NULL: the job did not end early */
    struct sched_counts counts;
    bool no_workers; /* the job has waited too long for a worker */
    bool delivered;  /* workers have answered at least one item */
};

struct scheduler_ops {
    /* Moves items from the front of the job's items into chunk->payload, and sets chunk->first. Moves at least one item
     * and at most max_items items. The moved items have at most max_bytes bytes, unless the first item alone has more.
     * The indexes of the moved items are consecutive. There may be a gap between the items of two cuts. Returns the
     * number of items moved, and sets *bytes to their size. */
    size_t (*cut)(void *ctx, struct sched_chunk *chunk, size_t max_items, size_t max_bytes, size_t *bytes);
    /* Like cut(), but removes the items and makes no chunk, because the items will not be sent. */
    uint64_t (*drop)(void *ctx, struct sched_job *job, uint64_t max_items, uint64_t *first);
    /* Adds items [at, end) of whole->payload to the end of part->payload, which is NULL at first. Must not change the
     * items of `whole`. If `whole` was halved, whole->count no longer includes these items, but whole->payload still
     * has them. Returns how many bytes the op had to read. */
    size_t (*slice)(void *ctx, struct sched_chunk *whole, uint32_t at, uint32_t end, struct sched_chunk *part);
    /* Frees chunk->payload. The chunk is settled, and is freed after this call. */
    void (*release)(void *ctx, struct sched_chunk *chunk);

    /* Sends items [from, to) of attempt->chunk to attempt->endpoint. The shell reports a failed send in a later
     * event. */
    void (*send)(void *ctx, struct sched_attempt *attempt);
    /* Returns whether the shell can begin another attempt soon. If the shell cannot, the scheduler asks again in its
     * next run, which follows immediately. May be NULL. */
    bool (*may_send)(void *ctx);
    /* Aborts the attempt. The shell must report nothing more about this attempt. */
    void (*cut_off)(void *ctx, struct sched_attempt *attempt, const char *why);

    /* Called when items have ended without an answer line. The shell must add an error line for each of these items. */
    void (*settle_error)(void *ctx, struct sched_job *job, uint64_t first, uint64_t count,
                         const struct sched_failure *why);
    void (*job_finished)(void *ctx, struct sched_job *job, const struct sched_outcome *outcome);
    /* Called when the job has begun to wait, or has stopped waiting (SCHED_NOT_WAITING). May be NULL. */
    void (*waiting)(void *ctx, struct sched_job *job, enum sched_waiting why);

    /* Asks a failed endpoint whether it is ready, and reports the result with sched_endpoint_probed(). The op sends GET
     * /readyz. If the endpoint has rejected our token, the op sends a request that needs a token. The op may be NULL.
     * If the op is NULL, the endpoint is tried with a chunk when its pause is over and the budget allows an attempt. */
    void (*probe)(void *ctx, struct sched_endpoint *endpoint);

    /* Called at each change of state, for debugging. May be NULL. */
    void (*job_moved)(void *ctx, const struct sched_job *job, const char *from, const char *to);
    void (*chunk_moved)(void *ctx, const struct sched_chunk *chunk, enum sched_chunk_state from,
                        enum sched_chunk_state to);
    void (*endpoint_moved)(void *ctx, const struct sched_endpoint *endpoint, enum sched_endpoint_state from,
                           enum sched_endpoint_state to);
};

struct scheduler_config {
    uint64_t seed;
    uint64_t chunk_target_ns;       /* 0: DEFAULT_CHUNK_TARGET_MS */
    uint64_t worker_wait_ns;        /* a job fails after waiting this long for a worker that can take its items */
    uint64_t worker_forget_ns;      /* a worker behind a balancer counts for this long after its last answer */
    unsigned max_chunks_per_worker; /* chunks of one task in flight to one worker; 0: CHUNKS_PER_WORKER */
    /* The most attempts that one run sends or cuts off, and the most jobs that it finishes. The next run continues. So
     * no run takes long, however many attempts and jobs there are. 0: a default. */
    unsigned max_ops_per_run;
};
void scheduler_config_init(struct scheduler_config *config);

struct scheduler *scheduler_new(const struct scheduler_config *config, const struct scheduler_ops *ops, void *ctx);
/* Frees everything. Calls only ops about the chunks that still exist: slice(), chunk_moved() and release(). */
void scheduler_free(struct scheduler *s);
/* Acts on the events since the last call, and on the timers that are due. Returns the time by which to call it again;
 * SCHED_NEVER: only after the next event. More frequent calls are harmless. */
uint64_t scheduler_run(struct scheduler *s, uint64_t now_ns);

/* Sets the processor time that one chunk costs the coordinator, as measured by the shell. */
void sched_set_chunk_cost(struct scheduler *s, uint64_t ns);

/* Returns how many items of the chunk have consecutive indexes, from item `at` on, and sets *first to the index of item
 * `at`. */
uint32_t sched_chunk_run(const struct sched_chunk *chunk, uint32_t at, uint64_t *first);
uint64_t sched_chunk_index(const struct sched_chunk *chunk, uint32_t at);

/* Jobs. */
struct sched_job *sched_job_add(struct scheduler *s, const struct sched_job_params *params, uint64_t now_ns);
/* Call it when `items` more items can be cut. The items have `bytes` bytes in all; for generated items an estimate is
 * enough. */
void sched_job_offer(struct sched_job *job, uint64_t items, uint64_t bytes);
void sched_job_no_more_items(struct sched_job *job);
/* Ends the job. Running attempts are cut off, and all items that are not settled yet are settled as cancelled. `status`
 * is CANCELLED or FAILED. `reason` must outlive job_finished(). A second call for the job is ignored. */
void sched_job_cancel(struct sched_job *job, enum sched_status status, const char *reason);
/* The next functions change a running job. */
void sched_job_set_max_concurrency(struct sched_job *job, uint64_t max_concurrency);
void sched_job_set_max_rate(struct sched_job *job, double max_rate);
/* While a job is paused, no more chunks are cut from its items. Chunks that were cut before are still sent, and sent
 * again after a failure. So in the end, all items before the first uncut item are settled. */
void sched_job_pause(struct sched_job *job, bool paused);
/* After this call, no chunk of the job is sent, not even a chunk that was cut before. Attempts in flight continue. */
void sched_job_hold(struct sched_job *job);
/* Says how many items will be offered later. These items count as demand, and the job waits for a worker as if the
 * items had been offered. `undescribed`: the items will be offered only when a worker has described the job's task. So
 * the job waits even if there is an endpoint that might have the task. */
void sched_job_expect(struct sched_job *job, uint64_t items, bool undescribed);
/* The functions below set the parameters of the same names. */
void sched_job_set_idempotency(struct sched_job *job, bool idempotent, bool hedge_enabled);
void sched_job_set_priority(struct sched_job *job, unsigned priority);
void sched_job_set_tolerance(struct sched_job *job, uint64_t count, double percentage);
void sched_job_set_deadline(struct sched_job *job, uint64_t deadline_ns);
void *sched_job_owner(const struct sched_job *job);
/* Returns whether an item of the job may be sent again after it has been delivered. */
bool sched_job_may_run_twice(const struct sched_job *job);
struct sched_counts sched_job_counts(const struct sched_job *job);
/* Returns how many items of the job are in flight. */
uint64_t sched_job_in_flight(const struct sched_job *job);
/* Returns how many slots the job would keep busy if there were enough slots; see demand.c. */
uint64_t sched_job_demand_slots(const struct sched_job *job);
/* Returns the expected time until all items that are not settled yet are done. 0: not known yet. */
uint64_t sched_job_eta_ns(const struct sched_job *job);

/* Endpoints. */
/* Adds an endpoint. `balancer`: the endpoint may stand for many workers. `slots_hint`: the number of the endpoint's
 * slots; 0: unknown. */
struct sched_endpoint *sched_endpoint_add(struct scheduler *s, void *owner, bool balancer, unsigned slots_hint,
                                          uint64_t now_ns);
void sched_endpoint_remove(struct scheduler *s, struct sched_endpoint *e);
/* Call it when the endpoint drains or has sent Connection: close. The endpoint gets no more chunks until it is ready
 * again. Ignored for a balancer. */
void sched_endpoint_drain(struct scheduler *s, struct sched_endpoint *e, uint64_t now_ns);
struct sched_endpoint_task {
    const char *name; /* borrowed for the call */
    unsigned slots;   /* 0: not known */
};
/* Sets the complete list of the worker's tasks. Chunks of other tasks are not sent to the worker. Until this list is
 * set, the endpoint counts as having every task. A balancer always counts as having every task. */
void sched_endpoint_set_tasks(struct scheduler *s, struct sched_endpoint *e, const struct sched_endpoint_task *tasks,
                              size_t n, uint64_t now_ns);
/* Call it when the endpoint has a new worker. If the endpoint gets no chunks because it failed or drained, it is probed
 * now. */
void sched_endpoint_probe_now(struct scheduler *s, struct sched_endpoint *e, uint64_t now_ns);
/* Reports the result of the op probe(). */
void sched_endpoint_probed(struct scheduler *s, struct sched_endpoint *e, bool ready, uint64_t now_ns);
/* Returns whether the endpoint has rejected our token. When the endpoint has accepted the token, or has failed in
 * another way, returns false again. For a balancer, returns whether the balancer has failed several times in a row, and
 * rejected our token in the last failure. */
bool sched_endpoint_rejects_token(const struct sched_endpoint *e);
void *sched_endpoint_owner(const struct sched_endpoint *e);
enum sched_endpoint_state sched_endpoint_state(const struct sched_endpoint *e);

/* Attempts. */
/* Reports what the headers of the answer say. worker_id is a hash of Fantail-Worker; `slots` is the number of slots
 * that the worker has for the task. */
void sched_attempt_learned(struct sched_attempt *a, uint64_t worker_id, unsigned slots, uint64_t now_ns);
/* Reports that no item of the attempt can run yet, because its worker is still starting processes of the task. Call it
 * every second until the processes have started. */
void sched_attempt_starting(struct sched_attempt *a, uint64_t now_ns);
/* Reports the cost of the attempt so far, as its worker states it. `items` items of the attempt took `slot_ns` of slot
 * time in all. A chunk costs the worker `chunk_ns` of processor time besides its items (0: not stated). `items` and
 * `slot_ns` are running totals. */
void sched_attempt_cost(struct sched_attempt *a, uint64_t items, uint64_t slot_ns, uint64_t chunk_ns);

struct sched_accept {
    uint32_t drop; /* lines at the front that are duplicates; all lines if the job has ended */
    uint32_t keep; /* lines after them that are new */
    uint32_t at;   /* place of the first new line's item in the chunk, for sched_chunk_run() */
};
/* Reports that n more items have been answered with a value. The shell must drop the first `drop` lines and add the
 * next `keep` lines to the collector. */
MUST_CHECK struct sched_accept sched_attempt_answered(struct sched_attempt *a, uint32_t n, uint64_t now_ns);

enum sched_verdict {
    SCHED_ITEM_FINAL,   /* add the error line to the collector, at .index, with .attempts */
    SCHED_ITEM_RETRIED, /* drop the line: the item will be sent again */
    SCHED_ITEM_DROPPED, /* drop the line: it is a duplicate, or the job has ended */
};
struct sched_item_verdict {
    enum sched_verdict verdict;
    uint64_t index;
    unsigned attempts;
};
/* Reports that the next item was answered with an error. */
MUST_CHECK struct sched_item_verdict sched_attempt_item_error(struct sched_attempt *a, enum item_error error,
                                                              uint64_t now_ns);
/* Reports why the worker refused the items, as one phrase. If the attempt ends with SCHED_END_BAD_STATUS, this phrase
 * is the cause of the items' failure. The scheduler keeps a copy of the phrase. */
void sched_attempt_refused(struct sched_attempt *a, const char *why);
/* Reports that the attempt is over. `a` must not be used afterwards. If items are unanswered, SCHED_END_COMPLETE counts
 * as SCHED_END_PROTOCOL. If all items are answered, any other end counts as SCHED_END_COMPLETE. */
void sched_attempt_ended(struct sched_attempt *a, enum sched_end how, uint64_t retry_after_ms, uint64_t now_ns);

#endif
