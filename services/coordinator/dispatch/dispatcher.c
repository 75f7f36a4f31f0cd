#include "coordinator/dispatch/dispatcher.h"

#include <inttypes.h>

#include "common/base/limits.h"
#include "common/observe/log.h"
#include "coordinator/answers/answer_reader.h"
#include "coordinator/answers/item_error.h"
#include "coordinator/job/job.h"
#include "coordinator/job/job_trace.h"
#include "protocol/protocol.h"

#define CHUNK_NAME_SIZE 64 /* "<job>/<first index>" */

/* An endpoint as both sides see it. */
struct target {
    struct coordinator *coordinator;
    struct endpoint *endpoint;
    struct sched_endpoint *sched;
    struct http_call *probe;
};

/* One attempt under way. */
struct delivery {
    struct coordinator *coordinator;
    struct sched_attempt *attempt;
    struct job *job;
    struct http_call *call;
    struct answer_reader reader;
    const char *items; /* borrowed from the chunk's payload, which outlives the attempt */
    size_t items_len;
    size_t header_at, items_at; /* bytes of the body handed out */
    int status;
    uint32_t expected; /* answers that may still come */
    bool ended;
    enum chunk_end end;
    const char *fault;
    struct attempt_trace trace;
};

static const enum sched_end ends[] = {
    [CHUNK_COMPLETE] = SCHED_END_COMPLETE,
    [CHUNK_DRAINING] = SCHED_END_DRAINING,
    [CHUNK_DEADLINE] = SCHED_END_DEADLINE,
};
static_assert(ARRAY_SIZE(ends) == CHUNK_END_COUNT, "every end of a chunk has its word");

/* Answers. */

static bool count_values(struct delivery *d, uint64_t n, struct sched_accept *accept)
{
    if (n > d->expected) {
        d->fault = "more answers came than items were sent";
        return false;
    }
    d->expected -= (uint32_t)n;
    *accept = sched_attempt_answered(d->attempt, (uint32_t)n, now_ns());
    return accept->keep > 0;
}

static void on_values(void *data, uint64_t n, const char *lines, size_t len)
{
    struct delivery *d = data;
    struct sched_accept accept;
    if (!count_values(d, n, &accept)) return;
    uint64_t counted;
    size_t skip = accept.drop ? lines_cut(lines, len, accept.drop, SIZE_MAX, &counted) : 0;
    job_add_values(d->job, accept.first, accept.keep, lines + skip, len - skip);
}

static void on_value(void *data, struct buf *line)
{
    struct delivery *d = data;
    struct sched_accept accept;
    if (count_values(d, 1, &accept)) job_take_value(d->job, accept.first, line);
}

static void on_error(void *data, const struct answer_line *line, const char *bytes, size_t len)
{
    struct delivery *d = data;
    if (d->expected == 0) {
        d->fault = "more answers came than items were sent";
        return;
    }
    d->expected--;
    struct sched_item_verdict v = sched_attempt_item_error(d->attempt, line->error, now_ns());
    if (v.verdict != SCHED_ITEM_FINAL) return;
    struct buf out = {0};
    item_error_write(&out, line, v.attempts, http_call_header(d->call, HEADER_WORKER));
    job_add_error(d->job, v.index, 1, out.data, out.len);
    buf_release(&out);
}

static void on_chunk_end(void *data, const struct answer_line *line)
{
    struct delivery *d = data;
    d->ended = true;
    d->end = line->end;
}

static const struct answer_reader_ops reader_ops = {on_values, on_value, on_error, on_chunk_end};

static bool on_body(void *data, const char *bytes, size_t len)
{
    struct delivery *d = data;
    if (d->status != 200) return true;
    coordinator_wants_run(d->coordinator);
    if (!answer_reader_feed(&d->reader, bytes, len) && !d->fault) d->fault = d->reader.fault;
    return !d->fault;
}

/* FNV-1a, 64 bits: the identity of a worker's name, nothing more. */
static uint64_t hash_text(const char *s)
{
    uint64_t h = 14695981039346656037u;
    for (; *s; s++) h = (h ^ (unsigned char)*s) * 1099511628211u;
    return h;
}

static unsigned header_number(struct http_call *call, const char *name)
{
    const char *text = http_call_header(call, name);
    unsigned long n = text ? strtoul(text, NULL, 10) : 0;
    return n > 1000000 ? 1000000 : (unsigned)n;
}

