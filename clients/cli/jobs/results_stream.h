/*
 * The results of one durable job, followed until the job has ended. When the connection is cut, the stream goes on with
 * the item after the last printed item.
 */
#ifndef FANTAIL_CLI_JOBS_RESULTS_STREAM_H
#define FANTAIL_CLI_JOBS_RESULTS_STREAM_H

#include "cli/remote/job_service.h"
#include "cli/map/failures.h"
#include "cli/map/output.h"

/* RESULTS_REDUCED: no item is printed, because the caller prints the reduced value. Failed items are reported. */
enum results_only { RESULTS_ALL, RESULTS_VALUES, RESULTS_ERRORS, RESULTS_REDUCED };

/* The caller initialises the members up to `failures`. */
struct results_stream {
    struct job_service *service; /* borrowed */
    const char *id;              /* borrowed */
    enum results_only only;
    bool json;        /* print the lines as they came */
    bool skip_failed; /* print nothing for a failed item, instead of null */
    uint64_t next;    /* the index of the next item; at the beginning, the index of the first item that is wanted */
    struct output output;
    struct failures failures;

    size_t scanned; /* bytes of the incomplete line that were searched for a newline */
    bool started;   /* the start line was printed */
    bool ended;     /* the end line has come */
    bool removed;   /* the job was removed; valid if `ended` is set */
    bool failed;    /* the stream cannot go on, and a message said why */
    int status;     /* the exit status of the job; valid if `ended` is set */
    uint64_t total; /* the number of items of the job; valid if `ended` is set */
};

/* Reads all results. Returns the exit status of the job, or complains and returns EXIT_JOB_FAILED. */
MUST_CHECK int results_stream_run(struct results_stream *r);

#endif
