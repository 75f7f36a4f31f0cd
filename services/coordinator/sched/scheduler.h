/*
 * The scheduler: which items go in which chunk, to which endpoint, when, and when they are sent again after a failure.
 * Pure: it has no socket and no clock. Events come in as function calls that carry the time; actions go out through
 * scheduler_ops, only from inside scheduler_run(), which the shell calls once per loop turn after the turn's events.
 *
 * Promises: each item offered is settled exactly once (an answer taken in, or settle_error); job_finished comes exactly
 * once per job, after its last item; memory grows with what is in flight, not with the job.
 *
 *                 cut()                    send()                     all answered
 *   [offered] ----------------> PENDING ----------------> IN_FLIGHT ------------------> SETTLED --> release()
 *                                 ^  ^                     |  |  |  \
 *                                 |  |   hand-back (free)  |  |  |   \ attempts spent, cancelled, deadline
 *                                 |  +---------------------+  |  |    `-------> settle_error() --> SETTLED
 *                                 |                           |  |
 *                                 |  delay over, budget there |  | one item's error, to be retried: the item
 *                                 +---------- BACKOFF <-------+  | becomes a chunk of its own in BACKOFF
 *                                              failed, or lost   v
 *                                              (lost twice: in two halves)
 *
 * A chunk is on exactly one of those lists of its job, moved by one function (chunk_move in sched_chunk.c). While in
 * flight it has one attempt, or two when it is hedged; each attempt answers a prefix of the suffix it was sent, and the
 * chunk's own answered prefix is the longest. What an attempt answers below that is a duplicate and is dropped.
 *
 * Ownership: the scheduler owns jobs, chunks, attempts and endpoints; the shell owns what hangs on them by void *.
 *   job       from sched_job_add() until job_finished() returns;
 *   chunk     from cut() or slice() until release() returns;
 *   attempt   from send() until the shell reports sched_attempt_ended(), or cut_off() returns;
 *   endpoint  from sched_endpoint_add() until sched_endpoint_remove() returns. Its running attempts go on and are
 *             reported as before; their ->endpoint is then NULL.
 * Ops must not call back into the scheduler, except for reading (accessors).
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
 * An endpoint. Only OPEN and PROBATION get attempts.
 *
 *              429                        429
 *   OPEN <------------> FULL <------------------------- PROBATION <---- ready, or no answer in time ---- PROBING
 *    |  an answer, or     an answer, or    |  ^  |                                                         |  ^
 *    |  the pause is over the pause is over|  |  +---> OPEN: an answer                           not ready |  |
 *    |                                     +--+                                            (as it was)     |  |
 *    |                                                                                                     v  |
 *    +--- a failure, a drain, 401 or 403 ---> PAUSED, EJECTED, DRAINING, REJECTS_TOKEN ---- pause is over ----+
 *         (from PROBATION too)                (an unexpected answer leads to PROBATION at once)
 */
enum sched_endpoint_state {
    ENDPOINT_OPEN,
    ENDPOINT_FULL,          /* it answered 429 */
    ENDPOINT_PROBATION,     /* it failed last: one attempt at a time until it answers */
    ENDPOINT_PAUSED,        /* it failed */
    ENDPOINT_PROBING,       /* it is being asked whether it is ready */
    ENDPOINT_EJECTED,       /* it failed several times in a row */
    ENDPOINT_DRAINING,      /* it answered that it drains or closes its connections */
    ENDPOINT_REJECTS_TOKEN, /* it answered 401 or 403 */
    ENDPOINT_STATE_COUNT
};
const char *sched_endpoint_state_name(enum sched_endpoint_state state);

/* An instant at which a chunk, an endpoint, a job or the scheduler itself is due; the scheduler's own business. */
enum sched_timer_kind { TIMER_CHUNK, TIMER_ENDPOINT, TIMER_JOB, TIMER_RAMP, TIMER_SCHEDULER };
struct sched_timer {
    struct heap_node node; /* its key is the instant, ns; not in the heap: not set */
    enum sched_timer_kind kind;
};

