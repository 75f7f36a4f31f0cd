/*
 * What a job's client reads: the NDJSON stream, or the one JSON document at the end. Pulls answers from the collector
 * as the client takes them, so a slow client costs spill and not memory.
 */
#ifndef FANTAIL_COORDINATOR_JOB_READER_H
#define FANTAIL_COORDINATOR_JOB_READER_H

#include <sys/types.h>

#include "coordinator/answers/reduce.h"
#include "coordinator/answers/result_writer.h"
#include "coordinator/answers/spill_log.h"

struct job;

enum output_stage { OUTPUT_HEAD, OUTPUT_RESULTS, OUTPUT_ERRORS, OUTPUT_TAIL, OUTPUT_DONE };

struct job_output {
    bool ndjson;
    bool streaming; /* http_answer_stream() was called */
    bool reducing;
    enum output_stage stage;
    struct result_writer writer;
    struct reduction reduction;
    struct tape errors; /* JSON document: its "errors", comma-separated */
    uint64_t errors_at;
    struct buf pending; /* written between results: control lines, head, tail */
    size_t pending_at;
    uint64_t last_output_ns, last_progress_ns;
};

void job_output_init(struct job_output *o, const char *spill_dir);
void job_output_release(struct job_output *o);

/* The body is whole: the answer may begin. */
void job_output_begin(struct job *j);
/* Answers, the end, or a control line came: passes them on. */
void job_output_wake(struct job *j);
/* The job ended: the document can be written. */
void job_output_finish(struct job *j);
ssize_t job_output_pull(struct job *j, char *dst, size_t cap);
/* {"type":"waiting","reason":...} */
void job_output_waiting(struct job *j, const char *reason);
void job_output_tick(struct job *j, uint64_t now_ns);

#endif
