/*
 * A job in the scheduler. Private to the scheduler's files.
 *
 *     OPEN --all items were offered--> WHOLE --the last item is settled--> freed
 *       |                                |
 *       +--------------------------------+--it ends early--> ENDED --its attempts are cut off--> CUT
 *                                                                                                 |
 *                                                              freed <--the last item is settled--+
 */
#ifndef FANTAIL_COORDINATOR_SCHED_SCHED_JOB_H
#define FANTAIL_COORDINATOR_SCHED_SCHED_JOB_H

#include "coordinator/sched/scheduler.h"

/* The cost of items in slot time, item_cost.c. */
struct sched_item_cost {
    double ns, items;            /* decaying sums over items */
    double chunks, n, nn, y, ny; /* decaying sums over whole chunks: n items, y ns, and their products */
};

/* A job keeps at most this many phrases with which workers refused items. */
enum { JOB_REFUSALS_MAX = 8 };

enum sched_job_state {
    SCHED_JOB_OPEN,  /* more items may be offered */
    SCHED_JOB_WHOLE, /* all its items were offered */
    SCHED_JOB_ENDED, /* it was cancelled, or ended early for another reason; no more items are sent */
    SCHED_JOB_CUT,   /* it has ended early, and its attempts are cut off or on s->cuts */
    SCHED_JOB_STATE_COUNT
};

struct sched_job {
    struct scheduler *s;
    struct sched_job_params p;
    struct sched_task *task;
    struct list_link link;            /* link on s->jobs */
    struct list_link task_link;       /* link on task->jobs */
    struct list_link ending_link;     /* link on s->ending */
    struct list lists[CHUNK_SETTLED]; /* chunks that are pending, in backoff, in flight */
    struct sched_timer timer;         /* when to check the deadline and the wait for a worker */
    struct sched_counts counts;
    uint64_t added_ns;
    uint64_t uncut, uncut_bytes;
    uint64_t expected; /* see sched_job_expect() */
    bool undescribed;  /* see sched_job_expect() */
    uint64_t pending_items, backoff_items, in_flight_items;
    size_t wait_bytes; /* bytes of the items that are pending or in backoff, see RETRY_WAIT_BYTES */
    size_t starved_n;  /* chunks in backoff that wait for the retry budget */
    size_t settled_n;  /* chunks on s->settled */
    struct heap order; /* chunks of an ended job that are to be settled; first the one with the lowest index */
    enum sched_job_state state;
    bool delivered, no_workers, on_ending, was_at_tail;
    enum sched_status status; /* set when the job has ended */
    enum item_error rest;     /* set when the job has ended: the error of all items that are not settled yet */
    const char *reason;
    enum sched_waiting waiting;

    double load;                     /* weights of its items in flight, at all endpoints */
    struct sched_item_cost reported; /* cost as workers report it */
    struct sched_item_cost seen;     /* cost as the scheduler measures it, which includes round trips and queues */
    uint64_t ramp;                   /* how many chunks may be in flight while chunks still grow */
    struct sched_timer ramp_timer;
    uint32_t ramp_largest; /* largest_answered when the timer was set */
    double rate_tokens; /* items that max_rate allows to be sent at rate_ns; below 0 after a larger chunk; see rate.c */
    uint64_t rate_ns;
    struct sched_timer rate_timer;
    uint64_t growth_ns;               /* time from the start of the largest answered attempt to its last answer */
    double wait_mean, wait_deviation; /* of the waits for an answer, as multiples of the expected wait; see hedge.c */
    uint32_t largest_answered;        /* the largest number of items that one attempt has answered */
    uint64_t moved_items; /* part of counts.hedged: items sent to another worker while processes were starting */
    double tokens;
    uint64_t trickle_ns, probation_ns;             /* when the next retry, or attempt on probation, needs no token */
    uint64_t starting_since_ns, starting_until_ns; /* as in sched_attempt; 0: no report since the last answer */
    uint64_t progress_ns;                          /* when the last answer arrived */
    struct heap_node hedge_node; /* node in s->hedge_scans; its key is when to look for late attempts */

    uint64_t vtime;              /* fairness.c */
    struct heap_node ready_node; /* node in task->ready; its key is vtime */
    bool paused;                 /* nothing is cut, see sched_job_pause() */
    bool held;                   /* nothing is sent, see sched_job_hold() */
    bool blocked;                /* the job is on task->blocked, because it found no room in this run */
    struct list_link blocked_link;

    char *refusals[JOB_REFUSALS_MAX]; /* phrases with which workers refused items; the job's failures point to these */
    unsigned refusals_n;

    bool changed; /* the job is on s->changed */
    struct list_link changed_link;
    uint64_t demand_slots; /* counted in `demand_slots` of the task and of the scheduler */
};

/* Changes the state. */
void sched_job_move(struct sched_job *job, enum sched_job_state to);
/* Returns whether the job has ended early. */
static inline bool job_has_ended(const struct sched_job *job)
{
    return job->state >= SCHED_JOB_ENDED;
}
/* Returns whether all items of the job have been offered and the job has not ended early. */
static inline bool job_is_whole(const struct sched_job *job)
{
    return job->state == SCHED_JOB_WHOLE;
}
/* Call it when items have been added, moved or removed. The figures that depend on the items are updated in this run or
 * one of the next runs. */
void job_changed(struct sched_job *job);
void jobs_run_changed(struct scheduler *s);
bool job_has_chunks(const struct sched_job *job);
void job_settled(struct sched_job *job, uint64_t items, enum item_error error, bool succeeded);
void job_end(struct sched_job *job, enum sched_status status, enum item_error rest, const char *reason);
void job_check_end(struct sched_job *job);
void job_check_tolerance(struct sched_job *job);
/* Returns a copy of the phrase, which is valid until the job is freed. If the job already keeps JOB_REFUSALS_MAX other
 * phrases, returns a general phrase instead. */
const char *job_keep_refusal(struct sched_job *job, const char *why);
void job_free(struct sched_job *job);

#endif
