/*
 * Removes what the store has of jobs that were not accepted. If the store is away, it is tried again later, because a
 * job that stays in state RECEIVING keeps its Idempotency-Key. An accepted job is never removed.
 */
#ifndef FANTAIL_COORDINATOR_DURABLE_DISCARDS_H
#define FANTAIL_COORDINATOR_DURABLE_DISCARDS_H

#include "coordinator/durable/durable.h"

/* Removes the job, now or later. */
void discards_add(struct durable *d, const char *id);
/* Starts again what has failed, if it is due. */
void discards_tick(struct durable *d, uint64_t now);
/* Lets go of what has failed. What is left is removed when the store is opened again. */
void discards_drop(struct durable *d);

#endif
