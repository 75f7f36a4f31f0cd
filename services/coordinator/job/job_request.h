/*
 * The steps that a POST of a synchronous job and of a durable job have in common.
 */
#ifndef FANTAIL_COORDINATOR_JOB_JOB_REQUEST_H
#define FANTAIL_COORDINATOR_JOB_JOB_REQUEST_H

#include "common/http_server/http_server.h"
#include "common/net/prefer_header.h"
#include "coordinator/items/jobspec.h"
#include "coordinator/items/splitter.h"

struct preferences job_request_preferences(const struct http_exchange *x);
/* Returns whether the request asks for a durable job. */
bool job_request_prefers_durable(const struct http_exchange *x);
/* Finds out the format of the body. If an option in the query is wrong, the Content-Type is unknown, its charset is not
 * UTF-8, or there is no memory for a job, answers the request and returns false. */
MUST_CHECK bool job_request_format(struct http_exchange *x, enum split_format *format);
/* Initialises the splitter of the body. */
void job_request_begin_body(const struct http_exchange *x, enum split_format format, struct splitter *s);
/* Reads the options in the query, and the options in the part of the body that has arrived. `spec` must be zeroed. The
 * caller must call jobspec_finish(), and must release `spec` even after a failure. */
MUST_CHECK bool job_request_options(struct http_exchange *x, const struct splitter *s, struct jobspec *spec,
                                    struct jobspec_error *err);
/* Describes why a body cannot be split: appends the members and the detail of a problem document. Returns the HTTP
 * status. */
int job_request_split_fault(const struct split_error *e, struct buf *members, struct buf *detail);

#endif
