/*
 * One job from its POST to its last byte: takes the body in (splitter, spool), starts it in the scheduler, takes the
 * answers (collector) and gives them to the client (job_output.h). Lives until both the scheduler and the client are
 * done with it; a client that goes away cancels it.
 *
 *   RECEIVING  the body arrives; items may be running already
 *   RUNNING    the body is whole
 *   ENDED      the outcome is known; answers may still be on their way out
 */
#ifndef FANTAIL_COORDINATOR_JOB_JOB_H
#define FANTAIL_COORDINATOR_JOB_JOB_H

#include "common/trace/trace_scope.h"
#include "coordinator/answers/collector.h"
#include "coordinator/answers/spill_file.h"
#include "coordinator/coordinator.h"
#include "coordinator/items/item_source.h"
#include "coordinator/items/jobspec.h"
#include "coordinator/items/payload.h"
#include "coordinator/items/splitter.h"
#include "coordinator/items/spool.h"
#include "coordinator/job/reader.h"
#include "coordinator/job/uuid.h"

enum job_state { JOB_RECEIVING, JOB_RUNNING, JOB_ENDED };

struct job {
    struct coordinator *coordinator;
    struct job *next, **link; /* on coordinator->jobs */
    enum job_state state;
    char id[UUID_TEXT_SIZE];
    uint64_t started_ns;
    struct trace_scope trace;

    struct http_exchange *exchange; /* NULL once the client is gone */
    struct jobspec spec;
    struct splitter splitter;
    struct spool spool;
    struct spooled_items spooled;
    struct generated_items generated;
    struct item_source items; /* one of the two; set at the start */

    struct sched_job *sched; /* NULL before the start and after the end */
    bool start_asked;        /* waiting for the catalog */
    bool started;
    bool refused;      /* answered by a problem: nothing more is read or sent */
    int answer_status; /* of the answer, once the exchange is over; 0: none was given */
    struct catalog_question *question;
    struct buf chunk_header; /* the first line of every chunk */
    struct collector *collector;
    struct spill_file spill;
    enum sched_status cancel_status;
    const char *cancel_reason; /* NULL: not cancelled */
    struct sched_outcome outcome;
    enum sched_waiting waiting;
    char failure[200]; /* why the coordinator itself failed the job; "" */
    struct job_output output;
};

/* Answers the exchange or accepts it and makes the job. */
void job_handle_post(struct http_exchange *x, struct coordinator *c);

/* Answers from the dispatcher: n canonical lines from item `first` on. */
void job_add_values(struct job *j, uint64_t first, uint64_t n, const char *lines, size_t len);
/* One of them; its memory may be taken. */
void job_take_value(struct job *j, uint64_t index, struct buf *line);
/* One line {"error":{...}} for each of n items. */
void job_add_error(struct job *j, uint64_t first, uint64_t n, const char *line, size_t len);
/* The op job_finished. May free j. */
void job_finished(struct job *j, const struct sched_outcome *outcome);
void job_set_waiting(struct job *j, enum sched_waiting why);
/* The ops cut and drop. */
size_t job_cut(struct job *j, struct sched_chunk *chunk, size_t max_items, size_t max_bytes, size_t *bytes);
uint64_t job_drop(struct job *j, uint64_t max_items, uint64_t *first);
/* Ends it early, before the next scheduler_run(); reason is a literal or lives as long as the job. The first one
 * counts. */
void job_cancel(struct job *j, enum sched_status status, const char *reason);
/* Tells the scheduler of the cancels noted since. */
void jobs_carry_out_cancels(struct coordinator *c);
/* Every running job ends as cancelled; reason is a literal. */
void jobs_cancel_all(struct coordinator *c, const char *reason);
struct status_job job_status(const struct job *j);

#endif
