/*
 * A request that waits for the job store. If the client hangs up while a call is open, the call still takes effect, and
 * the errand lives until the call is done.
 */
#ifndef FANTAIL_COORDINATOR_API_ERRAND_H
#define FANTAIL_COORDINATOR_API_ERRAND_H

#include "common/http_server/http_server.h"
#include "common/net/prefer_header.h"
#include "coordinator/api/job_list.h"
#include "coordinator/coordinator.h"
#include "coordinator/results/job_watch.h"

enum { ERRAND_BODY_BYTES = 16 * 1024 };

struct errand {
    struct coordinator *coordinator;
    struct http_exchange *exchange; /* NULL: the client has disconnected, or the exchange is over */
    struct store_call *call;        /* the open call to the store; NULL: none */
    /* Called when a call to the store is done. The call is freed after this callback. `e->exchange` may be NULL. */
    void (*done)(struct errand *e, struct store_call *call);
    char id[STORE_ID_SIZE]; /* id of the job; "": none */

    /* For a request that waits for the end of the job. */
    void (*over)(struct errand *e, const struct store_call *call);
    bool watches, poked, known, wants_results;
    struct job_watch watch;
    uint64_t deadline_ns, asked_ns;

    /* For a request with a body. */
    /* Called when the body is complete. NULL: the request needs no body, and a body that arrives is dropped. */
    void (*whole)(struct errand *e);
    struct buf body;

    bool only_cancel; /* for a DELETE: cancels a running job, but does not remove an ended job */

    /* For a list of jobs: the texts that the store filter borrows, and the streamed answer. */
    char *task, *label;
    struct job_list list;

    /* For a POST whose client waits for the end of the job. */
    struct stored_job accepted;
    struct preferences prefer;
    enum job_likeness likeness;
};

/* Accepts the exchange and returns its errand, which is about the job `id`. If `id` is "", the errand is not about a
 * single job. */
struct errand *errand_for(struct http_exchange *x, struct coordinator *c, const char *id);
/* Accepts the exchange and returns its errand. If no stored job can have the id in the path, answers 404 and returns
 * NULL. */
struct errand *errand_new(struct http_exchange *x, struct coordinator *c);
/* Creates a call to the store about the errand's job. The caller may set more members of the call, and must then start
 * it with errand_start(). */
struct store_call *errand_call(struct errand *e, enum store_op op,
                               void (*done)(struct errand *e, struct store_call *call));
void errand_start(struct errand *e, struct store_call *call);
/* Frees the errand if its exchange is over and no call is open. */
void errand_free_when_over(struct errand *e);
/* Asks the store for the job until the job has ended, `deadline_ns` has passed, the coordinator drains, or the store
 * has failed. Then calls `over` with the last READ_JOB call. If the client is gone, `over` is not called. After the job
 * has been read (e->known), STORE_AWAY is not a failure: the errand asks again. If the job has just been accepted, the
 * errand does not ask immediately, because the job has not ended yet, and a call to the store would delay the start of
 * the job. */
void errand_wait(struct errand *e, uint64_t deadline_ns, void (*over)(struct errand *e, const struct store_call *call));
/* Returns whether the call has found a job that clients can see. Clients cannot see a job while its items are being
 * uploaded. */
bool errand_has_job(const struct store_call *call);
/* Answers with the document of the job. */
void errand_answer_job(struct errand *e, int status, const struct stored_job *job);
/* Appends the document of a job. If the job runs here, the document also has the facts that only this coordinator
 * knows. */
void errand_write_job(const struct coordinator *c, struct buf *out, const struct stored_job *job);

#endif
