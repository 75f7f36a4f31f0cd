#include "coordinator/job/reader.h"

#include "common/base/limits.h"
#include "common/net/media_type.h"
#include "common/observe/log.h"
#include "coordinator/job/job_internal.h"
#include "coordinator/job/job_text.h"
#include "protocol/protocol.h"

/* If a document is smaller than WHOLE_DOCUMENT_BYTES, it is sent in one piece with a Content-Length. The error log of a
 * reader keeps at most ERRORS_MEMORY_BYTES in memory. */
enum { WHOLE_DOCUMENT_BYTES = 64 * 1024, ERRORS_MEMORY_BYTES = 1024 * 1024 };
/* A pull stops reading answers when it has read this many bytes. A short entry can stand for many equal errors, so the
 * room in the send buffer does not limit how many answers a pull reads. */
enum { READ_BYTES = 1024 * 1024 };
/* If no other line is ready after this time, the start line is sent alone, so that the client knows the job's id. If
 * the job ends before this time, its answer is sent in one piece. */
#define START_ALONE_NS (NS_PER_S / 5)

static const char *const state_names[] = {
    [READER_IDLE] = "idle",     [READER_OPEN] = "open", [READER_RESULTS] = "results",
    [READER_ERRORS] = "errors", [READER_TAIL] = "tail", [READER_DONE] = "done",
};
static_assert(ARRAY_SIZE(state_names) == READER_STATE_COUNT, "one name per state");

static void move(struct reader *r, enum reader_state to)
{
    log_debug("reader moved", LOG_STR("job", r->job->id), LOG_STR("from", state_names[r->state]),
              LOG_STR("to", state_names[to]));
    r->state = to;
}

/* Stores an error that was found among the results, for the member "errors" of the JSON document. */
static bool keep_error(void *data, uint64_t index, const char *line, size_t len)
{
    struct reader *r = data;
    return error_log_add(&r->errors, index, 1, line, len);
}

bool reader_takes_lines(const struct http_exchange *x)
{
    return media_type_prefers(http_exchange_header(x, "Accept"), MEDIA_NDJSON, MEDIA_JSON);
}

struct reader *reader_new(struct job *j, struct http_exchange *x)
{
    struct reader *r = xcalloc(1, sizeof *r);
    r->job = j;
    r->exchange = x;
    r->ndjson = reader_takes_lines(x);
    r->last_output_ns = r->last_progress_ns = now_ns();
    error_log_init(&r->errors, &j->jobs->spill, ERRORS_MEMORY_BYTES);
    list_push_back(&j->readers, &r->link);
    return r;
}

void reader_free(struct reader *r)
{
    if (!r) return;
    list_remove(&r->job->readers, &r->link);
    wheel_remove(&r->due);
    error_log_release(&r->errors);
    buf_release(&r->pending);
    free(r);
}

/* Pulling. */

static size_t copy_result(struct reader *r, char *dst, size_t cap)
{
    struct json_slice *value = &r->result.value;
    size_t n = value->len < cap ? value->len : cap;
    memcpy(dst, value->data, n);
    value->data += n;
    value->len -= n;
    return n;
}

static size_t copy_pending(struct reader *r, char *dst, size_t cap)
{
    size_t end = r->result.value.len ? r->result.at : r->pending.len;
    size_t n = bytes_copy_next(dst, cap, r->pending.data, end, &r->pending_at);
    if (r->pending_at == end && end < r->pending.len && n < cap && r->result.value.len) {
        n += copy_result(r, dst + n, cap - n);
        return n < cap ? n + copy_pending(r, dst + n, cap - n) : n;
    }
    if (r->pending_at == r->pending.len) {
        buf_clear(&r->pending);
        r->pending_at = 0;
    }
    return n;
}

