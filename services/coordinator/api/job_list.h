/* The list of the synchronous jobs that this coordinator runs. */
#ifndef FANTAIL_COORDINATOR_API_JOB_LIST_H
#define FANTAIL_COORDINATOR_API_JOB_LIST_H

#include "coordinator/job/jobs.h"

/* Appends a JSON array. */
void job_list_write(struct buf *out, const struct jobs *jobs);

#endif
