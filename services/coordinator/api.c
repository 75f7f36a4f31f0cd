#include "coordinator/api.h"

#include "common/observe/metrics.h"
#include "coordinator/job/job.h"
#include "protocol/protocol.h"

void api_write_counts(struct buf *out, const struct sched_counts *n)
{
    buf_addf(out,
             "\"counts\":{\"total\":%llu,\"succeeded\":%llu,\"failed\":%llu,\"cancelled\":%llu,\"retried\":%llu,"
             "\"hedged\":%llu}",
             (unsigned long long)n->total, (unsigned long long)n->succeeded, (unsigned long long)n->failed,
             (unsigned long long)n->cancelled, (unsigned long long)n->retried, (unsigned long long)n->hedged);
}

static void post_job(struct http_exchange *x, void *data)
{
    job_handle_post(x, data);
}

static void write_job(const struct job *j, struct buf *out)
{
    struct sched_counts counts = j->sched ? sched_job_counts(j->sched) : j->outcome.counts;
    buf_addf(out, "{\"id\":\"%s\",\"status\":\"%s\",\"task\":", j->id, job_state_name(j));
    const char *task = j->spec.task_count ? j->spec.tasks[0] : "";
    buf_add_json_string(out, task, strlen(task));
    buf_add_char(out, ',');
    api_write_counts(out, &counts);
    if (j->sched && sched_job_eta_ns(j->sched))
        buf_addf(out, ",\"eta_s\":%.3f", (double)sched_job_eta_ns(j->sched) / 1e9);
    buf_addf(out, ",\"elapsed_s\":%.3f}", (double)(now_ns() - j->started_ns) / 1e9);
}

static void list_jobs(struct http_exchange *x, void *data)
{
    struct coordinator *c = data;
    struct buf out = {0};
    buf_add_str(&out, "{\"scope\":\"replica\",\"jobs\":[");
    for (const struct job *j = c->jobs; j; j = j->next) {
        write_job(j, &out);
        if (j->next) buf_add_char(&out, ',');
    }
    buf_add_str(&out, "]}\n");
    http_answer(x, 200, TYPE_JSON, out.data, out.len);
    buf_release(&out);
}

/* NULL after answering 404. */
static struct job *find_job(struct http_exchange *x, struct coordinator *c)
{
    const char *id = http_exchange_param(x, "id");
    for (struct job *j = c->jobs; j; j = j->next)
        if (strcmp(j->id, id) == 0) return j;
    http_answer_problem(x, 404, "\"scope\":\"replica\"", "this coordinator is not running a job %.64s", id);
    return NULL;
}

static void show_job(struct http_exchange *x, void *data)
{
    struct buf out = {0};
    const struct job *j = find_job(x, data);
    if (!j) return;
    write_job(j, &out);
    buf_add_char(&out, '\n');
    http_answer(x, 200, TYPE_JSON, out.data, out.len);
    buf_release(&out);
}

static void delete_job(struct http_exchange *x, void *data)
{
    struct buf out = {0};
    struct job *j = find_job(x, data);
    if (!j) return;
    job_cancel(j, SCHED_CANCELLED, "it was cancelled by a DELETE");
    write_job(j, &out);
    buf_add_char(&out, '\n');
    http_answer(x, 202, TYPE_JSON, out.data, out.len);
    buf_release(&out);
}

/* GET /v1/tasks: asked anew each time, as tasks come and go on the workers. */

struct task_listing {
    struct coordinator *coordinator;
    struct http_exchange *exchange;
    struct catalog_question *question;
};

static void tasks_answered(void *data, bool ok)
{
    struct task_listing *l = data;
    const struct buf *document = &l->coordinator->catalog.document;
    l->question = NULL;
    if (ok) {
        http_answer(l->exchange, 200, TYPE_JSON, document->data, document->len);
        return;
    }
    http_exchange_set_header(l->exchange, "Retry-After", "5");
    const struct catalog *c = &l->coordinator->catalog;
    http_answer_problem(l->exchange, 503, NULL, "%s%s%s",
                        c->refused ? "the workers refuse the coordinator's token"
                                   : "no worker could be asked for its tasks",
                        c->fault[0] ? ": " : "", c->fault);
}

static void listing_closed(struct http_exchange *x, enum http_closed how)
{
    struct task_listing *l = http_exchange_data(x);
    if (l->question) catalog_drop(&l->coordinator->catalog, l->question);
    free(l);
}

static void list_tasks(struct http_exchange *x, void *data)
{
    static const struct http_exchange_ops ops = {.closed = listing_closed};
    struct coordinator *c = data;
    const struct endpoint *any = c->endpoints.list;
    struct task_listing *l = xcalloc(1, sizeof *l);
    *l = (struct task_listing){.coordinator = c, .exchange = x};
    http_exchange_accept(x, &ops, l);
    if (any)
        l->question = catalog_ask(&c->catalog, any->url, any->connect_to, tasks_answered, l);
    else
        tasks_answered(l, false);
}

