/*
 * What documents and streams say about a job besides its results: its status, counts and times. The functions append to
 * `out` and change nothing of the job.
 */
#ifndef FANTAIL_COORDINATOR_JOB_JOB_TEXT_H
#define FANTAIL_COORDINATOR_JOB_JOB_TEXT_H

#include "common/base/buf.h"

struct job;

/* The document up to its results, or up to its errors if the job is reduced. The job has ended. */
void job_write_document_head(const struct job *j, struct buf *out);
/* The document after its errors. */
void job_write_document_tail(const struct job *j, struct buf *out);
/* The end line of a stream, after the line of the one result if the job is reduced. The job has ended. */
void job_write_end_lines(const struct job *j, struct buf *out);
/* A progress line of a stream. */
void job_write_progress(const struct job *j, struct buf *out);

#endif
