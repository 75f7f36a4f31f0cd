/*
 * The job store keeps durable jobs: jobs that outlive the connection of their client. The store keeps the options, the
 * items and the answers of each job. This interface is the same for every database.
 *
 * All calls are asynchronous. store_start() returns immediately. The store calls `done` later, on the thread of the
 * event loop, never from inside store_start(). A writing call is done when its transaction is committed. Calls that
 * wait at the same time share one transaction (a group commit), so `done` is called for all of them after one fsync. If
 * one call fails, the other calls still take effect.
 *
 * Writing calls take effect in the order in which they were started. A reading call sees the effect of every writing
 * call that was done before the reading call was started.
 *
 * Leases: only one coordinator at a time runs a job. STORE_CLAIM gives a coordinator a lease on the job, with a
 * fencing token that grows with each claim. Each writing call for the running job states the token. If another
 * coordinator has claimed the job in the meantime, the call changes nothing and ends as STORE_FENCED. Times come from
 * the clock of the database. The idea is from M. Kleppmann, "How to do distributed locking", 2016.
 *
 *                       ADD_JOB           ACCEPT            CLAIM            END
 *                     ----------> RECEIVING ------> PENDING ------> RUNNING ----> SUCCEEDED, PARTIAL, FAILED,
 *                                     |                ^               |            CANCELLED or TIMED_OUT
 *            DISCARD, or the store is |                +---------------+               |         |
 *            opened again             v                HAND_BACK, or the lease         | REMOVE  | REDRIVE
 *                                   (gone)             has expired                     v         v
 *                                                                                    (gone)    PENDING
 *
 * Which coordinator may claim a job: each coordinator announces two lists of tasks to the store. `serves` has the tasks
 * that its workers have. `opens` has those tasks of `serves` for which the coordinator has slots left. The store
 * forgets an announcement when it has not heard from the coordinator for STORE_ANNOUNCED_MS. If a coordinator does not
 * know all options of a job, its announcement does not count for this job. A coordinator that knows the options of a
 * job may claim it in these cases:
 *   - it has slots left for all tasks of the job;
 *   - its workers have all tasks of the job, and no other coordinator has slots left for them;
 *   - no coordinator has workers with the tasks of the job, and the claim allows `others`.
 *
 * Notices: if a job has a `notify` URL, the end of the job must be reported to that URL. The transaction that ends the
 * job also stores a notice, however the job ends. The notice stays until STORE_REMOVE_NOTICE, even if its job is
 * removed. If the job is still in the store, the outcome of the notice is kept with the job.
 */
#ifndef FANTAIL_COORDINATOR_STORE_STORE_H
#define FANTAIL_COORDINATOR_STORE_STORE_H

#include <stdatomic.h>

#include "common/base/buf.h"
#include "common/base/list.h"

struct store_metrics;
struct uv_loop_s; /* uv_loop_t; pure modules include this header, so it does not include uv.h */

#define STORE_ID_SIZE       37    /* a job's id (a UUID as text) with its NUL */
#define STORE_LABEL_SIZE    65    /* a label with its NUL */
#define STORE_LIST_MAX      200   /* maximum number of jobs in one page of the list */
#define STORE_RANGES_BLOCKS 512   /* maximum number of blocks that one STORE_READ_RANGES returns */
#define STORE_RANGES_MAX    65536 /* a STORE_READ_RANGES that has read this many ranges reads no further block */
#define STORE_WHOLE_BLOCKS  8     /* a small job has at most this many blocks */
#define STORE_WHOLE_BYTES   65536 /* the lines of a small job have at most this many bytes */
#define STORE_NOTICE_SIZE   64    /* the id of a notice with its NUL */
#define STORE_ANNOUNCED_MS  10000 /* how long a coordinator counts as alive; see above */

/* The state of a job in the store. In STORED_SUCCEEDED and in all later states of this enum, the job has ended. */
enum stored_state {
    STORED_RECEIVING, /* its items are still being uploaded; clients cannot see the job */
    STORED_PENDING,
    STORED_RUNNING,
    STORED_SUCCEEDED,
    STORED_PARTIAL,
    STORED_FAILED,
    STORED_CANCELLED,
    STORED_TIMED_OUT,
    STORED_STATE_COUNT
};
/* The reason of a job that a client has cancelled. */
#define STORED_CANCELLED_BY_CLIENT "it was cancelled by a client"
/* Returns "receiving", "pending", "running", "succeeded" and so on. The database stores these words. */
const char *stored_state_name(enum stored_state state);
/* Returns false if no state has this name. */
bool stored_state_parse(const char *name, enum stored_state *state);
static inline bool stored_state_is_end(enum stored_state state)
{
    return state >= STORED_SUCCEEDED;
}