static void on_head(void *data, struct http_call *call, int status)
{
    struct delivery *d = data;
    const char *worker = http_call_header(call, HEADER_WORKER);
    d->status = status;
    /* Of one that drains, or has not got the task, no slots can be counted on. */
    bool serves = status == 200 || status == 409 || status == 429;
    if (!serves || !worker || !d->attempt->endpoint) return;
    sched_endpoint_learned(d->coordinator->scheduler, d->attempt->endpoint, hash_text(worker),
                           header_number(call, HEADER_SLOTS), header_number(call, HEADER_FREE), now_ns());
    coordinator_wants_run(d->coordinator);
}

static enum sched_end judge(const struct delivery *d, const struct http_call_result *r)
{
    /* Said before the body was read, so the rest of the exchange may well look like a loss. */
    if (d->status == 401 || d->status == 403) return SCHED_END_REFUSED;
    switch (r->outcome) {
    case HTTP_CALL_NOT_CONNECTED: return SCHED_END_NOT_CONNECTED;
    case HTTP_CALL_LOST: return d->ended ? ends[d->end] : SCHED_END_LOST;
    case HTTP_CALL_TIMED_OUT: return SCHED_END_SILENT;
    case HTTP_CALL_REFUSED_BY_US: return SCHED_END_PROTOCOL;
    case HTTP_CALL_OK: break;
    }
    switch (r->status) {
    case 200: return d->fault || !d->ended ? SCHED_END_PROTOCOL : ends[d->end];
    case 426: return SCHED_END_NOT_CONNECTED; /* plain HTTP to a port that speaks https */
    case 404:
    case 422: return SCHED_END_TASK_UNKNOWN; /* 422: it has the task, and cannot run it */
    case 409: /* it still runs an earlier sending of this chunk, whose connection was lost */
    case 429: return SCHED_END_BUSY;
    case 503: return SCHED_END_UNAVAILABLE;
    default: return SCHED_END_BAD_STATUS;
    }
}

static void delivery_free(struct delivery *d)
{
    answer_reader_release(&d->reader);
    free(d);
}

static void write_chunk_name(const struct delivery *d, char name[CHUNK_NAME_SIZE])
{
    const struct sched_attempt *a = d->attempt;
    snprintf(name, CHUNK_NAME_SIZE, "%s/%" PRIu64, d->job->id, a->chunk->first + a->from);
}

/* What every line about an attempt has. */
#define LOG_ATTEMPT(d, name, span_id)                                                                                  \
    LOG_STR("job", (d)->job->id), LOG_STR("chunk", name), LOG_U64("attempt", (d)->attempt->chunk->sends),              \
        LOG_STR("worker", http_call_header((d)->call, HEADER_WORKER)),                                                 \
        LOG_MS("duration_ms", now_ns() - (d)->attempt->started_ns),                                                    \
        LOG_STR("trace_id", trace_scope_id(&(d)->job->trace)),                                                         \
        LOG_STR("span_id", trace_scope_span_id(&(d)->job->trace, &(d)->trace.context, span_id))

static void log_end(const struct delivery *d, enum sched_end how, const struct http_call_result *r)
{
    const struct sched_attempt *a = d->attempt;
    char span_id[SPAN_ID_SIZE], name[CHUNK_NAME_SIZE];
    write_chunk_name(d, name);
    if (how == SCHED_END_COMPLETE)
        log_debug("attempt ended", LOG_ATTEMPT(d, name, span_id), LOG_U64("answered", a->received));
    else
        log_info("attempt ended early", LOG_ATTEMPT(d, name, span_id), LOG_U64("answered", a->received),
                 LOG_STR("how", sched_end_name(how)), LOG_STR("reason", d->fault ? d->fault : r->reason),
                 LOG_I64("status", r->status));
}

/* Work handed back is no failure. */
static void trace_end(struct delivery *d, enum sched_end how, const struct http_call_result *r)
{
    bool fine = how == SCHED_END_COMPLETE || how == SCHED_END_DRAINING || how == SCHED_END_DEADLINE;
    const char *why = d->fault ? d->fault : r->reason;
    attempt_trace_end(&d->trace, d->job,
                      &(struct attempt_outcome){
                          .attempt = d->attempt,
                          .worker = http_call_header(d->call, HEADER_WORKER),
                          .status = r->status,
                          .result = sched_end_name(how),
                          .failed = !fine,
                          .reason = fine ? NULL : why,
                      });
}

