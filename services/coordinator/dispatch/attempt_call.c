#include "coordinator/dispatch/attempt_call.h"

#include <inttypes.h>

#include "common/base/memory_room.h"
#include "common/base/hash.h"
#include "common/base/limits.h"
#include "common/observe/log.h"
#include "coordinator/answers/answer_reader.h"
#include "coordinator/answers/item_error.h"
#include "coordinator/dispatch/attempt_trace.h"
#include "coordinator/dispatch/refusal_text.h"
#include "coordinator/dispatch/worker_endpoint.h"
#include "coordinator/items/payload.h"
#include "coordinator/job/job.h"
#include "protocol/protocol.h"

#define CHUNK_NAME_SIZE 64 /* "<job>/<first index>" */

struct attempt_call {
    struct dispatcher *dispatcher;
    struct sched_attempt *attempt;
    struct phase *phase;
    struct http_call *http;
    struct answer_reader reader;
    struct buf problem; /* the body of an answer that refuses the items */
    const char *items;  /* borrowed from the chunk's payload, which outlives the attempt */
    size_t items_len;
    size_t header_at, items_at; /* how many bytes of the header and of the items were given to the HTTP client */
    size_t answer_bytes;
    int status;
    uint64_t token_age; /* token_age of the fleet when the request was sent */
    uint32_t expected;  /* how many answers the worker may still send */
    bool ended;         /* the end line was read; `end` is how the chunk ended */
    enum chunk_end end;
    const char *fault; /* what is wrong with the answer; NULL: nothing yet */
    bool dropping;     /* there was no memory for the answer, so the rest of it is dropped; the job fails or waits */
    bool cut_for_room; /* the job waits for memory, so this attempt ends */
    unsigned number;   /* Fantail-Attempt */
    char chunk[CHUNK_NAME_SIZE];
    struct attempt_trace trace;
};

static const enum sched_end ends[] = {
    [CHUNK_COMPLETE] = SCHED_END_COMPLETE,
    [CHUNK_DRAINING] = SCHED_END_DRAINING,
    [CHUNK_DEADLINE] = SCHED_END_DEADLINE,
};
static_assert(ARRAY_SIZE(ends) == CHUNK_END_COUNT, "one end of an attempt per end of a chunk");

/* Answers. */

static bool count_values(struct attempt_call *call, uint64_t n, struct sched_accept *accept)
{
    if (n > call->expected) {
        call->fault = "more answers came than items were sent";
        return false;
    }
    call->expected -= (uint32_t)n;
    *accept = sched_attempt_answered(call->attempt, (uint32_t)n, now_ns());
    *call->dispatcher->answers += accept->keep;
    return accept->keep > 0;
}

static size_t cut_lines(const char *lines, size_t len, uint32_t n)
{
    uint64_t counted;
    return lines_cut(lines, len, n, SIZE_MAX, &counted);
}

/* Passes the kept values on to the phase, one run of consecutive items at a time. accept->keep says how many values the
 * scheduler keeps. */
static void add_values(struct attempt_call *call, const struct sched_accept *accept, const char *lines, size_t len)
{
    for (uint32_t done = 0, n; done < accept->keep; done += n) {
        uint64_t first;
        uint32_t left = accept->keep - done;
        n = sched_chunk_run(call->attempt->chunk, accept->at + done, &first);
        n = n < left ? n : left;
        size_t size = n < left ? cut_lines(lines, len, n) : len;
        phase_add_values(call->phase, first, n, lines, size);
        lines += size;
        len -= size;
    }
}

static void on_values(void *data, uint64_t n, const char *lines, size_t len)
{
    struct attempt_call *call = data;
    struct sched_accept accept;
    if (!count_values(call, n, &accept)) return;
    size_t skip = accept.drop ? cut_lines(lines, len, accept.drop) : 0;
    add_values(call, &accept, lines + skip, len - skip);
}

static void on_value(void *data, struct buf *line)
{
    struct attempt_call *call = data;
    struct sched_accept accept;
    if (!count_values(call, 1, &accept)) return;
    phase_take_value(call->phase, sched_chunk_index(call->attempt->chunk, accept.at), line);
}

