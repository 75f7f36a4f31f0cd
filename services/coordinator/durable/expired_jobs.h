/*
 * Removes a durable job from the store when job_ttl_s has passed since the end of the job. A sweep removes a few jobs
 * at a time. If there are more, the next sweep follows at once.
 */
#ifndef FANTAIL_COORDINATOR_DURABLE_EXPIRED_JOBS_H
#define FANTAIL_COORDINATOR_DURABLE_EXPIRED_JOBS_H

#include "coordinator/durable/durable.h"

/* Starts a sweep if it is due and no sweep is running. */
void expired_jobs_tick(struct durable *d, uint64_t now);

#endif
