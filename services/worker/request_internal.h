/*
 * Declarations shared by the request*.c files. request.c admits a request and ends it, request_upload.c reads its body,
 * request_answer.c sends its answers.
 */
#ifndef FANTAIL_WORKER_REQUEST_INTERNAL_H
#define FANTAIL_WORKER_REQUEST_INTERNAL_H

#include "worker/chunk/chunk_header.h"
#include "worker/chunk/handover.h"
#include "worker/request.h"
#include "worker/request_trace.h"
#include "worker/worker.h"

struct stage {
    struct request *request;
    struct pool *pool;
    struct chunk *chunk;
    /* For pipelines. */
    struct handover handover; /* hands answers over to the next stage */
    bool pumps;               /* more answers must be handed over, in later turns of the loop */
};

enum request_state {
    REQUEST_READING_HEADER,
    REQUEST_READING_ITEMS,
    REQUEST_ANSWERING, /* the head of the answer waits for the first value */
    REQUEST_STREAMING, /* the head was sent, or is about to be sent */
    REQUEST_REFUSED,   /* answered with a problem; the rest of its body is dropped */
    REQUEST_CLOSED,    /* its exchange has ended */
    REQUEST_STATE_COUNT
};

struct request {
    struct request *next, **prev;
    struct worker *worker;
    struct http_exchange *x;
    char *name; /* Fantail-Chunk; NULL: none */
    char *job;  /* the job named in Fantail-Chunk; NULL: none */
    uint64_t base;
    unsigned attempt;
    enum request_state state;
    bool suspended;    /* the upload waits, see must_wait() */
    bool gathers;      /* answers wait for more answers to be sent with them */
    uint64_t woken_ns; /* when answers were last sent */
    struct buf header;
    struct value_scan header_scan; /* scans the common value of the header while it arrives */
    size_t body_bytes;
    uint64_t started_ns;
    uint64_t answering_ns; /* when the upload was complete */
    uint64_t sent_ns;      /* when bytes of the answer were last sent; before the first byte: answering_ns */
    struct request_trace trace;
    uv_timer_t deadline;
    bool timed; /* the request has a deadline timer, and is freed after the timer is closed */
    struct stage stages[PIPELINE_TASKS_MAX];
    unsigned count;
};

/* Returns the stage whose answers are the answers of the request. */
static inline struct stage *request_last_stage(struct request *r)
{
    return &r->stages[r->count - 1];
}

/* ---- request.c ---- */

void request_move(struct request *r, enum request_state to);

/* Cancels the chunks and answers with a problem. `members` has the same meaning as for http_answer_problem(). Later
 * calls have no effect. */
void request_refuse(struct request *r, int status, const char *members, const char *detail);
/* Appends the member "tasks", which lists the tasks of the worker. */
void request_write_tasks(const struct worker *w, struct buf *members);

/* ---- request_upload.c ---- */

/* Adds a stage to the pipeline. If the worker does not have the task, refuses the request and returns false. */
MUST_CHECK bool request_add_stage(struct request *r, const char *task, bool check_items);
/* Adds item bytes to the chunk of a stage. May refuse the request. */
void request_add_items(struct stage *s, const char *data, size_t len);
/* Lets the suspended uploads check again whether they must wait. */
void request_wake_uploads(struct requests *set);
size_t request_on_body(struct http_exchange *x, const char *data, size_t len);
void request_on_body_end(struct http_exchange *x);

/* ---- request_answer.c ---- */

/* Begins the answer, after the upload. */
void request_begin_answer(struct request *r);
/* The hook on_progress of a chunk: called when the output of the chunk has grown. */
void request_on_progress(struct chunk *c);
/* Returns the processor time that a chunk costs the worker's loop at present. This is an estimate that also takes the
 * open chunks into account. */
uint64_t request_chunk_ns(const struct chunk *c);
/* The step of the loop turn that passes answers from stage to stage. `requests` points to a struct requests. */
void request_pump(void *requests);
ssize_t request_on_pull(struct http_exchange *x, char *dst, size_t cap);
bool request_on_whole(struct http_exchange *x, struct buf *answer);

#endif