static void on_error(void *data, const struct answer_line *line, const char *bytes, size_t len)
{
    struct attempt_call *call = data;
    if (call->expected == 0) {
        call->fault = "more answers came than items were sent";
        return;
    }
    call->expected--;
    struct sched_item_verdict v = sched_attempt_item_error(call->attempt, line->error, now_ns());
    if (v.verdict != SCHED_ITEM_FINAL) return;
    ++*call->dispatcher->answers;
    struct buf out = {0};
    item_error_write(&out, line, v.attempts, http_call_header(call->http, HEADER_WORKER));
    phase_add_error(call->phase, v.index, 1, out.data, out.len);
    buf_release(&out);
}

static void on_chunk_end(void *data, const struct answer_line *line)
{
    struct attempt_call *call = data;
    call->ended = true;
    call->end = line->end;
}

static void on_cost(void *data, const struct chunk_cost *cost)
{
    struct attempt_call *call = data;
    sched_attempt_cost(call->attempt, cost->items, cost->slot_ns, cost->chunk_ns);
}

static void on_starting(void *data, uint64_t processes)
{
    struct attempt_call *call = data;
    call->phase->job->starting = processes;
    sched_attempt_starting(call->attempt, now_ns());
}

static const struct answer_reader_ops reader_ops = {on_values, on_value, on_error, on_chunk_end, on_cost, on_starting};

static bool on_body(void *data, const char *bytes, size_t len)
{
    struct attempt_call *call = data;
    if (call->fault) return false;
    if (call->status != 200) {
        buf_add(&call->problem, bytes, len); /* a problem that is too long is not read */
        return true;
    }
    call->answer_bytes += len;
    scheduler_timing_want(call->dispatcher->turn);
    if (!call->dropping && !memory_has_room(answer_reader_growth(&call->reader, len))) {
        call->dropping = true;
        call->cut_for_room = phase_lacks_memory(call->phase);
    }
    /* A lack of memory in the coordinator is not the worker's fault. If the job fails, the end of the job cuts off this
     * attempt. */
    if (call->dropping) return !call->cut_for_room;
    if (!answer_reader_feed(&call->reader, bytes, len) && !call->fault) call->fault = call->reader.fault;
    return !call->fault;
}

static unsigned header_number(struct http_call *http, const char *name)
{
    const char *text = http_call_header(http, name);
    unsigned long n = text ? strtoul(text, NULL, 10) : 0;
    return n > 1000000 ? 1000000 : (unsigned)n;
}

/* Returns whether an answer that does not name both its chunk and its attempt is accepted as the answer to this
 * attempt. */
static bool may_be_nameless(struct attempt_call *call, bool kept_connection)
{
    struct sched_endpoint *at = call->attempt->endpoint;
    if (!at || !kept_connection) return !kept_connection;
    if (!worker_endpoint_is_balancer(sched_endpoint_owner(at))) return false;
    /* Behind a load balancer, workers of two versions may answer, and the balancer itself may answer. */
    return call->status == 200 || sched_job_may_run_twice(call->attempt->chunk->job);
}

/* Returns whether the answer belongs to this attempt. A worker names the chunk and the attempt in the headers of its
 * answer. An unsolicited response can follow the answer to an earlier request on the same connection. An unsolicited
 * response does not show whether the worker runs this chunk, whatever status it has. Workers of older versions do not
 * name the chunk, so each of their connections is used only once. */
static bool is_answer_of_this(struct attempt_call *call, struct http_call *http)
{
    const char *chunk = http_call_header(http, HEADER_CHUNK), *attempt = http_call_header(http, HEADER_ATTEMPT);
    struct sched_endpoint *at = call->attempt->endpoint;
    bool named = chunk && attempt;
    /* A 503 with the chunk CHUNK_NONE is the last message of a worker that drains. The worker has not read the
     * request. */
    if (call->status == 503 && chunk && strcmp(chunk, CHUNK_NONE) == 0) return true;
    if (named && (strcmp(chunk, call->chunk) != 0 || strtoul(attempt, NULL, 10) != call->number))
        call->fault = "the answer is for another chunk or attempt";
    else if (!named && !may_be_nameless(call, !http_call_connected(http)))
        call->fault = "the answer does not name its chunk, and the connection was used before";
    else if (at)
        worker_endpoint_names_answers(sched_endpoint_owner(at), named);
    if (call->fault || !named) http_call_close_after(http);
    return !call->fault;
}

