/*
 * Connects one endpoint of the fleet to its counterpart in the scheduler. This module probes the endpoint, tells the
 * scheduler which tasks the endpoint has, and logs whether the endpoint accepts our token. Owner: the dispatcher, from
 * endpoint_added to endpoint_removed.
 */
#ifndef FANTAIL_COORDINATOR_DISPATCH_WORKER_ENDPOINT_H
#define FANTAIL_COORDINATOR_DISPATCH_WORKER_ENDPOINT_H

#include "coordinator/dispatch/dispatcher.h"

struct worker_endpoint {
    struct dispatcher *dispatcher;
    struct endpoint *at;
    struct sched_endpoint *sched; /* sched_endpoint_owner() returns this struct */
    struct survey_worker *survey; /* asks which tasks the worker has */
    struct http_call *probe;      /* NULL: no probe runs */
    bool awaits_tasks; /* a probe found the worker ready; the scheduler is told after the survey has asked the worker */
    uint64_t worker_id; /* hash of the last Fantail-Worker header; 0: none yet */
    bool names_answers; /* the last answer named its chunk. If this is false, each chunk gets a new connection */
};

MUST_CHECK struct worker_endpoint *worker_endpoint_new(struct dispatcher *d, struct endpoint *at);
/* Frees the endpoint, and cancels its probe. Running attempts continue; their endpoint becomes NULL. */
void worker_endpoint_free(struct worker_endpoint *e);

/* Asks the worker for its tasks now. If the endpoint gets no attempts, also probes it now. */
void worker_endpoint_ask_again(struct worker_endpoint *e);
/* Asks the endpoint whether it is ready, then which tasks it has, and reports the result with sched_endpoint_probed().
 * So if another worker has taken over the address, that worker gets no chunk of a task that it does not have. */
void worker_endpoint_probe(struct worker_endpoint *e);
/* Call it when a worker has registered again at this address. `other`: a different worker has the address now, so the
 * scheduler's view of the endpoint's health is out of date. `tasks`: the ETag of the worker's tasks; "": not known. */
void worker_endpoint_registered(struct worker_endpoint *e, bool other, const char *tasks);
/* Call it when an answer from the worker with this id has arrived. If another id was known before, asks the worker for
 * its tasks. If the endpoint is a balancer, does nothing. */
void worker_endpoint_heard(struct worker_endpoint *e, uint64_t worker_id);
/* Call it when an answer to a chunk has arrived. `named`: the answer names its chunk. If an answer does not name its
 * chunk, a worker of an older version may have replaced the worker. */
void worker_endpoint_names_answers(struct worker_endpoint *e, bool named);
bool worker_endpoint_is_balancer(const struct worker_endpoint *e);
/* Call it when the endpoint has answered that it does not have a task, or cannot run the task. Asks the endpoint again
 * which tasks it has. */
void worker_endpoint_lacks_task(struct worker_endpoint *e);
/* Logs when the endpoint begins to reject our token, and when it accepts the token again. */
void worker_endpoint_log_token(const struct worker_endpoint *e, bool rejected_before);

#endif
