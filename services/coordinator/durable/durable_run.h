/*
 * One durable job while this coordinator runs it: from the claim until its end is recorded, it is handed back, or the
 * lease is lost. Owner: durable.c.
 *
 *               its blocks are known            the scheduler has ended it          END or HAND_BACK is done
 *   LOADING ------------------------> RUNNING ----------------------------> ENDING ---------------------> OVER -->
 * freed |                                                                     ^  |                          ^
 *      +---------------------------------------------------------------------+  +--------------------------+
 *        its options cannot be read, or it is handed back                            the lease is lost
 *
 * Calls to the store that failed because the store is away or full are started again until they succeed. So the job
 * pauses meanwhile, and nothing is lost.
 */
#ifndef FANTAIL_COORDINATOR_DURABLE_DURABLE_RUN_H
#define FANTAIL_COORDINATOR_DURABLE_DURABLE_RUN_H

#include "coordinator/durable/durable.h"
#include "coordinator/durable/range_list.h"
#include "coordinator/durable/recorder.h"
#include "coordinator/durable/stored_items.h"
#include "coordinator/job/job_keeper.h"

/* Another coordinator takes over a job when its lease has ended: at the latest this time, and the time between two
 * claims, after the coordinator died. A client who cancels a job that runs elsewhere waits for a renewal. */
enum { LEASE_MS = 10000 };

enum durable_run_state { RUN_LOADING, RUN_RUNNING, RUN_ENDING, RUN_OVER, RUN_STATE_COUNT };

/* A call to the store that is started again when it failed. */
struct run_call {
    struct store_call *call; /* NULL: there is none */
    uint64_t again_ns;       /* it failed, and is started again at this time; 0: it is open */
};

/* A block of items in the store. */
struct item_block {
    uint64_t number, first, n;
};

struct durable_run {
    struct durable *durable;
    struct list_link link; /* on durable->runs */
    enum durable_run_state state;
    struct stored_job stored; /* as it was claimed */
    int64_t claimed_ms;       /* time of the database */
    uint64_t newest_block;    /* the newest block that is known to be in the store */
    struct job *job;          /* NULL before RUNNING */
    struct job_keeper keeper;
    char failure[300]; /* why the job cannot run on; "": it can */

    /* Its items: run_items.c. */
    bool generated, at_most_once;
    struct range_list answered, sent;
    struct range_list missing; /* items without an answer */
    struct item_block *blocks; /* in index order */
    size_t block_count, block_at;
    size_t missing_at;          /* the missing range whose items are made ready next */
    uint64_t missing_taken;     /* items of that range that are ready or staged */
    struct stored_items items;  /* what the scheduler cuts */
    struct stored_items staged; /* at_most_once: items that are not recorded as sent yet */
    struct index_range marked;  /* at_most_once: items that are being recorded as sent */
    struct buf marked_lines;
    size_t counted_items;     /* memory of the items above, as counted in jobs->item_memory */
    struct range_list unsent; /* at_most_once: items that are recorded as sent, but will not be */
    bool all_ready;           /* the scheduler knows that no more items follow */
    struct run_call reading, marking;

    /* Its answers: run_record.c. */
    struct recorder recorder;
    uint64_t collected_ns; /* when the first answer that is not recorded came; 0: there is none */
    uint64_t recorded_ns;  /* when answers were last recorded */
    size_t writing_bytes;
    size_t counted_answers; /* memory of the answers above, as counted in jobs->answer_memory */
    struct run_call writing;
    enum stored_state end_state; /* set when the scheduler has ended the job */
    char end_reason[200];
    bool settling; /* state ENDING: items that were not sent are getting rest_error */
    enum item_error rest_error;

    /* Its lease. */
    struct store_call *renewing;
    uint64_t renewing_ns; /* when it was started */
    uint64_t renewed_ns;  /* when the last renewal that was granted was started */
    bool has_lapsed;      /* it was not renewed in time; the job may still be ours */
    bool lost;            /* another coordinator has the job */
    bool handing_back;
    bool cancelling;
    uint64_t drain_ns; /* when the drain began; 0: there is none */
};

/* Takes the job that `claim` has found. */
void durable_run_new(struct durable *d, struct store_call *claim);
/* This coordinator has claimed the job again while the run goes on. If nobody else had it in between, the run keeps it
 * with the new fence, and no item runs twice. Otherwise returns false: the run has lost the job, or the job has ended
 * and was redriven. */
MUST_CHECK bool durable_run_claimed_again(struct durable_run *r, const struct stored_job *found);
/* Does what is due. Returns whether it wants to be called again soon. */
bool durable_run_tick(struct durable_run *r, uint64_t now_ns);
void durable_run_cancel(struct durable_run *r);
/* Applies the options that were changed after the submission; NULL: none were. */
void durable_run_change(struct durable_run *r, const char *changes);
/* Stops sending items. The job is handed back when what is in flight is answered, or after a while. */
void durable_run_drain(struct durable_run *r);
/* Hands the job back at once. */
void durable_run_hand_back(struct durable_run *r);
/* Frees a run in state OVER whose calls are done, and returns true. Returns false if it is not so far. */
bool durable_run_free(struct durable_run *r);

/* Private to durable_run.c, run_items.c and run_record.c. */

void durable_run_move(struct durable_run *r, enum durable_run_state to);
/* Starts the call, or starts it again. */
void run_call_start(struct durable_run *r, struct run_call *c);
/* Call it in `done`. Returns true when the call has succeeded. Otherwise it is started again later, or the job is lost.
 * The caller frees a call that has succeeded. */
MUST_CHECK bool run_call_succeeded(struct durable_run *r, struct run_call *c);
/* Frees the call. */
void run_call_free(struct run_call *c);
/* A call of this run. */
MUST_CHECK struct store_call *run_call_new(struct durable_run *r, enum store_op op,
                                           void (*done)(struct store_call *call));
/* The lease is lost: nothing is recorded any more. */
void durable_run_lose(struct durable_run *r);

/* Finds out which items have no answer yet. Call it when answered, sent, blocks are known. */
void run_items_prepare(struct durable_run *r);
/* Makes more items ready, if the scheduler has few. Not from inside an action of the scheduler. */
void run_items_supply(struct durable_run *r);
/* The same from inside an action of the scheduler: only starts calls. */
void run_items_taken(struct durable_run *r);
void run_items_release(struct durable_run *r);
/* The job is to be handed back: from now on, keeps in mind which items were recorded as sent, but are not sent. */
void run_items_note_unsent(struct durable_run *r);
/* Begins to add this error for each item that the scheduler does not know of. Call it after the end of the job, when
 * its reason is known. */
void run_items_settle_rest(struct durable_run *r, enum item_error error);
/* Adds some of these errors. Clears r->settling when there are no more. */
void run_items_settle_some(struct durable_run *r);

/* Answers were added: records them when there are enough. */
void run_record_collected(struct durable_run *r);
/* Records what was collected. In state ENDING, records the end when nothing is left. */
void run_record_flush(struct durable_run *r);
bool run_record_is_behind(const struct durable_run *r);
void run_record_release(struct durable_run *r);

#endif
