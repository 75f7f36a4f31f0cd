#include "coordinator/job/reader.h"

#include "common/base/limits.h"
#include "coordinator/job/job.h"
#include "protocol/protocol.h"

/* A document whose answers are no more than this goes out in one piece, with its length. */
enum { WHOLE_DOCUMENT_BYTES = 64 * 1024, ERRORS_MEMORY_BYTES = 1024 * 1024 };

void job_output_init(struct job_output *o, const char *spill_dir)
{
    tape_init(&o->errors, spill_dir, ERRORS_MEMORY_BYTES);
}

void job_output_release(struct job_output *o)
{
    reduction_release(&o->reduction);
    tape_release(&o->errors);
    buf_release(&o->pending);
}

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
    status_write_counts(out, &j->outcome.counts);
}

/* The document's errors, one {"index":N,"error":{...}} each. */
static bool keep_error(void *data, uint64_t index, const char *object, size_t len)
{
    struct job_output *o = data;
    char head[64];
    int n = snprintf(head, sizeof head, "%s{\"index\":%llu,\"error\":", tape_length(&o->errors) ? "," : "",
                     (unsigned long long)index);
    return tape_append(&o->errors, head, (size_t)n) && tape_append(&o->errors, object, len) &&
           tape_append(&o->errors, "}", 1);
}

static void reduce_line(struct job *j, uint64_t index, const char *line, size_t len)
{
    struct job_output *o = &j->output;
    struct answer_line parsed = answer_line_parse(line, len - 1, false);
    if (parsed.kind == ANSWER_VALUE) {
        reduction_add(&o->reduction, index, parsed.body, parsed.body_len);
    } else if (o->ndjson) {
        buf_addf(&o->pending, "{\"type\":\"error\",\"index\":%llu,", (unsigned long long)index);
        buf_add(&o->pending, line + 1, len - 1);
    } else if (!keep_error(o, index, parsed.body, parsed.body_len) && !j->failure[0]) {
        snprintf(j->failure, sizeof j->failure, "the errors could not be kept: %s", strerror(o->errors.file.error));
    }
}

/* The collector's bytes are lost to us: nothing sensible can follow. */
static void fail_on_read(struct job *j)
{
    if (!j->failure[0]) snprintf(j->failure, sizeof j->failure, "answers could not be read back from the disk");
    job_cancel(j, SCHED_FAILED, j->failure);
}

/* Folds what is there into the reduction; stops while a slow client has many error lines to take. */
static void reduce_available(struct job *j)
{
    struct collector_run run;
    enum collector_status status = COLLECTOR_OK;
    while (j->output.pending.len < MIB && collector_peek(j->collector, &run, &status)) {
        const char *at = run.bytes, *end = run.bytes + run.len;
        for (uint64_t i = 0; i < run.n; i++) {
            const char *newline = memchr(at, '\n', (size_t)(end - at));
            reduce_line(j, run.first + i, at, (size_t)(newline + 1 - at));
            if (!run.repeated) at = newline + 1;
        }
        collector_consume(j->collector, run.n, run.len);
    }
    if (status != COLLECTOR_OK) fail_on_read(j);
    if (!j->output.reduction.error[0] || j->failure[0]) return;
    snprintf(j->failure, sizeof j->failure, "%s", j->output.reduction.error);
    job_cancel(j, SCHED_FAILED, j->failure);
}

/* Bytes of `pending` first: they stand between two results. */
static size_t copy_pending(struct job_output *o, char *dst, size_t cap)
{
    size_t n = o->pending.len - o->pending_at < cap ? o->pending.len - o->pending_at : cap;
    if (n) memcpy(dst, o->pending.data + o->pending_at, n);
    o->pending_at += n;
    if (o->pending_at == o->pending.len) {
        buf_clear(&o->pending);
        o->pending_at = 0;
    }
    return n;
}

