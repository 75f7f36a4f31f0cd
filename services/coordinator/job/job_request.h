/*
 * The steps of a POST of a job that are the same for synchronous and durable jobs.
 */
#ifndef FANTAIL_COORDINATOR_JOB_JOB_REQUEST_H
#define FANTAIL_COORDINATOR_JOB_JOB_REQUEST_H

#include "common/http_server/http_server.h"
#include "coordinator/items/jobspec.h"
#include "coordinator/items/splitter.h"

/* Finds out the format of the body. Returns false after answering, if the body has another format or charset, or if
 * there is no memory for a job. */
MUST_CHECK bool job_request_format(struct http_exchange *x, enum split_format *format);
/* Reads the options in the query and, if the body is a job object, in the body so far. `spec` must be zeroed. Release
 * it in any case. jobspec_finish() is left to the caller. */
MUST_CHECK bool job_request_options(struct http_exchange *x, const struct splitter *s, struct jobspec *spec,
                                    struct jobspec_error *err);
/* Describes why a body cannot be split: appends the members and the sentence of a problem, and returns its status. */
int job_request_split_fault(const struct split_error *e, struct buf *members, struct buf *detail);

#endif
