#include "coordinator/durable/job_document.h"

#include "common/observe/utc_time.h"
#include "coordinator/durable/stored_options.h"
#include "coordinator/notify/notify_hosts.h"

static const char removed_reason[] = "the job was removed while its results were read";

static struct sched_counts counts_of(const struct stored_job *job)
{
    const struct stored_counts *n = &job->counts;
    return (struct sched_counts){.total = job->items,
                                 .succeeded = n->succeeded,
                                 .failed = n->failed,
                                 .cancelled = n->cancelled,
                                 .retried = n->retried,
                                 .hedged = n->hedged};
}

/* Returns how long the job has been running, from its first start to its end or until now. */
static uint64_t elapsed_ms(const struct stored_job *job, int64_t now_ms)
{
    int64_t end = job->ended_ms ? job->ended_ms : now_ms;
    return job->started_ms && end > job->started_ms ? (uint64_t)(end - job->started_ms) : 0;
}

static void add_text(struct buf *out, const char *name, const char *text)
{
    buf_addf(out, ",\"%s\":", name);
    if (text)
        buf_add_json_string(out, text, strlen(text));
    else
        buf_add_str(out, "null");
}

static void add_json(struct buf *out, const char *name, const char *json, const char *otherwise)
{
    buf_addf(out, ",\"%s\":%s", name, json ? json : otherwise);
}

static void add_time(struct buf *out, const char *name, int64_t ms)
{
    buf_addf(out, ",\"%s\":", name);
    if (!ms) {
        buf_add_str(out, "null");
        return;
    }
    buf_add_char(out, '"');
    utc_time_write(out, ms);
    buf_add_char(out, '"');
}

/* Appends the options if the call to the store has returned them; only some calls do. */
static void add_options(struct buf *out, const struct stored_job *job)
{
    bool has_ended = stored_state_is_end(job->state);
    struct jobspec spec = {0};
    enum idempotency idempotent;
    char err[256];
    bool ok = job->options && stored_options_read_facts(job->options, &spec, &idempotent, err, sizeof err);
    if (ok) {
        stored_options_change(&spec, job->changes);
        buf_add_str(out, ",\"options\":");
        jobspec_write_changeable(&spec, out);
        if (spec.reduce != REDUCE_NONE) add_text(out, "reduce", reduce_words[spec.reduce]);
        if (spec.reduce != REDUCE_NONE && has_ended) add_json(out, "result", job->result, "null");
    }
    jobspec_release(&spec);
}

static const char *delivery_status(const struct stored_job *job)
{
    const struct stored_delivery *d = &job->delivery;
    if (!stored_state_is_end(job->state) || d->is_open) return "pending";
    if (!d->ended_ms) return "unknown"; /* an older fantail has sent the notice, and did not record the outcome */
    return d->failure ? "failed" : "delivered";
}

/* The path and the query of the URL are left out, because they may contain a secret. */
static void add_origin(struct buf *out, const char *url)
{
    struct notify_target t;
    char err[128];
    if (!notify_target_parse(&t, url, err, sizeof err)) {
        buf_add_str(out, "null");
        return;
    }
    buf_addf(out, "\"%s://%s", t.is_tls ? "https" : "http", t.host);
    if (t.port != (t.is_tls ? 443 : 80)) buf_addf(out, ":%u", t.port);
    buf_add_char(out, '"');
}

/* Appends the delivery of the notice, if the call to the store has returned a URL for the notice. */
static void add_notify(struct buf *out, const struct stored_job *job)
{
    const struct stored_delivery *d = &job->delivery;
    if (!job->notify) return;
    buf_add_str(out, ",\"notify\":{\"origin\":");
    add_origin(out, job->notify);
    add_text(out, "status", delivery_status(job));
    buf_addf(out, ",\"attempts\":%u", d->attempts);
    add_text(out, "reason", d->failure);
    add_time(out, "delivered_at", d->failure ? 0 : d->ended_ms);
    buf_add_char(out, '}');
}

