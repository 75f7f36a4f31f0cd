/* The scheduler's figures, for operators. */
#ifndef FANTAIL_COORDINATOR_SCHED_SCHED_STATS_H
#define FANTAIL_COORDINATOR_SCHED_SCHED_STATS_H

#include "coordinator/sched/scheduler.h"

/* The figures that /autoscale and /metrics show. sched_stats() walks the tasks, but not the jobs. */
struct sched_stats {
    uint64_t queued_items; /* items offered that are neither in flight nor settled */
    uint64_t in_flight_items;
    uint64_t demand_slots; /* slots that would be busy if there were enough slots */
    uint64_t in_flight_chunks;
    uint64_t
        slots; /* slots of the open endpoints that are reached and not full, for the task that has the most slots */
    uint64_t endpoints[ENDPOINT_STATE_COUNT];
    uint64_t attempts_first, attempts_retry, attempts_free,
        attempts_hedge; /* attempts since the start; only retries use the budget */
    uint64_t attempts_ended[SCHED_END_COUNT];
    uint64_t attempts_cut;
    uint64_t budget_exhausted; /* how often a retry had to wait for the budget */
    uint64_t items_retried, items_hedged, items_succeeded, items_failed, items_cancelled;
    uint64_t chunks;     /* chunks that exist now */
    size_t memory_bytes; /* memory of jobs, chunks, attempts and endpoints */
};
struct sched_stats sched_stats(const struct scheduler *s);
/* Call it when a worker that was asked for its tasks has answered, or has not. While a worker without work does not
 * answer, the figures do not count its slots. The worker still gets chunks. Without this call, a worker that dies while
 * there are no jobs would be counted until a chunk is sent to it. `reached` false is ignored for a balancer, and while
 * attempts run at the endpoint, because their ends say more. */
void sched_endpoint_reached(struct scheduler *s, struct sched_endpoint *e, bool reached, uint64_t now_ns);

/* The figures of one task or pipeline that jobs have named recently. */
struct sched_task_stats {
    const char *name;
    size_t jobs;
    uint64_t queued_items, in_flight_items, demand_slots;
    uint32_t endpoints; /* open endpoints that have the task and are not full */
    uint64_t slots;     /* slots of those of these endpoints that are reached */
    uint64_t idle;      /* endpoints whose last answer for the task was a value, and that have none of its items now */
    uint64_t full;      /* endpoints that get none of its chunks for a short time: they answered 429, or are silent */
};
/* Returns false when no job has named the task recently. */
MUST_CHECK bool sched_task_stats(const struct scheduler *s, const char *name, struct sched_task_stats *stats);
void sched_each_task(const struct scheduler *s, void (*visit)(void *data, const struct sched_task_stats *stats),
                     void *data);

#endif
