/*
 * The current figures of this coordinator. The job list, /autoscale, /metrics and --emf all use these figures, and so
 * agree with one another. Pure, except for the registration of metrics.
 */
#ifndef FANTAIL_COORDINATOR_STATUS_STATUS_H
#define FANTAIL_COORDINATOR_STATUS_STATUS_H

#include "common/base/buf.h"
#include "coordinator/fleet/task_catalog.h"
#include "coordinator/sched/scheduler.h"

/* Where the figures come from. All pointers are borrowed. The structs that they point to must outlive every user of
 * this struct. */
struct status_source {
    const struct scheduler *scheduler;
    const unsigned *jobs_running;
    struct catalog *catalog;
};

/* The figures that autoscalers read, for all jobs or for the jobs of one task. */
struct status_demand {
    uint64_t queued_items, in_flight_items;
    uint64_t demand_slots;   /* slots that would be busy if there were enough slots */
    uint64_t slots;          /* slots of the workers that can be reached */
    uint64_t full_endpoints; /* for one task: how many endpoints get none of its chunks, after a 429 or a silence */
};

struct status {
    struct status_demand demand;
    uint64_t in_flight_chunks;
    uint64_t jobs_running;
    uint64_t endpoints[ENDPOINT_STATE_COUNT];
    uint64_t hedges, budget_exhausted; /* counted since the start */
};

struct status status_now(const struct status_source *from);
/* Returns false when no worker has the task and no job names the task. The jobs of a pipeline count for each of its
 * tasks. */
MUST_CHECK bool status_of_task(const struct status_source *from, const char *task, struct status_demand *demand);
/* Registers the gauges and counters of /metrics. The values of these metrics are read when /metrics is answered. `from`
 * must live until metrics_release(). */
void status_register_metrics(const struct status_source *from);

/* The reason why a durable job waits if its coordinator cannot use the job store now. */
#define WAITING_FOR_STORE "store"

/* What a job waits for. Strings are borrowed. */
struct status_waiting {
    const char *reason; /* a name of enum sched_waiting, or WAITING_FOR_STORE; NULL: the job does not wait */
    const char *detail; /* why the last worker could not be reached, or the store cannot be used; NULL: not known */
    uint64_t processes; /* how many processes are starting, if the reason is "starting" */
};

/* One job. Strings are borrowed. */
struct status_job {
    const char *id;
    const char *state; /* "pending", "running", or how the job ended */
    char *const *tasks;
    size_t task_count; /* 0: not known yet */
    struct sched_counts counts;
    uint64_t eta_ns; /* time until the end of the job; 0: unknown */
    uint64_t elapsed_ns;
    struct status_waiting waiting;
};

/* Appends {"id":...,"status":...,"task":...,"counts":{...},...}. */
void status_write_job(struct buf *out, const struct status_job *job);
/* Appends "reason":"..." and the other members that are known. Call it only while the job waits, because
 * waiting->reason must be set. */
void status_write_waiting(struct buf *out, const struct status_waiting *waiting);
/* Appends the member "counts":{...}. */
void status_write_counts(struct buf *out, const struct sched_counts *counts);
/* Appends the member "stats":{...}. The member items_per_s of `stats` counts the succeeded and the failed items. */
void status_write_stats(struct buf *out, const struct sched_counts *counts, double elapsed_s);
/* Appends the document of /autoscale. */
void status_write_demand(struct buf *out, const struct status_demand *demand);

#endif
