/*
 * A lane: the slots of one task at one endpoint, and the window of the task there. sched_lane.c says how the window
 * changes. Private to the scheduler's files.
 */
#ifndef FANTAIL_COORDINATOR_SCHED_SCHED_LANE_H
#define FANTAIL_COORDINATOR_SCHED_SCHED_LANE_H

#include "coordinator/sched/scheduler.h"

/* A worker that has answered, at an endpoint or behind a balancer. */
struct sched_worker {
    uint64_t id; /* 0: the table entry is free */
    uint64_t heard_ns;
    uint32_t slots;
};

/* The slots of one task at one endpoint. */
struct sched_lane {
    struct sched_endpoint *endpoint;
    struct sched_task *task;
    struct list_link endpoint_link, task_link;
    uint32_t open_index, available_index; /* indexes in the task's arrays; UINT32_MAX: not in the array */
    struct list_link warm_link;
    bool is_warm;             /* the lane is on the list `warm` of its task, see balancer.c */
    bool lacks;               /* the endpoint does not have the task */
    bool gone;                /* the lane is being freed */
    bool full;                /* gets no chunks for a short time: after a 429, or by lane_hold() */
    struct sched_timer timer; /* when it fires, the lane is no longer full */
    unsigned pauses;          /* consecutive 429 answers */
    uint64_t busy_ns; /* when the endpoint last answered 429; a 429 to an attempt that began earlier is ignored */

    /* The window. */
    double slots;             /* slots, known or assumed */
    double counted_slots;     /* the lane's part of task->slots */
    double counted_unreached; /* the lane's part of task->unreached_slots */
    bool slots_known, counted_usable, counted_serving;
    double scale;                 /* a 429 halves this */
    double load;                  /* sum of the weights of the items in flight; the window is full at slots * scale */
    double busy;                  /* the part of the slots that the items in flight use */
    bool window_full;             /* a chunk found no room, and no item has ended since then */
    uint64_t in_flight;           /* items in flight */
    size_t attempts_n;            /* attempts that run */
    uint64_t answered_ns;         /* when the lane last answered an item; 0: never */
    bool answers_well;            /* the last answer was a value */
    uint64_t runs_since_ns;       /* when the lane first answered since the task's processes were started; 0: not yet */
    unsigned holds;               /* pauses since the last answer, see lane_hold() */
    struct sched_worker *workers; /* a hash table with open addressing */
    uint32_t workers_n, workers_alloc;
    uint64_t swept_ns;

    /* How slow the lane is: the slot time that its items used, compared with the slot time that the means of their jobs
     * predict. */
    double clock; /* slot time in ns that an item would have got if it had been in flight all the time; see chunker.c */
    uint64_t clock_ns;
    double used_ns, expected_ns, prior_ns;
};

struct sched_lane *lane_new(struct sched_task *t, struct sched_endpoint *e);
void lane_free(struct sched_lane *l);
/* Frees the lanes of an endpoint that is being removed. The endpoint must have no attempts left. */
void lanes_free(struct sched_endpoint *e);
double lane_window(const struct sched_lane *l);
unsigned lane_workers(const struct sched_lane *l);
/* Updates `busy`. Call it when the number of items in flight has changed. */
void lane_count_busy(struct sched_lane *l);
/* Call it after a change of the lane's slots, or of its endpoint's state. */
void lane_recount(struct sched_lane *l);
/* Call it when a whole chunk has been answered. Widens the window. */
void lane_widen(struct sched_lane *l);
/* Call it when the endpoint has answered that it does not have the task. */
void lane_task_unknown(struct sched_lane *l);
/* Call it when the endpoint has answered 429 to the attempt. */
void lane_busy(struct sched_lane *l, const struct sched_attempt *a, uint64_t retry_after_ms);
/* Call it when the endpoint has answered items, with values or with an error. */
void lane_answered(struct sched_lane *l, bool well);
/* Call it when the endpoint reports that processes of the task are starting. */
void lane_starting(struct sched_lane *l);
/* Returns whether the processes of the task at the endpoint have been running for a while. */
bool lane_runs(const struct sched_lane *l);
/* Call it when a chunk of the lane has also been sent to another endpoint. If the lane is silent, it gets no chunks for
 * a short time, or until it answers. */
void lane_hold(struct sched_lane *l);
/* Ends the state `full` of the lane. Call it when a whole chunk has been answered, or when the timer fires. */
void lane_full_is_over(struct sched_lane *l);

#endif