/* Begins a part of the answer. `from` has the lines of this part. */
static void begin_part(struct reader *r, const struct answer_source *from, enum result_format format)
{
    r->source = *from;
    result_writer_init(&r->writer, format);
    r->writer.runs = r->job->spec.errors == ERRORS_RUNS;
    r->writer.alone_left = (uint64_t)r->job->jobs->config->max_unanswered_errors;
    r->writer.on_error = keep_error;
    r->writer.data = r;
}

/* Returns whether this pull may read more answers. A pull that has written nothing may always read more, because it
 * must not return 0 bytes if there are more answers. */
static bool may_read(const struct reader *r, size_t written)
{
    return written == 0 || r->read_bytes < READ_BYTES;
}

/* Fills dst with answers, and with control lines between them, until dst is full, no answer can be read now, or this
 * pull has read enough. Sets *dry to true if no answer can be read now. Returns -1 when the disk failed. */
static ssize_t pull_answers(struct reader *r, char *dst, size_t cap, bool *dry)
{
    struct answer_run run;
    bool failed = false;
    size_t total = 0;
    *dry = false;
    while (total < cap && may_read(r, total)) {
        if (r->ndjson && !r->writer.in_line && r->pending.len) total += copy_pending(r, dst + total, cap - total);
        if (total == cap) break;
        if (!answer_source_peek(&r->source, &run, &failed)) {
            *dry = true;
            break;
        }
        struct result_written n = result_writer_write_run(&r->writer, &run, dst + total, cap - total);
        total += n.bytes;
        if (n.lines) answer_source_consume(&r->source, n.lines, n.line_bytes);
        r->read_bytes += n.line_bytes;
        if (r->writer.failed) return -1;
    }
    return failed ? -1 : (ssize_t)total;
}

/* Call it when all answers of the job have been written. The errors that were found among the answers are written
 * next. */
static void turn_to_errors(struct reader *r)
{
    if (job_is_reduced(r->job)) return; /* the only lines of a reduced job are errors */
    const struct answer_source errors = error_log_source(&r->errors);
    buf_add_str(&r->pending, "],\"errors\":[");
    begin_part(r, &errors, RESULTS_ERRORS);
}

/* Writes the next part of the document. `dst` must have room. Returns how many bytes it wrote to dst, or -1 when the
 * disk failed. */
static ssize_t step_document(struct reader *r, char *dst, size_t cap)
{
    bool dry;
    ssize_t n = 0;
    switch (r->state) {
    case READER_IDLE:
    case READER_OPEN:
        r->result = job_write_document_head(r->job, &r->pending);
        move(r, READER_RESULTS);
        break;
    case READER_RESULTS:
        n = pull_answers(r, dst, cap, &dry);
        if (n < 0 || !dry) return n;
        turn_to_errors(r);
        move(r, READER_ERRORS);
        break;
    case READER_ERRORS:
        n = pull_answers(r, dst, cap, &dry);
        if (n < 0 || !dry) return n;
        job_write_document_tail(r->job, &r->pending);
        move(r, READER_TAIL);
        break;
    case READER_TAIL:
        if (!r->pending.len) move(r, READER_DONE);
        break;
    case READER_DONE:
    case READER_STATE_COUNT: break;
    }
    return n;
}

static ssize_t pull_document(struct reader *r, char *dst, size_t cap)
{
    size_t total = copy_pending(r, dst, cap);
    if (!job_has_all_answers(r->job)) return total ? (ssize_t)total : HTTP_PULL_WAIT;
    r->read_bytes = 0;
    while (total < cap && r->state != READER_DONE && may_read(r, total)) {
        ssize_t n = step_document(r, dst + total, cap - total);
        if (n < 0) return HTTP_PULL_ABORT;
        total += (size_t)n;
        total += copy_pending(r, dst + total, cap - total);
    }
    return total ? (ssize_t)total : HTTP_PULL_END;
}

