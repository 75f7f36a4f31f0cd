/*
 * What the catalog knows about the tasks of a job. Pure.
 */
#ifndef FANTAIL_COORDINATOR_JOB_JOB_TASKS_H
#define FANTAIL_COORDINATOR_JOB_JOB_TASKS_H

#include "common/base/buf.h"
#include "coordinator/fleet/task_catalog.h"
#include "coordinator/items/jobspec.h"

/* Returns 0 if the workers have all tasks of the job and can run them. Returns 404 if there is a task that no worker
 * has. Returns 422 if there is a task that no worker can run. For 404 and 422, writes a sentence to *detail, which must
 * be empty. `detail` may be NULL. */
int job_tasks_fault(struct catalog *c, const struct jobspec *spec, struct buf *detail);
/* Returns whether workers have described all tasks of the job. If they have not, the idempotency of some tasks is not
 * known. */
bool job_tasks_are_described(struct catalog *c, const struct jobspec *spec);
/* Returns the strictest idempotency of the job's tasks. */
enum idempotency job_tasks_idempotency(struct catalog *c, const struct jobspec *spec);

#endif