/* How many items succeeded, failed or were cancelled, and how many were sent again after a failure (retried) or as a
 * hedge (hedged). */
struct stored_counts {
    uint64_t succeeded, failed, cancelled;
    uint64_t retried, hedged;
};

/* The delivery of the notice about the last end of a job. */
struct stored_delivery {
    bool is_open; /* an attempt is running, or another attempt will follow */
    unsigned attempts;
    char *failure;    /* why the last finished attempt failed; NULL: it did not fail, or no attempt has finished */
    int64_t ended_ms; /* when the notice was delivered or given up; 0: not yet */
};

/* One job, without its items and answers. The strings are owned by the struct. Times are milliseconds since 1970. 0
 * means that the event has not happened yet. */
struct stored_job {
    char id[STORE_ID_SIZE];
    enum stored_state state;
    char *task;    /* its tasks, separated by commas */
    char *options; /* JSON text with all options that a new run needs; only CLAIM, CHANGE and READ_JOB return it */
    char *labels;  /* JSON array of strings; NULL: none */
    char *changes; /* JSON object: options that were changed after the submission; NULL: none */
    /* The URL to which the end of the job is reported; NULL: none. ACCEPT sets the URL; CHANGE and READ_JOB return
     * it. */
    char *notify;
    struct stored_delivery delivery; /* only READ_JOB returns it */
    /* Only for ACCEPT: a coordinator may claim the job only if the `knows` of its STORE_CLAIM is at least `needs`. */
    unsigned needs;
    int priority;
    uint64_t items;       /* known from ACCEPT on */
    uint64_t item_blocks; /* only for ACCEPT: how many blocks of items were added */
    struct stored_counts counts;
    char *errors; /* JSON object: for each error name, how many items have such an error; NULL: none */
    char *reason; /* why the job ended early; NULL: it did not end early */
    char *result; /* JSON: the reduced value; NULL: there is none. READ_JOB returns it; other calls need not */
    uint64_t redrives;
    bool cancel_wanted; /* a client has asked to cancel the job */
    int64_t created_ms, started_ms, ended_ms;
    char *key;        /* Idempotency-Key; NULL: none */
    char *key_digest; /* digest of the request with that key */
    uint64_t fence;   /* token of the last lease */
};
/* Copies a job to a zeroed struct. */
void stored_job_copy(struct stored_job *to, const struct stored_job *from);
/* Releasing a zeroed struct is fine. */
void stored_job_release(struct stored_job *j);

/* The end of a job, which is to be reported to a URL. */
struct stored_notice {
    /* The id of a notice is the same at each attempt to send it. If the job is redriven and ends again, the notice of
     * that end has another id. */
    char id[STORE_NOTICE_SIZE];
    unsigned attempts; /* how often the notice was taken */
    char *url;         /* owned */
    char job[STORE_ID_SIZE];
    enum stored_state state;
    uint64_t items;
    struct stored_counts counts;
    int64_t ended_ms;
};
/* Releasing a zeroed struct is fine. */
void stored_notice_release(struct stored_notice *n);

/* The content of a block. */
enum block_kind {
    BLOCK_ITEMS,  /* items, one line each */
    BLOCK_VALUES, /* answers {"value":...}, one line each */
    BLOCK_ERRORS, /* answers {"error":...} */
    BLOCK_SENT,   /* no lines: items of a task that is not idempotent, which are about to be sent */
    BLOCK_UNSENT, /* no lines: items of an earlier BLOCK_SENT that were not sent */
    BLOCK_KIND_COUNT
};

/* Returns "items", "values" and so on. The database stores these words. */
const char *block_kind_name(enum block_kind kind);
/* Returns false if no kind has this name. */
bool block_kind_parse(const char *name, enum block_kind *kind);