/* Consecutive items of one job that travel together. The shell reads first, count and payload. */
struct sched_chunk {
    struct sched_job *job;
    uint64_t first;    /* index in the job of its first item */
    uint32_t count;    /* items; shrinks when the chunk is halved */
    uint32_t answered; /* items at its front that it is done with */
    unsigned sends;    /* attempts started, free ones included (Fantail-Attempt) */
    void *payload;     /* the shell's: set in cut() and slice(), given up in release() */

    /* The scheduler's own. */
    enum sched_chunk_state state;
    struct list_link link;       /* on its state's list */
    struct sched_timer timer;    /* CHUNK_BACKOFF: when it is over */
    struct list_link slice_link; /* parent is set: waiting to be sliced out of it */
    struct sched_chunk *parent;
    struct sched_attempt *attempt, *hedge;
    struct sched_endpoint *avoid; /* where it failed last; compared, never followed */
    size_t bytes;
    unsigned charged;                  /* failures that count towards max_attempts */
    unsigned lost;                     /* of these, lost workers since it was last half answered */
    unsigned failures, failures_alone; /* all of them; those as a single item */
    uint32_t origin;                   /* items of the chunk it comes from */
    bool handed_back;                  /* its last attempt was refused */
    bool prepaid;                      /* it has its token for the next attempt */
    bool is_item_retry;   /* its next attempt is a retry for an item's own error (retry.on): it takes no token */
    bool needs_isolation; /* blame.c */
    bool was_sent;        /* its next attempt is not the first of its items */
    int hedges;           /* second attempts sent */
    const char *cause;    /* of the last charged failure */
    uint32_t given_up;    /* items at its end that are to be settled with ... */
    enum item_error given_up_as;
};

/* One sending of a chunk's suffix to one endpoint. The shell reads chunk, endpoint, from, and hangs its call on it. */
struct sched_attempt {
    struct sched_chunk *chunk;
    struct sched_endpoint *endpoint; /* NULL after its removal */
    struct sched_lane *lane;         /* of its task there; the scheduler's own */
    uint32_t from;     /* first item sent, counted from chunk->first; the suffix is [from, count at send) */
    uint32_t to;       /* one past the last item sent */
    uint32_t received; /* items answered, duplicates included */
    uint64_t started_ns;
    void *call; /* the shell's */

    /* The scheduler's own. */
    struct list_link link;        /* on its endpoint's list */
    struct list_link queue;       /* on the list of those to be cut off, or of those that linger */
    double weight;                /* of one item in the endpoint's load */
    double clock;                 /* the endpoint's service clock at the last answer */
    uint64_t cost_items, cost_ns; /* what its worker said last */
    double seen_ns;               /* slot time of its answered items, as measured here */
    double charged_ns;            /* to its job's turn, until its cost is known */
    uint64_t progress_ns;         /* last answer, or started_ns */
    bool is_hedge;
    bool is_rescue;      /* of a chunk on a worker that seems dead: paid by the retry budget */
    bool dead;           /* to be cut off in the next run: what it still reports is dropped */
    bool lingers;        /* all is answered, but the end line has not come */
    bool alone;          /* it must run alone: no other chunk is sent to its endpoint */
    bool poison_suspect; /* its chunk was; counts on its endpoint */
    bool is_probation;   /* its endpoint was on probation */
    bool paid;           /* ... and it took a token */
};

/* How an attempt ended. Its answers until then are valid. */
enum sched_end {
    SCHED_END_COMPLETE,      /* end line "complete" */
    SCHED_END_DRAINING,      /* end line "draining": hand-back, free */
    SCHED_END_DEADLINE,      /* end line "deadline": hand-back, free */
    SCHED_END_NOT_CONNECTED, /* certainly not delivered: free */
    SCHED_END_BUSY,          /* 429: free; give retry_after_ms */
    SCHED_END_UNAVAILABLE,   /* 503: free; give retry_after_ms */
    SCHED_END_REFUSED,       /* 401 or 403: it does not take our token; free */
    SCHED_END_LOST,          /* connection lost after the request was (perhaps partly) sent, or the answer cut short */
    SCHED_END_SILENT,        /* silent for too long; the shell gave up on it */
    SCHED_END_BAD_STATUS,    /* any other status */
    SCHED_END_PROTOCOL,      /* wrong type, wrong count, not our lines */
    SCHED_END_TASK_UNKNOWN,  /* 404 */
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
    SCHED_WAITING_COUNT
};
/* "no_workers", "no_task", "token_refused", "retry_budget" */
const char *sched_waiting_name(enum sched_waiting why);

