#include "coordinator/dispatch/dispatcher.h"

#include "common/base/limits.h"
#include "common/observe/log.h"
#include "common/observe/metrics.h"
#include "coordinator/answers/item_error.h"
#include "coordinator/dispatch/attempt_call.h"
#include "coordinator/dispatch/worker_endpoint.h"
#include "coordinator/items/payload.h"
#include "coordinator/job/job.h"

/* While this many HTTP calls are waiting to begin, no further attempts are sent. So the chunk of a small job does not
 * wait for the connections of a thousand other chunks. */
enum { CALLS_TO_BEGIN_MAX = 64 };

/* The scheduler's actions. */

static bool op_may_send(void *ctx)
{
    const struct dispatcher *d = ctx;
    return http_client_calls_to_begin(d->fleet->client) < CALLS_TO_BEGIN_MAX;
}

static void op_send(void *ctx, struct sched_attempt *a)
{
    attempt_call_start(ctx, a);
}

static void op_cut_off(void *ctx, struct sched_attempt *a, const char *why)
{
    attempt_call_cut_off(a, why);
}

static size_t op_cut(void *ctx, struct sched_chunk *chunk, size_t max_items, size_t max_bytes, size_t *bytes)
{
    return phase_cut(sched_job_owner(chunk->job), chunk, max_items, max_bytes, bytes);
}

static uint64_t op_drop(void *ctx, struct sched_job *sched, uint64_t max_items, uint64_t *first)
{
    return phase_drop(sched_job_owner(sched), max_items, first);
}

static size_t op_slice(void *ctx, struct sched_chunk *whole, uint32_t at, uint32_t end, struct sched_chunk *part)
{
    struct payload *from = whole->payload;
    size_t seen_at = from->seen_at;
    part->payload = payload_add(part->payload, from, at, end);
    return from->seen_at > seen_at ? from->seen_at - seen_at : from->seen_at;
}

static void op_release(void *ctx, struct sched_chunk *chunk)
{
    payload_free(chunk->payload);
    chunk->payload = NULL;
}

static void op_settle_error(void *ctx, struct sched_job *sched, uint64_t first, uint64_t count,
                            const struct sched_failure *why)
{
    struct dispatcher *d = ctx;
    struct buf line = {0};
    const char *reason = phase_reason(sched_job_owner(sched), why->cause);
    char cause[1200];
    snprintf(cause, sizeof cause, "%s", reason);
    if (why->cause == sched_cause_no_workers) worker_fleet_explain(d->fleet, reason, cause, sizeof cause);
    item_error_write_own(&line, why->error, cause, why->attempts, why->sent);
    phase_add_error(sched_job_owner(sched), first, count, line.data, line.len);
    buf_release(&line);
}

static void op_job_finished(void *ctx, struct sched_job *sched, const struct sched_outcome *outcome)
{
    phase_finished(sched_job_owner(sched), outcome);
}

static void op_waiting(void *ctx, struct sched_job *sched, enum sched_waiting why)
{
    phase_waiting(sched_job_owner(sched), why);
}

static void op_probe(void *ctx, struct sched_endpoint *e)
{
    worker_endpoint_probe(sched_endpoint_owner(e));
}

static void op_job_moved(void *ctx, const struct sched_job *sched, const char *from, const char *to)
{
    const struct phase *p = sched_job_owner(sched);
    log_debug("scheduled job moved", LOG_STR("job", p->job->id), LOG_STR("from", from), LOG_STR("to", to));
}

static void op_chunk_moved(void *ctx, const struct sched_chunk *chunk, enum sched_chunk_state from,
                           enum sched_chunk_state to)
{
    const struct phase *p = sched_job_owner(chunk->job);
    log_debug("chunk moved", LOG_STR("job", p->job->id), LOG_U64("first", chunk->first),
              LOG_STR("from", sched_chunk_state_name(from)), LOG_STR("to", sched_chunk_state_name(to)));
}

