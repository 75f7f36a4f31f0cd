/*
 * What the catalog knows about the tasks of a job. Pure.
 */
#ifndef FANTAIL_COORDINATOR_JOB_JOB_TASKS_H
#define FANTAIL_COORDINATOR_JOB_JOB_TASKS_H

#include "common/base/buf.h"
#include "coordinator/fleet/task_catalog.h"
#include "coordinator/items/jobspec.h"

/* Returns 0 if the workers have all tasks of the job, 404 if no worker has one of them, and 422 if none of them can run
 * one. Then *detail, which must be empty, gets a sentence. `detail` may be NULL. */
int job_tasks_fault(struct catalog *c, const struct jobspec *spec, struct buf *detail);
/* Returns the strictest idempotency of the job's tasks. */
enum idempotency job_tasks_idempotency(struct catalog *c, const struct jobspec *spec);

#endif
