/*
 * The jobs of this coordinator, in a table by id and in order of age. The struct also holds what the jobs share: the
 * scheduler, the fleet, and the timer for progress lines and heartbeats. Owner: the coordinator.
 */
#ifndef FANTAIL_COORDINATOR_JOB_JOBS_H
#define FANTAIL_COORDINATOR_JOB_JOBS_H

#include <uv.h>

#include "common/base/list.h"
#include "common/base/spare_memory.h"
#include "common/trace/trace_export.h"
#include "common/base/memory_budget.h"
#include "coordinator/fleet/worker_fleet.h"
#include "coordinator/spill/spill_dir.h"
#include "coordinator/timing/scheduler_timing.h"
#include "coordinator/timing/wheel.h"

struct job;

struct jobs_config {
    double worker_wait_s; /* a job fails after waiting this long for a worker that can take its items */
    double heartbeat_s;
    const char *spill_dir;
    int64_t max_spill_bytes; /* total limit for the temporary files of all jobs; 0: no limit */
    int64_t max_jobs;
    int64_t max_unanswered_errors;     /* how many errors of unanswered items an answer lists individually */
    int64_t result_memory_bytes;       /* limit for the answers of one job in memory, in bytes */
    int64_t result_memory_total_bytes; /* limit for the answers of all jobs in memory, in bytes; 0: no limit */
    int64_t item_memory_total_bytes;   /* limit for the unsent items of all jobs, in bytes; 0: no limit */
};

struct jobs_metrics {
    uint64_t *jobs[SCHED_STATUS_COUNT]; /* counters of ended jobs, by status */
    uint64_t *items_succeeded, *items_failed, *items_cancelled;
    struct metric_histogram *job_seconds;
};

struct jobs {
    /* Set these before jobs_init(). */
    const struct jobs_config *config;
    struct worker_fleet *fleet;
    struct scheduler_timing *turn; /* the scheduler, and when it runs */
    void (*job_gone)(void *data);
    void *data;

    struct trace_export *trace; /* NULL: trace headers are passed on to workers, but no spans are recorded */
    unsigned count;
    struct spill_dir spill;
    struct memory_budget answer_memory, item_memory; /* shared by all jobs */

    /* Private. */
    struct job **buckets;            /* indexed by a hash of the id */
    unsigned buckets_n;              /* number of buckets, a power of two */
    struct list by_age;              /* newest first */
    struct list cursors;             /* the walks that are under way */
    struct spare_memory_plan memory; /* when to return the memory of ended jobs */
    struct list folds;               /* reductions that have more answers to fold */
    struct list spills;              /* jobs that have long answers to write to the disk */
    struct collector *buried;        /* answers of freed jobs, which are freed in slices */
    struct turn_step fold_step;
    struct wheel readers; /* when each reader must add a control line */
    struct list paused;   /* jobs that are paused until their readers have caught up */
    uint64_t news_seen;   /* the value of the catalog's `news` when the jobs were last told about new lists */
    struct list cancels;  /* jobs whose cancellation the scheduler does not know yet */
    uv_timer_t tick_timer;
    struct jobs_metrics metrics;
};

void jobs_init(struct jobs *t, uv_loop_t *loop);
void jobs_register_metrics(struct jobs *t);
/* Stops progress lines, heartbeats and reductions. Begins to close tick_timer, so the loop must keep running until
 * tick_timer is closed. */
void jobs_stop(struct jobs *t);
/* Call it when all jobs have been freed. */
void jobs_release(struct jobs *t);

/* Returns the job; NULL when there is none. O(1). */
struct job *jobs_find(const struct jobs *t, const char *id);
/* Returns the next older job, or the newest job when j is NULL. Returns NULL if j is the oldest job. */
struct job *jobs_next(const struct jobs *t, const struct job *j);
/* A walk over the jobs from the newest to the oldest, during which jobs may be added and removed. A zeroed cursor is at
 * the end. */
struct jobs_cursor {
    struct jobs *jobs; /* NULL: the walk has ended */
    struct job *next;
    struct list_link link;
};
void jobs_walk_begin(struct jobs_cursor *c, struct jobs *t);
/* Returns the next job; NULL at the end. */
struct job *jobs_walk_next(struct jobs_cursor *c);
/* Call it when the walk is over. Until this call, the cursor must not be moved in memory. */
void jobs_walk_end(struct jobs_cursor *c);
/* Cancels every running job in the next scheduler_run(), because the coordinator drains. Jobs with a keeper are not
 * cancelled. */
void jobs_drain_all(struct jobs *t);
/* For a job whose upload can pause: returns how many bytes of unsent items the job may hold, at most `cap`. If the job
 * holds more, its upload pauses. Jobs whose upload can pause may fill only half of the budget. The other half is for
 * jobs whose upload cannot pause. */
size_t jobs_item_share(const struct jobs *t, size_t cap);
/* For a job whose upload cannot pause and that holds `held` bytes of items: returns whether the job may hold `growth`
 * more bytes. */
bool jobs_have_item_room(const struct jobs *t, size_t held, size_t growth);
/* Adds items that have been settled to fantail_items_total. */
void jobs_count_items(struct jobs *t, uint64_t succeeded, uint64_t failed, uint64_t cancelled);
/* Counts the end of a job, in fantail_jobs_total and fantail_job_duration_seconds. */
void jobs_count_end(struct jobs *t, enum sched_status status, uint64_t took_ns);
/* Tells the scheduler about the cancellations recorded since the last call. The scheduler must not be running. */
void jobs_carry_out_cancels(struct jobs *t);

#endif
