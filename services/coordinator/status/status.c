#include "coordinator/status/status.h"

#include "common/observe/metrics.h"

struct status status_now(const struct status_source *from)
{
    struct sched_stats stats = sched_stats(from->scheduler);
    struct status now = {
        .queued_items = stats.queued_items,
        .in_flight_items = stats.in_flight_items,
        .in_flight_chunks = stats.in_flight_chunks,
        .demand_slots = stats.demand_slots,
        .slots = stats.slots,
        .jobs_running = *from->jobs_running,
        .hedges = stats.attempts_hedge,
        .budget_exhausted = stats.budget_exhausted,
    };
    memcpy(now.endpoints, stats.endpoints, sizeof now.endpoints);
    return now;
}

/* Metrics. */

#define AT(member) offsetof(struct status, member)
static const struct status_series {
    const char *name, *help;
    void (*add)(const char *name, const char *help, const char *labels, double (*fn)(void *data), void *data);
    size_t offset; /* of its uint64_t */
} series[] = {
    {"fantail_jobs_running", "Jobs now held.", metric_gauge_fn, AT(jobs_running)},
    {"fantail_items_queued", "Items offered and not in flight.", metric_gauge_fn, AT(queued_items)},
    {"fantail_items_in_flight", "Items sent and not answered.", metric_gauge_fn, AT(in_flight_items)},
    {"fantail_chunks_in_flight", "Chunks sent and not answered.", metric_gauge_fn, AT(in_flight_chunks)},
    {"fantail_hedges_total", "Attempts started as hedges.", metric_counter_fn, AT(hedges)},
    {"fantail_retry_budget_exhausted_total", "Times a retry had to wait for its budget.", metric_counter_fn,
     AT(budget_exhausted)},
};

/* What a series reads when it is rendered. */
static struct metric_reading {
    const struct status_source *from;
    size_t offset;
} readings[ARRAY_SIZE(series) + ENDPOINT_STATE_COUNT];

static double read_series(void *data)
{
    const struct metric_reading *r = data;
    struct status now = status_now(r->from);
    uint64_t value;
    memcpy(&value, (const char *)&now + r->offset, sizeof value);
    return (double)value;
}

static void register_endpoints(const struct status_source *from)
{
    for (unsigned i = 0; i < ENDPOINT_STATE_COUNT; i++) {
        struct metric_reading *r = &readings[ARRAY_SIZE(series) + i];
        struct buf label = {0};
        *r = (struct metric_reading){from, AT(endpoints) + i * sizeof(uint64_t)};
        metric_add_label(&label, "state", sched_endpoint_state_name((enum sched_endpoint_state)i));
        metric_gauge_fn("fantail_endpoints", "Endpoints by state.", buf_cstr(&label), read_series, r);
        buf_release(&label);
    }
}

void status_register_metrics(const struct status_source *from)
{
    for (size_t i = 0; i < ARRAY_SIZE(series); i++) {
        readings[i] = (struct metric_reading){from, series[i].offset};
        series[i].add(series[i].name, series[i].help, NULL, read_series, &readings[i]);
    }
    register_endpoints(from);
}

/* JSON. */

void status_write_counts(struct buf *out, const struct sched_counts *n)
{
    buf_addf(out,
             "\"counts\":{\"total\":%llu,\"succeeded\":%llu,\"failed\":%llu,\"cancelled\":%llu,\"retried\":%llu,"
             "\"hedged\":%llu}",
             (unsigned long long)n->total, (unsigned long long)n->succeeded, (unsigned long long)n->failed,
             (unsigned long long)n->cancelled, (unsigned long long)n->retried, (unsigned long long)n->hedged);
}

void status_write_job(struct buf *out, const struct status_job *job)
{
    buf_addf(out, "{\"id\":\"%s\",\"status\":\"%s\",\"task\":", job->id, job->state);
    buf_add_json_string(out, job->task, strlen(job->task));
    buf_add_char(out, ',');
    status_write_counts(out, &job->counts);
    if (job->eta_ns) buf_addf(out, ",\"eta_s\":%.3f", (double)job->eta_ns / 1e9);
    buf_addf(out, ",\"elapsed_s\":%.3f}", (double)job->elapsed_ns / 1e9);
}

void status_write_demand(struct buf *out, const struct status *s)
{
    buf_addf(out, "{\"queued\":%llu,\"in_flight\":%llu,\"demand\":%llu,\"slots\":%llu}\n",
             (unsigned long long)s->queued_items, (unsigned long long)s->in_flight_items,
             (unsigned long long)s->demand_slots, (unsigned long long)s->slots);
}
