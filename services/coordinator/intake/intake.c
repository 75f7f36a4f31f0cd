#include "coordinator/intake/intake_internal.h"

#include <stdarg.h>

#include "common/base/limits.h"
#include "common/observe/log.h"
#include "common/observe/utc_time.h"
#include "common/observe/uuid.h"
#include "coordinator/durable/job_document.h"
#include "coordinator/durable/unaccepted_jobs.h"
#include "coordinator/intake/request_key.h"
#include "coordinator/job/job_request.h"
#include "coordinator/job/job_tasks.h"
#include "coordinator/job/job_trace.h"
#include "protocol/protocol.h"

/* When the collected items have this many bytes, they are stored as a block. */
enum { BLOCK_BYTES = 1024 * 1024 };
/* The upload pauses while this many bytes wait for the store. If the memory for items runs low, the upload pauses
 * earlier. */
enum { OPEN_BYTES = 8 * 1024 * 1024 };

enum intake_state {
    INTAKE_OPEN,
    INTAKE_ASKING,
    INTAKE_STORING,
    INTAKE_DISCARDING,
    INTAKE_ANSWERED,
    INTAKE_STATE_COUNT
};

static const char *const state_names[] = {[INTAKE_OPEN] = "open",
                                          [INTAKE_ASKING] = "asking",
                                          [INTAKE_STORING] = "storing",
                                          [INTAKE_DISCARDING] = "discarding",
                                          [INTAKE_ANSWERED] = "answered"};
static_assert(ARRAY_SIZE(state_names) == INTAKE_STATE_COUNT, "one name per state");

struct job_intake {
    struct durable *durable;
    struct http_exchange *exchange; /* NULL after the exchange is over */
    enum intake_state state;
    char id[UUID_TEXT_SIZE];
    struct splitter splitter;
    struct jobspec spec;
    struct survey_question *question;
    struct request_key key;
    struct preferences prefer;
    struct trace_scope trace;   /* the trace of the request; it ends when the request is answered */
    uint64_t items;             /* number of items in the blocks so far */
    uint64_t blocks;            /* number of blocks so far */
    unsigned calls;             /* number of open calls */
    size_t open_bytes;          /* bytes of the blocks that the store has not answered yet */
    size_t counted;             /* bytes of the splitter, plus open_bytes, as counted in jobs->item_memory */
    enum job_likeness likeness; /* what the only item looks like; LIKE_NOTHING if the item is already stored */
    bool added;                 /* ADD_JOB was started */
    bool settled;               /* the store has accepted the job, or the job is being removed */
    int failed_status;          /* the HTTP status to answer after a failed call to the store; 0: no call has failed */
    char error[256];            /* the error of the first failed call */
    char existing[STORE_ID_SIZE]; /* the job with the same key; "": there is none */
};

static void move(struct job_intake *t, enum intake_state to)
{
    if (t->state == to) return;
    log_debug("intake moved", LOG_STR("job", t->id), LOG_STR("from", state_names[t->state]),
              LOG_STR("to", state_names[to]));
    t->state = to;
}

/* Charges the memory of the upload to the budget that all jobs share. */
static void count_memory(struct job_intake *t)
{
    size_t held = splitter_held(&t->splitter) + t->open_bytes;
    memory_budget_count(&t->durable->jobs->item_memory, held, t->counted);
    t->counted = held;
}

/* The end of an intake. */

static struct store_call *new_call(struct job_intake *t, enum store_op op, void (*done)(struct store_call *call))
{
    struct store_call *call = store_call_new(op, done, t);
    snprintf(call->job.id, sizeof call->job.id, "%s", t->id);
    return call;
}

/* If ADD_JOB was started but the job has not been accepted, removes the job and its items from the store. */
static void remove_job(struct job_intake *t)
{
    if (!t->added || t->settled || t->existing[0]) return;
    t->settled = true;
    unaccepted_jobs_add(t->durable, t->id);
}

static void free_when_over(struct job_intake *t)
{
    if (t->exchange || t->calls > 0) return;
    if (t->question) survey_question_drop(&t->durable->jobs->fleet->survey, t->question);
    remove_job(t);
    splitter_release(&t->splitter);
    count_memory(t);
    jobspec_release(&t->spec);
    request_key_release(&t->key);
    job_trace_end_request(&t->trace, 0, NULL);
    free(t);
}

