#include "coordinator/durable/durable_run.h"

#include "common/json/encoding.h"
#include "common/observe/log.h"

/* How long a drain waits for items in flight, if these items may run a second time. */
enum { DRAIN_MS = 2000 };

static const char *const state_names[] = {
    [RUN_LOADING] = "loading", [RUN_RUNNING] = "running", [RUN_ENDING] = "ending", [RUN_OVER] = "over"};
static_assert(ARRAY_SIZE(state_names) == RUN_STATE_COUNT, "one name per state");

void durable_run_move(struct durable_run *r, enum durable_run_state to)
{
    log_debug("durable run moved", LOG_STR("job", r->stored.id), LOG_STR("from", state_names[r->state]),
              LOG_STR("to", state_names[to]));
    r->state = to;
    durable_tick_soon(r->durable);
}

/* Calls to the store. */

struct store_call *run_call_new(struct durable_run *r, enum store_op op, void (*done)(struct store_call *call))
{
    struct store_call *call = store_call_new(op, done, r);
    memcpy(call->job.id, r->stored.id, sizeof call->job.id);
    call->job.fence = r->stored.fence;
    call->after = r->newest_block;
    return call;
}

void run_call_start(struct durable_run *r, struct run_call *c)
{
    c->again_ns = 0;
    store_start(r->durable->store, c->call);
}

void run_call_free(struct run_call *c)
{
    store_call_free(c->call);
    *c = (struct run_call){0};
}

void run_set_end_reason(struct durable_run *r, const char *reason)
{
    snprintf(r->end_reason, sizeof r->end_reason, "%s", reason);
    encoding_drop_cut(r->end_reason);
}

static void stop_job(struct durable_run *r, const char *reason)
{
    r->recorder.closed = true;
    if (r->state == RUN_RUNNING) job_cancel(r->job, SCHED_CANCELLED, reason);
}

void durable_run_leave(struct durable_run *r, const char *reason)
{
    if (r->lost || r->state == RUN_OVER) return;
    r->lost = true;
    stop_job(r, reason);
    if (r->state != RUN_RUNNING) durable_run_move(r, RUN_OVER);
}

bool run_call_is_outdated(const struct durable_run *r, const struct store_call *call)
{
    return call->status == STORE_FENCED && call->job.fence < r->stored.fence;
}

/* Returns whether a drain must stop waiting for the store. The drain must stop if the store is broken, or if the lease
 * has expired and another coordinator may have claimed the job. Items without a recorded answer run again after the
 * next claim of the job, unless they must not run twice. */
static bool is_given_up(const struct durable_run *r, enum store_status status)
{
    bool is_hopeless = status == STORE_UNFIT || status == STORE_BROKEN;
    return r->drain_ns && (is_hopeless || now_ns() - r->renewed_ns >= LEASE_MS * NS_PER_MS);
}

/* Notes that the store call `c` has failed and will be started again. */
static void note_failure(struct durable_run *r, struct run_call *c)
{
    bool waited = c->failed != STORE_OK;
    c->failed = c->call->status;
    memcpy(r->store_error, c->call->error, sizeof r->store_error);
    if (lasting_fault_seen(&c->fault, now_ns()))
        log_warn("a durable job waits for the job store", LOG_STR("job", r->stored.id),
                 LOG_STR("error", r->store_error));
    if (!waited) r->durable->changed(r->durable->data, r->stored.id);
}

static void note_success(struct durable_run *r, struct run_call *c)
{
    if (c->failed) r->durable->changed(r->durable->data, r->stored.id);
    c->failed = STORE_OK;
    uint64_t lasted_ns = lasting_fault_ended(&c->fault, now_ns());
    if (lasted_ns)
        log_info("a durable job continues after waiting for the job store", LOG_STR("job", r->stored.id),
                 LOG_MS("outage_ms", lasted_ns));
}

bool run_call_succeeded(struct durable_run *r, struct run_call *c)
{
    enum store_status status = c->call->status;
    if (status == STORE_OK) {
        if (c->call->block.number > r->newest_block) r->newest_block = c->call->block.number;
        note_success(r, c);
        return true;
    }
    c->call->again = true;
    if (run_call_is_outdated(r, c->call) && !r->lost) {
        c->call->job.fence = r->stored.fence;
        run_call_start(r, c);
        return false;
    }
    if (status == STORE_FENCED || status == STORE_NOT_FOUND || status == STORE_CONFLICT) {
        run_call_free(c);
        durable_run_lose(r);
        return false;
    }
    ++*r->durable->metrics.failed_calls;
    if (r->durable->cutting) {
        run_call_free(c);
        durable_run_leave(r, "the coordinator is shutting down");
        return false;
    }
    if (is_given_up(r, status)) {
        log_warn("the drain gives up a durable job, because nothing can be recorded", LOG_STR("job", r->stored.id),
                 LOG_STR("error", c->call->error));
        run_call_free(c);
        durable_run_leave(r, "the coordinator drains and cannot record answers");
        return false;
    }
    note_failure(r, c);
    c->again_ns = now_ns() + AGAIN_MS * NS_PER_MS;
    durable_tick_soon(r->durable);
    return false;
}

/* Returns whether the job waits because the workers reject the token. While no worker has described the task, the run
 * sends no items, so only the survey notices the rejection. */
static bool is_refused(const struct durable_run *r)
{
    return r->undescribed && r->durable->jobs->fleet->survey.rejects_token;
}

struct status_waiting durable_run_waits_for(const struct durable_run *r)
{
    bool fails = r->reading.failed || r->marking.failed || r->writing.failed;
    struct status_waiting waiting = r->job ? job_waits_for(r->job) : (struct status_waiting){0};
    if (waiting.reason && is_refused(r)) waiting.reason = sched_waiting_name(SCHED_WAITING_TOKEN_REFUSED);
    if (!fails && !r->has_lapsed) return waiting;
    return (struct status_waiting){.reason = WAITING_FOR_STORE, .detail = r->store_error[0] ? r->store_error : NULL};
}

