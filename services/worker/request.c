#include "worker/request.h"

#include "common/json/encoding.h"
#include "common/net/media_type.h"
#include "common/observe/log.h"
#include "worker/request_internal.h"

#define NAME_BYTES 200 /* a longer name of a chunk is cut to this many bytes */

static const char *const state_names[] = {"reading_header", "reading_items", "answering",
                                          "streaming",      "refused",       "closed"};
static_assert(ARRAY_SIZE(state_names) == REQUEST_STATE_COUNT, "a name for each state");

void request_move(struct request *r, enum request_state to)
{
    log_debug("request moved", LOG_STR("chunk", r->name), LOG_STR("from", state_names[r->state]),
              LOG_STR("to", state_names[to]));
    r->state = to;
}

void request_refuse(struct request *r, int status, const char *members, const char *detail)
{
    if (r->state == REQUEST_REFUSED) return;
    request_move(r, REQUEST_REFUSED);
    for (unsigned i = 0; i < r->count; i++) pool_cancel(r->stages[i].pool, r->stages[i].chunk);
    worker_set_headers(r->worker, r->x, r->count ? r->stages[0].pool : NULL);
    http_answer_problem(r->x, status, members, "%s", detail);
}

/* ---- the end ---- */

static void free_request(struct request *r)
{
    buf_release(&r->header);
    request_trace_release(&r->trace);
    free(r->name);
    free(r->job);
    free(r);
}

static void on_deadline_closed(uv_handle_t *handle)
{
    free_request(handle->data);
}

static void end_early(struct request *r, enum chunk_end how)
{
    uint64_t now = now_ns();
    /* Ends the last stage first, because answers of an earlier stage must not become items of a later stage. */
    for (unsigned i = r->count; i-- > 0;) {
        chunk_end(r->stages[i].chunk, how);
        pool_forget(r->stages[i].pool, r->stages[i].chunk, now);
    }
    http_exchange_wake(r->x);
}

static void on_deadline(uv_timer_t *timer)
{
    end_early(timer->data, CHUNK_DEADLINE);
}

void requests_init(struct requests *set, uv_loop_t *loop)
{
    *set = (struct requests){0};
    set->tail = &set->first;
    uv_timer_init(loop, &set->heads);
    uv_timer_init(loop, &set->gather);
    uv_timer_init(loop, &set->quiet);
    set->heads.data = set->gather.data = set->quiet.data = set;
    turn_add(loop, &set->pump_step, TURN_IDLE_PIPELINES, request_pump, set);
}

void requests_close(struct requests *set)
{
    turn_remove(&set->pump_step);
    uv_close((uv_handle_t *)&set->heads, NULL);
    uv_close((uv_handle_t *)&set->gather, NULL);
    uv_close((uv_handle_t *)&set->quiet, NULL);
}

void requests_cut(struct requests *set)
{
    for (struct request *r = set->first; r; r = r->next)
        if (r->state != REQUEST_REFUSED) end_early(r, CHUNK_DRAINING);
}

static void trace_end(const struct request *r, enum chunk_result result, uint64_t succeeded, uint64_t failed)
{
    uint64_t without_span = 0;
    for (unsigned i = 0; i < r->count; i++)
        without_span += request_trace_items(&r->trace, r->stages[i].chunk, r->stages[i].pool->task->name);
    struct request_summary summary = {
        .worker = r->worker->id,
        .task = r->stages[0].pool->task->name,
        .chunk = r->name,
        .job = r->job,
        .attempt = r->attempt,
        .result = worker_result_name(result),
        .status = http_exchange_status(r->x),
        .items = r->stages[0].chunk->received,
        .succeeded = succeeded,
        .failed = failed,
    };
    request_trace_end(&r->trace, &summary, without_span);
}

