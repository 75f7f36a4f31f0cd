/*
 * The coordinator: one of each part, the jobs that run, and the steps of one loop turn. main.c makes one; api, job and
 * dispatcher get it; no other part knows it.
 */
#ifndef FANTAIL_COORDINATOR_COORDINATOR_H
#define FANTAIL_COORDINATOR_COORDINATOR_H

#include <uv.h>

#include "common/http_client/http_client.h"
#include "common/loop/turn.h"
#include "common/net/tls_material.h"
#include "common/service/service.h"
#include "common/service/tokens.h"
#include "common/trace/trace_export.h"
#include "coordinator/fleet/catalog.h"
#include "coordinator/fleet/connect_error.h"
#include "coordinator/fleet/endpoints.h"
#include "coordinator/sched/scheduler.h"
#include "coordinator/status/emf.h"
#include "coordinator/status/status.h"

struct job;

struct coordinator_config {
    struct service_config service;
    const char *workers;
    const char *worker_token_file; /* NULL: workers get no token */
    const char *worker_ca, *worker_client_cert, *worker_client_key;
    double worker_wait_s;
    double dns_refresh_s;
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
    uint64_t *attempts[SCHED_END_COUNT]; /* ended attempts, by how */
    struct metric_histogram *job_seconds;
};

struct coordinator {
    const struct coordinator_config *config;
    uv_loop_t *loop;
    struct service_hooks hooks;
    struct service *service;
    struct http_client *client;
    struct tokens worker_tokens;
    char *authorization;         /* the header line that every request to a worker carries; NULL: none */
    struct trace_export *trace;  /* NULL: traces are passed on, not recorded */
    struct tls_store worker_tls; /* of client */
    struct reach reach;
    struct scheduler *scheduler;
    struct endpoints endpoints;
    struct catalog catalog;
    struct coordinator_metrics metrics;
    struct status_source status;
    struct job *jobs; /* running, newest first */
    unsigned job_count;

    /* One scheduler_run() a loop turn, however many events came in it. */
    struct turn_step after_poll, after_server, before_sleep;
    uv_timer_t run_timer;
    bool run_wanted, cancels_wanted;
    uv_timer_t tick_timer; /* progress and heartbeats, while there are jobs */
    struct emf *emf;       /* NULL without --emf */
};

/* Starts the service, its parts and the ways to the workers. c is zeroed but for config and worker_tokens; tracing is
 * used up. Returns 0, or the exit status, with a sentence in err. */
MUST_CHECK int coordinator_start(struct coordinator *c, uv_loop_t *loop, struct trace_config *tracing, char *err,
                                 size_t err_size);
/* Serves until the service has stopped, then releases all that coordinator_start() made. Returns the exit status. */
int coordinator_serve(struct coordinator *c);

/* The scheduler got an event: its actions are wanted before the loop sleeps. */
void coordinator_wants_run(struct coordinator *c);
/* Runs it now, where the end of the turn would be too late. */
void coordinator_run(struct coordinator *c);

#endif