/* Told once when it begins and once when it is over. */
static void log_token(struct sched_endpoint *e, bool refused_before)
{
    const struct target *t = sched_endpoint_owner(e);
    const struct endpoint *at = t->endpoint;
    bool refuses = sched_endpoint_rejects_token(e);
    if (refuses && !refused_before)
        log_error(t->coordinator->authorization
                      ? "a worker refuses our token; the first one in --worker-token-file must be in its --token-file"
                      : "a worker asks for a token, and there is no --worker-token-file",
                  LOG_STR("url", at->url), LOG_STR("address", at->connect_to));
    else if (!refuses && refused_before)
        log_info("a worker takes our token again", LOG_STR("url", at->url), LOG_STR("address", at->connect_to));
}

static void note_reach(const struct target *t, const struct http_call_result *r)
{
    reach_note(&t->coordinator->reach, t->endpoint, r);
}

static void on_end(void *data, const struct http_call_result *r)
{
    struct delivery *d = data;
    struct coordinator *c = d->coordinator;
    enum sched_end how = judge(d, r);
    const char *retry_after = r->outcome == HTTP_CALL_OK ? http_call_header(d->call, "Retry-After") : NULL;
    uint64_t retry_after_ms = retry_after ? strtoul(retry_after, NULL, 10) * 1000 : 0;
    uint64_t now = now_ns();
    log_end(d, how, r);
    trace_end(d, how, r);
    if (d->attempt->endpoint) note_reach(sched_endpoint_owner(d->attempt->endpoint), r);
    ++*c->metrics.attempts[how];
    if (d->attempt->endpoint && (how == SCHED_END_DRAINING || (r->closes && how == SCHED_END_UNAVAILABLE)))
        sched_endpoint_drain(c->scheduler, d->attempt->endpoint, now);
    struct sched_endpoint *e = d->attempt->endpoint;
    bool refused_before = e && sched_endpoint_rejects_token(e);
    sched_attempt_ended(d->attempt, how, retry_after_ms, now);
    if (e) log_token(e, refused_before);
    delivery_free(d);
    coordinator_wants_run(c);
}

/* Sending. */

static size_t copy_part(char *dst, size_t cap, const char *src, size_t len, size_t *at)
{
    size_t n = len - *at < cap ? len - *at : cap;
    memcpy(dst, src + *at, n);
    *at += n;
    return n;
}

static size_t read_body(void *data, char *dst, size_t cap)
{
    struct delivery *d = data;
    const struct buf *header = &d->job->chunk_header;
    size_t n = copy_part(dst, cap, header->data, header->len, &d->header_at);
    return n + copy_part(dst + n, cap - n, d->items, d->items_len, &d->items_at);
}

/* A worker that says nothing for longer than an item may take is taken for gone. */
static uint64_t silence_ms(const struct job *j)
{
    return j->spec.item_timeout_s > 0 ? (uint64_t)(j->spec.item_timeout_s * 1e3) + 10000 : 0;
}

