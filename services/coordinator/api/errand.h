/*
 * A request that waits for the job store. The client may hang up while a call is open: the call still takes effect, and
 * the errand lives until it is done.
 */
#ifndef FANTAIL_COORDINATOR_API_ERRAND_H
#define FANTAIL_COORDINATOR_API_ERRAND_H

#include "common/http_server/http_server.h"
#include "coordinator/coordinator.h"
#include "coordinator/results/job_watch.h"

struct errand {
    struct coordinator *coordinator;
    struct http_exchange *exchange; /* NULL: the client is gone, or was answered and has closed */
    struct store_call *call;        /* the call that is open; NULL: none */
    /* A call is done. It is freed after this. `e->exchange` may be NULL. */
    void (*done)(struct errand *e, struct store_call *call);
    char id[STORE_ID_SIZE]; /* of the job; "": none */

    /* For a request that waits for the end of the job. */
    bool watches;
    struct job_watch watch;
    uint64_t deadline_ns, asked_ns;

    bool only_cancel; /* for a DELETE: a job that has ended is not removed */

    /* For a list: what the filter borrows. */
    char *task, *label;
};

/* Accepts the exchange and returns the errand. If the path has an id that no stored job can have, answers 404 and
 * returns NULL. */
struct errand *errand_new(struct http_exchange *x, struct coordinator *c);
/* Makes a call for the errand's job. The caller may set more members, and then calls errand_start(). */
struct store_call *errand_call(struct errand *e, enum store_op op,
                               void (*done)(struct errand *e, struct store_call *call));
void errand_start(struct errand *e, struct store_call *call);
/* Answers with the document of the job. */
void errand_answer_job(struct errand *e, int status, const struct stored_job *job);
/* Appends the document of a job, with what this coordinator knows if it runs here. */
void errand_write_job(const struct coordinator *c, struct buf *out, const struct stored_job *job);

#endif
