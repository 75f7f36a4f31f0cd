/* The lease of a run: renews it, and notices when it has expired. */
#include "common/observe/log.h"
#include "coordinator/durable/durable_run.h"

/* A lease is renewed this long after its last renewal. */
enum { RENEW_MS = 1500 };

void durable_run_lose(struct durable_run *r)
{
    struct durable *d = r->durable;
    if (r->lost || r->state == RUN_OVER) return;
    ++*d->metrics.fenced;
    log_warn("another coordinator has taken over a durable job", LOG_STR("job", r->stored.id));
    durable_run_leave(r, "another coordinator has taken over the job");
    d->changed(d->data, r->stored.id);
}

bool durable_run_claimed_again(struct durable_run *r, const struct stored_job *found)
{
    /* If the job was redriven, the store has recorded the end of this run, but the reply to the END call has not
     * arrived yet. */
    if (found->redrives != r->stored.redrives) {
        durable_run_leave(r, "the job was redriven");
        return false;
    }
    if (found->fence != r->stored.fence + 1) {
        durable_run_lose(r);
        return false;
    }
    log_warn("the lease of a durable job has expired before the job store renewed it", LOG_STR("job", r->stored.id));
    r->stored.fence = found->fence;
    r->renewed_ns = now_ns();
    durable_run_change(r, found->changes);
    if (found->cancel_wanted) durable_run_cancel(r);
    return true;
}

static void on_renewed(struct store_call *call)
{
    struct durable_run *r = call->data;
    enum store_status status = run_call_is_outdated(r, call) ? STORE_AWAY : call->status;
    bool cancel = status == STORE_OK && call->found.cancel_wanted;
    bool elsewhere = status == STORE_OK && call->wanted_elsewhere;
    if (status == STORE_OK) r->renewed_ns = r->renewing_ns;
    if (status != STORE_OK && call->status != STORE_FENCED) memcpy(r->store_error, call->error, sizeof r->store_error);
    if (status == STORE_OK) durable_run_change(r, call->found.changes);
    r->renewing = NULL;
    store_call_free(call);
    if (status == STORE_FENCED || status == STORE_NOT_FOUND || status == STORE_CONFLICT) durable_run_lose(r);
    if (cancel) durable_run_cancel(r);
    if (elsewhere) durable_yield(r);
}

/* Notices when the lease expires, and when it is renewed after that. While this coordinator has no lease on the job, no
 * new items are sent, because another coordinator may have claimed the job. */
static void watch_lease(struct durable_run *r, uint64_t now)
{
    bool has_lapsed = now - r->renewed_ns >= LEASE_MS * NS_PER_MS;
    if (has_lapsed == r->has_lapsed) return;
    r->has_lapsed = has_lapsed;
    if (r->state == RUN_RUNNING) job_keeper_changed(r->job);
    r->durable->changed(r->durable->data, r->stored.id);
}

static void renew(struct durable_run *r, uint64_t now)
{
    bool needs_lease = r->state != RUN_OVER && !r->lost;
    if (!needs_lease || r->renewing || now - r->renewed_ns < RENEW_MS * NS_PER_MS) return;
    if (now - r->renewing_ns < AGAIN_MS * NS_PER_MS) return;
    r->renewing = run_call_new(r, STORE_RENEW, on_renewed);
    r->renewing->lease_ms = LEASE_MS;
    r->renewing->yields = durable_yield_of(r);
    r->renewing_ns = now;
    store_start(r->durable->store, r->renewing);
}

/* When the lease has expired, a drain no longer waits for open calls. The abandoned calls fail, and the drain then
 * gives up the run. */
static void abandon_calls(struct durable_run *r, uint64_t now)
{
    struct store_call *calls[] = {r->reading.call, r->marking.call, r->writing.call, r->renewing};
    if (!r->drain_ns || now - r->renewed_ns < LEASE_MS * NS_PER_MS) return;
    for (size_t i = 0; i < ARRAY_SIZE(calls); i++)
        if (calls[i]) atomic_store(&calls[i]->abandoned, true);
}

void run_lease_keep(struct durable_run *r, uint64_t now)
{
    renew(r, now);
    watch_lease(r, now);
    abandon_calls(r, now);
}
