/*
 * One durable job while this coordinator runs it. The run begins with the claim. The run is over when the end of the
 * job has been recorded, the job has been handed back, or the lease is lost. Owner: durable.c.
 *
 *             its blocks are known          the scheduler has ended it        END or HAND_BACK is done
 *   LOADING ----------------------> RUNNING --------------------------> ENDING ------------------------> OVER --> freed
 *      |                                                                 ^  |                              ^
 *      +-----------------------------------------------------------------+  +------------------------------+
 *        its options cannot be read, or it is handed back                           the lease is lost
 *
 * If a call to the store fails because the store is away or full, the call is repeated until it succeeds. The job
 * pauses while the call is being repeated, and nothing is lost.
 */
#ifndef FANTAIL_COORDINATOR_DURABLE_DURABLE_RUN_H
#define FANTAIL_COORDINATOR_DURABLE_DURABLE_RUN_H

#include "coordinator/durable/durable.h"
#include "coordinator/durable/recorder.h"
#include "coordinator/durable/stored_items.h"
#include "coordinator/job/job_keeper.h"
#include "coordinator/recorded/range_list.h"
#include "coordinator/recorded/range_sort.h"

/* How long a lease lasts. When the lease of a job has expired, another coordinator takes over the job. After a crash,
 * another coordinator takes over the job after at most LEASE_MS plus the time between two claims. If a client cancels
 * the job on another coordinator, the job runs until the next renewal of its lease. */
enum { LEASE_MS = 10000 };

enum durable_run_state { RUN_LOADING, RUN_RUNNING, RUN_ENDING, RUN_OVER, RUN_STATE_COUNT };

/* A call to the store. A failed call is started again. */
struct run_call {
    struct store_call *call;    /* NULL: there is none */
    uint64_t again_ns;          /* when the failed call is started again; 0: the call is open */
    enum store_status failed;   /* the status of its last failure; STORE_OK: it has not failed yet */
    struct lasting_fault fault; /* its failures since the last success */
};

/* A block of items in the store. */
struct item_block {
    uint64_t number, first, n;
};

struct durable_run {
    struct durable *durable;
    struct list_link link; /* on durable->runs */
    enum durable_run_state state;
    struct stored_job stored; /* the job as it was claimed */
    int64_t claimed_ms;       /* when it was claimed, by the clock of the database */
    uint64_t claimed_ns;      /* when the run began */
    uint64_t newest_block;    /* number of the newest block that is known to be in the store; 0: none */
    struct job *job;          /* NULL before RUNNING */
    struct job_keeper keeper;
    char failure[300];                                       /* why the job cannot continue; "": it can */
    char store_error[sizeof((struct store_call *)0)->error]; /* the last failure of the store; "": none yet */

    /* The items of the run: run_items.c. */
    bool generated;
    bool at_most_once; /* items are recorded as sent before they are sent */
    /* No worker has described the job's tasks yet, so it is not known whether at_most_once must be true. Until a worker
     * describes them, at_most_once is true, and no item is sent. */
    bool undescribed;
    struct range_list answered, sent;
    struct range_sort sort;    /* LOADING: sorts `answered` when its blocks are known */
    struct range_list missing; /* items without an answer */
    /* The blocks of a small job, which its claim has returned; NULL: there are none, or all were used. Only the blocks
     * of items still have their lines. */
    struct block *whole;
    size_t whole_count;
    struct item_block *blocks; /* in index order */
    size_t block_count, block_at;
    uint64_t read_items;        /* number of items that were read from the store */
    uint64_t read_bytes;        /* bytes of their lines */
    bool has_enough;            /* no block is read until items in flight are answered */
    size_t missing_at;          /* the missing range whose items are made ready next */
    uint64_t missing_taken;     /* how many items of that range are already ready or staged */
    struct stored_items items;  /* items that the scheduler cuts into chunks */
    struct stored_items staged; /* at_most_once: items that are not recorded as sent yet */
    struct index_range marked;  /* at_most_once: items that are being recorded as sent */
    struct buf marked_lines;
    size_t counted_items; /* bytes of the items above, as counted in jobs->item_memory */
    /* at_most_once: items that are recorded as sent, but were not sent before the hand-back */
    struct range_list unsent;
    bool all_ready; /* the scheduler knows that no more items follow */
    struct run_call reading, marking;

