#include "coordinator/durable/expired_jobs.h"

#include "common/observe/log.h"

#define SWEEP_GAP_S 60 /* the longest time between two sweeps */

static void on_swept(struct store_call *call)
{
    struct durable *d = call->data;
    d->sweeping = false;
    d->sweeps_more = call->status == STORE_OK && call->more;
    if (call->status == STORE_OK)
        lasting_fault_ended(&d->sweep_fault, now_ns());
    else if (lasting_fault_seen(&d->sweep_fault, now_ns()))
        log_warn("cannot remove old durable jobs", LOG_STR("error", call->error));
    store_call_free(call);
}

/* Returns the time between two sweeps. If job_ttl_s is short, sweeps are more frequent, so that no ended job is kept
 * much longer than job_ttl_s. */
static uint64_t sweep_gap_ns(const struct durable *d)
{
    double gap_s = d->config->job_ttl_s / 4;
    return (uint64_t)((gap_s < SWEEP_GAP_S ? gap_s : SWEEP_GAP_S) * NS_PER_S);
}

void expired_jobs_tick(struct durable *d, uint64_t now)
{
    bool due = d->sweeps_more || d->swept_ns == 0 || now - d->swept_ns > sweep_gap_ns(d);
    if (!due || d->sweeping || d->draining || d->config->job_ttl_s <= 0) return;
    struct store_call *call = store_call_new(STORE_SWEEP, on_swept, d);
    call->ttl_ms = (int64_t)(d->config->job_ttl_s * 1e3);
    d->sweeping = true;
    d->swept_ns = now;
    store_start(d->store, call);
}
