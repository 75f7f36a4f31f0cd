/*
 * Tells requests that wait for a job when to ask the store about the job. A request asks the store immediately when
 * this coordinator has recorded something for the request's job. The request also asks the store regularly, because
 * other coordinators may record answers too. Owner of the list: the coordinator. Owner of a watch: the request that
 * waits.
 */
#ifndef FANTAIL_COORDINATOR_RESULTS_JOB_WATCH_H
#define FANTAIL_COORDINATOR_RESULTS_JOB_WATCH_H

#include <uv.h>

#include "common/base/list.h"
#include "coordinator/results/read_gate.h"
#include "coordinator/store/store.h"

struct durable;

struct job_watches {
    /* Set these before job_watches_start(). */
    struct store *store;           /* borrowed */
    const struct durable *durable; /* the jobs that run here; borrowed; NULL: none */
    double heartbeat_s;
    uint64_t max_unanswered_errors; /* how many errors of unanswered items one answer lists one by one */

    bool draining;
    struct read_gate gate; /* for the readers of results */

    /* Private. */
    struct list all;
    uv_timer_t timer; /* runs while there are watches */
};

/* An op of a watch may add watches, and may remove its own watch. It must not remove other watches. */
struct job_watch_ops {
    /* Called when answers of the job have been recorded, or when its state has changed. */
    void (*poke)(void *owner);
    /* Called when the job has ended. `read` has the results of a READ_JOB call, with all blocks of the job. `read` is
     * borrowed. If `give` is NULL, only poke() is called at the end of the job. */
    void (*give)(void *owner, const struct store_call *read);
    /* Called about ten times a second. */
    void (*tick)(void *owner, uint64_t now_ns);
    /* Called when the coordinator drains. Requests that wait for something must end now. */
    void (*drain)(void *owner);
};

struct job_watch {
    struct job_watches *list;
    struct list_link link;
    const struct job_watch_ops *ops;
    void *owner;
    char id[STORE_ID_SIZE];
};

void job_watches_start(struct job_watches *l, uv_loop_t *loop);
/* Call it when answers of this job have been recorded, or when its state has changed. */
void job_watches_poke(struct job_watches *l, const char *id);
/* If the job of the call `read` has ended, and the call has all blocks of the job, call this function before
 * job_watches_poke(). */
void job_watches_give(struct job_watches *l, const struct store_call *read);
void job_watches_drain(struct job_watches *l);
/* Closes the timer. The loop must keep running until the timer is closed. All watches must have been removed. */
void job_watches_stop(struct job_watches *l);
/* Returns the number of watches. */
size_t job_watches_count(const struct job_watches *l);

void job_watch_add(struct job_watch *w, struct job_watches *l, const char *id, const struct job_watch_ops *ops,
                   void *owner);
void job_watch_remove(struct job_watch *w);

#endif
