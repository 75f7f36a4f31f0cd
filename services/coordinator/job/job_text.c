#include "coordinator/job/job_text.h"

#include "coordinator/job/job_internal.h"

static void write_stats(const struct job *j, struct buf *out)
{
    double seconds = (double)(now_ns() - j->started_ns) / 1e9;
    buf_addf(out, "\"stats\":{\"elapsed_s\":%.6f,\"items_per_s\":%.1f}", seconds,
             seconds > 0 ? (double)j->outcome.counts.total / seconds : 0.0);
}

static void write_outcome(const struct job *j, struct buf *out)
{
    bool failed = j->failure[0] != '\0';
    buf_addf(out, "\"status\":\"%s\",", failed ? "failed" : sched_status_name(j->outcome.status));
    if (failed || (j->outcome.status != SCHED_SUCCEEDED && j->outcome.reason)) {
        const char *reason = failed ? j->failure : j->outcome.reason;
        buf_add_str(out, "\"reason\":");
        buf_add_json_string(out, reason, strlen(reason));
        buf_add_char(out, ',');
    }
    if (j->drained && !failed && j->outcome.status == SCHED_CANCELLED) buf_add_str(out, "\"draining\":true,");
    const char *hint = job_hint(j);
    if (hint) buf_addf(out, "\"hint\":\"%s\",", hint);
    status_write_counts(out, &j->outcome.counts);
}

static void write_reduced(const struct job *j, struct buf *out)
{
    if (j->failure[0] || !fold_result(&j->fold, out)) buf_add_str(out, "null");
}

void job_write_document_head(const struct job *j, struct buf *out)
{
    buf_addf(out, "{\"id\":\"%s\",", j->id);
    write_outcome(j, out);
    if (!job_is_reduced(j)) {
        buf_add_str(out, ",\"results\":[");
        return;
    }
    buf_add_str(out, ",\"result\":");
    write_reduced(j, out);
    buf_add_str(out, ",\"errors\":[");
}

void job_write_document_tail(const struct job *j, struct buf *out)
{
    buf_add_str(out, "],");
    write_stats(j, out);
    buf_add_str(out, "}\n");
}

void job_write_end_lines(const struct job *j, struct buf *out)
{
    if (job_is_reduced(j) && !j->failure[0]) {
        buf_add_str(out, "{\"type\":\"result\",\"value\":");
        write_reduced(j, out);
        buf_add_str(out, "}\n");
    }
    buf_addf(out, "{\"type\":\"end\",\"id\":\"%s\",", j->id);
    write_outcome(j, out);
    buf_add_char(out, ',');
    write_stats(j, out);
    buf_add_str(out, "}\n");
}

void job_write_progress(const struct job *j, struct buf *out)
{
    struct status_job now = job_status(j);
    buf_add_str(out, "{\"type\":\"progress\",");
    status_write_counts(out, &now.counts);
    if (now.eta_ns) buf_addf(out, ",\"eta_s\":%.3f", (double)now.eta_ns / 1e9);
    buf_add_str(out, "}\n");
}
