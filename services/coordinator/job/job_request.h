/*
 * The parts of a POST of a job that do not depend on what becomes of the job.
 */
#ifndef FANTAIL_COORDINATOR_JOB_JOB_REQUEST_H
#define FANTAIL_COORDINATOR_JOB_JOB_REQUEST_H

#include "common/http_server/http_server.h"
#include "coordinator/items/splitter.h"

/* Finds out the format of the body. Returns false after answering, if the body has another format or charset, or if
 * there is no memory for a job. */
MUST_CHECK bool job_request_format(struct http_exchange *x, enum split_format *format);
/* Describes why a body cannot be split: appends the members and the sentence of a problem, and returns its status. */
int job_request_split_fault(const struct split_error *e, struct buf *members, struct buf *detail);

#endif
