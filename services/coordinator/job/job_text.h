/*
 * Writes the parts of documents and streams that are not results: the status, the counts and the times of a job. The
 * functions append to `out` and do not affect the run of the job.
 */
#ifndef FANTAIL_COORDINATOR_JOB_JOB_TEXT_H
#define FANTAIL_COORDINATOR_JOB_JOB_TEXT_H

#include "common/base/buf.h"
#include "common/json/json_walk.h"

struct job;

/* The result of a reduced job may be long, so its bytes are not written to `out`: the caller must send them before
 * out->data[at]. The bytes of the result are borrowed from the job. */
struct job_result {
    struct json_slice value; /* empty: there is no result */
    size_t at;
};

/* Writes the document up to its results, or up to its errors if the job is reduced. The job must have ended. */
struct job_result job_write_document_head(struct job *j, struct buf *out);
/* Writes the rest of the document after its errors. */
void job_write_document_tail(const struct job *j, struct buf *out);
/* Writes the end line of a stream. If the job is reduced, the line with its one result comes first. The job must have
 * ended. */
struct job_result job_write_end_lines(struct job *j, struct buf *out);
/* Writes a progress line of a stream. */
void job_write_progress(const struct job *j, struct buf *out);

#endif