/* Consecutive items. In a block, the lines of a range follow the lines of the previous range. */
struct block_range {
    uint64_t first, n;
    bool repeated; /* BLOCK_ERRORS: one line stands for all n items */
};

/* Many items or answers that are stored together. The ranges of a block do not overlap, but may be in any order. */
struct block {
    uint64_t number; /* given by the store; later blocks of a job have larger numbers */
    enum block_kind kind;
    struct block_range *ranges; /* owned */
    size_t range_count;
    struct buf lines; /* empty in the results of STORE_READ_RANGES */
};
void block_release(struct block *b);

/* Figures of the whole store. */
struct store_stats {
    uint64_t pending; /* pending jobs; STORE_STATS_JOBS: at least this many */
    int64_t waits_ms; /* age of the oldest pending job that was never claimed; 0: there is none */
    uint64_t bytes;   /* size of the store */
};
#define STORE_STATS_JOBS   100000 /* READ_STATS counts at most this many jobs */
#define STORE_STATS_OLDEST 1000   /* READ_STATS finds waits_ms among this many of the oldest pending jobs */

enum store_op {
    /* Writing calls. */
    STORE_ADD_JOB,   /* `job` is new, in state RECEIVING. If its key exists, ends as STORE_EXISTS and fills `found` */
    STORE_ADD_BLOCK, /* adds `block` to the job. A block of answers also sets `counts` and `errors`; other blocks do
                        not change them. `again`: an earlier run of this call may have added the block. If there is a
                        block of the same kind with the same ranges and a number above `after`, the earlier run has
                        added `block`, and this call does not add it again */
    STORE_ACCEPT, /* the whole body has been read. Sets options, task, labels, priority, items and key_digest, and makes
                     the job PENDING. Fills `found`. CONFLICT if the job does not have item_blocks blocks in the
                     store */
    STORE_CLAIM,  /* announces `serves` and `opens`. If `only_announces` is not set, also claims a job that no
                     coordinator runs and that this coordinator may run: the job with the highest priority, and among
                     jobs of equal priority the oldest. Fills `found`. The first claim after ACCEPT or REDRIVE sets
                     started_ms to now_ms. May fill `whole`. `more`: there may be another job to claim */
    STORE_RENEW,  /* extends the lease. `found` says whether a client wants to cancel the job, and `wanted_elsewhere`
                     says whether another coordinator should run it */
    STORE_HAND_BACK,   /* ends the lease, and makes the job PENDING */
    STORE_END,         /* ends the job with `state`, `reason`, `result`, `counts` and `errors`, and ends the lease. If
                          `block` has ranges, it is a block of answers, which is added first, like ADD_BLOCK. Fills
                          `found` */
    STORE_WANT_CANCEL, /* sets cancel_wanted; fills `found`. A PENDING job ends as CANCELLED immediately: its items
                          without an answer are counted as cancelled in `counts` and `errors`, and have no block */
    STORE_CHANGE,      /* merges job.changes into the changes of a PENDING or RUNNING job. job.changes must contain no
                          null. If job.changes has a member "priority", sets the priority too. Fills `found` and its
                          options. Repeating the call has no further effect */
    STORE_REDRIVE, /* if an ended job has items without a value, makes the job PENDING again and drops its result and
                      all its blocks except items and values. Fills `found` */
    STORE_REMOVE,  /* removes an ended job with all its blocks */
    STORE_DISCARD, /* removes a RECEIVING job with all its blocks. If the job was accepted, ends as CONFLICT and fills
                      `found` */
    STORE_SWEEP,   /* removes some jobs that ended at least ttl_ms ago; `more`: there may be more such jobs */
    STORE_TAKE_NOTICE,   /* fills `notice` with the notice that has been due longest, and makes it due again after
                            lease_ms */
    STORE_DELAY_NOTICE,  /* if the notice `notice_id` was taken `attempts` times, makes it due after lease_ms, and keeps
                            notice_failure */
    STORE_REMOVE_NOTICE, /* if the notice `notice_id` was taken `attempts` times, removes it. If the notice is
                            about the last end of its job, the job keeps notice_failure */
    /* Reading calls. */
    STORE_READ_JOB,    /* fills `found`, even if the job is RECEIVING. If the job has ended, may fill `whole` */
    STORE_LIST_JOBS,   /* fills `list`, newest first */
    STORE_READ_RANGES, /* fills `blocks`, without lines, with the first blocks whose number is above block.number;
                          `more`: there are further blocks */
    STORE_READ_BLOCK,  /* fills the lines of `block`, by its number */
    STORE_READ_STATS,  /* fills `stats` */
    STORE_OP_COUNT
};

