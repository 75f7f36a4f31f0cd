/*
 * Writes a stored job as JSON: the job document, and lines about the job in a stream of its results. Pure.
 * docs/protocol.md describes both.
 */
#ifndef FANTAIL_COORDINATOR_DURABLE_JOB_DOCUMENT_H
#define FANTAIL_COORDINATOR_DURABLE_JOB_DOCUMENT_H

#include "coordinator/status/status.h"
#include "coordinator/store/store.h"

/* Facts about a running job that the store does not have. The counts of answers are not among these facts, because the
 * store has them. The counts in the store match the recorded answers, and every coordinator can read them. */
struct durable_live {
    uint64_t retried, hedged;
    uint64_t eta_ns; /* 0: not known */
    struct status_waiting waiting;
};

/* Appends the job document, without a newline. `now_ms` is the time in milliseconds since 1970. `live` is NULL if the
 * job does not run on this coordinator. `hint`: what the client may have meant; NULL: the document has no hint. */
void job_document_write(struct buf *out, const struct stored_job *job, int64_t now_ms, const struct durable_live *live,
                        const char *hint);
/* Appends {"type":"end",...}. The job must have ended. `hint` may be NULL. */
void job_document_write_end_line(struct buf *out, const struct stored_job *job, int64_t now_ms, const char *hint);
/* Appends {"type":"end",...} for a job that was removed from the store before all its answers were read. */
void job_document_write_removed_line(struct buf *out, const struct stored_job *job, int64_t now_ms);
/* The first function appends the beginning of the document of a synchronous job: up to its results, or up to its errors
 * if the job is reduced. `hint` may be NULL. The second function appends the rest of the document, which follows the
 * results or errors. */
void job_document_write_head(struct buf *out, const struct stored_job *job, bool is_reduced, const char *hint);
void job_document_write_tail(struct buf *out, const struct stored_job *job, int64_t now_ms);
/* Appends {"type":"result","value":...}, if the job has a result. */
void job_document_write_result_line(struct buf *out, const struct stored_job *job);
/* Appends {"type":"waiting",...}. The job must be waiting. */
void job_document_write_waiting_line(struct buf *out, const struct status_waiting *waiting);
/* Appends {"type":"progress",...}. */
void job_document_write_progress_line(struct buf *out, const struct stored_job *job);

#endif
