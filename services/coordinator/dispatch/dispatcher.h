/*
 * Carries out what the scheduler decides. It turns actions into HTTP calls to the workers (attempt_call.h), and their
 * answers into events. It also keeps the scheduler's endpoints equal to those of the fleet. The job decides what
 * happens to answers.
 */
#ifndef FANTAIL_COORDINATOR_DISPATCH_DISPATCHER_H
#define FANTAIL_COORDINATOR_DISPATCH_DISPATCHER_H

#include "common/base/unit_cost.h"
#include "coordinator/fleet/worker_fleet.h"
#include "coordinator/timing/scheduler_timing.h"

struct dispatcher {
    struct worker_fleet *fleet;
    struct scheduler_timing *turn;
    struct scheduler *scheduler;         /* owned */
    uint64_t *attempts[SCHED_END_COUNT]; /* counters: ended attempts, by how */
    struct unit_cost chunk_cost;
};

/* Given to worker_fleet_find_workers() with the dispatcher as data. */
extern const struct endpoints_ops dispatcher_endpoints_ops;

void dispatcher_register_metrics(struct dispatcher *d);
/* Makes the scheduler, and gives it to turn. worker_wait_s: how long items wait when no worker can be reached. */
void dispatcher_start(struct dispatcher *d, struct worker_fleet *fleet, struct scheduler_timing *turn,
                      double worker_wait_s);
/* An attempt that moved this many bytes has ended. From time to time it measures what chunks cost this thread. */
void dispatcher_count_chunk(struct dispatcher *d, uint64_t bytes);
/* After the fleet has stopped and the last scheduler_run(). */
void dispatcher_release(struct dispatcher *d);

#endif
