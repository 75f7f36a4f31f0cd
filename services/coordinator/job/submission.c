#include "coordinator/job/job_internal.h"

#include <strings.h>

#include "common/base/limits.h"
#include "common/observe/log.h"
#include "coordinator/job/job_trace.h"

static void refuse_spec(struct job *j, const struct jobspec_error *err)
{
    struct buf members = {0};
    job_refuse(j, err->status, job_pointer_member(&members, err->pointer), "%s", err->detail);
    buf_release(&members);
}

static void refuse_body(struct job *j)
{
    const struct split_error *e = &j->splitter.error;
    struct buf members = {0};
    job_pointer_member(&members, e->pointer);
    buf_addf(&members, ",\"offset\":%llu", (unsigned long long)e->offset);
    const char *where = e->pointer[0] ? e->pointer : "the body";
    job_refuse(j, e->status == SPLIT_BAD ? 400 : 413, buf_cstr(&members), "%s at byte %llu, in %s", e->phrase,
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

static bool same_number(double a, double b)
{
    return !(a < b) && !(a > b);
}

static bool same_retry(const struct job_retry *a, const struct job_retry *b)
{
    return a->max_attempts == b->max_attempts && same_number(a->interval_s, b->interval_s) &&
           same_number(a->backoff_rate, b->backoff_rate) && same_number(a->max_delay_s, b->max_delay_s) &&
           a->jitter == b->jitter && a->on == b->on;
}

static bool same_hedge(const struct jobspec *a, const struct jobspec *b)
{
    return a->hedge_enabled == b->hedge_enabled && same_number(a->hedge_max_extra_percent, b->hedge_max_extra_percent);
}

/* What the job has begun with must not be said otherwise after its items. Returns the pointer of what was. */
static const char *changed_too_late(const struct jobspec *early, const struct jobspec *late)
{
    if (early->task_count != late->task_count) return "/task";
    for (size_t i = 0; i < early->task_count; i++)
        if (!same_text(early->tasks[i], late->tasks[i])) return "/task";
    if (!same_text(early->common, late->common)) return "/common";
    if (!same_number(early->item_timeout_s, late->item_timeout_s)) return "/item_timeout_s";
    if (early->chunk_size != late->chunk_size) return "/chunk_size";
    if (early->max_chunk_bytes != late->max_chunk_bytes) return "/max_chunk_bytes";
    if (!same_retry(&early->retry, &late->retry)) return "/retry";
    if (!same_number(early->deadline_s, late->deadline_s)) return "/deadline_s";
    if (!same_hedge(early, late)) return "/hedge";
    if (jobspec_keeps_order(early) != jobspec_keeps_order(late))
        return early->order != late->order ? "/order" : "/reduce";
    return NULL;
}

/* The options that may come late are taken over into the running job. */
static void take_late_options(struct job *j, struct jobspec *late)
{
    const char *pointer = changed_too_late(&j->spec, late);
    if (pointer) {
        struct buf members = {0};
        job_refuse(j, 400, job_pointer_member(&members, pointer),
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
    job_start_when_known(j);
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
    scheduler_turn_want(&j->coordinator->turn);
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
        job_refuse(j, 413, "\"pointer\":\"/task\"", "\"task\" must stand before \"items\" when these pass %u bytes",
                   LIMIT_UNSTARTED_BYTES);
    return piece;
}

/* A job object may be left out altogether: the query says it all. */
static bool body_is_left_out(const struct job *j)
{
    return j->splitter.format == SPLIT_JOB && j->splitter.offset == 0;
}

static void finish_body(struct job *j)
{
    struct jobspec_error err;
    struct jobspec spec = {0};
    enum split_status status = body_is_left_out(j) ? SPLIT_OK : splitter_finish(&j->splitter);
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
        scheduler_turn_want(&j->coordinator->turn);
    } else {
        jobspec_release(&j->spec);
        j->spec = spec; /* also while the workers are being asked for the task: nothing was sent yet */
        spec = (struct jobspec){0};
        if (!j->start_asked) job_start_when_known(j);
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
    j->answer_status = http_exchange_status(x);
    j->exchange = NULL;
    j->refused = true;
    if (how == HTTP_CLOSED_HANG_UP && j->sched)
        log_info("client went away", LOG_STR("job", j->id), LOG_STR("trace_id", trace_scope_id(&j->trace)));
    job_cancel(j, SCHED_CANCELLED, "the client went away");
    job_free_when_over(j);
}

static const struct http_exchange_ops exchange_ops = {
    .body = on_body, .body_end = on_body_end, .pull = on_pull, .closed = on_closed};

static bool query_makes_items(const struct http_exchange *x)
{
    return http_exchange_query(x, "range.stop") || http_exchange_query(x, "range.start") ||
           http_exchange_query(x, "spans.stop") || http_exchange_query(x, "spans.start");
}

/* What the body is, by its Content-Type (DESIGN: a bare `curl -d` just works). False: a type nobody knows. */
static bool choose_format(const struct http_exchange *x, enum split_format *format)
{
    const char *type = http_exchange_header(x, "Content-Type");
    size_t len = type ? strcspn(type, "; \t") : 0;
    bool by_query = len == 0 || (len == 33 && strncasecmp(type, "application/x-www-form-urlencoded", len) == 0);
    if (by_query)
        *format = http_exchange_query(x, "task") && !query_makes_items(x) ? SPLIT_NDJSON : SPLIT_JOB;
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

void job_handle_post(struct http_exchange *x, struct coordinator *c)
{
    enum split_format format;
    struct jobspec_error err;
    if (!choose_format(x, &format)) {
        http_answer_problem(x, 415, NULL, "a job is %s, %s or %s", TYPE_JSON, TYPE_NDJSON, TYPE_TEXT);
        job_trace_refused(c, x);
        return;
    }
    if (c->job_count >= (unsigned)c->config->max_jobs) {
        http_exchange_set_header(x, "Retry-After", "1");
        http_answer_problem(x, 429, NULL, "%u jobs are running, which is the most this coordinator takes",
                            c->job_count);
        job_trace_refused(c, x);
        return;
    }
    struct job *j = job_new(c, x, format);
    http_exchange_accept(x, &exchange_ops, j);
    if (format == SPLIT_JOB) return;
    if (!read_spec(j, &j->spec, &err) || !jobspec_finish(&j->spec, true, &err)) refuse_spec(j, &err);
}