static void autoscale(struct http_exchange *x, void *data)
{
    struct coordinator *c = data;
    struct sched_stats s = sched_stats(c->scheduler);
    struct buf out = {0};
    buf_addf(&out, "{\"queued\":%llu,\"in_flight\":%llu,\"demand\":%llu,\"slots\":%llu}\n",
             (unsigned long long)s.queued_items, (unsigned long long)s.in_flight_items,
             (unsigned long long)s.demand_slots, (unsigned long long)s.slots);
    http_answer(x, 200, TYPE_JSON, out.data, out.len);
    buf_release(&out);
}

const struct http_route coordinator_routes[] = {
    {"POST", PATH_JOBS, post_job},        {"GET", PATH_JOBS, list_jobs},
    {"GET", PATH_JOBS "/{id}", show_job}, {"DELETE", PATH_JOBS "/{id}", delete_job},
    {"GET", PATH_TASKS, list_tasks},      {0},
};

const struct http_route coordinator_admin_routes[] = {
    {"GET", "/autoscale", autoscale},
    {0},
};

void api_cancel_all(struct coordinator *c, const char *reason)
{
    for (struct job *j = c->jobs; j; j = j->next) job_cancel(j, SCHED_CANCELLED, reason);
}

/* Metrics. */

static double queued_items(void *data)
{
    return (double)sched_stats(((struct coordinator *)data)->scheduler).queued_items;
}

static double chunks_in_flight(void *data)
{
    return (double)sched_stats(((struct coordinator *)data)->scheduler).in_flight_chunks;
}

static double items_in_flight(void *data)
{
    return (double)sched_stats(((struct coordinator *)data)->scheduler).in_flight_items;
}

static double hedged_attempts(void *data)
{
    return (double)sched_stats(((struct coordinator *)data)->scheduler).attempts_hedge;
}

static double budget_exhausted(void *data)
{
    return (double)sched_stats(((struct coordinator *)data)->scheduler).budget_exhausted;
}

static double jobs_running(void *data)
{
    return ((struct coordinator *)data)->job_count;
}

struct endpoint_gauge {
    struct coordinator *coordinator;
    enum sched_endpoint_state state;
};

static double endpoints_in_state(void *data)
{
    const struct endpoint_gauge *g = data;
    return (double)sched_stats(g->coordinator->scheduler).endpoints[g->state];
}

static void register_endpoint_gauges(struct coordinator *c)
{
    static struct endpoint_gauge gauges[ENDPOINT_STATE_COUNT];
    for (unsigned i = 0; i < ENDPOINT_STATE_COUNT; i++) {
        struct buf label = {0};
        gauges[i] = (struct endpoint_gauge){c, (enum sched_endpoint_state)i};
        metric_add_label(&label, "state", sched_endpoint_state_name(gauges[i].state));
        metric_gauge_fn("fantail_endpoints", "Endpoints by state.", buf_cstr(&label), endpoints_in_state, &gauges[i]);
        buf_release(&label);
    }
}

void api_register_metrics(struct coordinator *c)
{
    const char *statuses[SCHED_STATUS_COUNT], *ends[SCHED_END_COUNT];
    struct coordinator_metrics *m = &c->metrics;
    for (unsigned i = 0; i < SCHED_STATUS_COUNT; i++) statuses[i] = sched_status_name((enum sched_status)i);
    for (unsigned i = 0; i < SCHED_END_COUNT; i++) ends[i] = sched_end_name((enum sched_end)i);
    metric_counters("fantail_jobs_total", "Jobs that ended, by status.", "status", statuses, SCHED_STATUS_COUNT,
                    m->jobs);
    m->items_succeeded = metric_counter("fantail_items_total", "Items settled, by outcome.", "outcome=\"succeeded\"");
    m->items_failed = metric_counter("fantail_items_total", "Items settled, by outcome.", "outcome=\"failed\"");
    m->items_cancelled = metric_counter("fantail_items_total", "Items settled, by outcome.", "outcome=\"cancelled\"");
    metric_counters("fantail_chunk_attempts_total", "Attempts that ended, by how.", "result", ends, SCHED_END_COUNT,
                    m->attempts);
    m->job_seconds = metric_histogram("fantail_job_duration_seconds", "From a job's POST to its outcome.", NULL);
    metric_gauge_fn("fantail_jobs_running", "Jobs now held.", NULL, jobs_running, c);
    metric_gauge_fn("fantail_items_queued", "Items offered and not in flight.", NULL, queued_items, c);
    metric_gauge_fn("fantail_items_in_flight", "Items sent and not answered.", NULL, items_in_flight, c);
    metric_gauge_fn("fantail_chunks_in_flight", "Chunks sent and not answered.", NULL, chunks_in_flight, c);
    metric_counter_fn("fantail_hedges_total", "Attempts started as hedges.", NULL, hedged_attempts, c);
    metric_counter_fn("fantail_retry_budget_exhausted_total", "Times a retry had to wait for its budget.", NULL,
                      budget_exhausted, c);
    register_endpoint_gauges(c);
}