static void start_call(struct delivery *d, const struct target *t)
{
    const struct sched_attempt *a = d->attempt;
    const struct job *j = d->job;
    char url[512], name[CHUNK_NAME_SIZE], chunk[sizeof HEADER_CHUNK + CHUNK_NAME_SIZE + 2], attempt[48], deadline[64];
    struct trace_headers trace;
    const char *headers[6 + TRACE_HEADERS_MAX] = {"Content-Type: " TYPE_CHUNK, chunk, attempt, NULL};
    size_t n = 3;
    snprintf(url, sizeof url, "%s%s/%s", t->endpoint->url, PATH_TASKS, j->spec.tasks[0]);
    write_chunk_name(d, name);
    snprintf(chunk, sizeof chunk, "%s: %s", HEADER_CHUNK, name);
    snprintf(attempt, sizeof attempt, "%s: %u", HEADER_ATTEMPT, a->chunk->sends);
    if (j->spec.deadline_s > 0) {
        uint64_t end = j->started_ns + (uint64_t)(j->spec.deadline_s * 1e9), now = now_ns();
        snprintf(deadline, sizeof deadline, "%s: %llu", HEADER_DEADLINE_MS,
                 (unsigned long long)(end > now ? (end - now) / NS_PER_MS : 0));
        headers[n++] = deadline;
    }
    attempt_trace_begin(&d->trace, j, a, url, t->endpoint->connect_to);
    n += attempt_trace_headers(&d->trace, j, &trace, headers + n);
    headers[n] = d->coordinator->authorization;
    d->call = http_call_start(d->coordinator->client, &(struct http_call_options){
                                                          .method = "POST",
                                                          .url = url,
                                                          .connect_to = t->endpoint->connect_to,
                                                          .headers = headers,
                                                          .body_bytes = (int64_t)(j->chunk_header.len + d->items_len),
                                                          .read = read_body,
                                                          .on_head = on_head,
                                                          .on_body = on_body,
                                                          .on_end = on_end,
                                                          .data = d,
                                                          .silence_timeout_ms = silence_ms(j),
                                                      });
    trace_headers_release(&trace);
}

static void op_send(void *ctx, struct sched_attempt *a)
{
    struct delivery *d = xcalloc(1, sizeof *d);
    d->coordinator = ctx;
    d->attempt = a;
    d->job = sched_job_owner(a->chunk->job);
    d->expected = a->to - a->from;
    d->items = payload_range(a->chunk->payload, a->from, a->to, &d->items_len);
    answer_reader_init(&d->reader, &reader_ops, d);
    d->reader.line_hint = d->items_len + KIB; /* what answers a large item is often as large */
    a->call = d;
    start_call(d, sched_endpoint_owner(a->endpoint));
}

static void op_cut_off(void *ctx, struct sched_attempt *a, const char *why)
{
    struct delivery *d = a->call;
    char span_id[SPAN_ID_SIZE], name[CHUNK_NAME_SIZE];
    write_chunk_name(d, name);
    log_debug("attempt cut off", LOG_ATTEMPT(d, name, span_id), LOG_STR("reason", why));
    attempt_trace_end(&d->trace, d->job,
                      &(struct attempt_outcome){
                          .attempt = a,
                          .worker = http_call_header(d->call, HEADER_WORKER),
                          .status = d->status,
                          .result = "cut_off",
                          .reason = why,
                      });
    http_call_cancel(d->call);
    delivery_free(d);
}

/* The other actions. */

static size_t op_cut(void *ctx, struct sched_chunk *chunk, size_t max_items, size_t max_bytes, size_t *bytes)
{
    return job_cut(sched_job_owner(chunk->job), chunk, max_items, max_bytes, bytes);
}

static void op_slice(void *ctx, struct sched_chunk *whole, struct sched_chunk *part)
{
    part->payload = payload_slice(whole->payload, part->first - whole->first, part->count);
}

static void op_release(void *ctx, struct sched_chunk *chunk)
{
    payload_free(chunk->payload);
    chunk->payload = NULL;
}

static void op_settle_error(void *ctx, struct sched_job *sched, uint64_t first, uint64_t count,
                            const struct sched_failure *why)
{
    struct coordinator *c = ctx;
    struct buf line = {0};
    char cause[640];
    snprintf(cause, sizeof cause, "%s", why->cause);
    if (why->cause == sched_cause_no_workers) reach_explain(&c->reach, why->cause, cause, sizeof cause);
    buf_addf(&line, "{\"error\":{\"name\":\"%s\",\"cause\":", item_error_name(why->error));
    buf_add_json_string(&line, cause, strlen(cause));
    buf_addf(&line, ",\"signal\":null,\"exit_code\":null,\"stderr\":\"\",\"attempts\":%u,\"worker\":null}}\n",
             why->attempts);
    job_add_error(sched_job_owner(sched), first, count, line.data, line.len);
    buf_release(&line);
}

static void op_job_finished(void *ctx, struct sched_job *sched, const struct sched_outcome *outcome)
{
    job_finished(sched_job_owner(sched), outcome);
}

static void op_waiting(void *ctx, struct sched_job *sched, enum sched_waiting why)
{
    job_set_waiting(sched_job_owner(sched), why);
}