/* A run of one line that stands for many items goes out a line each. */
static struct result_written write_run(struct result_writer *w, const struct collector_run *run, char *dst, size_t cap)
{
    if (!run->repeated) return result_writer_write(w, run->first, run->bytes, run->len, dst, cap);
    struct result_written all = {0};
    while (all.lines < run->n && all.bytes < cap) {
        struct result_written one =
            result_writer_write(w, run->first + all.lines, run->bytes, run->len, dst + all.bytes, cap - all.bytes);
        all.bytes += one.bytes;
        all.lines += one.lines;
        if (!one.lines) break;
    }
    return all;
}

/* Fills dst with results until it is full or none is left; *ran_dry tells which. -1 when the disk failed. */
static ssize_t pull_results(struct job *j, char *dst, size_t cap, bool *ran_dry)
{
    struct job_output *o = &j->output;
    struct collector_run run;
    enum collector_status status = COLLECTOR_OK;
    size_t total = 0;
    *ran_dry = false;
    while (total < cap) {
        if (!o->writer.in_line && o->pending.len && o->ndjson) total += copy_pending(o, dst + total, cap - total);
        if (total == cap) break;
        if (!j->collector || !collector_peek(j->collector, &run, &status)) {
            *ran_dry = true;
            break;
        }
        struct result_written n = write_run(&o->writer, &run, dst + total, cap - total);
        total += n.bytes;
        if (n.lines) collector_consume(j->collector, n.lines, n.line_bytes);
        if (o->writer.failed) return -1;
    }
    return status == COLLECTOR_OK ? (ssize_t)total : -1;
}

static void write_document_head(struct job *j, struct buf *out)
{
    buf_addf(out, "{\"id\":\"%s\",", j->id);
    write_outcome(j, out);
    if (!j->output.reducing) {
        buf_add_str(out, ",\"results\":[");
        return;
    }
    buf_add_str(out, ",\"result\":");
    if (j->failure[0] || !reduction_result(&j->output.reduction, out)) buf_add_str(out, "null");
    buf_add_str(out, ",\"errors\":[");
}

static void write_document_tail(struct job *j, struct buf *out)
{
    buf_add_str(out, "],");
    write_stats(j, out);
    buf_add_str(out, "}\n");
}

/* The document: head, results, errors, tail. Its stages feed `pending`, or dst at once. */
static ssize_t pull_document(struct job *j, char *dst, size_t cap)
{
    struct job_output *o = &j->output;
    size_t total = copy_pending(o, dst, cap);
    if (j->state != JOB_ENDED) return total ? (ssize_t)total : HTTP_PULL_WAIT;
    while (total < cap && o->stage != OUTPUT_DONE) {
        bool dry = true;
        ssize_t n = 0;
        switch (o->stage) {
        case OUTPUT_HEAD:
            write_document_head(j, &o->pending);
            o->stage = o->reducing ? OUTPUT_ERRORS : OUTPUT_RESULTS;
            break;
        case OUTPUT_RESULTS:
            n = pull_results(j, dst + total, cap - total, &dry);
            if (n < 0) return HTTP_PULL_ABORT;
            if (dry) buf_add_str(&o->pending, "],\"errors\":[");
            if (dry) o->stage = OUTPUT_ERRORS;
            break;
        case OUTPUT_ERRORS:
            n = tape_read(&o->errors, o->errors_at, dst + total, cap - total);
            if (n < 0) return HTTP_PULL_ABORT;
            o->errors_at += (uint64_t)n;
            if (n == 0) write_document_tail(j, &o->pending);
            if (n == 0) o->stage = OUTPUT_TAIL;
            break;
        case OUTPUT_TAIL: o->stage = o->pending.len ? OUTPUT_TAIL : OUTPUT_DONE; break;
        case OUTPUT_DONE: break;
        }
        total += (size_t)n;
        total += copy_pending(o, dst + total, cap - total);
    }
    return total ? (ssize_t)total : HTTP_PULL_END;
}

