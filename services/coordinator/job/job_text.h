/*
 * Writes what documents and streams say about a job besides its results: its status, counts and times. The functions
 * append to `out` and do not change the job.
 */
#ifndef FANTAIL_COORDINATOR_JOB_JOB_TEXT_H
#define FANTAIL_COORDINATOR_JOB_JOB_TEXT_H

#include "common/base/buf.h"

struct job;

/* Writes the document up to its results, or up to its errors if the job is reduced. The job must have ended. */
void job_write_document_head(const struct job *j, struct buf *out);
/* Writes the document after its errors. */
void job_write_document_tail(const struct job *j, struct buf *out);
/* Writes the end line of a stream. If the job is reduced, the line with its one result comes first. The job must have
 * ended. */
void job_write_end_lines(const struct job *j, struct buf *out);
/* Writes a progress line of a stream. */
void job_write_progress(const struct job *j, struct buf *out);

#endif
