#include "coordinator/job/submission.h"

#include "common/base/limits.h"
#include "common/base/memory_room.h"
#include "common/net/prefer_header.h"
#include "common/observe/log.h"
#include "coordinator/job/job_internal.h"
#include "coordinator/job/job_request.h"
#include "coordinator/job/job_trace.h"
#include "protocol/protocol.h"

static const char *const state_names[] = {
    [SUBMISSION_OPEN] = "open",
    [SUBMISSION_WHOLE] = "whole",
    [SUBMISSION_REFUSED] = "refused",
};
static_assert(ARRAY_SIZE(state_names) == SUBMISSION_STATE_COUNT, "one name per state");

static void move(struct submission *s, enum submission_state to)
{
    if (s->state == to) return;
    log_debug("submission moved", LOG_STR("job", s->job->id), LOG_STR("from", state_names[s->state]),
              LOG_STR("to", state_names[to]));
    s->state = to;
}

/* Refusals. */

void submission_refuse(struct submission *s, int status, const char *members, const char *detail)
{
    move(s, SUBMISSION_REFUSED);
    reader_free(s->reader);
    s->reader = NULL;
    if (s->exchange && !http_exchange_answered(s->exchange))
        http_answer_problem(s->exchange, status, members, "%s", detail);
}

static void refuse_spec(struct job *j, const struct jobspec_error *err)
{
    struct buf members = {0};
    job_refuse(j, err->status, job_pointer_member(&members, err->pointer), "%s", err->detail);
    buf_release(&members);
}

static void refuse_body(struct job *j)
{
    struct buf members = {0}, detail = {0};
    int status = job_request_split_fault(&j->submission.splitter.error, &members, &detail);
    job_refuse(j, status, buf_cstr(&members), "%s", buf_cstr(&detail));
    buf_release(&members);
    buf_release(&detail);
}

/* The options. */

static bool read_spec(const struct submission *s, struct jobspec *spec, struct jobspec_error *err)
{
    if (!job_request_options(s->exchange, &s->splitter, spec, err)) return false;
    if (!spec->notify_url) return true;
    *err = (struct jobspec_error){
        400, "/notify",
        "only a durable job can notify: the coordinator needs --store, and the request needs the header Prefer: "
        "respond-async"};
    return false;
}

/* Moves `spec` into the job, and leaves `spec` empty. */
static void take_spec(struct job *j, struct jobspec *spec)
{
    jobspec_release(&j->spec);
    j->spec = *spec;
    *spec = (struct jobspec){0};
}

/* Call it when options have arrived after the job has started. Applies these options to the job. If one of these
 * options can no longer be changed, refuses the job. */
static void take_late_options(struct job *j, struct jobspec *late)
{
    const char *pointer = jobspec_changed_too_late(&j->spec, late);
    if (pointer) {
        struct buf members = {0};
        job_refuse(j, 400, job_pointer_member(&members, pointer),
                   "with more than %u bytes of items, this option must come before \"items\"", LIMIT_EARLY_START_BYTES);
        buf_release(&members);
        return;
    }
    take_spec(j, late);
    phase_update(&j->phase);
}

/* Starts the job before its whole body has arrived, if many items and enough options have arrived. Reading options can
 * take milliseconds, so they are read again only after more of them have arrived. */
static void start_early(struct job *j)
{
    struct submission *s = &j->submission;
    struct jobspec_error err;
    if (s->splitter.has_options) {
        struct jobspec spec;
        if (s->read_options_bytes == s->splitter.options.len) return;
        s->read_options_bytes = s->splitter.options.len;
        bool enough = read_spec(s, &spec, &err) && jobspec_finish(&spec, true, &err);
        if (enough) take_spec(j, &spec);
        jobspec_release(&spec);
        /* In a body that is a job object, more options may follow the items. In a body with its options on the first
         * line, no more options can follow. */
        if (!enough && s->splitter.format != SPLIT_JOB) refuse_spec(j, &err);
        if (!enough) return;
    }
    job_check_tasks(j);
}

/* The body. */

static void take_items(struct submission *s)
{
    uint64_t items = s->splitter.items_in_buf, bytes = s->splitter.items.len;
    if (!items) return;
    if (s->splitter.item_count == items) s->likeness = job_likeness_of(&s->splitter);
    spool_take(&s->spool, &s->splitter.items, items);
    s->splitter.items_in_buf = 0;
    phase_offer(&s->job->phase, items, bytes);
}

/* Starts the job early if possible. A job that has not started may buffer only a limited number of item bytes, and is
 * refused if it has more: a job with many items must send its options before the items. */