static void on_head(void *data, struct http_call *http, int status)
{
    struct attempt_call *call = data;
    const char *worker = http_call_header(http, HEADER_WORKER);
    call->status = status;
    if (!is_answer_of_this(call, http)) return;
    /* The slots of a worker that drains or lacks the task cannot be used. */
    bool serves = status == 200 || status == 409 || status == 429;
    if (!worker || !call->attempt->endpoint) return;
    worker_endpoint_heard(sched_endpoint_owner(call->attempt->endpoint), hash_text(worker));
    if (!serves) return;
    sched_attempt_learned(call->attempt, hash_text(worker), header_number(http, HEADER_SLOTS), now_ns());
    scheduler_timing_want(call->dispatcher->turn);
}

static enum sched_end classify_end(const struct attempt_call *call, const struct http_call_result *r)
{
    if (call->fault) return SCHED_END_PROTOCOL;
    /* A worker that answers 401, 403 or 507 does not read the body, so the call may end with a lost connection. Even if
     * the connection is lost, these statuses decide the result of the attempt. */
    if (call->status == 401 || call->status == 403)
        return worker_fleet_has_newer_token(call->dispatcher->fleet, call->token_age) ? SCHED_END_OLD_TOKEN
                                                                                      : SCHED_END_REFUSED;
    if (call->status == 507) return SCHED_END_NO_MEMORY;
    if (call->cut_for_room) return SCHED_END_NO_ROOM;
    switch (r->outcome) {
    case HTTP_CALL_NOT_CONNECTED: return SCHED_END_NOT_CONNECTED;
    case HTTP_CALL_LOST: return call->ended ? ends[call->end] : SCHED_END_LOST;
    case HTTP_CALL_TIMED_OUT: return SCHED_END_SILENT;
    case HTTP_CALL_REFUSED_BY_US: return SCHED_END_PROTOCOL;
    case HTTP_CALL_OK: break;
    }
    switch (r->status) {
    case 200: return !call->ended ? SCHED_END_PROTOCOL : ends[call->end];
    case 426: return SCHED_END_NOT_CONNECTED; /* we sent plain HTTP to an HTTPS port */
    case 404:
    case 422: return SCHED_END_TASK_UNKNOWN; /* 422: the worker has the task, but cannot run it */
    case 409: /* the worker still runs this chunk for an earlier attempt whose connection was lost */
    case 429: return SCHED_END_BUSY;
    case 503: return SCHED_END_UNAVAILABLE;
    default: return SCHED_END_BAD_STATUS;
    }
}

static void attempt_call_free(struct attempt_call *call)
{
    answer_reader_release(&call->reader);
    buf_release(&call->problem);
    free(call);
}

static void name_attempt(struct attempt_call *call)
{
    const struct sched_attempt *a = call->attempt;
    snprintf(call->chunk, CHUNK_NAME_SIZE, "%s/%" PRIu64, call->phase->job->id, sched_chunk_index(a->chunk, a->from));
    call->number = a->chunk->sends;
}

/* The fields that every log line about an attempt has. */
#define LOG_ATTEMPT(call, span_id)                                                                                     \
    LOG_STR("job", (call)->phase->job->id), LOG_STR("chunk", (call)->chunk), LOG_U64("attempt", (call)->number),       \
        LOG_STR("worker", http_call_header((call)->http, HEADER_WORKER)),                                              \
        LOG_MS("duration_ms", now_ns() - (call)->attempt->started_ns),                                                 \
        LOG_STR("trace_id", trace_scope_id(&(call)->phase->job->trace)),                                               \
        LOG_STR("span_id", trace_scope_span_id(&(call)->phase->job->trace, &(call)->trace.context, span_id))