/* The other coordinators to which a run would hand its job over. */
enum store_yield {
    YIELD_NO,
    YIELD_TO_SERVING, /* to a coordinator whose workers have the tasks of the job */
    YIELD_TO_OPEN     /* to a coordinator with slots left for the tasks of the job */
};

enum store_status {
    STORE_OK,
    STORE_NOT_FOUND, /* no such job, block or notice; for CLAIM: no job waits; for TAKE_NOTICE: no notice is due */
    STORE_EXISTS,    /* ADD_JOB: another job has this key */
    STORE_CONFLICT,  /* the state of the job does not allow the call; `found` has the job */
    STORE_FENCED,    /* another coordinator has claimed the job in the meantime */
    STORE_FULL,      /* the disk is full, a quota is used up, or the store has reached its own size limit */
    STORE_AWAY,      /* the database cannot be reached, or was busy for too long: try again later */
    STORE_UNFIT, /* this coordinator cannot use the database: its schema is too new, a privilege is missing, or its file
                    was removed or replaced. The data are not damaged */
    STORE_BROKEN, /* the data are damaged; trying again does not help */
    STORE_STATUS_COUNT
};

/* Selects the jobs of a list. A zeroed member does not restrict the list. */
struct store_filter {
    bool with_state[STORED_STATE_COUNT]; /* no state is set: every state except RECEIVING */
    const char *task, *label;
    int64_t created_from_ms, created_before_ms;
    char below[STORE_ID_SIZE]; /* the cursor: only jobs with a smaller id, which are older */
    unsigned limit;            /* 1 .. STORE_LIST_MAX */
};

/* One call. The caller fills the members that `op` needs, starts the call, and frees it after `done`. The call owns
 * everything that its members point to, except `holder`, filter.task and filter.label, which are borrowed until
 * `done`. */
struct store_call {
    enum store_op op;
    void (*done)(struct store_call *call);
    void *data; /* for the caller */

    /* The request. */
    struct stored_job job; /* the id, the members that the call sets, and the fence if the job is running */
    struct block block;    /* ADD_BLOCK, END; ADD_BLOCK sets its number */
    bool again;            /* ADD_BLOCK, END: an earlier run of this call may have taken effect */
    uint64_t after;        /* ADD_BLOCK, END: the newest block of the job that the caller knew before the first run */
    const char *holder;    /* CLAIM: a name of this coordinator, for people */
    unsigned knows;        /* CLAIM: claims only a job whose `needs` is at most this */
    /* CLAIM: JSON arrays of task names, see above; owned. An entry "!a,b" says that no worker has all tasks of the
     * pipeline a,b. NULL: announces nothing, and may claim every job. */
    char *serves, *opens;
    bool others;                       /* CLAIM: may claim a job whose tasks no coordinator has */
    bool only_announces;               /* CLAIM: claims no job */
    bool wants_whole;                  /* CLAIM, READ_JOB: fill `whole` if the job is small */
    enum store_yield yields;           /* RENEW */
    uint64_t lease_ms;                 /* CLAIM, RENEW, TAKE_NOTICE, DELAY_NOTICE */
    char notice_id[STORE_NOTICE_SIZE]; /* DELAY_NOTICE, REMOVE_NOTICE */
    unsigned attempts;                 /* DELAY_NOTICE, REMOVE_NOTICE */
    char notice_failure[200];          /* DELAY_NOTICE, REMOVE_NOTICE: a sentence; "": the notice was delivered */
    int64_t ttl_ms;                    /* SWEEP */
    struct store_filter filter;
    /* The caller may set `abandoned` while the call runs. An abandoned call no longer waits to learn whether it took
     * effect. */
    atomic_bool abandoned;

