/*
 * The scheduler's hands: turns its actions into HTTP calls to the workers and their answers into its events. Keeps the
 * endpoints and the scheduler in step. What a job's answers become is the job's affair.
 */
#ifndef FANTAIL_COORDINATOR_DISPATCH_DISPATCHER_H
#define FANTAIL_COORDINATOR_DISPATCH_DISPATCHER_H

#include "coordinator/coordinator.h"

/* Given to endpoints_start() with the coordinator as data. */
extern const struct endpoints_ops dispatcher_endpoints_ops;

/* Makes c->scheduler; c->client and c->catalog are there. */
void dispatcher_start(struct coordinator *c);
/* After the last scheduler_run(); calls still running are ended by the HTTP client's end. */
void dispatcher_stop(struct coordinator *c);

#endif
