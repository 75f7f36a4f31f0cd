#include "job.h"

#include "api.h"
#include "limits.h"
#include "log.h"
#include "metrics.h"
#include "protocol.h"

/* How often progress and heartbeats are looked after, while there are jobs. */
enum { TICK_MS = 100 };

static void job_free(struct job *j)
{
    struct coordinator *c = j->coordinator;
    *j->link = j->next;
    if (j->next) j->next->link = j->link;
    if (--c->job_count == 0) uv_timer_stop(&c->tick_timer);
    if (j->question) catalog_drop(&c->catalog, j->question);
    splitter_release(&j->splitter);
    jobspec_release(&j->spec);
    spool_release(&j->spool);
    collector_free(j->collector);
    spill_file_release(&j->spill);
    buf_release(&j->chunk_header);
    job_output_release(&j->output);
    free(j->traceparent);
    free(j);
    service_poke(c->service);
}

static void free_when_over(struct job *j)
{
    if (!j->exchange && !j->sched) job_free(j);
}

/* Only noted: this may be inside an action of the scheduler, which must not be called back from there. */
void job_cancel(struct job *j, enum sched_status status, const char *reason)
{
    if (!j->sched || j->cancel_reason) return;
    j->cancel_status = status;
    j->cancel_reason = reason;
    j->coordinator->cancels_wanted = true;
    coordinator_wants_run(j->coordinator);
}

void jobs_carry_out_cancels(struct coordinator *c)
{
    c->cancels_wanted = false;
    for (struct job *j = c->jobs; j; j = j->next)
        if (j->sched && j->cancel_reason) sched_job_cancel(j->sched, j->cancel_status, j->cancel_reason);
}

/* The request was wrong: it gets its problem, and what runs of it already is cancelled. */
#define refuse(j, status, members, ...)                                                                                \
    do {                                                                                                               \
        (j)->refused = true;                                                                                           \
        if ((j)->exchange && !http_exchange_answered((j)->exchange))                                                   \
            http_answer_problem((j)->exchange, (status), (members), __VA_ARGS__);                                      \
        job_cancel((j), SCHED_CANCELLED, "the request was refused");                                                   \
    } while (0)

static const char *pointer_member(struct buf *b, const char *pointer)
{
    buf_add_str(b, "\"pointer\":");
    buf_add_json_string(b, pointer, strlen(pointer));
    return buf_cstr(b);
}

static void refuse_spec(struct job *j, const struct jobspec_error *err)
{
    struct buf members = {0};
    refuse(j, err->status, pointer_member(&members, err->pointer), "%s", err->detail);
    buf_release(&members);
}

static void refuse_body(struct job *j)
{
    const struct split_error *e = &j->splitter.error;
    struct buf members = {0};
    pointer_member(&members, e->pointer);
    buf_addf(&members, ",\"offset\":%llu", (unsigned long long)e->offset);
    const char *where = e->pointer[0] ? e->pointer : "the body";
    refuse(j, e->status == SPLIT_BAD ? 400 : 413, buf_cstr(&members), "%s at byte %llu, in %s", e->phrase,
           (unsigned long long)e->offset, where);
    buf_release(&members);
}

/* Reading the options. */

struct query_reader {
    struct jobspec *spec;
    struct jobspec_error *err;
    bool ok;
};

static void read_query(void *data, const char *name, const char *value)
{
    struct query_reader *r = data;
    if (r->ok) r->ok = jobspec_read_query(r->spec, name, value, r->err);
}

static bool read_spec(struct job *j, struct jobspec *spec, struct jobspec_error *err)
{
    struct query_reader r = {spec, err, true};
    jobspec_init(spec);
    http_exchange_each_query(j->exchange, read_query, &r);
    const struct buf *options = &j->splitter.options;
    if (r.ok && j->splitter.format == SPLIT_JOB) r.ok = jobspec_read_options(spec, options->data, options->len, err);
    return r.ok;
}

static bool same_text(const char *a, const char *b)
{
    return a == b || (a && b && strcmp(a, b) == 0);
}