struct sched_retry {
    unsigned max_attempts; /* of an item; at least 1 */
    double interval_s, backoff_rate, max_delay_s;
    bool full_jitter; /* the delay is drawn from [0, delay) */
    uint32_t on;      /* bit 1 << enum item_error: these are retried */
};
#define SCHED_RETRY_ON(error) (1u << (error))

struct sched_job_params {
    void *owner;
    const char *task;         /* its task, or a pipeline's tasks with commas; borrowed for the call; NULL: "" */
    uint32_t chunk_size;      /* 0: adaptive */
    size_t max_chunk_bytes;   /* 0: DEFAULT_MAX_CHUNK_BYTES */
    size_t common_bytes;      /* sent with each chunk beside its items */
    uint64_t max_concurrency; /* items in flight at most; 0: no limit */
    unsigned priority;        /* 1 .. 9; the share grows with it */
    struct sched_retry retry;
    bool hedge_enabled;
    double hedge_max_extra_percent;
    uint64_t tolerated_failure_count;    /* SCHED_NO_LIMIT: none set */
    double tolerated_failure_percentage; /* of all items; 100: never fails */
    uint64_t deadline_ns;                /* SCHED_NEVER: none */
    bool idempotent;                     /* false: never sent again once delivered, never hedged */
};
/* The defaults of the job object in docs/protocol.md. */
void sched_job_params_init(struct sched_job_params *p);

struct sched_counts {
    uint64_t total; /* items offered */
    uint64_t succeeded, failed, cancelled;
    uint64_t retried; /* items that were sent again after a failure */
    uint64_t hedged;  /* items sent a second time because they were late */
};

/* The cause when a job gave up waiting for a worker; compared by address. */
extern const char sched_cause_no_workers[];
extern const char sched_cause_no_task[];

/* Why items end without an answer line of a worker. */
struct sched_failure {
    enum item_error error;
    unsigned attempts;
    const char *cause; /* one phrase; static */
};

struct sched_outcome {
    enum sched_status status;
    const char *reason; /* one phrase; static, or as given to sched_job_cancel(); NULL: every item had its turn */
    struct sched_counts counts;
    bool no_workers; /* it gave up waiting for a worker */
    bool delivered;  /* at least one chunk was answered in part */
};

struct scheduler_ops {
    /* Takes at least one and at most max_items items (max_bytes bytes, unless one item is longer) off the front of the
     * job's items into chunk->payload, and sets chunk->first. Their indexes are consecutive; between one cut and the
     * next there may be a gap. Returns how many they are, and their bytes in *bytes. */
    size_t (*cut)(void *ctx, struct sched_chunk *chunk, size_t max_items, size_t max_bytes, size_t *bytes);
    /* Takes items off the front in the same way, without a chunk: they will not be sent. */
    uint64_t (*drop)(void *ctx, struct sched_job *job, uint64_t max_items, uint64_t *first);
    /* part->first .. part->first + part->count lies inside whole: make part->payload from whole->payload, which stays
     * valid as it is (whole->count may shrink afterwards). */
    void (*slice)(void *ctx, struct sched_chunk *whole, struct sched_chunk *part);
    /* The chunk is settled and goes away: give up chunk->payload. */
    void (*release)(void *ctx, struct sched_chunk *chunk);

    /* Send items [from, to) of attempt->chunk to attempt->endpoint. A failure is reported by a later event. */
    void (*send)(void *ctx, struct sched_attempt *attempt);
    /* Abort it; report nothing more of it. */
    void (*cut_off)(void *ctx, struct sched_attempt *attempt, const char *why);

    /* These items have ended without an answer line: put error lines in their place. */
    void (*settle_error)(void *ctx, struct sched_job *job, uint64_t first, uint64_t count,
                         const struct sched_failure *why);
    void (*job_finished)(void *ctx, struct sched_job *job, const struct sched_outcome *outcome);
    /* The job began to wait, or stopped waiting (SCHED_NOT_WAITING). May be NULL. */
    void (*waiting)(void *ctx, struct sched_job *job, enum sched_waiting why);

