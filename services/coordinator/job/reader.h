/*
 * One client that reads the answers of a job, as a stream of NDJSON lines or as one JSON document at the end. The
 * reader reads answers from its source only as fast as the client receives them, so that a slow client costs disk space
 * and not memory. A job may have several readers, if its answers can be read several times. Owner: submission.c, which
 * has the exchange. The job has a list of its readers.
 *
 *   IDLE       nothing is sent yet; the answer may still be a problem
 *   OPEN       the answer has begun. NDJSON: lines are sent as they arrive. JSON: only white space is sent
 *   RESULTS    JSON: the results
 *   ERRORS     JSON: the errors
 *   TAIL       the last bytes are being written
 *   DONE       reader_pull() has returned all bytes
 */
#ifndef FANTAIL_COORDINATOR_JOB_READER_H
#define FANTAIL_COORDINATOR_JOB_READER_H

#include <sys/types.h>

#include "common/base/list.h"
#include "coordinator/answers/answer_source.h"
#include "coordinator/answers/error_log.h"
#include "coordinator/answers/result_writer.h"
#include "coordinator/job/job_text.h"
#include "coordinator/timing/wheel.h"

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
    struct list_link link; /* link on job->readers */
    struct http_exchange *exchange;
    enum reader_state state;
    bool ndjson;
    struct answer_source source; /* zeroed until the answers can be read */
    struct result_writer writer;
    size_t read_bytes;       /* bytes of answers that this pull has read */
    struct error_log errors; /* JSON: the errors found among the results */
    struct buf pending; /* what is sent before the next result: control lines, or the head or tail of the document */
    size_t pending_at;
    struct job_result result; /* the bytes that are still to be sent before pending.data[result.at] */
    uint64_t last_output_ns, last_progress_ns;
    struct wheel_node due; /* on jobs->readers until the job has ended */
};

/* Makes a reader for an exchange whose request body has arrived completely. The Accept header of the exchange selects
 * the format of the answer. */
MUST_CHECK struct reader *reader_new(struct job *j, struct http_exchange *x);
/* Returns whether the client of the exchange asks for a stream of lines instead of a document. */
bool reader_takes_lines(const struct http_exchange *x);
/* Call it when the exchange is over, or has been answered without the reader. NULL is fine. */
void reader_free(struct reader *r);

/* Call it when the job has started and its answers are in `source`. */
void reader_open(struct reader *r, const struct answer_source *source);
/* Call it when answers have arrived. */
void reader_wake(struct reader *r);
/* Call it when the job waits. Sends {"type":"waiting","reason":...}. */
void reader_waiting(struct reader *r);
/* Call it when the job has ended. */
void reader_finish(struct reader *r);
/* Call it at the instant of r->due. Adds a progress line or a heartbeat if one is due. */
void reader_tick(struct reader *r, uint64_t now_ns);

/* Writes up to cap bytes of the answer at dst. Returns what http_exchange_ops.pull returns. */
ssize_t reader_pull(struct reader *r, char *dst, size_t cap);

#endif
