/*
 * Receives a job: the client's request with the options, and the items of its body. Items may run before the whole body
 * has arrived. Owner: the job.
 *
 *   OPEN       the body arrives
 *   WHOLE      the body is whole; a reader now uses the exchange too (reader.h)
 *   REFUSED    the request is wrong and answered with a problem; the rest of the body is dropped
 */
#ifndef FANTAIL_COORDINATOR_JOB_SUBMISSION_H
#define FANTAIL_COORDINATOR_JOB_SUBMISSION_H

#include "common/http_server/http_server.h"
#include "coordinator/items/splitter.h"
#include "coordinator/items/spool.h"
#include "coordinator/job/job_hint.h"

struct jobs;
struct job;
struct reader;

enum submission_state { SUBMISSION_OPEN, SUBMISSION_WHOLE, SUBMISSION_REFUSED, SUBMISSION_STATE_COUNT };

struct submission {
    struct job *job;
    enum submission_state state;
    struct http_exchange *exchange; /* NULL when the exchange is over */
    int status; /* the HTTP status of the answer, set when the exchange is over; 0: there was no answer */
    struct splitter splitter;
    struct spool spool;         /* items that are not in a chunk yet */
    size_t read_options_bytes;  /* how many bytes of options start_early() has read; 0: none */
    size_t counted_bytes;       /* bytes of the spool and the splitter, as counted in jobs->item_memory */
    enum job_likeness likeness; /* what the first item looks like; used only if no other item comes */
    bool prefers_durable;       /* the request has Prefer: respond-async or wait=N, but there is no job store */
    struct reader *reader;      /* the reader on the same exchange; NULL before the body is whole */
};

/* Handles POST /v1/jobs: answers the exchange, or accepts it and makes the job. */
void submission_handle(struct http_exchange *x, struct jobs *jobs);
/* Refuses the request: answers it with the problem, unless the exchange is already answered or over. `members` may be
 * NULL. */
void submission_refuse(struct submission *s, int status, const char *members, const char *detail);
/* Call it when the spool has become smaller. If the upload is paused, this function may resume it. */
void submission_drained(struct submission *s);
/* Call it when the job has ended. After this call, the rest of a paused upload is read and dropped. */
void submission_job_ended(struct submission *s);
void submission_release(struct submission *s);

#endif