bool durable_run_lacks_room(const struct durable_run *r)
{
    return r->reading.failed == STORE_FULL || r->marking.failed == STORE_FULL || r->writing.failed == STORE_FULL;
}

static bool start_again(struct durable_run *r, struct run_call *c, uint64_t now)
{
    if (!c->call || !c->again_ns) return false;
    if (r->lost)
        run_call_free(c);
    else if (now >= c->again_ns)
        run_call_start(r, c);
    return true;
}

/* The ops of the job's keeper. */

static void on_items_taken(void *keeper)
{
    run_items_taken(keeper);
}

static void on_answers_came(void *keeper)
{
    struct durable_run *r = keeper;
    run_record_collected(r);
    if (r->has_enough) run_items_taken(r);
}

static bool is_behind(void *keeper)
{
    const struct durable_run *r = keeper;
    return r->drain_ns > 0 || r->has_lapsed || r->rests || run_record_is_behind(r);
}

static bool lacks_memory(void *keeper)
{
    return run_record_lacks_memory(keeper);
}

/* Returns the error for the items that had not been sent when their job ended. Items that were already in the scheduler
 * get the same error from the scheduler. */
static enum item_error rest_error(const struct sched_outcome *outcome)
{
    if (outcome->no_workers) return ITEM_WORKER_LOST;
    return outcome->status == SCHED_TIMED_OUT ? ITEM_DEADLINE_EXCEEDED : ITEM_CANCELLED;
}

static void on_finished(void *keeper)
{
    struct durable_run *r = keeper;
    const struct sched_outcome *outcome = &r->job->outcome;
    static const enum stored_state ends[] = {
        [SCHED_SUCCEEDED] = STORED_SUCCEEDED, [SCHED_PARTIAL] = STORED_PARTIAL,     [SCHED_FAILED] = STORED_FAILED,
        [SCHED_CANCELLED] = STORED_CANCELLED, [SCHED_TIMED_OUT] = STORED_TIMED_OUT,
    };
    static_assert(ARRAY_SIZE(ends) == SCHED_STATUS_COUNT, "one end per status");
    r->end_state = ends[outcome->status];
    const char *reason = outcome->no_workers && is_refused(r) ? sched_cause_token : outcome->reason;
    run_set_end_reason(r, reason ? reason : "");
    if (!r->recorder.closed) run_items_settle_rest(r, rest_error(outcome));
    durable_run_move(r, r->lost ? RUN_OVER : RUN_ENDING);
    run_record_flush(r);
}

const struct job_keeper_ops run_keeper_ops = {on_items_taken, on_answers_came,      is_behind,
                                              lacks_memory,   durable_note_waiting, on_finished};

/* The end of a run. */

void durable_run_cancel(struct durable_run *r)
{
    r->cancelling = true;
    if (r->state == RUN_RUNNING && !r->handing_back) job_cancel(r->job, SCHED_CANCELLED, STORED_CANCELLED_BY_CLIENT);
}

void durable_run_drain(struct durable_run *r)
{
    if (r->drain_ns) return;
    r->drain_ns = now_ns();
    if (r->job) job_keeper_changed(r->job);
    if (r->at_most_once && r->state == RUN_RUNNING && r->job) sched_job_hold(r->job->phase.sched);
    if (r->state == RUN_LOADING || r->settling || run_reduce_is_due(r)) durable_run_hand_back(r);
}

void durable_run_hand_back(struct durable_run *r)
{
    bool ends_soon = r->state == RUN_OVER || (r->state == RUN_ENDING && !r->settling && !run_reduce_is_due(r));
    if (r->handing_back || r->lost || ends_soon) return;
    r->handing_back = true;
    if (r->state == RUN_ENDING) { /* after the next claim, the job ends with the same state */
        r->settling = false;
        run_reduce_release(r);
        run_record_flush(r);
        return;
    }
    run_items_note_unsent(r);
    stop_job(r, "the coordinator hands the job back");
    if (r->state != RUN_LOADING) return;
    durable_run_move(r, RUN_ENDING);
    run_record_flush(r);
}

static bool is_drained(const struct durable_run *r, uint64_t now)
{
    if (!r->drain_ns || r->state != RUN_RUNNING) return false;
    bool is_quiet = sched_job_in_flight(r->job->phase.sched) == 0;
    return is_quiet || (!r->at_most_once && now - r->drain_ns > DRAIN_MS * NS_PER_MS);
}

bool durable_run_tick(struct durable_run *r, uint64_t now)
{
    /* Starts all calls that are due, and not only the first one. */
    bool soon = start_again(r, &r->reading, now);
    soon = start_again(r, &r->marking, now) || soon;
    soon = start_again(r, &r->writing, now) || soon;
    run_lease_keep(r, now);
    run_record_end_rest(r, now);
    run_begin_go_on(r);
    run_items_supply(r);
    if (is_drained(r, now)) durable_run_hand_back(r);
    run_record_flush(r);
    return soon || r->collected_ns || r->state == RUN_OVER;
}

bool durable_run_free(struct durable_run *r)
{
    struct jobs *jobs = r->durable->jobs;
    if (r->state != RUN_OVER || r->reading.call || r->marking.call || r->writing.call || r->renewing) return false;
    list_remove(&r->durable->runs, &r->link);
    if (r->job) job_let_go(r->job);
    run_items_release(r);
    run_record_release(r);
    run_reduce_release(r);
    free(r->result);
    stored_job_release(&r->stored);
    free(r);
    jobs->job_gone(jobs->data);
    return true;
}
