#include "coordinator/status/status.h"

#include "common/base/limits.h"
#include "common/observe/metrics.h"
#include "coordinator/sched/sched_stats.h"

struct status status_now(const struct status_source *from)
{
    struct sched_stats stats = sched_stats(from->scheduler);
    struct status now = {
        .demand = {stats.queued_items, stats.in_flight_items, stats.demand_slots, stats.slots, 0},
        .in_flight_chunks = stats.in_flight_chunks,
        .jobs_running = *from->jobs_running,
        .hedges = stats.attempts_hedge,
        .budget_exhausted = stats.budget_exhausted,
    };
    memcpy(now.endpoints, stats.endpoints, sizeof now.endpoints);
    return now;
}

/* One task. */

struct task_sum {
    const char *task;
    struct status_demand demand;
    bool found, has_slots;
};

/* Returns whether `task` is in a comma-separated list. In the scheduler, the name of a pipeline is a comma-separated
 * list of its tasks. */
static bool is_among(const char *list, const char *task)
{
    size_t len = strlen(task);
    for (const char *at = list; (at = strstr(at, task)); at++)
        if ((at == list || at[-1] == ',') && (at[len] == ',' || !at[len])) return true;
    return false;
}

static void add_stats(void *data, const struct sched_task_stats *stats)
{
    struct task_sum *sum = data;
    if (!is_among(stats->name, sum->task)) return;
    sum->found |= stats->jobs > 0;
    sum->demand.queued_items += stats->queued_items;
    sum->demand.in_flight_items += stats->in_flight_items;
    sum->demand.demand_slots += stats->demand_slots;
    if (strcmp(stats->name, sum->task) != 0) return;
    sum->has_slots = true;
    sum->demand.slots = stats->slots;
    sum->demand.full_endpoints = stats->full;
}

/* The scheduler knows the slots of the tasks that jobs have named. For tasks that no job has named, the catalog has the
 * slots that workers reported. */
bool status_of_task(const struct status_source *from, const char *task, struct status_demand *demand)
{
    struct task_sum sum = {.task = task};
    const struct catalog_task *listed = catalog_find(from->catalog, task);
    if (*task) sched_each_task(from->scheduler, add_stats, &sum);
    if (listed && !sum.has_slots && !from->catalog->balancer) sum.demand.slots = listed->slots;
    *demand = sum.demand;
    return listed || sum.found;
}

/* Metrics. */

#define AT(member) offsetof(struct status, member)
static const struct status_series {
    const char *name, *help;
    void (*add)(const char *name, const char *help, const char *labels, double (*fn)(void *data), void *data);
    size_t offset; /* offset of the series' figure, a uint64_t, in struct status */
} series[] = {
    {"fantail_jobs_running", "Jobs that are running.", metric_gauge_fn, AT(jobs_running)},
    {"fantail_items_queued", "Items that wait to be sent, or to be sent again.", metric_gauge_fn,
     AT(demand.queued_items)},
    {"fantail_items_in_flight", "Items that were sent and are not answered.", metric_gauge_fn,
     AT(demand.in_flight_items)},
    {"fantail_chunks_in_flight", "Chunks that were sent and are not answered.", metric_gauge_fn, AT(in_flight_chunks)},
    {"fantail_hedges_total", "Attempts that were started as hedges.", metric_counter_fn, AT(hedges)},
    {"fantail_retry_budget_exhausted_total", "Number of times that a retry had to wait for the retry budget.",
     metric_counter_fn, AT(budget_exhausted)},
};

/* For each series: the source and the offset of the figure to read when the series is rendered. */
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

/* The series that have a label with the task's name. */
static const struct task_series {
    const char *name, *help;
    size_t offset; /* offset in struct status_demand */
} task_series[] = {
    {"fantail_task_queued_items", "Items of the task's jobs that wait to be sent, or to be sent again.",
     offsetof(struct status_demand, queued_items)},
    {"fantail_task_in_flight_items", "Items of the task's jobs that were sent and are not answered.",
     offsetof(struct status_demand, in_flight_items)},
    {"fantail_task_demand_slots", "Slots of the task that would be busy if there were enough of them.",
     offsetof(struct status_demand, demand_slots)},
    {"fantail_task_slots", "Slots of the task on the workers that can be reached.",
     offsetof(struct status_demand, slots)},
    {"fantail_task_full_endpoints",
     "Endpoints that get no chunks of the task for a moment, after a 429 or a long silence.",
     offsetof(struct status_demand, full_endpoints)},
};

