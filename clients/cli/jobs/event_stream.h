/*
 * The events of one durable job, followed until the job has ended. When the connection is cut, the stream goes on after
 * the last event (Last-Event-ID).
 */
#ifndef FANTAIL_CLI_JOBS_EVENT_STREAM_H
#define FANTAIL_CLI_JOBS_EVENT_STREAM_H

#include "cli/remote/job_service.h"

/* The caller initialises the members up to `data`. */
struct event_stream {
    struct job_service *service; /* borrowed */
    const char *id;              /* borrowed */
    /* Receives the job of each event. The job is borrowed until this function returns. False ends the stream. */
    bool (*take)(const struct remote_job *j, void *data);
    void *data;

    struct buf document; /* of the event that is being read */
    char event_id[128];  /* of the event that is being read */
    char last_id[128];   /* of the last complete event; "": none */
    bool stopped;        /* the job has ended, take() returned false, or a message said why the stream cannot go on */
    int status;          /* the exit status; valid if `stopped` is set */
};

/* Reads all events. Returns the exit status of the job, or complains and returns EXIT_JOB_FAILED. */
MUST_CHECK int event_stream_run(struct event_stream *e);

#endif
