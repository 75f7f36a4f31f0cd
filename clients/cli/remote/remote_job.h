/* A job as the coordinator describes it: the answer of GET /v1/jobs/ID, or one member of the list. Pure. */
#ifndef FANTAIL_CLI_REMOTE_REMOTE_JOB_H
#define FANTAIL_CLI_REMOTE_REMOTE_JOB_H

#include "common/json/json_walk.h"

#define REMOTE_ID_SIZE 37 /* a job's id (a UUID as text) with its NUL */

enum remote_status {
    REMOTE_PENDING,
    REMOTE_RUNNING,
    REMOTE_SUCCEEDED,
    REMOTE_PARTIAL,
    REMOTE_FAILED,
    REMOTE_CANCELLED,
    REMOTE_TIMED_OUT,
    REMOTE_STATUS_COUNT
};
extern const char *const remote_status_words[REMOTE_STATUS_COUNT];
/* Returns false if the word is not a status. */
MUST_CHECK bool remote_status_parse(const char *word, size_t len, enum remote_status *status);

struct remote_job {
    struct json_slice text; /* the document. This slice and all slices below are borrowed */
    char id[REMOTE_ID_SIZE];
    enum remote_status status;
    bool durable, is_reduced;
    /* JSON values; empty: none. */
    struct json_slice task, labels, errors, reason;
    struct json_slice notice, notice_reason; /* the status of the notice, and why its last attempt failed */
    uint64_t notice_attempts;
    struct json_slice result;         /* the reduced value; empty: the job is not reduced, or has not ended */
    struct json_slice waiting;        /* the name of what the job waits for */
    struct json_slice waiting_detail; /* a JSON string that says why; empty: not known */
    uint64_t total, succeeded, failed, cancelled, redrives;
    double eta_s, elapsed_s;                  /* -1: none */
    int64_t created_ms, started_ms, ended_ms; /* milliseconds since 1970; 0: none */
};

/* Returns false if the text is not a job. */
MUST_CHECK bool remote_job_read(struct remote_job *j, const char *text, size_t len);
bool remote_job_has_ended(const struct remote_job *j);
/* Returns why a job waits, in words such as "no worker has the task". `name` is the name of the reason. A name that
 * this program does not know is returned in a static buffer, cut to the size of the buffer. */
const char *remote_waiting_words(const char *name, size_t len);
/* Returns how many items have a value or have failed. A cancelled item is not done. */
uint64_t remote_job_done(const struct remote_job *j);
/* Returns the exit status that corresponds to the job's status (exit_status.h). */
int remote_job_exit_status(const struct remote_job *j);
/* Returns the worse one of two exit statuses. */
int remote_job_worse_exit(int a, int b);
/* Reads a time such as 2026-11-29T03:00:00.000Z. Returns 0 if the text is not a time. */
int64_t remote_time_read(const char *text, size_t len);

#endif