static void on_probe_end(void *data, const struct http_call_result *r)
{
    struct target *t = data;
    t->probe = NULL;
    bool refused_before = sched_endpoint_rejects_token(t->sched);
    note_reach(t, r);
    sched_endpoint_probed(t->coordinator->scheduler, t->sched, r->outcome == HTTP_CALL_OK && r->status == 200,
                          now_ns());
    log_token(t->sched, refused_before);
    coordinator_wants_run(t->coordinator);
}

static void op_probe(void *ctx, struct sched_endpoint *e)
{
    struct coordinator *c = ctx;
    struct target *t = sched_endpoint_owner(e);
    char url[512];
    const char *headers[] = {c->authorization, NULL};
    if (t->probe) return;
    /* Health is open to all: only a call that needs the token tells whether it is taken again. */
    snprintf(url, sizeof url, "%s%s", t->endpoint->url, sched_endpoint_rejects_token(e) ? PATH_TASKS : "/readyz");
    t->probe = http_call_start(c->client, &(struct http_call_options){
                                              .method = "GET",
                                              .url = url,
                                              .connect_to = t->endpoint->connect_to,
                                              .headers = headers,
                                              .on_end = on_probe_end,
                                              .data = t,
                                              .silence_timeout_ms = 2000,
                                          });
}

static void op_chunk_moved(void *ctx, const struct sched_chunk *chunk, enum sched_chunk_state from,
                           enum sched_chunk_state to)
{
    const struct job *j = sched_job_owner(chunk->job);
    log_debug("chunk moved", LOG_STR("job", j->id), LOG_U64("first", chunk->first),
              LOG_STR("from", sched_chunk_state_name(from)), LOG_STR("to", sched_chunk_state_name(to)));
}

static void op_endpoint_moved(void *ctx, const struct sched_endpoint *e, enum sched_endpoint_state from,
                              enum sched_endpoint_state to)
{
    const struct target *t = sched_endpoint_owner(e);
    log_debug("endpoint moved", LOG_STR("url", t->endpoint->url), LOG_STR("address", t->endpoint->connect_to),
              LOG_STR("from", sched_endpoint_state_name(from)), LOG_STR("to", sched_endpoint_state_name(to)));
}

static const struct scheduler_ops scheduler_ops = {
    .cut = op_cut,
    .slice = op_slice,
    .release = op_release,
    .send = op_send,
    .cut_off = op_cut_off,
    .settle_error = op_settle_error,
    .job_finished = op_job_finished,
    .waiting = op_waiting,
    .probe = op_probe,
    .chunk_moved = op_chunk_moved,
    .endpoint_moved = op_endpoint_moved,
};

/* Endpoints come and go. */

static void ignore_catalog(void *data, bool ok)
{
}

static void *endpoint_added(void *data, struct endpoint *e)
{
    struct coordinator *c = data;
    struct target *t = xcalloc(1, sizeof *t);
    t->coordinator = c;
    t->endpoint = e;
    t->sched = sched_endpoint_add(c->scheduler, t, c->endpoints.mode == ENDPOINTS_BALANCER, 0, now_ns());
    log_info("endpoint added", LOG_STR("url", e->url), LOG_STR("address", e->connect_to));
    if (!c->catalog.known && !c->catalog.call) catalog_ask(&c->catalog, e->url, e->connect_to, ignore_catalog, NULL);
    coordinator_wants_run(c);
    return t;
}

static void endpoint_removed(void *data, struct endpoint *e)
{
    struct coordinator *c = data;
    struct target *t = e->owner;
    log_info("endpoint removed", LOG_STR("url", e->url), LOG_STR("address", e->connect_to));
    if (t->probe) http_call_cancel(t->probe);
    sched_endpoint_remove(c->scheduler, t->sched);
    free(t);
    coordinator_wants_run(c);
}

const struct endpoints_ops dispatcher_endpoints_ops = {endpoint_added, endpoint_removed};

void dispatcher_start(struct coordinator *c)
{
    struct scheduler_config config;
    scheduler_config_init(&config);
    config.seed = now_ns();
    config.worker_wait_ns = (uint64_t)(c->config->worker_wait_s * 1e9);
    c->scheduler = scheduler_new(&config, &scheduler_ops, c);
}

void dispatcher_stop(struct coordinator *c)
{
    c->run_wanted = false;
    uv_timer_stop(&c->run_timer);
}
