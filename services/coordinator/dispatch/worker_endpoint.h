/*
 * An endpoint of the fleet and of the scheduler, which know it by different structs: what ties the two together, probes
 * it and reports on it. Owner: the dispatcher, from the endpoint's coming to its going.
 */
#ifndef FANTAIL_COORDINATOR_DISPATCH_WORKER_ENDPOINT_H
#define FANTAIL_COORDINATOR_DISPATCH_WORKER_ENDPOINT_H

#include "coordinator/dispatch/dispatcher.h"

struct worker_endpoint {
    struct dispatcher *dispatcher;
    struct endpoint *at;
    struct sched_endpoint *sched; /* its owner is this struct */
    struct http_call *probe;      /* NULL: none runs */
};

MUST_CHECK struct worker_endpoint *worker_endpoint_new(struct dispatcher *d, struct endpoint *at);
/* Ends the probe. Attempts go on; their endpoint is NULL from now on. */
void worker_endpoint_free(struct worker_endpoint *e);

/* Asks it whether it is ready; reports to the scheduler by sched_endpoint_probed(). */
void worker_endpoint_probe(struct worker_endpoint *e);
/* Logs that it rejects our token, or accepts it again, when that has changed. */
void worker_endpoint_log_token(const struct worker_endpoint *e, bool rejected_before);

#endif