static void write_end_lines(struct job *j)
{
    struct job_output *o = &j->output;
    if (o->reducing && !j->failure[0]) {
        buf_add_str(&o->pending, "{\"type\":\"result\",\"value\":");
        if (!reduction_result(&o->reduction, &o->pending)) buf_add_str(&o->pending, "null");
        buf_add_str(&o->pending, "}\n");
    }
    buf_addf(&o->pending, "{\"type\":\"end\",\"id\":\"%s\",", j->id);
    write_outcome(j, &o->pending);
    buf_add_char(&o->pending, ',');
    write_stats(j, &o->pending);
    buf_add_str(&o->pending, "}\n");
}

static ssize_t pull_stream(struct job *j, char *dst, size_t cap)
{
    struct job_output *o = &j->output;
    bool dry = true;
    ssize_t total = 0;
    if (o->reducing && j->collector) reduce_available(j);
    if (o->reducing)
        total = (ssize_t)copy_pending(o, dst, cap);
    else
        total = pull_results(j, dst, cap, &dry);
    if (total < 0) return HTTP_PULL_ABORT;
    if (dry && !o->pending.len && j->state == JOB_ENDED && o->stage == OUTPUT_HEAD) {
        write_end_lines(j);
        o->stage = OUTPUT_TAIL;
        total += (ssize_t)copy_pending(o, dst + total, cap - (size_t)total);
    }
    if (total > 0) {
        o->last_output_ns = now_ns();
        return total;
    }
    return o->stage == OUTPUT_TAIL ? HTTP_PULL_END : HTTP_PULL_WAIT;
}

ssize_t job_output_pull(struct job *j, char *dst, size_t cap)
{
    return j->output.ndjson ? pull_stream(j, dst, cap) : pull_document(j, dst, cap);
}

static void start_streaming(struct job *j)
{
    j->output.streaming = true;
    http_answer_stream(j->exchange, 200, j->output.ndjson ? TYPE_NDJSON : TYPE_JSON);
}

void job_output_begin(struct job *j)
{
    struct job_output *o = &j->output;
    o->last_output_ns = o->last_progress_ns = now_ns();
    o->reducing = j->spec.reduce != REDUCE_NONE;
    reduction_init(&o->reduction, j->spec.reduce, LIMIT_ANSWER_BYTES);
    result_writer_init(&o->writer, o->ndjson ? RESULTS_NDJSON : RESULTS_JSON);
    o->writer.on_error = keep_error;
    o->writer.data = o;
    if (j->state == JOB_ENDED)
        job_output_finish(j);
    else if (j->collector)
        job_output_wake(j);
}

/* The answer may have begun once the body is whole and not before; then the first bytes begin it. */
void job_output_wake(struct job *j)
{
    struct job_output *o = &j->output;
    if (!j->exchange || j->refused || j->state == JOB_RECEIVING || !o->last_output_ns) return;
    if (o->reducing && j->collector && j->state != JOB_ENDED) reduce_available(j);
    if (!o->ndjson && !o->streaming) return;
    bool more =
        o->pending.len || j->state == JOB_ENDED || (!o->reducing && j->collector && collector_added(j->collector));
    if (!o->streaming && more) start_streaming(j);
    if (o->streaming) http_exchange_wake(j->exchange);
}

static void answer_whole(struct job *j)
{
    struct buf document = {0};
    for (;;) {
        if (!buf_reserve(&document, WHOLE_DOCUMENT_BYTES)) BUG("an unbounded buffer refused");
        ssize_t n = pull_document(j, document.data + document.len, document.alloc - document.len);
        if (n == HTTP_PULL_END) break;
        if (n <= 0) {
            http_answer_problem(j->exchange, 500, NULL, "the answers could not be read back");
            break;
        }
        document.len += (size_t)n;
    }
    if (!http_exchange_answered(j->exchange)) http_answer(j->exchange, 200, TYPE_JSON, document.data, document.len);
    buf_release(&document);
}

