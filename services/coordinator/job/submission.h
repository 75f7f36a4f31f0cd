/*
 * How a job comes in: the request of its client with the options, and the items of its body. Items may run before the
 * body is whole. Owner: the job.
 *
 *   OPEN       the body arrives
 *   WHOLE      the body is whole; the exchange now belongs to a reader too (reader.h)
 *   REFUSED    the request is wrong and answered with a problem; the rest of the body is dropped
 */
#ifndef FANTAIL_COORDINATOR_JOB_SUBMISSION_H
#define FANTAIL_COORDINATOR_JOB_SUBMISSION_H

#include "common/http_server/http_server.h"
#include "coordinator/items/splitter.h"
#include "coordinator/items/spool.h"

struct jobs;
struct job;
struct reader;

enum submission_state { SUBMISSION_OPEN, SUBMISSION_WHOLE, SUBMISSION_REFUSED, SUBMISSION_STATE_COUNT };

/* An item with "items", "range" or "spans"; with "task" too. */
enum job_likeness { LIKE_NOTHING, LIKE_SOURCE, LIKE_JOB };

struct submission {
    struct job *job;
    enum submission_state state;
    struct http_exchange *exchange; /* NULL once it is over */
    int status;                     /* of its answer, once it is over; 0: there was none */
    struct splitter splitter;
    struct spool spool;         /* items that are not in a chunk yet */
    enum job_likeness likeness; /* of the first item, if it came alone and as NDJSON */
    struct reader *reader;      /* of the same exchange; NULL before the body is whole */
};

/* POST /v1/jobs: answers the exchange, or accepts it and makes the job. */
void submission_handle(struct http_exchange *x, struct jobs *jobs);
/* The request is wrong: it is answered with the problem, unless it is already answered or over. members may be NULL. */
void submission_refuse(struct submission *s, int status, const char *members, const char *detail);
/* The spool has become shorter: a paused upload may go on. */
void submission_drained(struct submission *s);
/* The job has ended: what is left of a paused upload is read and dropped. */
void submission_job_ended(struct submission *s);
void submission_release(struct submission *s);

#endif
