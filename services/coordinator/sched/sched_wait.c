/* What a job waits for, and for how long. */
#include "coordinator/sched/scheduler_internal.h"

static const char *const waiting_names[] = {
    [SCHED_NOT_WAITING] = "not_waiting",           [SCHED_WAITING_NO_WORKERS] = "no_workers",
    [SCHED_WAITING_NO_TASK] = "no_task",           [SCHED_WAITING_TOKEN_REFUSED] = "token_refused",
    [SCHED_WAITING_RETRY_BUDGET] = "retry_budget", [SCHED_WAITING_STARTING] = "starting",
};
static_assert(ARRAY_SIZE(waiting_names) == SCHED_WAITING_COUNT, "one name per reason");

const char *sched_waiting_name(enum sched_waiting why)
{
    return waiting_names[why];
}

/* Returns the instant at which the job stops waiting for a worker. */
static uint64_t give_up_ns(const struct sched_job *job)
{
    const struct scheduler *s = job->s;
    const struct sched_task *t = job->task;
    uint64_t since = job->progress_ns > t->unserved_since_ns ? job->progress_ns : t->unserved_since_ns;
    return since + s->config.worker_wait_ns < since ? SCHED_NEVER : since + s->config.worker_wait_ns;
}

static uint64_t waits_from_ns(const struct sched_job *job)
{
    const struct sched_task *t = job->task;
    return (job->added_ns > t->unserved_since_ns ? job->added_ns : t->unserved_since_ns) + WAITING_AFTER_NS;
}

void job_arm_timer(struct sched_job *job)
{
    const struct scheduler *s = job->s;
    uint64_t at = job->p.deadline_ns;
    if (job->task->serving == 0) {
        uint64_t give_up = give_up_ns(job);
        uint64_t waits = waits_from_ns(job);
        at = give_up < at ? give_up : at;
        at = job->waiting == SCHED_NOT_WAITING && waits > s->now_ns && waits < at ? waits : at;
    }
    timer_set(job->s, &job->timer, job_has_ended(job) ? SCHED_NEVER : at);
}

void task_serving_changed(struct sched_task *t)
{
    for (struct list_link *at = list_next(&t->jobs, NULL); at; at = list_next(&t->jobs, at)) {
        struct sched_job *job = CONTAINER_OF(at, struct sched_job, task_link);
        job_arm_timer(job);
        job_changed(job);
    }
}

static bool wants_worker(const struct sched_job *job)
{
    return job->uncut > 0 || job->expected > 0 || job->pending_items > 0 || job->backoff_items > 0 ||
           job->in_flight_items > 0;
}

/* Returns whether the oldest chunk in flight may still be answered. The first answer may take a long time. So the
 * attempt need not have answered anything: it is enough that it has run for a moment and was not refused. */
static bool has_hope(const struct sched_job *job)
{
    const struct scheduler *s = job->s;
    struct list_link *oldest = list_next(&job->lists[CHUNK_IN_FLIGHT], NULL);
    if (!oldest) return false;
    const struct sched_attempt *a = CONTAINER_OF(oldest, struct sched_chunk, link)->attempt;
    uint64_t soon_ns = s->config.worker_wait_ns / 4 < NS_PER_S ? s->config.worker_wait_ns / 4 : NS_PER_S;
    return a && s->now_ns - a->started_ns >= soon_ns;
}

void job_timer_fired(struct sched_job *job)
{
    struct scheduler *s = job->s;
    bool too_long = job->task->serving == 0 && s->now_ns >= give_up_ns(job);
    job_changed(job);
    if (s->now_ns >= job->p.deadline_ns) {
        job_end(job, SCHED_TIMED_OUT, ITEM_DEADLINE_EXCEEDED, "the job's deadline has passed");
    } else if (too_long && wants_worker(job) && !has_hope(job)) {
        job->no_workers = true;
        job_end(job, SCHED_FAILED, ITEM_WORKER_LOST,
                s->rejecting_n > 0           ? sched_cause_token
                : task_is_nowhere(job->task) ? sched_cause_no_task
                                             : sched_cause_no_workers);
    } else {
        job_arm_timer(job);
        uint64_t again = s->now_ns + NS_PER_S < job->p.deadline_ns ? s->now_ns + NS_PER_S : job->p.deadline_ns;
        /* The job has waited too long, but it does not end while an attempt may still be answered. So the job is
         * checked again later. */
        if (too_long && job->timer.node.key <= s->now_ns) timer_set(s, &job->timer, again);
    }
}

static enum sched_waiting waits_for(const struct sched_job *job)
{
    const struct scheduler *s = job->s;
    bool to_send = job->uncut > 0 || job->pending_items > 0;
    const struct sched_task *t = job->task;
    if (job_has_ended(job)) return SCHED_NOT_WAITING;
    bool waits = t->usable == 0 ? to_send || job->expected > 0 : job->expected > 0 && job->undescribed;
    if (waits && t->serving == 0 && s->now_ns >= waits_from_ns(job))
        return s->rejecting_n > 0   ? SCHED_WAITING_TOKEN_REFUSED
               : task_is_nowhere(t) ? SCHED_WAITING_NO_TASK
                                    : SCHED_WAITING_NO_WORKERS;
    if (!to_send && job->in_flight_items == 0 && job->starved_n > 0) return SCHED_WAITING_RETRY_BUDGET;
    if (job->starting_until_ns > s->now_ns && s->now_ns >= job->starting_since_ns + WAITING_AFTER_NS)
        return SCHED_WAITING_STARTING;
    return SCHED_NOT_WAITING;
}

void job_update_waiting(struct sched_job *job)
{
    struct scheduler *s = job->s;
    enum sched_waiting why = waits_for(job);
    if (why == job->waiting) return;
    job->waiting = why;
    run_count_op(s);
    if (s->ops.waiting) s->ops.waiting(s->ctx, job, why);
}
