#include "coordinator/durable/unaccepted_jobs.h"

#include "common/observe/log.h"

#define AGAIN_NS (500 * NS_PER_MS)
/* At most this many jobs wait for another attempt to remove them. If the store is away for long and more jobs must be
 * removed, the additional jobs stay in the store. */
enum { UNACCEPTED_MAX = 1000 };

static void on_discarded(struct store_call *call)
{
    struct durable *d = call->data;
    bool is_decided = call->status == STORE_OK || call->status == STORE_NOT_FOUND || call->status == STORE_CONFLICT;
    if (is_decided || d->draining || d->unaccepted.n >= UNACCEPTED_MAX) {
        store_call_free(call);
        return;
    }
    log_debug("a job that was not accepted is still in the job store", LOG_STR("job", call->job.id),
              LOG_STR("error", call->error));
    list_push_back(&d->unaccepted, &call->link);
}

static struct store_call *take(struct durable *d)
{
    struct list_link *first = list_next(&d->unaccepted, NULL);
    if (first) list_remove(&d->unaccepted, first);
    return first ? CONTAINER_OF(first, struct store_call, link) : NULL;
}

void unaccepted_jobs_add(struct durable *d, const char *id)
{
    struct store_call *call = store_call_new(STORE_DISCARD, on_discarded, d);
    snprintf(call->job.id, sizeof call->job.id, "%s", id);
    store_start(d->store, call);
}

void unaccepted_jobs_tick(struct durable *d, uint64_t now)
{
    struct store_call *call;
    if (now - d->discarded_ns < AGAIN_NS) return;
    d->discarded_ns = now;
    while ((call = take(d))) store_start(d->store, call);
}

void unaccepted_jobs_drop(struct durable *d)
{
    struct store_call *call;
    while ((call = take(d))) store_call_free(call);
}