    /* Ask an endpoint that failed whether it is ready (GET /readyz; when it refuses our token, something that needs the
     * token) and report by sched_endpoint_probed(). May be NULL: then it is tried with a chunk when its pause is over
     * and the budget allows. */
    void (*probe)(void *ctx, struct sched_endpoint *endpoint);

    /* For debugging, called at each move. May be NULL. */
    void (*chunk_moved)(void *ctx, const struct sched_chunk *chunk, enum sched_chunk_state from,
                        enum sched_chunk_state to);
    void (*endpoint_moved)(void *ctx, const struct sched_endpoint *endpoint, enum sched_endpoint_state from,
                           enum sched_endpoint_state to);
};

struct scheduler_config {
    uint64_t seed;
    uint64_t chunk_target_ns;       /* 0: DEFAULT_CHUNK_TARGET_MS */
    uint64_t worker_wait_ns;        /* how long chunks are held when no worker is reachable */
    uint64_t worker_forget_ns;      /* a worker behind a balancer counts for this long after its last answer */
    unsigned max_chunks_per_worker; /* of one task in flight to one worker; 0: CHUNKS_PER_WORKER */
};
void scheduler_config_init(struct scheduler_config *config);

struct scheduler *scheduler_new(const struct scheduler_config *config, const struct scheduler_ops *ops, void *ctx);
/* Frees everything; the only op called is release(), for the chunks there still are. */
void scheduler_free(struct scheduler *s);
/* Acts on the events and on the time. Returns the latest instant for the next call (SCHED_NEVER: an event will come
 * first). Calling it more often is harmless. */
uint64_t scheduler_run(struct scheduler *s, uint64_t now_ns);

/* The processor time that one chunk costs the coordinator, as measured by the shell. */
void sched_set_chunk_cost(struct scheduler *s, uint64_t ns);

/* Jobs. */
struct sched_job *sched_job_add(struct scheduler *s, const struct sched_job_params *params, uint64_t now_ns);
/* `items` more items can be cut, with `bytes` in all (for generated items an estimate is enough). */
void sched_job_offer(struct sched_job *job, uint64_t items, uint64_t bytes);
void sched_job_no_more_items(struct sched_job *job);
/* Ends it: running attempts are cut, the rest is settled as cancelled. `status` is CANCELLED or FAILED; `reason` must
 * outlive job_finished(). A second call is ignored. */
void sched_job_cancel(struct sched_job *job, enum sched_status status, const char *reason);
/* PATCH on a running job. */
void sched_job_set_max_concurrency(struct sched_job *job, uint64_t max_concurrency);
void sched_job_set_priority(struct sched_job *job, unsigned priority);
void sched_job_set_tolerance(struct sched_job *job, uint64_t count, double percentage);
void *sched_job_owner(const struct sched_job *job);
struct sched_counts sched_job_counts(const struct sched_job *job);
/* The time that items not yet cut and those in flight are expected to take; 0: not known yet. */
uint64_t sched_job_eta_ns(const struct sched_job *job);

/* Endpoints. */
/* `balancer`: there may be many workers behind it. `slots_hint`: 0 when unknown. */
struct sched_endpoint *sched_endpoint_add(struct scheduler *s, void *owner, bool balancer, unsigned slots_hint,
                                          uint64_t now_ns);
void sched_endpoint_remove(struct scheduler *s, struct sched_endpoint *e);
/* It drains, or it sent Connection: close. It gets no more chunks until it is ready again. Ignored for a balancer. */
void sched_endpoint_drain(struct scheduler *s, struct sched_endpoint *e, uint64_t now_ns);
/* The tasks that the worker has, all of them, and their slots (0: not known). Jobs of other tasks are not sent there.
 * Until it is called, and for a balancer always, an endpoint is taken to have every task. */
struct sched_endpoint_task {
    const char *name; /* borrowed for the call */
    unsigned slots;
};
void sched_endpoint_set_tasks(struct scheduler *s, struct sched_endpoint *e, const struct sched_endpoint_task *tasks,
                              size_t n, uint64_t now_ns);
