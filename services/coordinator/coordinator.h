/*
 * The coordinator owns one instance of each part of the service, and connects the parts. main.c makes one coordinator.
 * Only the handlers of api/ use this struct; the other parts do not depend on the struct.
 */
#ifndef FANTAIL_COORDINATOR_COORDINATOR_H
#define FANTAIL_COORDINATOR_COORDINATOR_H

#include <uv.h>

#include "common/service/service.h"
#include "common/trace/trace_export.h"
#include "coordinator/dispatch/dispatcher.h"
#include "coordinator/durable/durable.h"
#include "coordinator/fleet/worker_fleet.h"
#include "coordinator/job/jobs.h"
#include "coordinator/notify/notifier.h"
#include "coordinator/postgres/store_postgres.h"
#include "coordinator/results/job_watch.h"
#include "coordinator/sched/scheduler.h"
#include "coordinator/status/emf.h"
#include "coordinator/status/status.h"
#include "coordinator/store/store_metrics.h"
#include "coordinator/timing/scheduler_timing.h"

struct coordinator_config {
    struct service_config service;
    struct worker_fleet_config fleet;
    struct jobs_config jobs;
    const char *store;       /* none, sqlite:PATH or postgresql://... */
    const char *store_file;  /* a file with postgresql://...; NULL: none */
    int64_t store_max_bytes; /* 0: no limit */
    struct durable_config durable;
    struct notifier_config notify;
    int64_t max_body_bytes;
    int64_t max_connections;
    struct emf_config emf;
};

struct coordinator {
    const struct coordinator_config *config;
    uv_loop_t *loop;
    struct service_hooks hooks;
    struct service *service;
    struct worker_fleet fleet;
    struct scheduler_timing turn;
    struct dispatcher dispatcher;
    struct jobs jobs;
    struct store *store; /* NULL: there is none */
    struct store_metrics store_metrics;
    struct postgres_metrics postgres_metrics;
    struct durable durable;
    struct notifier notifier;   /* sends notices of the ends of durable jobs */
    struct job_watches watches; /* the requests that wait for news of durable jobs */
    struct status_source status;
    struct emf *emf; /* NULL without --emf */
};

bool coordinator_has_store(const struct coordinator_config *config);
/* Checks the options of the job store. If one of the options is wrong, returns false, sets *option to the name of this
 * option and writes a sentence to err. The sentence never quotes a part of a URL that may be a password. */
MUST_CHECK bool coordinator_check_store(const struct coordinator_config *config, const char **option, char *err,
                                        size_t err_size);
/* Starts the service and its parts, and begins to look for workers. Takes ownership of `tracing`. Returns 0. On
 * failure, returns the exit status and writes a sentence to err. Before the call, zero `c`, and set its config, the
 * config of its fleet and the config of its notifier. worker_fleet_check() and notifier_check() must have succeeded. */
MUST_CHECK int coordinator_start(struct coordinator *c, uv_loop_t *loop, struct trace_config *tracing, char *err,
                                 size_t err_size);
/* Runs until the service has stopped. Then releases everything that coordinator_start() made. Returns the exit
 * status. */
int coordinator_serve(struct coordinator *c);

#endif