    /* The answers of the run: run_record.c. */
    struct recorder recorder;
    uint64_t collected_ns;  /* when the first unrecorded answer arrived; 0: there is none */
    uint64_t recorded_ns;   /* when answers were last recorded */
    size_t writing_bytes;   /* bytes of the lines of the call `writing` */
    size_t counted_answers; /* bytes of the answers above, as counted in jobs->answer_memory */
    /* The part of the counts that this or another coordinator has already added to fantail_items_total. */
    struct stored_counts reported;
    struct run_call writing;
    enum stored_state end_state; /* set when the scheduler has ended the job */
    char end_reason[512];        /* UTF-8; set it with run_set_end_reason() */
    bool settling;               /* state ENDING: the error rest_error is being added for items that were not sent */
    enum item_error rest_error;

    /* The reduction of the run: run_reduce.c. */
    enum job_reduce reduce;
    struct run_reduction *reduction; /* NULL: no reduction is under way */
    bool reduced;                    /* `result` is final */
    char *result;                    /* NULL: none */

    /* The lease of the run: run_lease.c. */
    struct store_call *renewing;
    uint64_t renewing_ns; /* when `renewing` was started */
    uint64_t renewed_ns;  /* when the last successful renewal was started */
    /* starved_ns: since when answers have lacked memory; set to 0 when answers have been recorded. rests_until_ns: when
     * `rests` ends. */
    uint64_t starved_ns, rests_until_ns;
    bool rests;      /* no items are sent for a while, because there was no memory for an answer */
    bool has_lapsed; /* the lease was not renewed in time; the job may still be ours */
    bool lost;       /* another coordinator has the job */
    bool handing_back;
    bool cancelling;
    uint64_t drain_ns; /* when the drain began; 0: there is none */
};

/* Starts a run of the job that `claim` has found. Takes ownership of the job and the blocks of the call. */
void durable_run_new(struct durable *d, struct store_call *claim);
/* Call it when this coordinator has claimed the job again while the run is still active. If no other coordinator had
 * the job in the meantime, the run keeps the job with the new fence, and no item runs twice. If the run has lost the
 * job, or if the job has ended and was redriven, returns false. */
MUST_CHECK bool durable_run_claimed_again(struct durable_run *r, const struct stored_job *found);
/* Does the work that is due. Returns whether the next tick must come soon. */
bool durable_run_tick(struct durable_run *r, uint64_t now_ns);
void durable_run_cancel(struct durable_run *r);
/* Applies the options that were changed after the submission; NULL: no options were changed. */
void durable_run_change(struct durable_run *r, const char *changes);
/* Stops sending items. Hands the job back when the items in flight have been answered, or after DRAIN_MS. If the items
 * must not run twice, waits for the items in flight until durable_cut(). */
void durable_run_drain(struct durable_run *r);
/* Hands the job back immediately. */
void durable_run_hand_back(struct durable_run *r);
/* Returns what the run waits for. While a call to the store fails or the lease has expired, the run waits for the
 * store. */
struct status_waiting durable_run_waits_for(const struct durable_run *r);
/* Returns whether a call of the run fails because the store is full. */
bool durable_run_lacks_room(const struct durable_run *r);
/* If the state of the run is OVER and its calls are done, frees the run and returns true. Otherwise returns false. */
bool durable_run_free(struct durable_run *r);

/* Private to durable.c, durable_run.c, run_begin.c, run_items.c, run_lease.c, run_record.c and run_reduce.c. */

/* A failed call is started again after this time. */
enum { AGAIN_MS = 500 };