static void account(struct request *r, enum http_closed how)
{
    struct worker *w = r->worker;
    uint64_t duration = now_ns() - r->started_ns, succeeded = 0, failed = 0;
    for (unsigned i = 0; i < r->count; i++) {
        if (i + 1 == r->count) succeeded = r->stages[i].chunk->succeeded;
        failed += r->stages[i].chunk->failed;
    }
    *w->items_succeeded += succeeded;
    *w->items_failed += failed;
    const struct chunk *c = request_last_stage(r)->chunk;
    enum chunk_result result = how != HTTP_CLOSED_DONE || r->state == REQUEST_REFUSED ? RESULT_CANCELLED
                               : c->whole && c->cut == c->received && !c->abandoned_ns && !c->draining ? RESULT_COMPLETE
                               : c->abandoned_ns && !w->cut                                            ? RESULT_DEADLINE
                                                            : RESULT_DRAINING;
    *w->results[result] += 1;
    metric_observe_ns(w->chunk_seconds, duration);
    if (unit_cost_end(&w->chunk_cost, 2 * r->body_bytes)) unit_cost_measure(&w->chunk_cost, thread_cpu_ns());
    char span_id[SPAN_ID_SIZE];
    log_debug("chunk ended", LOG_CHUNK(c), LOG_STR("task", r->stages[0].pool->task->name),
              LOG_U64("items", c->received), LOG_U64("failed", failed), LOG_STR("how", worker_result_name(result)),
              LOG_MS("duration_ms", duration),
              LOG_STR("span_id", trace_scope_span_id(&r->trace.scope, &r->trace.scope.context, span_id)));
    if (trace_scope_records(&r->trace.scope)) trace_end(r, result, succeeded, failed);
}

static void on_closed(struct http_exchange *x, enum http_closed how)
{
    struct request *r = http_exchange_data(x);
    struct worker *w = r->worker;
    account(r, how);
    request_move(r, REQUEST_CLOSED);
    for (unsigned i = 0; i < r->count; i++) {
        struct stage *s = &r->stages[i];
        s->chunk->on_progress = NULL;
        s->chunk->chunk_ns = NULL;
        s->chunk->name = "";
        s->chunk->job = NULL;
        s->chunk->trace_id = NULL;
        pool_cancel(s->pool, s->chunk);
        chunk_unref(s->chunk);
    }
    *r->prev = r->next;
    if (r->next)
        r->next->prev = r->prev;
    else
        w->requests.tail = r->prev;
    w->requests.held_bytes -= r->body_bytes;
    request_wake_uploads(&w->requests);
    worker_count_request(w, -1);
    if (r->timed)
        uv_close((uv_handle_t *)&r->deadline, on_deadline_closed);
    else
        free_request(r);
}

static const struct http_exchange_ops ops = {.body = request_on_body,
                                             .body_end = request_on_body_end,
                                             .pull = request_on_pull,
                                             .whole = request_on_whole,
                                             .closed = on_closed};

/* ---- admission ---- */

/* Returns whether there is no room for a chunk. Each task has a limit of its own, because otherwise chunks of one task
 * could take all the room of another task. */
static bool is_full(const struct worker *w, const struct pool *pool)
{
    unsigned n = 0;
    for (const struct request *r = w->requests.first; r; r = r->next) n += r->stages[0].pool == pool;
    return n >= (unsigned)w->config->max_chunks && n >= 4 * pool->size;
}

static bool is_running(const struct worker *w, const char *name)
{
    for (const struct request *r = w->requests.first; r; r = r->next)
        if (r->name && strcmp(r->name, name) == 0) return true;
    return false;
}

void request_write_tasks(const struct worker *w, struct buf *members)
{
    buf_add_str(members, "\"tasks\":[");
    for (size_t i = 0; i < w->tasks.count; i++) {
        if (i) buf_add_char(members, ',');
        buf_add_json_string(members, w->tasks.list[i]->name, strlen(w->tasks.list[i]->name));
    }
    buf_add_str(members, "]");
}

/* Answers with a problem, because the worker does not have the task or cannot run it. If the worker does not have the
 * task, the problem lists the tasks of the worker. */
static void answer_unknown(struct worker *w, struct http_exchange *x, const char *name)
{
    struct buf members = {0};
    const struct task *broken = task_set_find(&w->tasks, name);
    worker_set_headers(w, x, NULL);
    if (broken) {
        http_answer_problem(x, 422, NULL, "the task \"%s\" cannot be run: %s", name, broken->error);
        return;
    }
    request_write_tasks(w, &members);
    http_answer_problem(x, 404, buf_cstr(&members), "there is no task \"%s\" on this worker", name);
    buf_release(&members);
}

#define NO_DEADLINE UINT64_MAX

static bool read_deadline(const struct http_exchange *x, uint64_t *ms)
{
    const char *text = http_exchange_header(x, HEADER_DEADLINE_MS);
    *ms = NO_DEADLINE;
    if (!text) return true;
    size_t digits = strspn(text, "0123456789");
    if (digits == 0 || text[digits]) return false;
    if (digits <= 15) *ms = strtoull(text, NULL, 10); /* a longer number means no deadline */
    return true;
}