static void refuse(struct job_intake *t, int status, const char *members, const char *detail_fmt, ...)
    PRINTF_LIKE(4, 5);

static void refuse(struct job_intake *t, int status, const char *members, const char *detail_fmt, ...)
{
    char detail[512];
    va_list args;
    if (t->state == INTAKE_ANSWERED) return;
    move(t, INTAKE_ANSWERED);
    va_start(args, detail_fmt);
    vsnprintf(detail, sizeof detail, detail_fmt, args);
    va_end(args);
    if (t->exchange && (status == 503 || status == 409)) http_exchange_set_header(t->exchange, "Retry-After", "1");
    if (t->exchange) http_answer_problem(t->exchange, status, members, "%s", detail);
    job_trace_end_request(&t->trace, status, NULL);
    if (t->calls == 0) remove_job(t);
}

static void refuse_at(struct job_intake *t, int status, const char *pointer, const char *detail)
{
    struct buf members = {0};
    buf_add_str(&members, "\"pointer\":");
    buf_add_json_string(&members, pointer, strlen(pointer));
    refuse(t, status, buf_cstr(&members), "%s", detail);
    buf_release(&members);
}

static void refuse_failed(struct job_intake *t)
{
    refuse(t, t->failed_status, NULL, "the job store did not accept the job: %s", t->error);
}

/* Call it when a call to the store has failed. After ACCEPT has been started, only its result decides whether the job
 * is refused. */
static void note_failure(struct job_intake *t, const struct store_call *call)
{
    if (t->failed_status) return;
    t->failed_status = call->status == STORE_FULL ? 507 : call->status == STORE_AWAY ? 503 : 500;
    snprintf(t->error, sizeof t->error, "%s", call->error);
    if (t->state == INTAKE_OPEN || t->state == INTAKE_ASKING) refuse_failed(t);
}

/* The blocks. */

static void on_added(struct store_call *call)
{
    struct job_intake *t = call->data;
    t->calls--;
    if (call->status == STORE_EXISTS) {
        snprintf(t->existing, sizeof t->existing, "%s", call->found.id);
    } else if (call->status != STORE_OK) {
        note_failure(t, call);
    }
    store_call_free(call);
    free_when_over(t);
}

static void on_block_added(struct store_call *call)
{
    struct job_intake *t = call->data;
    t->calls--;
    t->open_bytes -= call->block.lines.len;
    count_memory(t);
    if (call->status != STORE_OK && !t->existing[0]) note_failure(t, call);
    store_call_free(call);
    if (t->exchange) http_exchange_wake(t->exchange);
    free_when_over(t);
}

static void add_job(struct job_intake *t)
{
    struct store_call *call = new_call(t, STORE_ADD_JOB, on_added);
    call->job.key = t->key.key ? xstrdup(t->key.key) : NULL;
    t->added = true;
    t->calls++;
    store_start(t->durable->store, call);
}

/* Makes a block of the items that have been split so far, and stores the block. If the key belongs to another job,
 * drops the items instead. */
static void add_block(struct job_intake *t)
{
    uint64_t n = t->splitter.items_in_buf;
    if (n == 0) return;
    if (t->existing[0]) {
        buf_clear(&t->splitter.items);
        t->splitter.items_in_buf = 0;
        return;
    }
    if (!t->added) add_job(t);
    struct store_call *call = new_call(t, STORE_ADD_BLOCK, on_block_added);
    call->block.kind = BLOCK_ITEMS;
    call->block.ranges = xcalloc(1, sizeof *call->block.ranges);
    call->block.ranges[0] = (struct block_range){t->items, n, false};
    call->block.range_count = 1;
    call->block.lines = t->splitter.items;
    t->splitter.items = (struct buf){0};
    t->splitter.items_in_buf = 0;
    t->items += n;
    t->blocks++;
    t->open_bytes += call->block.lines.len;
    t->calls++;
    store_start(t->durable->store, call);
}

/* The acceptance. */

/* If the client waits for the end of the job, d->wait() takes ownership of the exchange, and the intake no longer has
 * one. */