void job_output_finish(struct job *j)
{
    struct job_output *o = &j->output;
    if (!o->last_output_ns) return; /* the body is still coming; job_output_begin() comes back here */
    while (o->reducing && !o->ndjson && j->collector &&
           collector_consumed(j->collector) < collector_added(j->collector) && !j->failure[0])
        reduce_available(j);
    if (o->ndjson || o->streaming) {
        if (!o->streaming) start_streaming(j);
        http_exchange_wake(j->exchange);
    } else if (j->outcome.no_workers && !j->outcome.delivered) {
        char sentence[120], why[640];
        snprintf(sentence, sizeof sentence, "%s for %g seconds", j->outcome.reason,
                 j->coordinator->config->worker_wait_s);
        connect_error_explain(&j->coordinator->fleet.connect_error, sentence, why, sizeof why);
        http_exchange_set_header(j->exchange, "Retry-After", "10");
        http_answer_problem(j->exchange, 503, NULL, "%s", why);
    } else if (j->spill.error || o->errors.file.error) {
        http_answer_problem(j->exchange, 507, NULL, "%s", j->failure);
    } else if (!j->collector ||
               collector_memory_bytes(j->collector) + collector_spilled_bytes(j->collector) < WHOLE_DOCUMENT_BYTES) {
        answer_whole(j);
    } else {
        start_streaming(j);
    }
}

static void write_progress(struct job *j)
{
    struct job_output *o = &j->output;
    struct sched_counts counts = j->sched ? sched_job_counts(j->sched) : j->outcome.counts;
    uint64_t eta_ns = j->sched ? sched_job_eta_ns(j->sched) : 0;
    buf_add_str(&o->pending, "{\"type\":\"progress\",");
    status_write_counts(&o->pending, &counts);
    if (eta_ns) buf_addf(&o->pending, ",\"eta_s\":%.3f", (double)eta_ns / 1e9);
    buf_add_str(&o->pending, "}\n");
}

void job_output_waiting(struct job *j, const char *reason)
{
    if (!j->output.ndjson) return;
    const char *detail = j->coordinator->fleet.connect_error.reason;
    buf_addf(&j->output.pending, "{\"type\":\"waiting\",\"reason\":\"%s\"", reason);
    if (detail[0]) {
        buf_add_str(&j->output.pending, ",\"detail\":");
        buf_add_json_string(&j->output.pending, detail, strlen(detail));
    }
    buf_add_str(&j->output.pending, "}\n");
    job_output_wake(j);
}

/* A client that takes nothing gets no more control lines than the one that waits. */
void job_output_tick(struct job *j, uint64_t now)
{
    struct job_output *o = &j->output;
    /* Before it has started it may still be refused. */
    if (!o->last_output_ns || !j->collector || j->state == JOB_ENDED || o->pending.len) return;
    uint64_t heartbeat_ns = (uint64_t)(j->coordinator->config->heartbeat_s * 1e9);
    uint64_t progress_ns = (uint64_t)(j->spec.progress_s * 1e9);
    if (o->ndjson && progress_ns && now - o->last_progress_ns >= progress_ns) {
        write_progress(j);
        o->last_progress_ns = now;
    } else if (now - o->last_output_ns >= heartbeat_ns) {
        buf_add_str(&o->pending, o->ndjson ? "{\"type\":\"heartbeat\"}\n" : "\n");
        o->last_output_ns = now;
        if (!o->ndjson && !o->streaming) start_streaming(j);
    } else if (o->streaming || !o->ndjson || now - o->last_output_ns < NS_PER_S / 5) {
        return;
    } else {
        start_streaming(j); /* the head at least, so that the client knows it was heard */
        http_exchange_send_head(j->exchange);
    }
    job_output_wake(j);
}