static bool is_text(const char *name)
{
    return encoding_text_length(name, strlen(name)) == strlen(name);
}

/* Returns true if the request can be accepted. If the request cannot be accepted, answers it with a problem and returns
 * false. */
static bool admit(struct worker *w, struct http_exchange *x, bool *has_header, uint64_t *deadline_ms)
{
    const char *task = http_exchange_param(x, "task"), *type = http_exchange_header(x, "Content-Type");
    const char *name = http_exchange_header(x, HEADER_CHUNK);
    struct pool *pool = worker_pool(w, task);
    *has_header = media_type_is(type, TYPE_CHUNK);
    enum media_form form = media_type_form(type);
    bool items = form == MEDIA_NONE || form == MEDIA_NDJSON || form == MEDIA_FORM;
    char charset[MEDIA_CHARSET_SIZE];
    if (!pool) {
        answer_unknown(w, x, task);
        return false;
    }
    worker_set_headers(w, x, pool);
    if (!http_check_no_query(x, NULL)) return false;
    if (!*has_header && !items) {
        http_answer_problem(x, 415, NULL, "the Content-Type must be %s or %s", TYPE_NDJSON, TYPE_CHUNK);
    } else if (!media_type_is_utf8(type, charset)) {
        http_answer_problem(x, 415, NULL, "the charset of the Content-Type is \"%s\", and a body must be UTF-8",
                            charset);
    } else if (name && !is_text(name)) {
        http_answer_problem(x, 400, NULL, "%s is not valid UTF-8", HEADER_CHUNK);
    } else if (!read_deadline(x, deadline_ms)) {
        http_answer_problem(x, 400, NULL, "%s must be a number of milliseconds", HEADER_DEADLINE_MS);
    } else if (w->draining) {
        http_exchange_set_header(x, "Retry-After", "1");
        http_exchange_set_header(x, "Connection", "close");
        http_answer_problem(x, 503, NULL, "the worker is draining");
    } else if (is_full(w, pool)) {
        http_exchange_set_header(x, "Retry-After", "1");
        http_answer_problem(x, 429, NULL, "the worker is full: it accepts no more chunks of the task \"%s\" now", task);
    } else if (name && is_running(w, name)) {
        http_exchange_set_header(x, "Retry-After", "1");
        http_answer_problem(x, 409, NULL, "the chunk \"%s\" is already running on this worker", name);
    } else {
        return true;
    }
    return false;
}

static void start_deadline(struct request *r, uint64_t ms)
{
    r->timed = true;
    uv_timer_init(r->worker->loop, &r->deadline);
    r->deadline.data = r;
    uv_timer_start(&r->deadline, on_deadline, ms, 0);
}

/* Reads the names of the chunk and of its job from the headers. */
static void read_names(struct request *r)
{
    const char *name = http_exchange_header(r->x, HEADER_CHUNK), *attempt = http_exchange_header(r->x, HEADER_ATTEMPT);
    if (!name) return;
    r->name = xstrndup(name, NAME_BYTES);
    const char *slash = strrchr(r->name, '/');
    if (!slash) return;
    r->job = xstrndup(r->name, (size_t)(slash - r->name));
    r->base = strtoull(slash + 1, NULL, 10);
    r->attempt = attempt ? (unsigned)strtoul(attempt, NULL, 10) : 0;
}

void request_handle(struct http_exchange *x, void *data)
{
    struct worker *w = data;
    bool has_header;
    uint64_t deadline_ms;
    if (!admit(w, x, &has_header, &deadline_ms)) return;
    struct request *r = xcalloc(1, sizeof *r);
    r->worker = w;
    r->x = x;
    if (unit_cost_begin(&w->chunk_cost)) w->chunk_cost.cpu_ns = thread_cpu_ns();
    read_names(r);
    r->state = has_header ? REQUEST_READING_HEADER : REQUEST_READING_ITEMS;
    r->started_ns = now_ns();
    request_trace_begin(&r->trace, w->trace, x);
    buf_init(&r->header, LIMIT_CHUNK_HEADER_BYTES);
    r->prev = w->requests.tail;
    *w->requests.tail = r;
    w->requests.tail = &r->next;
    worker_count_request(w, 1);
    http_exchange_accept(x, &ops, r);
    if (!request_add_stage(r, http_exchange_param(x, "task"), !has_header)) BUG("an admitted task has no pool");
    if (deadline_ms != NO_DEADLINE) start_deadline(r, deadline_ms);
}
