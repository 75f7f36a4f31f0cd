#include "coordinator/job/job_internal.h"

#include <stdarg.h>

#include "common/base/limits.h"
#include "common/net/media_type.h"
#include "common/observe/log.h"
#include "common/observe/metrics.h"
#include "coordinator/job/job_trace.h"
#include "protocol/protocol.h"

/* How often progress and heartbeats are looked after, while there are jobs. */
enum { TICK_MS = 100 };

static void job_free(struct job *j)
{
    struct coordinator *c = j->coordinator;
    *j->link = j->next;
    if (j->next) j->next->link = j->link;
    if (--c->job_count == 0) uv_timer_stop(&c->tick_timer);
    job_trace_end(j);
    if (j->question) catalog_drop(&c->fleet.catalog, j->question);
    splitter_release(&j->splitter);
    jobspec_release(&j->spec);
    spool_release(&j->spool);
    collector_free(j->collector);
    spill_file_release(&j->spill);
    buf_release(&j->chunk_header);
    job_output_release(&j->output);
    free(j);
    service_poke(c->service);
}

void job_free_when_over(struct job *j)
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
    scheduler_turn_want(&j->coordinator->turn);
}

void jobs_carry_out_cancels(struct coordinator *c)
{
    if (!c->cancels_wanted) return;
    c->cancels_wanted = false;
    for (struct job *j = c->jobs; j; j = j->next)
        if (j->sched && j->cancel_reason) sched_job_cancel(j->sched, j->cancel_status, j->cancel_reason);
}

void jobs_cancel_all(struct coordinator *c, const char *reason)
{
    for (struct job *j = c->jobs; j; j = j->next) job_cancel(j, SCHED_CANCELLED, reason);
}

void job_refuse(struct job *j, int status, const char *members, const char *detail_fmt, ...)
{
    char detail[512];
    va_list args;
    va_start(args, detail_fmt);
    vsnprintf(detail, sizeof detail, detail_fmt, args);
    va_end(args);
    j->refused = true;
    if (j->exchange && !http_exchange_answered(j->exchange))
        http_answer_problem(j->exchange, status, members, "%s", detail);
    job_cancel(j, SCHED_CANCELLED, "the request was refused");
}

const char *job_pointer_member(struct buf *b, const char *pointer)
{
    buf_clear(b);
    buf_add_str(b, "\"pointer\":");
    buf_add_json_string(b, pointer, strlen(pointer));
    return buf_cstr(b);
}

static void tick(uv_timer_t *timer)
{
    struct coordinator *c = timer->data;
    uint64_t now = now_ns();
    for (struct job *j = c->jobs; j; j = j->next)
        if (j->exchange && !j->refused) job_output_tick(j, now);
}

struct job *job_new(struct coordinator *c, struct http_exchange *x, enum split_format format)
{
    struct job *j = xcalloc(1, sizeof *j);
    j->coordinator = c;
    j->exchange = x;
    j->started_ns = now_ns();
    uuid7_new(j->id);
    splitter_init(&j->splitter, format, 0);
    int64_t announced = http_exchange_content_length(x);
    if (announced > 0) splitter_expect(&j->splitter, (size_t)announced);
    spill_file_init(&j->spill, c->config->spill_dir);
    job_output_init(&j->output, c->config->spill_dir);
    j->output.ndjson = accept_is_stream(http_exchange_header(x, "Accept"));
    job_trace_begin(&j->trace, c, x);
    j->next = c->jobs;
    j->link = &c->jobs;
    if (c->jobs) c->jobs->link = &j->next;
    c->jobs = j;
    if (c->job_count++ == 0) uv_timer_start(&c->tick_timer, tick, TICK_MS, TICK_MS);
    return j;
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

void job_take_value(struct job *j, uint64_t index, struct buf *line)
{
    if (collector_take(j->collector, index, 1, line) == COLLECTOR_SPILL_FAILED) fail_on_disk(j);
    job_output_wake(j);
}

void job_add_error(struct job *j, uint64_t first, uint64_t n, const char *line, size_t len)
{
    if (collector_add_repeated(j->collector, first, n, line, len) == COLLECTOR_SPILL_FAILED) fail_on_disk(j);
    job_output_wake(j);
}

/* A paused upload goes on once the spool has room again. */
static void wake_upload(struct job *j)
{
    if (j->state == JOB_RECEIVING && j->exchange && j->spool.bytes < LIMIT_UNDISPATCHED_BYTES)
        http_exchange_wake(j->exchange);
}

size_t job_cut(struct job *j, struct sched_chunk *chunk, size_t max_items, size_t max_bytes, size_t *bytes)
{
    struct buf lines = {0};
    uint64_t n = item_source_cut(&j->items, max_items, max_bytes, &chunk->first, &lines);
    wake_upload(j);
    *bytes = lines.len;
    chunk->payload = payload_new(&lines, n);
    return (size_t)n;
}

uint64_t job_drop(struct job *j, uint64_t max_items, uint64_t *first)
{
    return item_source_drop(&j->items, max_items, first);
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
    char span_id[SPAN_ID_SIZE];
    log_info("job ended", LOG_STR("job", j->id), LOG_STR("status", sched_status_name(outcome->status)),
             LOG_STR("reason", outcome->reason), LOG_U64("items", outcome->counts.total),
             LOG_U64("failed", outcome->counts.failed), LOG_MS("duration_ms", took),
             LOG_STR("trace_id", trace_scope_id(&j->trace)),
             LOG_STR("span_id", trace_scope_span_id(&j->trace, &j->trace.context, span_id)));
    if (j->exchange) http_exchange_wake(j->exchange); /* the rest of an upload that waited is dropped */
    if (j->exchange && !j->refused) job_output_finish(j);
    if (j->exchange) http_exchange_wake(j->exchange); /* what is left of a paused upload is now read and dropped */
    job_free_when_over(j);
}

void job_set_waiting(struct job *j, enum sched_waiting why)
{
    j->waiting = why;
    if (why != SCHED_NOT_WAITING) job_output_waiting(j, sched_waiting_name(why));
}

static const char *state_name(const struct job *j)
{
    if (j->state == JOB_ENDED) return sched_status_name(j->outcome.status);
    return j->started ? "running" : "pending";
}

struct status_job job_status(const struct job *j)
{
    return (struct status_job){
        .id = j->id,
        .state = state_name(j),
        .task = j->spec.task_count ? j->spec.tasks[0] : "",
        .counts = j->sched ? sched_job_counts(j->sched) : j->outcome.counts,
        .eta_ns = j->sched ? sched_job_eta_ns(j->sched) : 0,
        .elapsed_ns = now_ns() - j->started_ns,
    };
}