static void answer_accepted(struct job_intake *t, const struct stored_job *job)
{
    struct durable *d = t->durable;
    struct http_exchange *x = t->exchange;
    if (t->state == INTAKE_ANSWERED) return;
    move(t, INTAKE_ANSWERED);
    job_trace_end_request(&t->trace, x && t->prefer.wait_s == 0 ? 202 : 0, job->id);
    if (!x) return;
    if (t->prefer.wait_s == 0) {
        intake_answer_accepted(x, job, &t->prefer, t->likeness);
        return;
    }
    t->exchange = NULL;
    d->wait(d->data, x, job, &t->prefer, t->likeness);
}

/* Answers a request whose key was used before. */
static void on_existing_read(struct store_call *call)
{
    struct job_intake *t = call->data;
    const struct stored_job *job = &call->found;
    bool is_there = call->status == STORE_OK;
    t->calls--;
    if (call->status == STORE_NOT_FOUND || (is_there && job->state == STORED_RECEIVING)) {
        refuse(t, 409, NULL,
               "another request with this Idempotency-Key is still being received, or has just failed; send this "
               "request again");
    } else if (!is_there) {
        note_failure(t, call);
        refuse_failed(t);
    } else if (!job->key_digest || strcmp(job->key_digest, t->key.digest) != 0) {
        refuse(t, 422, NULL, "this Idempotency-Key was used for another job (%s)", job->id);
    } else {
        answer_accepted(t, job);
    }
    store_call_free(call);
    free_when_over(t);
}

/* Reads the state of the job that has the same key. While this request was being received, the earlier request may have
 * been accepted, or may have failed. */
static void read_existing(struct job_intake *t)
{
    struct store_call *call = store_call_new(STORE_READ_JOB, on_existing_read, t);
    snprintf(call->job.id, sizeof call->job.id, "%s", t->existing);
    t->calls++;
    store_start(t->durable->store, call);
}

static void on_discarded(struct store_call *call)
{
    struct job_intake *t = call->data;
    t->calls--;
    if (call->status == STORE_CONFLICT) {
        answer_accepted(t, &call->found);
    } else if (call->status == STORE_OK || call->status == STORE_NOT_FOUND) {
        refuse_failed(t);
    } else {
        refuse(t, 503, NULL,
               "the job store does not answer (%s), so the job may or may not have been accepted; a request with the "
               "same Idempotency-Key finds the job if it was accepted",
               t->error);
        unaccepted_jobs_add(t->durable, t->id);
    }
    store_call_free(call);
    free_when_over(t);
}

/* The job may have been accepted although the reply to ACCEPT was lost. The result of DISCARD shows whether the job was
 * accepted. */
static void discard(struct job_intake *t)
{
    move(t, INTAKE_DISCARDING);
    t->settled = true;
    t->calls++;
    store_start(t->durable->store, new_call(t, STORE_DISCARD, on_discarded));
}

static void on_accepted(struct store_call *call)
{
    struct job_intake *t = call->data;
    t->calls--;
    t->settled = call->status == STORE_OK;
    if (t->existing[0]) {
        read_existing(t);
    } else if (t->settled) {
        answer_accepted(t, &call->found);
    } else {
        note_failure(t, call);
        if (call->status == STORE_FULL || call->status == STORE_UNFIT || call->status == STORE_BROKEN)
            refuse_failed(t); /* the store has certainly committed nothing */
        else
            discard(t);
    }
    store_call_free(call);
    free_when_over(t);
}

static void accept_job(struct job_intake *t)
{
    move(t, INTAKE_STORING);
    t->likeness = job_likeness_of(&t->splitter);
    struct store_call *call = new_call(t, STORE_ACCEPT, on_accepted);
    struct stored_job *job = &call->job;
    intake_describe(job, t->exchange, &t->splitter, &t->spec, &t->durable->jobs->fleet->survey.catalog, &t->trace);
    store_hold(t->durable->store); /* all calls below share a commit */
    if (!t->added) add_job(t);
    add_block(t);
    if (!intake_makes_items(&t->spec)) job->items = t->items;
    job->item_blocks = t->blocks;
    request_key_finish(&t->key);
    if (t->key.digest) job->key_digest = xstrdup(t->key.digest);
    t->calls++;
    store_start(t->durable->store, call);
    durable_claim_soon(t->durable);
    store_let_go(t->durable->store);
}

/* The tasks. */

static bool tasks_are_there(void *data)
{
    struct job_intake *t = data;
    return job_tasks_fault(&t->durable->jobs->fleet->survey.catalog, &t->spec, NULL) == 0;
}