/* What already went out with items must not be said otherwise after them. Returns the pointer of what was. */
static const char *changed_too_late(const struct jobspec *early, const struct jobspec *late)
{
    if (early->task_count != late->task_count) return "/pipeline";
    for (size_t i = 0; i < early->task_count; i++)
        if (!same_text(early->tasks[i], late->tasks[i])) return "/task";
    if (!same_text(early->common, late->common)) return "/common";
    if (early->item_timeout_s < late->item_timeout_s || early->item_timeout_s > late->item_timeout_s)
        return "/item_timeout_s";
    if (early->chunk_size != late->chunk_size) return "/chunk_size";
    if (early->max_chunk_bytes != late->max_chunk_bytes) return "/max_chunk_bytes";
    if (memcmp(&early->retry, &late->retry, sizeof early->retry) != 0) return "/retry";
    if (early->deadline_s < late->deadline_s || early->deadline_s > late->deadline_s) return "/deadline_s";
    return NULL;
}

/* The options that may come late are taken over into the running job. */
static void take_late_options(struct job *j, struct jobspec *late)
{
    const char *pointer = changed_too_late(&j->spec, late);
    if (pointer) {
        struct buf members = {0};
        refuse(j, 400, pointer_member(&members, pointer),
               "with more than %u bytes of items this option must stand before \"items\"", LIMIT_EARLY_START_BYTES);
        buf_release(&members);
        return;
    }
    jobspec_release(&j->spec);
    j->spec = *late;
    *late = (struct jobspec){0};
    sched_job_set_priority(j->sched, (unsigned)(j->spec.priority > 0 ? j->spec.priority : 1));
    sched_job_set_max_concurrency(j->sched, (uint64_t)j->spec.max_concurrency);
    sched_job_set_tolerance(
        j->sched, j->spec.tolerated_failure_count < 0 ? SCHED_NO_LIMIT : (uint64_t)j->spec.tolerated_failure_count,
        j->spec.tolerated_failure_percentage);
}

/* Starting. */

static void write_chunk_header(struct job *j)
{
    struct buf *b = &j->chunk_header;
    buf_addf(b, "{\"item_timeout_s\":%.17g", j->spec.item_timeout_s);
    if (j->spec.task_count > 1) {
        buf_add_str(b, ",\"pipeline\":[");
        for (size_t i = 0; i < j->spec.task_count; i++) {
            if (i) buf_add_char(b, ',');
            buf_add_json_string(b, j->spec.tasks[i], strlen(j->spec.tasks[i]));
        }
        buf_add_char(b, ']');
    }
    if (j->spec.common) {
        buf_add_str(b, ",\"common\":");
        buf_add(b, j->spec.common, j->spec.common_len);
    }
    buf_add_str(b, "}\n");
}

static bool all_idempotent(const struct job *j)
{
    for (size_t i = 0; i < j->spec.task_count; i++) {
        const struct catalog_task *task = catalog_find(&j->coordinator->catalog, j->spec.tasks[i]);
        if (task && !task->idempotent) return false;
    }
    return true;
}

static void fill_params(const struct job *j, struct sched_job_params *p)
{
    const struct jobspec *spec = &j->spec;
    sched_job_params_init(p);
    p->owner = (void *)(uintptr_t)j;
    p->chunk_size = (uint32_t)spec->chunk_size;
    p->max_chunk_bytes = (size_t)spec->max_chunk_bytes;
    p->common_bytes = j->chunk_header.len;
    p->max_concurrency = (uint64_t)spec->max_concurrency;
    p->priority = (unsigned)(spec->priority > 0 ? spec->priority : 1);
    p->retry = (struct sched_retry){
        .max_attempts = (unsigned)spec->retry.max_attempts,
        .interval_s = spec->retry.interval_s,
        .backoff_rate = spec->retry.backoff_rate,
        .max_delay_s = spec->retry.max_delay_s,
        .full_jitter = spec->retry.jitter == JITTER_FULL,
        .on = spec->retry.on,
    };
    p->hedge_enabled = spec->hedge_enabled;
    p->hedge_max_extra_percent = spec->hedge_max_extra_percent;
    if (spec->tolerated_failure_count >= 0) p->tolerated_failure_count = (uint64_t)spec->tolerated_failure_count;
    p->tolerated_failure_percentage = spec->tolerated_failure_percentage;
    if (spec->deadline_s > 0) p->deadline_ns = j->started_ns + (uint64_t)(spec->deadline_s * 1e9);
    p->idempotent = all_idempotent(j);
}

static bool spill_write(void *ctx, uint64_t offset, const char *bytes, size_t len)
{
    return spill_file_write(ctx, offset, bytes, len);
}

