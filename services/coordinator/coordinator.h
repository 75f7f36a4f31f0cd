/*
 * The coordinator: one of each part, the jobs that run, and the steps of one loop turn. main.c makes one; api, job and
 * dispatcher get it; no other part knows it.
 */
#ifndef FANTAIL_COORDINATOR_COORDINATOR_H
#define FANTAIL_COORDINATOR_COORDINATOR_H

#include <uv.h>

#include "common/service/service.h"
#include "common/trace/trace_export.h"
#include "coordinator/dispatch/dispatcher.h"
#include "coordinator/fleet/worker_fleet.h"
#include "coordinator/sched/scheduler.h"
#include "coordinator/status/emf.h"
#include "coordinator/status/status.h"
#include "coordinator/turn/scheduler_turn.h"

struct job;

struct coordinator_config {
    struct service_config service;
    struct worker_fleet_config fleet;
    double worker_wait_s;
    double heartbeat_s;
    const char *spill_dir;
    int64_t max_body_bytes;
    int64_t max_connections;
    int64_t max_jobs;
    int64_t result_memory_bytes;
    struct emf_config emf;
};

struct coordinator_metrics {
    uint64_t *jobs[SCHED_STATUS_COUNT]; /* ended, by status */
    uint64_t *items_succeeded, *items_failed, *items_cancelled;
    struct metric_histogram *job_seconds;
};

struct coordinator {
    const struct coordinator_config *config;
    uv_loop_t *loop;
    struct service_hooks hooks;
    struct service *service;
    struct trace_export *trace; /* NULL: traces are passed on, not recorded */
    struct worker_fleet fleet;
    struct scheduler_turn turn;
    struct dispatcher dispatcher;
    struct coordinator_metrics metrics;
    struct status_source status;
    struct job *jobs; /* running, newest first */
    unsigned job_count;
    bool cancels_wanted;
    uv_timer_t tick_timer; /* progress and heartbeats, while there are jobs */
    struct emf *emf;       /* NULL without --emf */
};

/* Starts the service, its parts and the ways to the workers. c is zeroed but for config, and worker_fleet_check() has
 * passed; tracing is used up. Returns 0, or the exit status, with a sentence in err. */
MUST_CHECK int coordinator_start(struct coordinator *c, uv_loop_t *loop, struct trace_config *tracing, char *err,
                                 size_t err_size);
/* Serves until the service has stopped, then releases all that coordinator_start() made. Returns the exit status. */
int coordinator_serve(struct coordinator *c);

#endif