static void start_or_refuse(struct job *j)
{
    const struct submission *s = &j->submission;
    bool lines = s->splitter.format != SPLIT_JOB;
    if (j->state == JOB_NEW && s->spool.bytes >= (lines ? 1 : LIMIT_EARLY_START_BYTES)) start_early(j);
    if (j->state == JOB_NEW && s->spool.bytes >= LIMIT_UNSTARTED_BYTES)
        job_refuse(j, 413, "\"pointer\":\"/task\"",
                   "with more than %u bytes of items, \"task\" must come before \"items\"", LIMIT_UNSTARTED_BYTES);
}

/* Tells the budget of all jobs how much memory the items of this job use now. */
static void count_items(struct submission *s)
{
    size_t held = (size_t)s->spool.bytes + splitter_held(&s->splitter);
    memory_budget_count(&s->job->jobs->item_memory, held, s->counted_bytes);
    s->counted_bytes = held;
}

/* Returns how many bytes of unsent items a running job may hold. */
static uint64_t upload_share(const struct submission *s)
{
    return jobs_item_share(s->job->jobs, LIMIT_UNDISPATCHED_BYTES);
}

/* Returns whether the budget of all jobs has room for `growth` more bytes of this job. A running job whose upload can
 * pause may always grow, because its upload pauses when the job holds too much. An upload cannot pause in the middle of
 * a long item, because the job needs the rest of that item. */
static bool is_within_share(const struct job *j, size_t growth)
{
    const struct submission *s = &j->submission;
    bool pauses = j->state == JOB_RUNNING && s->splitter.partial.len < MEMORY_SMALL_BYTES;
    return pauses || jobs_have_item_room(j->jobs, s->counted_bytes, growth);
}

/* If the next `len` bytes may need more memory than is left, refuses the job and returns false. */
static bool has_room(struct job *j, size_t len)
{
    size_t growth = splitter_growth(&j->submission.splitter, len);
    if (!memory_has_room(growth)) {
        job_refuse(j, 503, NULL, "the coordinator has reached its memory limit, and this job needs more memory");
    } else if (!is_within_share(j, growth)) {
        http_exchange_set_header(j->submission.exchange, "Retry-After", "1");
        job_refuse(j, 503, NULL,
                   "the items of other jobs, which wait for workers, use up --item-memory-total-bytes; send the job "
                   "again later");
    } else {
        return true;
    }
    return false;
}

static size_t on_body(struct http_exchange *x, const char *data, size_t len)
{
    struct job *j = http_exchange_data(x);
    struct submission *s = &j->submission;
    if (s->state == SUBMISSION_REFUSED || j->state == JOB_ENDED) return len;
    if (j->state != JOB_NEW && s->spool.bytes >= upload_share(s)) return 0;
    size_t piece = len < LIMIT_PULL_BYTES ? len : LIMIT_PULL_BYTES;
    if (!has_room(j, piece)) return len;
    enum split_status status = splitter_feed(&s->splitter, data, piece);
    take_items(s);
    count_items(s);
    if (status != SPLIT_OK)
        refuse_body(j);
    else
        start_or_refuse(j);
    return piece;
}

/* Returns whether the body is empty. An empty body is allowed if the query parameters give all options. */
static bool body_is_left_out(const struct submission *s)
{
    return s->splitter.format == SPLIT_JOB && splitter_is_empty(&s->splitter);
}

/* The smallest size of a stored answer: {"value":0} and its newline. */
enum { LEAST_ANSWER_BYTES = 12 };

/* Returns how many bytes of answers a document may need until the job ends; 0: no limit. */
static uint64_t document_bytes(const struct jobs_config *c)
{
    return c->max_spill_bytes ? (uint64_t)c->max_spill_bytes + (uint64_t)c->result_memory_bytes : 0;
}

static void refuse_document(struct job *j, const char *why)
{
    struct buf members = {0};
    job_refuse(j, 400, job_pointer_member(&members, j->spec.source == SOURCE_SPANS ? "/spans" : "/range"),
               "a document with %llu results would be larger than %s; take a stream with the header Accept: "
               "application/x-ndjson, or use \"reduce\"",
               (unsigned long long)j->spec.generated_count, why);
    buf_release(&members);
}

/* Refuses a job if its answer is a document, and the number of its items alone shows that this document would be too
 * large. Streams and reductions are exempt: a stream is read while the job runs, and a reduction keeps only one
 * value. */
static bool refuse_large_document(struct job *j)
{
    uint64_t bytes = document_bytes(j->jobs->config), items = j->spec.generated_count;
    bool document = j->submission.exchange && !reader_takes_lines(j->submission.exchange);
    char why[100];
    if (!document || job_is_reduced(j)) return false;
    if (bytes > 0 && items > bytes / LEAST_ANSWER_BYTES)
        snprintf(why, sizeof why, "the coordinator can keep (%llu bytes, --max-spill-bytes)",
                 (unsigned long long)bytes);
    else if (items > LIMIT_DOCUMENT_RESULTS)
        snprintf(why, sizeof why, "any document may be (%u results)", LIMIT_DOCUMENT_RESULTS);
    else
        return false;
    refuse_document(j, why);
    return true;
}

