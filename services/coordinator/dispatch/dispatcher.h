/*
 * Carries out the decisions of the scheduler. The dispatcher turns the scheduler's actions into HTTP calls to the
 * workers (attempt_call.h), and the results of these calls into events. The dispatcher also tells the scheduler which
 * endpoints the fleet has. The dispatcher passes the workers' answers on to the job.
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
    uint64_t *attempts[SCHED_END_COUNT]; /* counters of ended attempts, by how they ended */
    uint64_t *answers;                   /* counter of items that got their answer from a worker */
    struct unit_cost chunk_cost;
};

/* The ops for worker_fleet_find_workers(); their data is the dispatcher. */
extern const struct endpoints_ops dispatcher_endpoints_ops;

void dispatcher_register_metrics(struct dispatcher *d);
/* Makes the scheduler, and stores it in turn->scheduler. A job fails after waiting worker_wait_s for a worker that can
 * take its items. */
void dispatcher_start(struct dispatcher *d, struct worker_fleet *fleet, struct scheduler_timing *turn,
                      double worker_wait_s);
/* Asks every worker now for its tasks, and probes every endpoint that gets no attempts. */
void dispatcher_ask_again(struct dispatcher *d);
/* Call it when an attempt that transferred this many bytes has ended. From time to time this function measures how much
 * CPU time of this thread a chunk takes, and reports the result to the scheduler. */
void dispatcher_count_chunk(struct dispatcher *d, uint64_t bytes);
/* Call it after the fleet has stopped and after the last scheduler_run(). */
void dispatcher_release(struct dispatcher *d);

#endif