void durable_run_move(struct durable_run *r, enum durable_run_state to);
/* Starts the call, or starts it again. */
void run_call_start(struct durable_run *r, struct run_call *c);
/* Call it in the callback `done` of the call. Returns true if the call has succeeded. If the call has failed, it is
 * started again later, or it is freed and the run ends. The caller frees a call that has succeeded. */
MUST_CHECK bool run_call_succeeded(struct durable_run *r, struct run_call *c);
/* Frees the call. */
void run_call_free(struct run_call *c);
/* Sets the reason why the job has ended early. The text is copied. A reason that is too long is cut between two
 * characters. */
void run_set_end_reason(struct durable_run *r, const char *reason);
/* Creates a call to the store for this run. */
MUST_CHECK struct store_call *run_call_new(struct durable_run *r, enum store_op op,
                                           void (*done)(struct store_call *call));
/* Returns whether the call failed because it has the fence of an earlier claim of this run. */
bool run_call_is_outdated(const struct durable_run *r, const struct store_call *call);
/* Call it when the lease is lost. From then on, nothing is recorded. */
void durable_run_lose(struct durable_run *r);
/* Stops the run like durable_run_lose(), but for another reason, and without counting or logging a lost lease. */
void durable_run_leave(struct durable_run *r, const char *reason);

/* How the job reports to its run. */
extern const struct job_keeper_ops run_keeper_ops;

/* If the run is LOADING and knows its blocks, continues the work that must be done before the job begins. */
void run_begin_go_on(struct durable_run *r);

/* Renews the lease if a renewal is due. While this coordinator has no lease, the run sends no new items. */
void run_lease_keep(struct durable_run *r, uint64_t now_ns);

/* Finds out whether the items must not run twice. Call it when r->job has started. */
void run_items_begin(struct durable_run *r);
/* Finds out which items have no answer yet. Call it when `answered`, `sent` and `blocks` are known, and `answered` is
 * sorted. */
void run_items_prepare(struct durable_run *r);
/* If the scheduler has few items, makes more items ready. Do not call it from inside an action of the scheduler. */
void run_items_supply(struct durable_run *r);
/* Like run_items_supply(), but may be called from inside an action of the scheduler. The function makes no item ready
 * itself. It only starts the store calls that read items, or record items as sent. */
void run_items_taken(struct durable_run *r);
void run_items_release(struct durable_run *r);
/* Call it before the job is handed back. From then on, the run collects the items that were recorded as sent but were
 * not sent. */
void run_items_note_unsent(struct durable_run *r);
/* Begins to add this error for each item that the scheduler does not know. Call it when the job has ended and the
 * reason is known. */
void run_items_settle_rest(struct durable_run *r, enum item_error error);
/* Adds some of the errors that run_items_settle_rest() has begun to add. Clears r->settling when all errors have been
 * added. */
void run_items_settle_some(struct durable_run *r);

/* Returns whether the values must be reduced before the end of the job is recorded. */
bool run_reduce_is_due(const struct durable_run *r);
/* Reduces more of the values. When all values have been reduced, calls run_record_flush(). */
void run_reduce_go_on(struct durable_run *r);
/* Gives up a reduction that is under way. */
void run_reduce_release(struct durable_run *r);

/* Call it after answers have been added. Records the collected answers if there are enough of them. */
void run_record_collected(struct durable_run *r);
/* Records the collected answers; in state RUNNING, only if they are due. In state ENDING, records the end of the job
 * when no answer is left to record. */
void run_record_flush(struct durable_run *r);
/* Returns the counts of the answers that were recorded or are being recorded, and of the items that were sent again so
 * far. */
struct stored_counts run_record_counts(const struct durable_run *r);
bool run_record_is_behind(const struct durable_run *r);
/* Call it when there is no memory for an answer. The run rests for a while and then tries again. If the run has tried
 * for too long, returns false, and the caller must make the job fail. */
MUST_CHECK bool run_record_lacks_memory(struct durable_run *r);
void run_record_end_rest(struct durable_run *r, uint64_t now_ns);
void run_record_release(struct durable_run *r);

#endif
