#include "coordinator/sched/scheduler_internal.h"

#include <inttypes.h>
#include <math.h>

#define CHANGED_PER_OP 10 /* updating a changed job takes much less time than an op */

static const char *const status_names[] = {
    [SCHED_SUCCEEDED] = "succeeded", [SCHED_PARTIAL] = "partial",     [SCHED_FAILED] = "failed",
    [SCHED_CANCELLED] = "cancelled", [SCHED_TIMED_OUT] = "timed_out",
};
static_assert(ARRAY_SIZE(status_names) == SCHED_STATUS_COUNT, "one name per status");

static const char *const state_names[] = {
    [SCHED_JOB_OPEN] = "open",
    [SCHED_JOB_WHOLE] = "whole",
    [SCHED_JOB_ENDED] = "ended",
    [SCHED_JOB_CUT] = "cut",
};
static_assert(ARRAY_SIZE(state_names) == SCHED_JOB_STATE_COUNT, "one name per state");

const char *sched_status_name(enum sched_status status)
{
    return status_names[status];
}

void sched_job_params_init(struct sched_job_params *p)
{
    *p = (struct sched_job_params){
        .max_chunk_bytes = DEFAULT_MAX_CHUNK_BYTES,
        .priority = 5,
        .retry = {.max_attempts = 3,
                  .interval_s = 0.1,
                  .backoff_rate = 2,
                  .max_delay_s = 30,
                  .full_jitter = true,
                  .on =
                      SCHED_RETRY_ON(ITEM_CRASHED) | SCHED_RETRY_ON(ITEM_WORKER_LOST) | SCHED_RETRY_ON(ITEM_TIMED_OUT)},
        .hedge_enabled = true,
        .hedge_max_extra_percent = 5,
        .tolerated_failure_count = SCHED_NO_LIMIT,
        .tolerated_failure_percentage = 100,
        .deadline_ns = SCHED_NEVER,
        .idempotent = true,
    };
}

struct sched_job *sched_job_add(struct scheduler *s, const struct sched_job_params *params, uint64_t now_ns)
{
    s->now_ns = now_ns;
    struct sched_job *job = xcalloc(1, sizeof *job);
    job->s = s;
    job->p = *params;
    job->counts = params->before;
    if (job->p.max_chunk_bytes == 0) job->p.max_chunk_bytes = DEFAULT_MAX_CHUNK_BYTES;
    job->added_ns = job->progress_ns = now_ns;
    job->tokens = BUDGET_MIN;
    job->probation_ns = now_ns + PROBATION_TRICKLE_NS;
    job->wait_mean = 1;
    job->wait_deviation = 0.5;
    job->timer.kind = TIMER_JOB;
    job->ramp_timer.kind = TIMER_RAMP;
    job->rate_timer.kind = TIMER_RATE;
    job->rate_tokens = 1;
    job->rate_ns = now_ns;
    job->ramp = RAMP_CHUNKS;
    for (size_t i = 0; i < ARRAY_SIZE(job->lists); i++) list_init(&job->lists[i]);
    job->task = task_get(s, params->task ? params->task : "");
    job->p.task = NULL;
    list_push_back(&s->jobs, &job->link);
    list_push_back(&job->task->jobs, &job->task_link);
    job->task->priorities += job->p.priority;
    job_arm_timer(job);
    return job;
}

void sched_job_move(struct sched_job *job, enum sched_job_state to)
{
    enum sched_job_state from = job->state;
    job->state = to;
    if (job->s->ops.job_moved) job->s->ops.job_moved(job->s->ctx, job, state_names[from], state_names[to]);
}

void sched_job_offer(struct sched_job *job, uint64_t items, uint64_t bytes)
{
    if (job->state != SCHED_JOB_OPEN) return;
    job->uncut += items;
    job->uncut_bytes += bytes;
    job->counts.total += items;
    job->s->uncut_items += items;
    job->task->uncut_items += items;
    job_changed(job);
}

void sched_job_no_more_items(struct sched_job *job)
{
    if (job->state == SCHED_JOB_OPEN) sched_job_move(job, SCHED_JOB_WHOLE);
    job_changed(job);
    job_check_tolerance(job);
    job_check_end(job);
}

const char sched_cause_no_workers[] = "no worker could be reached";
const char sched_cause_no_task[] = "no worker has the task";
const char sched_cause_token[] = "the workers refuse the coordinator's token";

const char *job_keep_refusal(struct sched_job *job, const char *why)
{
    for (unsigned i = 0; i < job->refusals_n; i++)
        if (strcmp(job->refusals[i], why) == 0) return job->refusals[i];
    if (job->refusals_n == JOB_REFUSALS_MAX) return "the worker refused the items";
    return job->refusals[job->refusals_n++] = xstrdup(why);
}

void job_end(struct sched_job *job, enum sched_status status, enum item_error rest, const char *reason)
{
    if (job_has_ended(job)) return;
    sched_job_move(job, SCHED_JOB_ENDED);
    job_changed(job);
    job->status = status;
    job->rest = rest;
    job->reason = reason;
    /* The next run of the scheduler may end before it reaches this job. Until a run reaches the job, none of its items
     * may be sent. */
    fairness_update(job);
    hedge_update(job);
    job_check_end(job);
}

void sched_job_cancel(struct sched_job *job, enum sched_status status, const char *reason)
{
    job_end(job, status, ITEM_CANCELLED, reason);
}

bool job_has_chunks(const struct sched_job *job)
{
    size_t n = 0;
    for (size_t i = 0; i < ARRAY_SIZE(job->lists); i++) n += job->lists[i].n;
    return n > 0;
}

