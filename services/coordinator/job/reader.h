/*
 * One client that reads the answers of a job, as a stream of NDJSON lines or as one JSON document at the end. It takes
 * answers from its source only when the client takes them, so that a slow client costs disk and not memory. A job may
 * have several readers, if its answers can be read several times. Owner: whatever has the exchange (submission.c);
 * the job has a list of its readers.
 *
 *   IDLE       nothing is sent yet; a problem may still be the answer
 *   OPEN       the answer has begun. NDJSON: lines go out as they come. JSON: nothing but white space before the end
 *   RESULTS    JSON: the results
 *   ERRORS     JSON: the errors
 *   TAIL       the last bytes are made
 *   DONE       they are handed out
 */
#ifndef FANTAIL_COORDINATOR_JOB_READER_H
#define FANTAIL_COORDINATOR_JOB_READER_H

#include <sys/types.h>

#include "common/base/list.h"
#include "coordinator/answers/answer_source.h"
#include "coordinator/answers/error_log.h"
#include "coordinator/answers/result_writer.h"

struct http_exchange;
struct job;

enum reader_state {
    READER_IDLE,
    READER_OPEN,
    READER_RESULTS,
    READER_ERRORS,
    READER_TAIL,
    READER_DONE,
    READER_STATE_COUNT
};

struct reader {
    struct job *job;
    struct list_link link; /* on job->readers */
    struct http_exchange *exchange;
    enum reader_state state;
    bool ndjson;
    struct answer_source source; /* zeroed until the answers can be read */
    struct result_writer writer;
    struct error_log errors; /* JSON: those met among the results */
    struct buf pending;      /* what goes out before the next result: control lines, head, tail */
    size_t pending_at;
    uint64_t last_output_ns, last_progress_ns;
};

/* The exchange's body is whole: its Accept header says in which form the answers go out. */
MUST_CHECK struct reader *reader_new(struct job *j, struct http_exchange *x);
/* The exchange is over, or is answered otherwise. NULL is fine. */
void reader_free(struct reader *r);

/* The job has started: its answers are in source. */
void reader_open(struct reader *r, const struct answer_source *source);
/* Answers came. */
void reader_wake(struct reader *r);
/* The job waits: {"type":"waiting","reason":...} */
void reader_waiting(struct reader *r, const char *reason);
/* The job has ended. */
void reader_finish(struct reader *r);
/* Time goes by: progress lines and heartbeats. */
void reader_tick(struct reader *r, uint64_t now_ns);

/* Writes up to cap bytes of the answer at dst; returns as http_exchange_ops.pull does. */
ssize_t reader_pull(struct reader *r, char *dst, size_t cap);

#endif
