/* The list of the synchronous jobs that this coordinator runs. */
#ifndef FANTAIL_COORDINATOR_API_JOB_LIST_H
#define FANTAIL_COORDINATOR_API_JOB_LIST_H

#include "coordinator/job/jobs.h"

/* Appends a JSON array. */
void job_list_write(struct buf *out, const struct jobs *jobs);
/* Returns a hint at POST for a query parameter that is an option of a job. Returns NULL for others. */
const char *job_list_hint(const char *parameter);

#endif