static void op_endpoint_moved(void *ctx, const struct sched_endpoint *sched, enum sched_endpoint_state from,
                              enum sched_endpoint_state to)
{
    const struct worker_endpoint *e = sched_endpoint_owner(sched);
    log_debug("endpoint moved", LOG_STR("url", e->at->url), LOG_STR("address", e->at->connect_to),
              LOG_STR("from", sched_endpoint_state_name(from)), LOG_STR("to", sched_endpoint_state_name(to)));
}

static const struct scheduler_ops scheduler_ops = {
    .cut = op_cut,
    .drop = op_drop,
    .slice = op_slice,
    .release = op_release,
    .may_send = op_may_send,
    .send = op_send,
    .cut_off = op_cut_off,
    .settle_error = op_settle_error,
    .job_finished = op_job_finished,
    .waiting = op_waiting,
    .probe = op_probe,
    .job_moved = op_job_moved,
    .chunk_moved = op_chunk_moved,
    .endpoint_moved = op_endpoint_moved,
};

/* The fleet calls these functions when it adds or removes an endpoint, or when a worker registers again. */

static void *endpoint_added(void *data, struct endpoint *at)
{
    struct dispatcher *d = data;
    struct worker_endpoint *e = worker_endpoint_new(d, at);
    log_info("endpoint added", LOG_STR("url", at->url), LOG_STR("address", at->connect_to));
    scheduler_timing_want(d->turn);
    return e;
}

void dispatcher_ask_again(struct dispatcher *d)
{
    for (struct endpoint *at = d->fleet->endpoints.list; at; at = at->next) worker_endpoint_ask_again(at->owner);
}

static void endpoint_removed(void *data, struct endpoint *at)
{
    struct dispatcher *d = data;
    log_info("endpoint removed", LOG_STR("url", at->url), LOG_STR("address", at->connect_to));
    worker_endpoint_free(at->owner);
    scheduler_timing_want(d->turn);
}

static void endpoint_registered(void *data, struct endpoint *at, bool other, const char *tasks)
{
    worker_endpoint_registered(at->owner, other, tasks);
}

const struct endpoints_ops dispatcher_endpoints_ops = {endpoint_added, endpoint_removed, endpoint_registered};

/* Start and end. */

void dispatcher_register_metrics(struct dispatcher *d)
{
    const char *ends[SCHED_END_COUNT];
    for (unsigned i = 0; i < SCHED_END_COUNT; i++) ends[i] = sched_end_name((enum sched_end)i);
    metric_counters("fantail_chunk_attempts_total", "Attempts that ended, by result.", "result", ends, SCHED_END_COUNT,
                    d->attempts);
    d->answers = metric_counter("fantail_item_answers_total",
                                "Items that got their answer from a worker, counted when the answer arrives.", NULL);
}

void dispatcher_start(struct dispatcher *d, struct worker_fleet *fleet, struct scheduler_timing *turn,
                      double worker_wait_s)
{
    struct scheduler_config config;
    scheduler_config_init(&config);
    config.seed = now_ns();
    config.worker_wait_ns = (uint64_t)(worker_wait_s * 1e9);
    d->fleet = fleet;
    d->turn = turn;
    d->scheduler = turn->scheduler = scheduler_new(&config, &scheduler_ops, d);
    unit_cost_init(&d->chunk_cost, DEFAULT_CHUNK_COST_NS, thread_cpu_ns());
}

void dispatcher_count_chunk(struct dispatcher *d, uint64_t bytes)
{
    if (unit_cost_add(&d->chunk_cost, bytes))
        sched_set_chunk_cost(d->scheduler, unit_cost_measure(&d->chunk_cost, thread_cpu_ns()));
}

void dispatcher_release(struct dispatcher *d)
{
    scheduler_free(d->scheduler);
    d->scheduler = NULL;
}
