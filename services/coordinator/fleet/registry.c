#include "coordinator/fleet/registry.h"

#include "common/observe/log.h"
#include "common/observe/metrics.h"
#include "coordinator/fleet/registration.h"

static const char *const verdict_names[] = {
    [REGISTRY_TAKEN] = "taken",     [REGISTRY_UNAUTHORIZED] = "unauthorized",
    [REGISTRY_INVALID] = "invalid", [REGISTRY_CONFLICT] = "conflict",
    [REGISTRY_FULL] = "full",
};
static_assert(ARRAY_SIZE(verdict_names) == REGISTRY_VERDICT_COUNT, "a name for each verdict");

static double held(void *data)
{
    const struct registry *r = data;
    return (double)r->endpoints->leases.held;
}

void registry_register_metrics(struct registry *r, struct endpoints *endpoints)
{
    r->endpoints = endpoints;
    metric_gauge_fn("fantail_workers_registered", "Workers that are registered now.", NULL, held, r);
    metric_counters("fantail_worker_registrations_total",
                    "Requests of workers to register or to deregister, by result.", "result", verdict_names,
                    REGISTRY_VERDICT_COUNT, r->verdicts);
    r->expired = metric_counter("fantail_worker_leases_ended_total", "Ended registrations of workers, by reason.",
                                "reason=\"expired\"");
    r->goodbyes = metric_counter("fantail_worker_leases_ended_total", "Ended registrations of workers, by reason.",
                                 "reason=\"goodbye\"");
}

static void log_worker(const char *what, const struct registration *of)
{
    log_info(what, LOG_STR("worker", of->worker), LOG_STR("address", of->address),
             LOG_STR("version", of->version[0] ? of->version : NULL));
}

static void on_tick(uv_timer_t *timer)
{
    struct registry *r = timer->data;
    struct registration ended;
    while (endpoints_end_lease(r->endpoints, now_ns(), &ended)) {
        ++*r->expired;
        log_warn("removed a worker that has not renewed its registration", LOG_STR("worker", ended.worker),
                 LOG_STR("address", ended.address));
    }
}

void registry_start(struct registry *r, uv_loop_t *loop)
{
    r->timer = xcalloc(1, sizeof *r->timer);
    uv_timer_init(loop, r->timer);
    r->timer->data = r;
    uv_timer_start(r->timer, on_tick, LEASES_TICK_MS, LEASES_TICK_MS);
}

void registry_stop(struct registry *r)
{
    if (r->timer) uv_close((uv_handle_t *)r->timer, (uv_close_cb)free);
    r->timer = NULL;
}

void registry_refused(struct registry *r, enum registry_verdict why)
{
    ++*r->verdicts[why];
}

static enum registry_verdict apply(struct registry *r, const struct registration *what, struct lease_terms *terms,
                                   char *err, size_t err_size)
{
    switch (endpoints_register(r->endpoints, what, now_ns(), terms)) {
    case LEASE_NEW:
    case LEASE_OTHER_WORKER: log_worker("a worker has registered", what); return REGISTRY_TAKEN;
    case LEASE_LEFT:
        ++*r->goodbyes;
        log_worker("a worker has deregistered", what);
        return REGISTRY_TAKEN;
    case LEASE_ELSEWHERE:
        snprintf(err, err_size, "a worker with the id \"%s\" is registered at %s; each worker needs an id of its own",
                 what->worker, leases_address_of(&r->endpoints->leases, what->worker));
        return REGISTRY_CONFLICT;
    case LEASE_FULL:
        snprintf(err, err_size, "the limit of %d worker addresses is reached", LEASES_MAX);
        return REGISTRY_FULL;
    case LEASE_RENEWED:
    case LEASE_UNKNOWN:
    case LEASE_VERDICT_COUNT: break;
    }
    return REGISTRY_TAKEN;
}

enum registry_verdict registry_take(struct registry *r, const char *body, size_t len, const char *peer,
                                    struct lease_terms *terms, char *err, size_t err_size)
{
    struct registration what;
    *terms = (struct lease_terms){0};
    enum registry_verdict verdict = REGISTRY_INVALID;
    if (registration_read(&what, body, len, peer, err, err_size)) verdict = apply(r, &what, terms, err, err_size);
    ++*r->verdicts[verdict];
    return verdict;
}