void job_check_end(struct sched_job *job)
{
    if (job->on_ending || !(job_has_ended(job) || (job_is_whole(job) && job->uncut == 0 && !job_has_chunks(job))))
        return;
    job->on_ending = true;
    list_push_back(&job->s->ending, &job->ending_link);
}

void job_check_tolerance(struct sched_job *job)
{
    uint64_t failed = job->counts.failed;
    double percent = job->p.tolerated_failure_percentage;
    bool too_many = failed > job->p.tolerated_failure_count;
    /* A limit in percent needs the final number of items, which is known only when all items have arrived. If the limit
     * is 0 percent, the number of items does not matter. */
    if (job_is_whole(job) || percent <= 0) too_many |= (double)failed * 100 > percent * (double)job->counts.total;
    if (failed > 0 && too_many) job_end(job, SCHED_FAILED, ITEM_CANCELLED, "more items failed than the job tolerates");
}

void job_settled(struct sched_job *job, uint64_t items, enum item_error error, bool succeeded)
{
    struct sched_stats *stats = &job->s->stats;
    if (succeeded) {
        job->counts.succeeded += items;
        stats->items_succeeded += items;
    } else if (error == ITEM_CANCELLED) {
        job->counts.cancelled += items;
        stats->items_cancelled += items;
    } else {
        job->counts.failed += items;
        stats->items_failed += items;
        job_check_tolerance(job);
    }
}

/* Removes the job from the list of jobs, and frees it. The job must have no chunks left. */
void job_free(struct sched_job *job)
{
    timer_stop(job->s, &job->timer);
    timer_stop(job->s, &job->ramp_timer);
    timer_stop(job->s, &job->rate_timer);
    list_remove(&job->s->jobs, &job->link);
    list_remove(&job->task->jobs, &job->task_link);
    job->task->priorities -= job->p.priority;
    if (job->changed) list_remove(&job->s->changed, &job->changed_link);
    demand_forget(job);
    fairness_forget(job);
    heap_remove(&job->s->hedge_scans, &job->hedge_node);
    heap_release(&job->order);
    for (unsigned i = 0; i < job->refusals_n; i++) free(job->refusals[i]);
    free(job);
}

void job_changed(struct sched_job *job)
{
    if (job->changed) return;
    job->changed = true;
    list_push_back(&job->s->changed, &job->changed_link);
}

void jobs_run_changed(struct scheduler *s)
{
    struct list_link *at;
    unsigned most = s->config.max_ops_per_run * CHANGED_PER_OP;
    run_begin_part(s);
    for (; (at = list_next(&s->changed, NULL)) != NULL && run_has_room(s) && most > 0; most--) {
        struct sched_job *job = CONTAINER_OF(at, struct sched_job, changed_link);
        list_remove(&s->changed, at);
        job->changed = false;
        demand_update(job);
        fairness_update(job);
        hedge_update(job);
        job_update_waiting(job);
    }
}

void sched_job_set_max_concurrency(struct sched_job *job, uint64_t max_concurrency)
{
    job->p.max_concurrency = max_concurrency;
    job_changed(job);
}

void sched_job_set_max_rate(struct sched_job *job, double max_rate)
{
    rate_change(job, max_rate);
    job_changed(job);
}

void sched_job_pause(struct sched_job *job, bool paused)
{
    job->paused = paused;
    job_changed(job);
}

void sched_job_hold(struct sched_job *job)
{
    job->held = true;
    fairness_update(job); /* the next run may send chunks before it updates this job */
    job_changed(job);
}

void sched_job_expect(struct sched_job *job, uint64_t items, bool undescribed)
{
    if (job->expected == items && job->undescribed == undescribed) return;
    job->expected = items;
    job->undescribed = undescribed;
    job_changed(job);
}

void sched_job_set_idempotency(struct sched_job *job, bool idempotent, bool hedge_enabled)
{
    job->p.idempotent = idempotent;
    job->p.hedge_enabled = hedge_enabled;
    hedge_update(job); /* the next run may look for late chunks before it updates this job */
    job_changed(job);
}

void sched_job_set_priority(struct sched_job *job, unsigned priority)
{
    job->task->priorities += priority - job->p.priority;
    job->p.priority = priority;
}

void sched_job_set_tolerance(struct sched_job *job, uint64_t count, double percentage)
{
    job->p.tolerated_failure_count = count;
    job->p.tolerated_failure_percentage = percentage;
    job_check_tolerance(job);
}

void sched_job_set_deadline(struct sched_job *job, uint64_t deadline_ns)
{
    job->p.deadline_ns = deadline_ns;
    job_arm_timer(job);
}

void *sched_job_owner(const struct sched_job *job)
{
    return job->p.owner;
}

bool sched_job_may_run_twice(const struct sched_job *job)
{
    return job->p.idempotent;
}

struct sched_counts sched_job_counts(const struct sched_job *job)
{
    return job->counts;
}

uint64_t sched_job_in_flight(const struct sched_job *job)
{
    return job->in_flight_items;
}

uint64_t sched_job_demand_slots(const struct sched_job *job)
{
    return job->demand_slots;
}

uint64_t sched_job_eta_ns(const struct sched_job *job)
{
    double left = (double)(job->uncut + job->pending_items + job->backoff_items + job->in_flight_items);
    double slots = job->task->slots;
    if (job->p.max_concurrency > 0 && (double)job->p.max_concurrency < slots) slots = (double)job->p.max_concurrency;
    double ns = left * chunker_item_ns(job) / (slots > 1 ? slots : 1);
    double unsent = left - (double)job->in_flight_items, spaced = job->p.max_rate > 0 ? unsent / job->p.max_rate : 0;
    return (uint64_t)fmax(ns, fmin(spaced * (double)NS_PER_S, 1e18));
}