static void log_end(const struct attempt_call *call, enum sched_end how, const struct http_call_result *r)
{
    const struct sched_attempt *a = call->attempt;
    char span_id[SPAN_ID_SIZE];
    if (how == SCHED_END_COMPLETE)
        log_debug("attempt ended", LOG_ATTEMPT(call, span_id), LOG_U64("answered", a->received));
    else
        log_info("attempt ended early", LOG_ATTEMPT(call, span_id), LOG_U64("answered", a->received),
                 LOG_STR("how", sched_end_name(how)), LOG_STR("reason", call->fault ? call->fault : r->reason),
                 LOG_I64("status", r->status));
}

/* Ends the span. If the worker handed the items back, the attempt has not failed. */
static void trace_end(struct attempt_call *call, enum sched_end how, const struct http_call_result *r)
{
    bool fine = how == SCHED_END_COMPLETE || how == SCHED_END_DRAINING || how == SCHED_END_DEADLINE;
    const char *why = call->fault ? call->fault : r->reason;
    attempt_trace_end(&call->trace, call->phase,
                      &(struct attempt_outcome){
                          .attempt = call->attempt,
                          .worker = http_call_header(call->http, HEADER_WORKER),
                          .status = r->status,
                          .result = sched_end_name(how),
                          .failed = !fine,
                          .reason = fine ? NULL : why,
                      });
}

static void on_end(void *data, const struct http_call_result *r)
{
    struct attempt_call *call = data;
    struct dispatcher *d = call->dispatcher;
    struct sched_attempt *a = call->attempt;
    struct sched_endpoint *at = a->endpoint; /* NULL when the endpoint is gone */
    struct worker_endpoint *e = at ? sched_endpoint_owner(at) : NULL;
    enum sched_end how = classify_end(call, r);
    const char *retry_after = r->outcome == HTTP_CALL_OK ? http_call_header(call->http, "Retry-After") : NULL;
    uint64_t retry_after_ms = retry_after ? strtoul(retry_after, NULL, 10) * 1000 : 0, now = now_ns();
    char refusal[REFUSAL_TEXT_SIZE];
    struct http_call_result said = *r;
    if (how == SCHED_END_BAD_STATUS) {
        refusal_text_write(refusal, r->status, &call->problem);
        said.reason = refusal;
        sched_attempt_refused(a, refusal);
    }
    log_end(call, how, &said);
    trace_end(call, how, &said);
    ++*d->attempts[how];
    if (e) connect_error_note(&d->fleet->connect_error, e->at, r);
    if (e && (how == SCHED_END_DRAINING || (r->closes && how == SCHED_END_UNAVAILABLE)))
        sched_endpoint_drain(d->scheduler, at, now);
    bool rejected_before = e && sched_endpoint_rejects_token(at);
    if (how == SCHED_END_COMPLETE) call->phase->answer_bytes = call->answer_bytes;
    sched_attempt_ended(a, how, retry_after_ms, now);
    if (e && how == SCHED_END_TASK_UNKNOWN) worker_endpoint_lacks_task(e);
    if (e) worker_endpoint_log_token(e, rejected_before);
    dispatcher_count_chunk(d, call->items_len + call->answer_bytes);
    attempt_call_free(call);
    scheduler_timing_want(d->turn);
}

/* Sending. */

static size_t read_body(void *data, char *dst, size_t cap)
{
    struct attempt_call *call = data;
    const struct buf *header = &call->phase->chunk_header;
    size_t n = bytes_copy_next(dst, cap, header->data, header->len, &call->header_at);
    return n + bytes_copy_next(dst + n, cap - n, call->items, call->items_len, &call->items_at);
}

/* The header lines of the request. Lines that differ from request to request are formatted into `chunk`, `attempt`,
 * `deadline` and `trace`. */
struct request_headers {
    const char *lines[8 + TRACE_HEADERS_MAX]; /* ends with NULL */
    size_t n;
    char chunk[sizeof HEADER_CHUNK + CHUNK_NAME_SIZE + 2], attempt[48], deadline[64];
    struct trace_headers trace;
};

