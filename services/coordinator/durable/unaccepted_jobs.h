/*
 * Removes unaccepted jobs and their items from the store. If the store is away, the removal is tried again later. Until
 * the job is removed, it is RECEIVING, and requests with its Idempotency-Key are refused. An accepted job is never
 * removed.
 */
#ifndef FANTAIL_COORDINATOR_DURABLE_UNACCEPTED_JOBS_H
#define FANTAIL_COORDINATOR_DURABLE_UNACCEPTED_JOBS_H

#include "coordinator/durable/durable.h"

/* Removes the job now, or later if the store is away. */
void unaccepted_jobs_add(struct durable *d, const char *id);
/* Retries the failed removals that are due. */
void unaccepted_jobs_tick(struct durable *d, uint64_t now);
/* Forgets the failed removals. The jobs whose removal has failed are removed when the store is opened again. */
void unaccepted_jobs_drop(struct durable *d);

#endif
