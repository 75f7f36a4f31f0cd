/*
 * Writes the list of the jobs of this coordinator that are not durable. A coordinator can have ten thousand jobs, so
 * the list is written as fast as the client reads it, a few jobs at a time. If a job begins or ends while the list is
 * being written, the list may or may not contain the job.
 */
#ifndef FANTAIL_COORDINATOR_API_JOB_LIST_H
#define FANTAIL_COORDINATOR_API_JOB_LIST_H

#include <sys/types.h>

#include "common/base/buf.h"
#include "coordinator/job/job.h"
#include "coordinator/job/jobs.h"

/* A zeroed list is empty. The owner of the list passes each pull of the streamed answer to job_list_pull(). */
struct job_list {
    struct jobs_cursor cursor;
    struct buf out; /* the part of the answer that is being sent */
    size_t sent;    /* how many bytes of `out` are sent */
    bool has_jobs;  /* at least one job was written */
    bool is_whole;  /* everything was written to `out` */
};

/* Begins the answer, which is the text in `before` and then the list. */
void job_list_begin(struct job_list *l, struct jobs *jobs, struct buf *before);
/* Writes more of the answer. Returns what http_exchange_ops.pull returns. */
ssize_t job_list_pull(struct job_list *l, char *dst, size_t cap);
/* Releasing a zeroed list is fine. */
void job_list_release(struct job_list *l);

void job_list_write_job(struct buf *out, const struct job *j);
/* Returns a hint for a client that used this query parameter; NULL: there is none. */
const char *job_list_hint(const char *parameter);

#endif