static bool spill_read(void *ctx, uint64_t offset, char *bytes, size_t len)
{
    return spill_file_read(ctx, offset, bytes, len);
}

static void start(struct job *j)
{
    struct sched_job_params params;
    bool by_input = j->spec.order == ORDER_INPUT || j->spec.reduce != REDUCE_NONE;
    write_chunk_header(j);
    fill_params(j, &params);
    j->collector = collector_new(&(struct collector_config){
        .order = by_input ? COLLECT_INPUT_ORDER : COLLECT_COMPLETION_ORDER,
        .memory_cap = (size_t)j->coordinator->config->result_memory_bytes,
        .spill = {spill_write, spill_read, &j->spill},
    });
    j->started = true;
    j->sched = sched_job_add(j->coordinator->scheduler, &params, now_ns());
    if (j->spec.source == SOURCE_RANGE || j->spec.source == SOURCE_SPANS)
        sched_job_offer(j->sched, j->spec.generated_count, j->spec.generated_count * 16);
    else if (j->spool.items)
        sched_job_offer(j->sched, j->spool.items, j->spool.bytes);
    if (j->state == JOB_RUNNING) sched_job_no_more_items(j->sched);
    coordinator_wants_run(j->coordinator);
}

static const char *first_unknown_task(const struct job *j)
{
    for (size_t i = 0; i < j->spec.task_count; i++)
        if (!catalog_find(&j->coordinator->catalog, j->spec.tasks[i])) return j->spec.tasks[i];
    return NULL;
}

static void refuse_unknown_task(struct job *j, const char *task)
{
    struct buf names = {0}, members = {0};
    catalog_list_names(&j->coordinator->catalog, &names);
    refuse(j, 404, pointer_member(&members, "/task"), "there is no task \"%s\"; the workers have %s", task,
           buf_cstr(&names));
    buf_release(&names);
    buf_release(&members);
}

/* The catalog was asked. When no worker could say, the job starts all the same and waits for one that can. */
static void catalog_answered(void *data, bool ok)
{
    struct job *j = data;
    j->question = NULL;
    if (j->refused) return;
    const char *unknown = first_unknown_task(j);
    if (ok && unknown)
        refuse_unknown_task(j, unknown);
    else
        start(j);
}

/* The spec is whole: starts when its tasks are known to exist. */
static void start_when_known(struct job *j)
{
    struct coordinator *c = j->coordinator;
    const struct endpoint *any = c->endpoints.list;
    j->start_asked = true;
    if (!any || !first_unknown_task(j)) {
        start(j);
        return;
    }
    j->question = catalog_ask(&c->catalog, any->url, any->connect_to, catalog_answered, j);
}

/* Many items are there and the body is not whole: starts if the options so far are enough. */
static void start_early(struct job *j)
{
    struct jobspec_error err;
    if (j->splitter.format == SPLIT_JOB) {
        struct jobspec spec;
        bool enough = read_spec(j, &spec, &err) && jobspec_finish(&spec, true, &err);
        jobspec_release(&j->spec);
        j->spec = spec;
        if (!enough) {
            jobspec_release(&j->spec);
            j->spec = (struct jobspec){0};
            return;
        }
    }
    start_when_known(j);
}

/* The body. */

static void take_items(struct job *j)
{
    uint64_t items = j->splitter.items_in_buf, bytes = j->splitter.items.len;
    if (!items) return;
    spool_take(&j->spool, &j->splitter.items, items);
    j->splitter.items_in_buf = 0;
    if (!j->sched) return;
    sched_job_offer(j->sched, items, bytes);
    coordinator_wants_run(j->coordinator);
}

static size_t on_body(struct http_exchange *x, const char *data, size_t len)
{
    struct job *j = http_exchange_data(x);
    if (j->refused || j->state == JOB_ENDED) return len;
    if (j->start_asked && j->spool.bytes >= LIMIT_UNDISPATCHED_BYTES) return 0;
    size_t piece = len < LIMIT_PULL_BYTES ? len : LIMIT_PULL_BYTES;
    enum split_status status = splitter_feed(&j->splitter, data, piece);
    take_items(j);
    if (status != SPLIT_OK) {
        refuse_body(j);
        return piece;
    }
    bool lines = j->splitter.format != SPLIT_JOB;
    if (!j->start_asked && j->spool.bytes >= (lines ? 1 : LIMIT_EARLY_START_BYTES)) start_early(j);
    if (!j->start_asked && j->spool.bytes >= LIMIT_UNSTARTED_BYTES)
        refuse(j, 413, "\"pointer\":\"/task\"", "\"task\" must stand before \"items\" when these pass %u bytes",
               LIMIT_UNSTARTED_BYTES);
    return piece;
}