static void add_deadline(struct request_headers *h, const struct phase *p)
{
    uint64_t left_ms = phase_deadline_ms(p);
    if (left_ms == UINT64_MAX) return;
    snprintf(h->deadline, sizeof h->deadline, "%s: %" PRIu64, HEADER_DEADLINE_MS, left_ms);
    h->lines[h->n++] = h->deadline;
}

static void make_headers(struct request_headers *h, const struct attempt_call *call)
{
    snprintf(h->chunk, sizeof h->chunk, "%s: %s", HEADER_CHUNK, call->chunk);
    snprintf(h->attempt, sizeof h->attempt, "%s: %u", HEADER_ATTEMPT, call->number);
    h->n = 0;
    h->lines[h->n++] = "Content-Type: " TYPE_CHUNK;
    h->lines[h->n++] = HEADER_COST ": lines";
    h->lines[h->n++] = HEADER_STARTING ": lines";
    h->lines[h->n++] = h->chunk;
    h->lines[h->n++] = h->attempt;
    add_deadline(h, call->phase);
    h->n += attempt_trace_headers(&call->trace, call->phase, &h->trace, h->lines + h->n);
    h->lines[h->n++] = call->dispatcher->fleet->authorization;
    h->lines[h->n] = NULL;
}

/* Returns the probable length of the answer. Before the first chunk of the job has been answered, returns the length of
 * the items. */
static uint64_t likely_answer_bytes(const struct attempt_call *call)
{
    return call->phase->answer_bytes ? call->phase->answer_bytes : call->items_len;
}

static void start_http(struct attempt_call *call, const struct worker_endpoint *e)
{
    const struct endpoint *to = e->at;
    const struct phase *p = call->phase;
    struct request_headers headers;
    char url[512];
    snprintf(url, sizeof url, "%s%s/%s", to->url, PATH_TASKS, phase_task(p));
    attempt_trace_begin(&call->trace, p, call->attempt, url, to->connect_to);
    make_headers(&headers, call);
    call->http = http_call_start(call->dispatcher->fleet->client,
                                 &(struct http_call_options){
                                     .method = "POST",
                                     .url = url,
                                     .connect_to = to->connect_to,
                                     .new_connection = !worker_endpoint_is_balancer(e) && !e->names_answers,
                                     .headers = headers.lines,
                                     .body_bytes = (int64_t)(p->chunk_header.len + call->items_len),
                                     .read = read_body,
                                     .answer_bytes = likely_answer_bytes(call),
                                     .on_head = on_head,
                                     .on_body = on_body,
                                     .on_end = on_end,
                                     .data = call,
                                     .silence_timeout_ms = phase_silence_ms(p),
                                 });
    trace_headers_release(&headers.trace);
}

void attempt_call_start(struct dispatcher *dispatcher, struct sched_attempt *a)
{
    struct attempt_call *call = xcalloc(1, sizeof *call);
    call->dispatcher = dispatcher;
    call->attempt = a;
    call->phase = sched_job_owner(a->chunk->job);
    call->token_age = dispatcher->fleet->token_age;
    call->expected = a->to - a->from;
    call->items = payload_range(a->chunk->payload, a->from, a->to, &call->items_len);
    answer_reader_init(&call->reader, &reader_ops, call);
    buf_init(&call->problem, REFUSAL_BODY_BYTES);
    call->reader.line_hint = call->items_len + KIB; /* the answer to a large item is often about as large as the item */
    a->call = call;
    name_attempt(call);
    start_http(call, sched_endpoint_owner(a->endpoint));
}

void attempt_call_cut_off(struct sched_attempt *a, const char *why)
{
    struct attempt_call *call = a->call;
    char span_id[SPAN_ID_SIZE];
    log_debug("attempt cut off", LOG_ATTEMPT(call, span_id), LOG_STR("reason", why));
    attempt_trace_end(&call->trace, call->phase,
                      &(struct attempt_outcome){
                          .attempt = a,
                          .worker = http_call_header(call->http, HEADER_WORKER),
                          .status = call->status,
                          .result = "cut_off",
                          .reason = why,
                      });
    http_call_cancel(call->http);
    attempt_call_free(call);
}