void job_document_write(struct buf *out, const struct stored_job *job, int64_t now_ms, const struct durable_live *live,
                        const char *hint)
{
    buf_addf(out, "{\"id\":\"%s\",\"status\":\"%s\"", job->id, stored_state_name(job->state));
    add_text(out, "task", job->task ? job->task : "");
    struct sched_counts counts = counts_of(job);
    if (live) counts.retried = live->retried;
    if (live) counts.hedged = live->hedged;
    buf_add_char(out, ',');
    status_write_counts(out, &counts);
    if (live && live->eta_ns) buf_addf(out, ",\"eta_s\":%.3f", (double)live->eta_ns / 1e9);
    if (live && live->waiting.reason) {
        buf_add_str(out, ",\"waiting\":{");
        status_write_waiting(out, &live->waiting);
        buf_add_char(out, '}');
    }
    buf_addf(out, ",\"elapsed_s\":%.3f,\"durable\":true", (double)elapsed_ms(job, now_ms) / 1e3);
    add_json(out, "labels", job->labels, "[]");
    buf_addf(out, ",\"priority\":%d", job->priority);
    add_options(out, job);
    add_notify(out, job);
    add_json(out, "errors", job->errors, "{}");
    add_text(out, "reason", job->reason);
    if (hint) add_text(out, "hint", hint);
    buf_addf(out, ",\"redrive_count\":%llu", (unsigned long long)job->redrives);
    add_time(out, "created_at", job->created_ms);
    add_time(out, "started_at", job->started_ms);
    add_time(out, "ended_at", job->ended_ms);
    buf_add_char(out, '}');
}

static void add_outcome(struct buf *out, const struct stored_job *job, const char *status, const char *reason,
                        const char *hint)
{
    struct sched_counts counts = counts_of(job);
    buf_addf(out, "\"status\":\"%s\"", status);
    if (reason) add_text(out, "reason", reason);
    if (hint) add_text(out, "hint", hint);
    buf_add_char(out, ',');
    status_write_counts(out, &counts);
}

static void add_stats(struct buf *out, const struct stored_job *job, int64_t now_ms)
{
    struct sched_counts counts = counts_of(job);
    status_write_stats(out, &counts, (double)elapsed_ms(job, now_ms) / 1e3);
}

static void write_end_line(struct buf *out, const struct stored_job *job, int64_t now_ms, const char *status,
                           const char *reason, const char *hint)
{
    buf_addf(out, "{\"type\":\"end\",\"id\":\"%s\",", job->id);
    add_outcome(out, job, status, reason, hint);
    buf_add_char(out, ',');
    add_stats(out, job, now_ms);
    buf_add_str(out, "}\n");
}

void job_document_write_end_line(struct buf *out, const struct stored_job *job, int64_t now_ms, const char *hint)
{
    write_end_line(out, job, now_ms, stored_state_name(job->state), job->reason, hint);
}

void job_document_write_removed_line(struct buf *out, const struct stored_job *job, int64_t now_ms)
{
    write_end_line(out, job, now_ms, "removed", removed_reason, NULL);
}

void job_document_write_head(struct buf *out, const struct stored_job *job, bool is_reduced, const char *hint)
{
    buf_addf(out, "{\"id\":\"%s\",", job->id);
    add_outcome(out, job, stored_state_name(job->state), job->reason, hint);
    if (is_reduced) add_json(out, "result", job->result, "null");
    buf_add_str(out, is_reduced ? ",\"errors\":[" : ",\"results\":[");
}

void job_document_write_result_line(struct buf *out, const struct stored_job *job)
{
    if (!job->result) return;
    buf_add_str(out, "{\"type\":\"result\",\"value\":");
    buf_add_str(out, job->result);
    buf_add_str(out, "}\n");
}

void job_document_write_tail(struct buf *out, const struct stored_job *job, int64_t now_ms)
{
    buf_add_str(out, "],");
    add_stats(out, job, now_ms);
    buf_add_str(out, "}\n");
}

void job_document_write_waiting_line(struct buf *out, const struct status_waiting *waiting)
{
    buf_add_str(out, "{\"type\":\"waiting\",");
    status_write_waiting(out, waiting);
    buf_add_str(out, "}\n");
}

void job_document_write_progress_line(struct buf *out, const struct stored_job *job)
{
    struct sched_counts counts = counts_of(job);
    buf_add_str(out, "{\"type\":\"progress\",");
    status_write_counts(out, &counts);
    buf_add_str(out, "}\n");
}