static void finish_body(struct job *j)
{
    struct jobspec_error err;
    struct jobspec spec = {0};
    enum split_status status = splitter_finish(&j->splitter);
    take_items(j);
    j->state = JOB_RUNNING;
    if (status != SPLIT_OK) {
        refuse_body(j);
        return;
    }
    if (!read_spec(j, &spec, &err) || !jobspec_finish(&spec, j->splitter.items_seen, &err)) {
        refuse_spec(j, &err);
    } else if (j->sched) {
        take_late_options(j, &spec);
        if (!j->refused) sched_job_no_more_items(j->sched);
        coordinator_wants_run(j->coordinator);
    } else if (!j->start_asked) {
        jobspec_release(&j->spec);
        j->spec = spec;
        spec = (struct jobspec){0};
        start_when_known(j);
    }
    jobspec_release(&spec);
}

static void on_body_end(struct http_exchange *x)
{
    struct job *j = http_exchange_data(x);
    if (!j->refused && j->state == JOB_RECEIVING) finish_body(j);
    if (!j->refused) job_output_begin(j);
}

static ssize_t on_pull(struct http_exchange *x, char *dst, size_t cap)
{
    return job_output_pull(http_exchange_data(x), dst, cap);
}

static void on_closed(struct http_exchange *x, enum http_closed how)
{
    struct job *j = http_exchange_data(x);
    j->exchange = NULL;
    j->refused = true;
    if (how == HTTP_CLOSED_HANG_UP && j->sched) log_info("client went away", LOG_STR("job", j->id));
    job_cancel(j, SCHED_CANCELLED, "the client went away");
    free_when_over(j);
}

static const struct http_exchange_ops exchange_ops = {on_body, on_body_end, on_pull, on_closed};

/* What the body is, by its Content-Type (DESIGN: a bare `curl -d` just works). False: a type nobody knows. */
static bool choose_format(const struct http_exchange *x, enum split_format *format)
{
    const char *type = http_exchange_header(x, "Content-Type");
    size_t len = type ? strcspn(type, "; \t") : 0;
    bool by_query = len == 0 || (len == 33 && strncasecmp(type, "application/x-www-form-urlencoded", len) == 0);
    if (by_query)
        *format = http_exchange_query(x, "task") ? SPLIT_NDJSON : SPLIT_JOB;
    else if (len == sizeof TYPE_JSON - 1 && strncasecmp(type, TYPE_JSON, len) == 0)
        *format = SPLIT_JOB;
    else if (len == sizeof TYPE_NDJSON - 1 && strncasecmp(type, TYPE_NDJSON, len) == 0)
        *format = SPLIT_NDJSON;
    else if (len == sizeof TYPE_TEXT - 1 && strncasecmp(type, TYPE_TEXT, len) == 0)
        *format = SPLIT_TEXT;
    else
        return false;
    return true;
}

static void tick(uv_timer_t *timer)
{
    struct coordinator *c = timer->data;
    uint64_t now = now_ns();
    for (struct job *j = c->jobs; j; j = j->next)
        if (j->exchange && !j->refused) job_output_tick(j, now);
}

static struct job *job_new(struct coordinator *c, struct http_exchange *x, enum split_format format)
{
    struct job *j = xcalloc(1, sizeof *j);
    j->coordinator = c;
    j->exchange = x;
    j->started_ns = now_ns();
    uuid7_new(j->id);
    splitter_init(&j->splitter, format, 0);
    spill_file_init(&j->spill, c->config->spill_dir);
    job_output_init(&j->output, c->config->spill_dir);
    const char *accept = http_exchange_header(x, "Accept"), *trace = http_exchange_header(x, "traceparent");
    j->output.ndjson = accept && strstr(accept, TYPE_NDJSON);
    j->traceparent = trace && strlen(trace) < 256 ? xstrdup(trace) : NULL;
    j->next = c->jobs;
    j->link = &c->jobs;
    if (c->jobs) c->jobs->link = &j->next;
    c->jobs = j;
    if (c->job_count++ == 0) uv_timer_start(&c->tick_timer, tick, TICK_MS, TICK_MS);
    return j;
}

