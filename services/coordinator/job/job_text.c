#include "coordinator/job/job_text.h"

#include "coordinator/job/job_internal.h"

static void write_stats(const struct job *j, struct buf *out)
{
    status_write_stats(out, &j->outcome.counts, (double)(now_ns() - j->started_ns) / 1e9);
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

static struct job_result reduced(struct job *j, const struct buf *out)
{
    struct json_slice value = j->failure[0] ? (struct json_slice){"null", 4} : fold_result(&j->fold);
    return (struct job_result){value, out->len};
}

struct job_result job_write_document_head(struct job *j, struct buf *out)
{
    buf_addf(out, "{\"id\":\"%s\",", j->id);
    write_outcome(j, out);
    if (!job_is_reduced(j)) {
        buf_add_str(out, ",\"results\":[");
        return (struct job_result){0};
    }
    buf_add_str(out, ",\"result\":");
    struct job_result result = reduced(j, out);
    buf_add_str(out, ",\"errors\":[");
    return result;
}

void job_write_document_tail(const struct job *j, struct buf *out)
{
    buf_add_str(out, "],");
    write_stats(j, out);
    buf_add_str(out, "}\n");
}

struct job_result job_write_end_lines(struct job *j, struct buf *out)
{
    struct job_result result = {0};
    if (job_is_reduced(j) && !j->failure[0]) {
        buf_add_str(out, "{\"type\":\"result\",\"value\":");
        result = reduced(j, out);
        buf_add_str(out, "}\n");
    }
    buf_addf(out, "{\"type\":\"end\",\"id\":\"%s\",", j->id);
    write_outcome(j, out);
    buf_add_char(out, ',');
    write_stats(j, out);
    buf_add_str(out, "}\n");
    return result;
}

void job_write_progress(const struct job *j, struct buf *out)
{
    struct status_job now = job_status(j);
    buf_add_str(out, "{\"type\":\"progress\",");
    status_write_counts(out, &now.counts);
    if (now.eta_ns) buf_addf(out, ",\"eta_s\":%.3f", (double)now.eta_ns / 1e9);
    buf_add_str(out, "}\n");
}