/* Called when the question to the workers has been answered. If no worker can be reached (`ok` is false), the job is
 * accepted anyway and waits for a worker. */
static void workers_answered(void *data, bool ok)
{
    struct job_intake *t = data;
    struct buf detail = {0};
    t->question = NULL;
    if (t->state != INTAKE_ASKING) return;
    int status = ok ? job_tasks_fault(&t->durable->jobs->fleet->survey.catalog, &t->spec, &detail) : 0;
    if (status)
        refuse_at(t, status, "/task", buf_cstr(&detail));
    else
        accept_job(t);
    buf_release(&detail);
}

static void check_tasks(struct job_intake *t)
{
    struct survey *survey = &t->durable->jobs->fleet->survey;
    if (!tasks_are_there(t)) t->question = survey_question_new(survey, tasks_are_there, workers_answered, t);
    if (t->question)
        move(t, INTAKE_ASKING);
    else
        accept_job(t);
}

/* The body. */

static void refuse_body(struct job_intake *t)
{
    struct buf members = {0}, detail = {0};
    int status = job_request_split_fault(&t->splitter.error, &members, &detail);
    refuse(t, status, buf_cstr(&members), "%s", buf_cstr(&detail));
    buf_release(&members);
    buf_release(&detail);
}

/* Splits the next piece of the body, and stores the items as a block when there are enough of them. If the memory for
 * items runs low, a smaller block is enough. */
static size_t on_body(struct http_exchange *x, const char *data, size_t len)
{
    struct job_intake *t = http_exchange_data(x);
    size_t share = jobs_item_share(t->durable->jobs, OPEN_BYTES);
    size_t most = share < LIMIT_PULL_BYTES ? share : LIMIT_PULL_BYTES, piece = len < most ? len : most;
    if (t->state != INTAKE_OPEN) return len;
    if (t->open_bytes >= share) return 0;
    const char *lack = intake_lacks_room(t->durable->jobs, &t->splitter, t->counted, piece);
    if (lack) refuse(t, 503, NULL, "%s", lack);
    if (lack) return len;
    request_key_add(&t->key, data, piece);
    if (splitter_feed(&t->splitter, data, piece) != SPLIT_OK)
        refuse_body(t);
    else if (t->splitter.items.len >= BLOCK_BYTES || splitter_held(&t->splitter) + t->open_bytes >= share)
        add_block(t);
    count_memory(t);
    return piece;
}

static void on_body_end(struct http_exchange *x)
{
    struct job_intake *t = http_exchange_data(x);
    struct jobspec_error err;
    if (t->state != INTAKE_OPEN) return;
    bool left_out = t->splitter.format == SPLIT_JOB && splitter_is_empty(&t->splitter);
    if (!left_out && splitter_finish(&t->splitter) != SPLIT_OK)
        refuse_body(t);
    else if (!intake_read_spec(t->exchange, t->durable, &t->splitter, t->splitter.items_seen, &t->spec, &err))
        refuse_at(t, err.status, err.pointer, err.detail);
    else
        check_tasks(t);
}

static void on_closed(struct http_exchange *x, enum http_closed how)
{
    struct job_intake *t = http_exchange_data(x);
    t->exchange = NULL;
    if (t->state == INTAKE_OPEN || t->state == INTAKE_ASKING) move(t, INTAKE_ANSWERED);
    free_when_over(t);
}

/* The request. */

void intake_handle(struct http_exchange *x, struct durable *d)
{
    static const struct http_exchange_ops ops = {.body = on_body, .body_end = on_body_end, .closed = on_closed};
    enum split_format format;
    struct jobspec_error err;
    if (!intake_admit(x, d, &format)) {
        job_trace_refused(d->jobs->trace, x);
        return;
    }
    struct job_intake *t = xcalloc(1, sizeof *t);
    t->durable = d;
    t->exchange = x;
    t->prefer = job_request_preferences(x);
    uuid7_new(t->id);
    job_request_begin_body(x, format, &t->splitter);
    request_key_begin(&t->key, x, (int)format);
    job_trace_begin(&t->trace, d->jobs->trace, x);
    http_exchange_accept(x, &ops, t);
    if (!t->splitter.has_options && !intake_read_spec(x, d, &t->splitter, true, &t->spec, &err))
        refuse_at(t, err.status, err.pointer, err.detail);
}