void job_handle_post(struct http_exchange *x, struct coordinator *c)
{
    enum split_format format;
    struct jobspec_error err;
    if (!choose_format(x, &format)) {
        http_answer_problem(x, 415, NULL, "a job is %s, %s or %s", TYPE_JSON, TYPE_NDJSON, TYPE_TEXT);
        return;
    }
    if (c->job_count >= (unsigned)c->config->max_jobs) {
        http_exchange_set_header(x, "Retry-After", "1");
        http_answer_problem(x, 429, NULL, "%u jobs are running, which is the most this coordinator takes",
                            c->job_count);
        return;
    }
    struct job *j = job_new(c, x, format);
    http_exchange_accept(x, &exchange_ops, j);
    if (format == SPLIT_JOB) return;
    if (!read_spec(j, &j->spec, &err) || !jobspec_finish(&j->spec, true, &err)) refuse_spec(j, &err);
}

/* Answers and the end. */

static void fail_on_disk(struct job *j)
{
    if (!j->failure[0])
        snprintf(j->failure, sizeof j->failure, "the answers could not be kept in %s: %s",
                 j->coordinator->config->spill_dir, strerror(j->spill.error));
    job_cancel(j, SCHED_FAILED, j->failure);
}

void job_add_values(struct job *j, uint64_t first, uint64_t n, const char *lines, size_t len)
{
    if (collector_add(j->collector, first, n, lines, len) == COLLECTOR_SPILL_FAILED) fail_on_disk(j);
    job_output_wake(j);
}

void job_add_error(struct job *j, uint64_t first, uint64_t n, const char *line, size_t len)
{
    if (collector_add_repeated(j->collector, first, n, line, len) == COLLECTOR_SPILL_FAILED) fail_on_disk(j);
    job_output_wake(j);
}

size_t job_cut(struct job *j, struct sched_chunk *chunk, size_t max_items, size_t max_bytes, size_t *bytes)
{
    struct buf lines = {0};
    uint64_t count;
    if (j->spec.source == SOURCE_RANGE || j->spec.source == SOURCE_SPANS) {
        uint64_t left = j->spec.generated_count - j->generated,
                 fit = max_bytes / (j->spec.source == SOURCE_SPANS ? 56 : 21) + 1;
        count = max_items < left ? max_items : left;
        if (count > fit) count = fit;
        if (!jobspec_write_items(&j->spec, j->generated, count, &lines)) BUG("an unbounded buffer refused");
        j->generated += count;
    } else {
        count = spool_cut(&j->spool, max_items, max_bytes, &lines);
        if (j->state == JOB_RECEIVING && j->exchange && j->spool.bytes < LIMIT_UNDISPATCHED_BYTES)
            http_exchange_wake(j->exchange);
    }
    *bytes = lines.len;
    chunk->payload = payload_new(&lines, count);
    return (size_t)count;
}

void job_finished(struct job *j, const struct sched_outcome *outcome)
{
    uint64_t took = now_ns() - j->started_ns;
    struct coordinator_metrics *m = &j->coordinator->metrics;
    j->sched = NULL;
    j->state = JOB_ENDED;
    j->outcome = *outcome;
    ++*m->jobs[outcome->status];
    *m->items_succeeded += outcome->counts.succeeded;
    *m->items_failed += outcome->counts.failed;
    *m->items_cancelled += outcome->counts.cancelled;
    metric_observe_ns(m->job_seconds, took);
    log_info("job ended", LOG_STR("job", j->id), LOG_STR("status", sched_status_name(outcome->status)),
             LOG_STR("reason", outcome->reason), LOG_U64("items", outcome->counts.total),
             LOG_U64("failed", outcome->counts.failed), LOG_MS("duration_ms", took));
    if (j->exchange && !j->refused) job_output_finish(j);
    free_when_over(j);
}

void job_set_waiting(struct job *j, enum sched_waiting why)
{
    j->waiting = why;
    if (why != SCHED_NOT_WAITING) job_output_waiting(j, sched_waiting_name(why));
}

const char *job_state_name(const struct job *j)
{
    if (j->state == JOB_ENDED) return sched_status_name(j->outcome.status);
    return j->started ? "running" : "pending";
}
