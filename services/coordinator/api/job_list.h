/* The list of the synchronous jobs that this coordinator runs. */
#ifndef FANTAIL_COORDINATOR_API_JOB_LIST_H
#define FANTAIL_COORDINATOR_API_JOB_LIST_H

#include "coordinator/job/jobs.h"

/* Appends a JSON array. */
void job_list_write(struct buf *out, const struct jobs *jobs);
/* If the query parameter is an option of a job, returns a hint that a job is submitted with POST. Otherwise returns
 * NULL. */
const char *job_list_hint(const char *parameter);

#endif
