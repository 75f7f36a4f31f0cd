/*
 * Private to the job's own files: job.c (life, answers, end), job_intake.c (the request and its body) and job_start.c
 * (from options to the scheduler).
 */
#ifndef FANTAIL_COORDINATOR_JOB_JOB_INTERNAL_H
#define FANTAIL_COORDINATOR_JOB_JOB_INTERNAL_H

#include "coordinator/job/job.h"
#include "protocol/protocol.h"

MUST_CHECK struct job *job_new(struct coordinator *c, struct http_exchange *x, enum split_format format);
/* Frees j when neither the client nor the scheduler has it any more. */
void job_free_when_over(struct job *j);

/* The request was wrong: it gets its problem, and what runs of it already is cancelled. members may be NULL. */
void job_refuse(struct job *j, int status, const char *members, const char *detail_fmt, ...) PRINTF_LIKE(4, 5);
/* Clears b and writes "pointer":"..." to it; borrowed from b. */
const char *job_pointer_member(struct buf *b, const char *pointer);

/* The spec is whole: starts the job when its tasks are known to exist, refuses it with 404 when one does not. */
void job_start_when_known(struct job *j);

#endif
