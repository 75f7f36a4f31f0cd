/*
 * The durable jobs that this coordinator runs. This module claims pending jobs from the store, and hands them back when
 * the coordinator drains or when another coordinator can run them sooner. Each job is a durable_run, which keeps its
 * own lease. Owner: the coordinator.
 */
#ifndef FANTAIL_COORDINATOR_DURABLE_DURABLE_H
#define FANTAIL_COORDINATOR_DURABLE_DURABLE_H

#include <uv.h>

#include "common/base/list.h"
#include "common/loop/turn.h"
#include "common/observe/lasting_fault.h"
#include "coordinator/durable/job_document.h"
#include "coordinator/job/job_hint.h"
#include "coordinator/job/jobs.h"
#include "coordinator/store/store.h"

struct durable_run;
struct http_exchange;
struct notify_hosts;
struct preferences;

struct durable_config {
    double job_ttl_s; /* how long an ended job is kept; 0: for ever */
};

struct durable_metrics {
    uint64_t *recorded, *take_overs, *fenced, *failed_calls;
};

struct durable {
    /* Set these before durable_start(). */
    const struct durable_config *config;
    struct store *store;
    struct jobs *jobs;
    const struct notify_hosts *notify_hosts; /* the hosts that a job may notify; NULL: none */
    /* Called when answers of a job have been recorded, when the job has begun or ceased to wait, or when the job has
     * ended. Each request that waits for the job then reads the job from the store again. */
    void (*changed)(void *data, const char *id);
    /* Called before `changed` if a job has ended and all its answers are in one small block. `end` has the results of a
     * READ_JOB call with `whole`, except that the job in `end` has no `notify` and no `delivery`. `end` is borrowed.
     * The callback may be NULL. */
    void (*ended_whole)(void *data, const struct store_call *end);
    /* Called when a job has ended. The callback may be NULL. */
    void (*ended)(void *data);
    /* Called when a job has been accepted and its client waits for the end of the job. Takes ownership of the exchange.
     * `job` and `wanted` are borrowed. `likeness` says what the only item looks like (job_hint.h), and selects the hint
     * in the answer. */
    void (*wait)(void *data, struct http_exchange *x, const struct stored_job *job, const struct preferences *wanted,
                 enum job_likeness likeness);
    void *data;

    /* Private. */
    struct list runs;
    struct list unaccepted; /* calls that failed; see unaccepted_jobs.h */
    uint64_t discarded_ns;  /* when these calls were last started again */
    unsigned claiming;      /* number of claims that are not done */
    unsigned reducing;      /* number of runs that are reducing their values */
    unsigned yields;        /* number of jobs left to other coordinators since yielded_ns */
    uint64_t yielded_ns;
    bool wants_claim;            /* another claim must follow: a job became pending, or there was no room for a job */
    bool lacks_slots;            /* the last claim found no job, and no slots were left */
    bool claim_failed;           /* the last claim failed, perhaps because a block of the job cannot be read */
    bool draining;               /* no more jobs are claimed */
    bool cutting;                /* calls that fail are not started again */
    bool sweeping;               /* a sweep is not done */
    bool sweeps_more;            /* the last sweep left some old jobs in the store */
    uint64_t claimed_ns;         /* when a claim was last started */
    uint64_t swept_ns;           /* when a sweep was last started */
    char holder[64];             /* name of this coordinator in the store */
    uv_timer_t timer;            /* claims, sweeps, and ticks the runs */
    struct turn_step begin_step; /* begins the runs that were loaded by their claim */
    bool has_loaded;             /* there are runs that were loaded by their claim and have not begun */
    bool is_quick;               /* the timer fires often, because a run has work soon */
    /* claim_fault is set while claims fail, and sweep_fault is set while sweeps fail. */
    struct lasting_fault claim_fault, sweep_fault;
    struct durable_metrics metrics;
};

void durable_start(struct durable *d, uv_loop_t *loop);
void durable_register_metrics(struct durable *d);
/* Hands all jobs back, so that other coordinators, or this coordinator after its next start, can run them. Claims no
 * more jobs. */
void durable_drain(struct durable *d);
/* Hands all jobs back without waiting any longer for items in flight. If the store is away, the jobs cannot be handed
 * back. When the lease of a job that was not handed back expires, a coordinator claims the job again. */
void durable_cut(struct durable *d);
/* Returns whether there are no runs and no open claims. */
bool durable_is_idle(const struct durable *d);
/* Closes the timer, and removes the step that begins loaded runs in each turn of the loop. The loop must keep running
 * until the timer is closed. Close the store only after this call. */
void durable_stop(struct durable *d);
/* Frees the runs that ended after durable_stop(). Call it when the store is closed. */
void durable_release(struct durable *d);

/* Translates the state of an ended job into the scheduler's status. */
enum sched_status durable_status_of(enum stored_state end);

/* Returns the time from the creation of the job until `until_ms`. For a redriven job, returns the time from the first
 * claim after the redrive. Before that claim, returns 0. */
uint64_t durable_age_ns(const struct stored_job *job, int64_t until_ms);

/* Makes the next tick of the runs come soon. Only for the code of durable_run.h. */
void durable_tick_soon(struct durable *d);
/* Begins the loaded runs later in this turn of the loop. Only for the code of durable_run.h. */
void durable_begin_soon(struct durable *d);

/* Returns which other coordinators should run the job instead of this one. Only for the code of durable_run.h. */
enum store_yield durable_yield_of(const struct durable_run *r);
/* Call it when the store has found another coordinator that durable_yield_of() allows. Hands the job back, so that the
 * other coordinator can claim the job. */
void durable_yield(struct durable_run *r);

/* Call it when a run of this coordinator has begun or ceased to wait. Only for the code of durable_run.h. */
void durable_note_waiting(void *durable_run);

/* Call it when a job has become PENDING in the store. */
void durable_claim_soon(struct durable *d);
/* Cancels the job if it runs here. */
void durable_cancel(struct durable *d, const char *id);
/* If the job runs here, but its end cannot be recorded now because the store is full, returns a text that says so. In
 * all other cases, returns NULL. The text is borrowed until the next turn of the loop. */
const char *durable_lacks_room(const struct durable *d, const char *id);

/* Call it when a client has cancelled a pending job. A job that was cancelled while it was pending has no run that
 * reports its end. So this function counts the end of the job in the metrics. */
void durable_was_cancelled(struct durable *d, const struct stored_job *job);

/* If the job runs here, applies the changed options that are in `now`. */
void durable_change(struct durable *d, const struct stored_job *now);

/* If the job runs here, sets *live and returns true. If not, returns false. The strings in `live` are borrowed until
 * the next turn of the loop. */
MUST_CHECK bool durable_live_of(const struct durable *d, const char *id, struct durable_live *live);

#endif