    /* The result. */
    enum store_status status;
    char error[256]; /* unless OK: one sentence for the log and the client */
    struct stored_job found;
    struct stored_notice notice;
    struct stored_job *list;
    size_t list_count;
    struct block *blocks;
    size_t block_count;
    bool whole;            /* CLAIM, READ_JOB: `blocks` has all blocks of the job with their lines, as they were when
                              `found` was read. Saves the calls that read them one after the other */
    bool more;             /* CLAIM, LIST_JOBS, READ_RANGES, SWEEP: there may be more jobs or blocks */
    bool wanted_elsewhere; /* RENEW: there is a coordinator of the kind that `yields` names */
    int64_t now_ms;        /* CLAIM, RENEW: the time of the database */
    struct store_stats stats;

    /* Private to the store. */
    bool is_first_of_commit; /* the call is the first one of a transaction that was committed */
    struct list_link link;
    uint64_t started_ns;
};

struct store_call *store_call_new(enum store_op op, void (*done)(struct store_call *call), void *data);
/* NULL is fine. */
void store_call_free(struct store_call *call);
/* Clears the result of the call. A back end must clear the result before it carries out the call. */
void store_call_clear(struct store_call *call);
/* Drops the blocks of the result. */
void store_call_drop_blocks(struct store_call *call);

struct store;
struct store_ops {
    void (*start)(struct store *s, struct store_call *call);
    /* The loop must keep running until `closed` is called. All started calls are done before `closed` is called. */
    void (*close)(struct store *s, void (*closed)(void *data), void *data);
    void (*hold)(struct store *s, bool on); /* see store_hold(); NULL: has no effect */
};
/* The first member of each back end's own struct. */
struct store {
    const struct store_ops *ops;
    struct store_metrics *metrics; /* borrowed; NULL: calls are not counted */
};
/* For back ends: counts the call, and calls its done(), which may free the call. */
void store_finish(struct store *s, struct store_call *call);
/* For back ends: writes a sentence to call->error, and returns `status`. */
enum store_status store_refuse(struct store_call *call, enum store_status status, const char *fmt, ...)
    PRINTF_LIKE(3, 4);
/* For back ends, when there is no memory for the lines of a block: like store_refuse(), with STORE_AWAY. */
enum store_status store_lacks_memory(struct store_call *call);
/* For back ends, when a block cannot be decoded: like store_refuse(), with STORE_BROKEN. */
enum store_status store_block_damaged(struct store_call *call, uint64_t number, const char *why);
/* For back ends, when the job of a call is not in the store: like store_refuse(), with STORE_NOT_FOUND. */
enum store_status store_no_job(struct store_call *call);

/* Checks that PATH of sqlite:PATH can be a store. The folder of PATH must exist and must be writable. If there is a
 * file at PATH, it must be fantail's. Changes nothing. If PATH cannot be a store, returns false with a sentence in
 * err. */
MUST_CHECK bool store_sqlite_check(const char *path, char *err, size_t err_size);

/* Opens the file of sqlite:PATH, or makes it if there is none. If the threads cannot be started or the file cannot be
 * used, returns NULL, with a sentence in err. The file cannot be used if it is damaged, is not fantail's, has a newer
 * schema, or is open in another process (the sentence names the pid of that process). A full disk alone is no failure:
 * the returned store opens the file when there is room. Until the file is open, calls end as STORE_FULL. `max_bytes`
 * limits the size of the file; 0: no limit. */
MUST_CHECK struct store *store_sqlite_open(struct uv_loop_s *loop, const char *path, uint64_t max_bytes, char *err,
                                           size_t err_size);

/* Queues the call. The store owns the call until it calls `done`. */
static inline void store_start(struct store *s, struct store_call *call)
{
    call->started_ns = now_ns();
    s->ops->start(s, call);
}

/* Calls that are started between store_hold() and store_let_go() share a transaction: the store gets all of them in
 * store_let_go(). Without store_hold(), the store could begin to commit the first call while the caller is still
 * preparing the next one. Call store_hold() and store_let_go() from the same callback. */
static inline void store_hold(struct store *s)
{
    if (s->ops->hold) s->ops->hold(s, true);
}

static inline void store_let_go(struct store *s)
{
    if (s->ops->hold) s->ops->hold(s, false);
}

/* Carries out the calls that have been started, then calls `closed`. A call that is started later, for example by the
 * `done` of another call, ends as STORE_AWAY. */
static inline void store_close(struct store *s, void (*closed)(void *data), void *data)
{
    s->ops->close(s, closed, data);
}

#endif