/* The answer to the op probe(). */
void sched_endpoint_probed(struct scheduler *s, struct sched_endpoint *e, bool ready, uint64_t now_ns);
/* Its last attempt ended as SCHED_END_REFUSED (for a balancer: its last few attempts). */
bool sched_endpoint_rejects_token(const struct sched_endpoint *e);
void *sched_endpoint_owner(const struct sched_endpoint *e);
enum sched_endpoint_state sched_endpoint_state(const struct sched_endpoint *e);

/* Attempts. */
/* From the headers of its answer: worker_id is a hash of Fantail-Worker, slots are those of its task there. */
void sched_attempt_learned(struct sched_attempt *a, uint64_t worker_id, unsigned slots, uint64_t now_ns);
struct sched_accept {
    uint64_t first; /* the index, in the job, of the first line to keep */
    uint32_t drop;  /* lines at the front that are duplicates */
    uint32_t keep;  /* lines after them that are new */
};
/* What the worker says of the attempt until now: `items` of its items took `slot_ns` of slot time in all, and a chunk
 * costs the worker `chunk_ns` of processor time beside its items (0: it does not say). Both sums grow from call to
 * call. */
void sched_attempt_cost(struct sched_attempt *a, uint64_t items, uint64_t slot_ns, uint64_t chunk_ns);

/* n more items were answered with a value. The shell puts `keep` lines, after the first `drop`, into the collector. */
MUST_CHECK struct sched_accept sched_attempt_answered(struct sched_attempt *a, uint32_t n, uint64_t now_ns);

enum sched_verdict {
    SCHED_ITEM_FINAL,   /* put the error line in the collector, at .index, with .attempts */
    SCHED_ITEM_RETRIED, /* it will be tried again on another worker: drop the line */
    SCHED_ITEM_DROPPED, /* a duplicate: drop the line */
};
struct sched_item_verdict {
    enum sched_verdict verdict;
    uint64_t index;
    unsigned attempts;
};
/* The next item was answered with an error. */
MUST_CHECK struct sched_item_verdict sched_attempt_item_error(struct sched_attempt *a, enum item_error error,
                                                              uint64_t now_ns);
/* The attempt is over; the pointer is dead. A "complete" with items unanswered counts as SCHED_END_PROTOCOL; any other
 * way with all items answered counts as complete. */
void sched_attempt_ended(struct sched_attempt *a, enum sched_end how, uint64_t retry_after_ms, uint64_t now_ns);

/* What /autoscale and /metrics show. O(1). */
struct sched_stats {
    uint64_t queued_items; /* offered and not in flight */
    uint64_t in_flight_items;
    uint64_t demand_slots; /* slots that would be busy if there were enough */
    uint64_t in_flight_chunks;
    uint64_t slots; /* of the open endpoints, for the task that has most of them */
    uint64_t endpoints[ENDPOINT_STATE_COUNT];
    uint64_t attempts_first, attempts_retry, attempts_free,
        attempts_hedge; /* sent since the start; only retries use the budget */
    uint64_t attempts_ended[SCHED_END_COUNT];
    uint64_t attempts_cut;
    uint64_t budget_exhausted; /* times a retry had to wait for its budget */
    uint64_t items_retried, items_hedged, items_succeeded, items_failed, items_cancelled;
    uint64_t chunks;     /* now alive */
    size_t memory_bytes; /* of jobs, chunks, attempts and endpoints */
};
struct sched_stats sched_stats(const struct scheduler *s);

/* The same for one task (or pipeline), and for each that jobs have named lately. */
struct sched_task_stats {
    const char *name;
    size_t jobs;
    uint64_t queued_items, in_flight_items, demand_slots;
    uint64_t slots;     /* of its open endpoints */
    uint32_t endpoints; /* open ones that have it */
};
/* False when no job has named it lately. */
MUST_CHECK bool sched_task_stats(const struct scheduler *s, const char *name, struct sched_task_stats *stats);
void sched_each_task(const struct scheduler *s, void (*visit)(void *data, const struct sched_task_stats *stats),
                     void *data);

#endif