static ssize_t pull_stream(struct reader *r, char *dst, size_t cap)
{
    bool dry;
    r->read_bytes = 0;
    ssize_t total = pull_answers(r, dst, cap, &dry);
    if (total < 0) return HTTP_PULL_ABORT;
    if (dry && !r->pending.len && job_has_all_answers(r->job) && r->state == READER_OPEN) {
        r->result = job_write_end_lines(r->job, &r->pending);
        move(r, READER_TAIL);
        total += (ssize_t)copy_pending(r, dst + total, cap - (size_t)total);
    }
    if (total == 0) return r->state == READER_TAIL ? HTTP_PULL_END : HTTP_PULL_WAIT;
    r->last_output_ns = now_ns();
    return total;
}

ssize_t reader_pull(struct reader *r, char *dst, size_t cap)
{
    ssize_t n = r->ndjson ? pull_stream(r, dst, cap) : pull_document(r, dst, cap);
    if (r->job->paused) job_pause_or_resume(r->job);
    return n;
}

/* The times at which control lines are due. */

static uint64_t heartbeat_ns(const struct reader *r)
{
    return r->last_output_ns + (uint64_t)(r->job->jobs->config->heartbeat_s * 1e9);
}

static uint64_t progress_ns(const struct reader *r)
{
    uint64_t every_ns = (uint64_t)(r->job->spec.progress_s * 1e9);
    return r->ndjson && every_ns ? r->last_progress_ns + every_ns : UINT64_MAX;
}