static struct metric_reading task_readings[ARRAY_SIZE(task_series)];

/* Writes a series for each task in the catalog. A job cannot add a task to the catalog, so it cannot add a series. */
static void emit_tasks(void *data, struct metric_emitter *to)
{
    const struct metric_reading *r = data;
    size_t n;
    const struct catalog_task *tasks = catalog_tasks(r->from->catalog, &n);
    for (size_t i = 0; i < n && i < LIMIT_TASK_SERIES; i++) {
        struct status_demand demand;
        uint64_t value = 0;
        if (status_of_task(r->from, tasks[i].name, &demand))
            memcpy(&value, (const char *)&demand + r->offset, sizeof value);
        metric_emit(to, tasks[i].name, (double)value);
    }
}

static void register_tasks(const struct status_source *from)
{
    for (size_t i = 0; i < ARRAY_SIZE(task_series); i++) {
        task_readings[i] = (struct metric_reading){from, task_series[i].offset};
        metric_gauge_each(task_series[i].name, task_series[i].help, "task", emit_tasks, &task_readings[i]);
    }
}

void status_register_metrics(const struct status_source *from)
{
    for (size_t i = 0; i < ARRAY_SIZE(series); i++) {
        readings[i] = (struct metric_reading){from, series[i].offset};
        series[i].add(series[i].name, series[i].help, NULL, read_series, &readings[i]);
    }
    register_endpoints(from);
    register_tasks(from);
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

void status_write_stats(struct buf *out, const struct sched_counts *n, double elapsed_s)
{
    buf_addf(out, "\"stats\":{\"elapsed_s\":%.6f,\"items_per_s\":%.1f}", elapsed_s,
             elapsed_s > 0 ? (double)(n->succeeded + n->failed) / elapsed_s : 0.0);
}

/* Writes the tasks separated by commas, as in the document of a durable job. */
static void write_tasks(struct buf *out, const struct status_job *job)
{
    struct buf names = {0};
    for (size_t i = 0; i < job->task_count; i++) buf_addf(&names, "%s%s", i ? "," : "", job->tasks[i]);
    buf_add_json_string(out, buf_cstr(&names), names.len);
    buf_release(&names);
}

void status_write_waiting(struct buf *out, const struct status_waiting *w)
{
    buf_addf(out, "\"reason\":\"%s\"", w->reason);
    if (strcmp(w->reason, sched_waiting_name(SCHED_WAITING_STARTING)) == 0) {
        buf_addf(out, ",\"processes\":%llu", (unsigned long long)w->processes);
    } else if (w->detail) {
        buf_add_str(out, ",\"detail\":");
        buf_add_json_string(out, w->detail, strlen(w->detail));
    }
}

void status_write_job(struct buf *out, const struct status_job *job)
{
    buf_addf(out, "{\"id\":\"%s\",\"status\":\"%s\",\"task\":", job->id, job->state);
    write_tasks(out, job);
    buf_add_char(out, ',');
    status_write_counts(out, &job->counts);
    if (job->eta_ns) buf_addf(out, ",\"eta_s\":%.3f", (double)job->eta_ns / 1e9);
    if (job->waiting.reason) {
        buf_add_str(out, ",\"waiting\":{");
        status_write_waiting(out, &job->waiting);
        buf_add_char(out, '}');
    }
    buf_addf(out, ",\"elapsed_s\":%.3f}", (double)job->elapsed_ns / 1e9);
}

void status_write_demand(struct buf *out, const struct status_demand *d)
{
    buf_addf(out, "{\"queued\":%llu,\"in_flight\":%llu,\"demand\":%llu,\"slots\":%llu}\n",
             (unsigned long long)d->queued_items, (unsigned long long)d->in_flight_items,
             (unsigned long long)d->demand_slots, (unsigned long long)d->slots);
}