/* Returns whether all options were read before the body ended. A body of lines has no options after its items. */
static bool options_are_known(const struct job *j)
{
    const struct splitter *s = &j->submission.splitter;
    bool no_more = s->format != SPLIT_JOB || j->submission.read_options_bytes == s->options.len;
    return j->state != JOB_NEW && no_more;
}

static void finish_options(struct job *j)
{
    struct jobspec_error err;
    struct jobspec spec = {0};
    if (options_are_known(j)) {
        if (j->state == JOB_RUNNING) phase_no_more_items(&j->phase);
    } else if (!read_spec(&j->submission, &spec, &err) ||
               !jobspec_finish(&spec, j->submission.splitter.items_seen, &err)) {
        refuse_spec(j, &err);
    } else if (j->state == JOB_RUNNING) {
        take_late_options(j, &spec);
        if (j->submission.state != SUBMISSION_REFUSED) phase_no_more_items(&j->phase);
    } else {
        take_spec(j, &spec); /* also done in state ASKING, because no item has been sent yet */
        if (!refuse_large_document(j) && j->state == JOB_NEW) job_check_tasks(j);
    }
    jobspec_release(&spec);
}

static void finish_body(struct job *j)
{
    struct submission *s = &j->submission;
    if (!has_room(j, 0)) return;
    enum split_status status = body_is_left_out(s) ? SPLIT_OK : splitter_finish(&s->splitter);
    take_items(s);
    count_items(s);
    if (status == SPLIT_OK)
        finish_options(j);
    else
        refuse_body(j);
}

static void on_body_end(struct http_exchange *x)
{
    struct job *j = http_exchange_data(x);
    struct submission *s = &j->submission;
    if (s->state == SUBMISSION_REFUSED) return;
    move(s, SUBMISSION_WHOLE);
    if (j->state != JOB_ENDED) finish_body(j);
    if (s->state == SUBMISSION_REFUSED) return;
    s->reader = reader_new(j, x);
    job_open_answers(j);
}

static ssize_t on_pull(struct http_exchange *x, char *dst, size_t cap)
{
    struct job *j = http_exchange_data(x);
    return reader_pull(j->submission.reader, dst, cap);
}

static void on_closed(struct http_exchange *x, enum http_closed how)
{
    struct job *j = http_exchange_data(x);
    struct submission *s = &j->submission;
    s->status = http_exchange_status(x);
    s->exchange = NULL;
    reader_free(s->reader);
    s->reader = NULL;
    if (how == HTTP_CLOSED_HANG_UP && j->phase.sched)
        log_info("client disconnected", LOG_STR("job", j->id), LOG_STR("trace_id", trace_scope_id(&j->trace)));
    job_client_gone(j);
}

void submission_drained(struct submission *s)
{
    count_items(s);
    if (s->state == SUBMISSION_OPEN && s->exchange && s->spool.bytes < upload_share(s)) http_exchange_wake(s->exchange);
}

void submission_job_ended(struct submission *s)
{
    if (s->exchange) http_exchange_wake(s->exchange);
}

void submission_release(struct submission *s)
{
    splitter_release(&s->splitter);
    spool_release(&s->spool);
    count_items(s);
}

/* The request. */

static bool admit(struct http_exchange *x, const struct jobs *jobs, enum split_format *format)
{
    if (!job_request_format(x, format)) return false;
    if (jobs->count >= (unsigned)jobs->config->max_jobs) {
        http_exchange_set_header(x, "Retry-After", "1");
        http_answer_problem(x, 429, NULL, "%u jobs are running, the most that this coordinator runs at once",
                            jobs->count);
        return false;
    }
    return true;
}

static void submission_init(struct submission *s, struct job *j, struct http_exchange *x, enum split_format format)
{
    int64_t announced = http_exchange_content_length(x);
    s->job = j;
    s->exchange = x;
    s->prefers_durable = job_request_prefers_durable(x);
    job_request_begin_body(x, format, &s->splitter);
    if (announced > 0) splitter_expect(&s->splitter, (size_t)announced);
}

void submission_handle(struct http_exchange *x, struct jobs *jobs)
{
    static const struct http_exchange_ops ops = {
        .body = on_body, .body_end = on_body_end, .pull = on_pull, .closed = on_closed};
    enum split_format format;
    struct jobspec_error err;
    if (!admit(x, jobs, &format)) {
        job_trace_refused(jobs->trace, x);
        return;
    }
    struct job *j = job_new(jobs);
    submission_init(&j->submission, j, x, format);
    job_trace_begin(&j->trace, jobs->trace, x);
    http_exchange_accept(x, &ops, j);
    if (j->submission.splitter.has_options) return;
    if (!read_spec(&j->submission, &j->spec, &err) || !jobspec_finish(&j->spec, true, &err)) refuse_spec(j, &err);
}