static uint64_t start_alone_ns(const struct reader *r)
{
    return r->ndjson && r->state == READER_IDLE ? r->last_output_ns + START_ALONE_NS : UINT64_MAX;
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* Sets when reader_tick() is called next. Each output postpones the next heartbeat, but outputs are frequent, so they
 * do not call this function. Therefore reader_tick() may be called too early; it then calls this function again. */
static void set_due(struct reader *r)
{
    uint64_t due_ns = earlier(heartbeat_ns(r), earlier(progress_ns(r), start_alone_ns(r)));
    wheel_set(&r->job->jobs->readers, &r->due, due_ns);
}

/* Beginning. */

/* Puts the start line before the control lines that are already pending. */
static void add_start_line(struct reader *r)
{
    struct buf lines = {0};
    buf_addf(&lines, "{\"type\":\"start\",\"id\":\"%s\"}\n", r->job->id);
    if (r->pending.len) buf_add(&lines, r->pending.data, r->pending.len);
    buf_release(&r->pending);
    r->pending = lines;
}

static void start_streaming(struct reader *r)
{
    move(r, READER_OPEN);
    if (r->ndjson) add_start_line(r);
    http_answer_stream(r->exchange, 200, r->ndjson ? TYPE_NDJSON : TYPE_JSON);
}

void reader_open(struct reader *r, const struct answer_source *source)
{
    enum result_format json = job_is_reduced(r->job) ? RESULTS_ERRORS : RESULTS_JSON;
    begin_part(r, source, r->ndjson ? RESULTS_NDJSON : json);
    if (job_has_all_answers(r->job)) {
        reader_finish(r);
        return;
    }
    set_due(r);
    reader_wake(r);
}

/* A stream of lines begins when there is something to send. A JSON document begins when the job ends. */
void reader_wake(struct reader *r)
{
    if (!r->source.ops || r->state == READER_DONE) return;
    if (r->state == READER_IDLE) {
        bool any = r->pending.len || job_has_all_answers(r->job) || answer_source_unread_bytes(&r->source) > 0;
        if (!r->ndjson || !any) return;
        start_streaming(r);
    }
    http_exchange_wake(r->exchange);
}

/* The end. */

/* Sends a small document in one piece. A document can turn out to be large while it is written, because one line may
 * stand for millions of items. A document that turns out to be large is streamed. */
static void answer_whole(struct reader *r)
{
    enum { HEAD_AND_TAIL_BYTES = 1024 };
    struct buf document = {0};
    size_t likely = (size_t)answer_source_unread_bytes(&r->source) + HEAD_AND_TAIL_BYTES;
    ssize_t n = 0;
    while (document.len < WHOLE_DOCUMENT_BYTES) {
        bool is_full = document.len == document.alloc;
        if (is_full && !buf_reserve(&document, likely)) BUG("a buffer without a cap refused");
        n = pull_document(r, document.data + document.len, document.alloc - document.len);
        if (n <= 0) break;
        document.len += (size_t)n;
    }
    if (n == HTTP_PULL_END) {
        http_answer(r->exchange, 200, TYPE_JSON, document.data, document.len);
    } else if (n <= 0) {
        http_answer_problem(r->exchange, 500, NULL, "the answers could not be read back");
    } else {
        r->result.at += document.len - r->pending_at;
        buf_add(&document, r->pending.data + r->pending_at, r->pending.len - r->pending_at);
        buf_release(&r->pending);
        r->pending = document;
        r->pending_at = 0;
        http_answer_stream(r->exchange, 200, TYPE_JSON);
        return;
    }
    buf_release(&document);
}

static void answer_no_workers(struct reader *r)
{
    const struct job *j = r->job;
    const struct jobs *jobs = j->jobs;
    bool no_task = j->task_fault && j->outcome.reason == j->task_fault;
    char sentence[120], why[1200];
    snprintf(sentence, sizeof sentence, "%s for %g seconds",
             no_task ? "the job had no suitable worker" : j->outcome.reason, jobs->config->worker_wait_s);
    if (no_task)
        snprintf(why, sizeof why, "%s: %s", sentence, j->outcome.reason);
    else
        worker_fleet_explain(jobs->fleet, sentence, why, sizeof why);
    http_exchange_set_header(r->exchange, "Retry-After", "10");
    http_answer_problem(r->exchange, 503, NULL, "%s", why);
}

void reader_finish(struct reader *r)
{
    const struct job *j = r->job;
    if (!r->source.ops) return; /* the body is still arriving; reader_open() calls this function again */
    if (r->ndjson || r->state != READER_IDLE)
        reader_wake(r);
    else if (j->outcome.no_workers && !j->outcome.delivered)
        answer_no_workers(r);
    else if (j->disk_failed)
        http_answer_problem(r->exchange, 507, NULL, "%s", j->failure);
    else if (answer_source_unread_bytes(&r->source) < WHOLE_DOCUMENT_BYTES)
        answer_whole(r);
    else
        start_streaming(r);
}

/* Control lines. */

void reader_waiting(struct reader *r)
{
    struct status_waiting waiting = job_waits_for(r->job);
    if (!r->ndjson || !waiting.reason) return;
    buf_add_str(&r->pending, "{\"type\":\"waiting\",");
    status_write_waiting(&r->pending, &waiting);
    buf_add_str(&r->pending, "}\n");
    reader_wake(r);
}

static void add_heartbeat(struct reader *r, uint64_t now)
{
    buf_add_str(&r->pending, r->ndjson ? "{\"type\":\"heartbeat\"}\n" : "\n");
    r->last_output_ns = now;
    if (!r->ndjson && r->state == READER_IDLE) start_streaming(r);
}

static bool add_control_line(struct reader *r, uint64_t now)
{
    if (now >= progress_ns(r)) {
        job_write_progress(r->job, &r->pending);
        r->last_progress_ns = now;
    } else if (now >= heartbeat_ns(r)) {
        add_heartbeat(r, now);
    } else if (now >= start_alone_ns(r)) {
        start_streaming(r);
    } else {
        return false;
    }
    return true;
}

/* While a control line waits for a slow client, no further control line is added. */
void reader_tick(struct reader *r, uint64_t now)
{
    if (job_has_all_answers(r->job)) return;
    if (!r->pending.len && add_control_line(r, now)) reader_wake(r);
    set_due(r);
}
