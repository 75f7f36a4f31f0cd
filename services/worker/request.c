/* One POST /v1/tasks/{task}: its body becomes the items of a chunk (of the first stage of a pipeline), the answers of
 * the last stage's chunk become its answer. */
#include "common/json/json_scan.h"
#include "common/observe/log.h"
#include "worker/chunk/chunk_header.h"
#include "worker/request_trace.h"
#include "worker/worker.h"

struct stage {
    struct request *request;
    struct pool *pool;
    struct chunk *chunk;
};

struct request {
    struct request *next, **prev;
    struct worker *worker;
    struct http_exchange *x;
    char *name; /* Fantail-Chunk; NULL: none */
    char *job;  /* the job in it; NULL: it has none */
    uint64_t base;
    unsigned attempt;
    bool has_header, header_done, suspended, refused, uploaded;
    bool begun;        /* the answer's head is out, or on its way */
    bool gathers;      /* answers wait for those that come soon */
    uint64_t woken_ns; /* when answers last left */
    struct buf header;
    size_t body_bytes;
    uint64_t started_ns, answering_ns; /* the upload was whole; 0: not yet */
    struct request_trace trace;
    uv_timer_t deadline;
    bool timed; /* the deadline timer runs; the request lives until it is closed */
    struct stage stages[PIPELINE_TASKS_MAX];
    unsigned count;
};

static struct stage *last_stage(struct request *r)
{
    return &r->stages[r->count - 1];
}

/* ---- answers ---- */

static void add_items(struct request *r, struct stage *s, const char *data, size_t len);

static void refuse(struct request *r, int status, const char *members, const char *detail)
{
    if (r->refused) return;
    r->refused = true;
    for (unsigned i = 0; i < r->count; i++) pool_cancel(r->stages[i].pool, r->stages[i].chunk);
    worker_set_headers(r->worker, r->x, r->count ? r->stages[0].pool : NULL);
    http_answer_problem(r->x, status, members, "%s", detail);
}

/* Hands the answers of one stage to the next: values are its items, errors pass it by. */
static void pump(struct stage *s)
{
    struct stage *to = s + 1;
    size_t len;
    const char *at = chunk_peek(s->chunk, &len), *end = at + len;
    bool held_back = s->chunk->held >= LIMIT_WORKER_ANSWER_BYTES;
    while (at < end) {
        size_t n = (size_t)((const char *)memchr(at, '\n', (size_t)(end - at)) - at);
        struct answer_line a = answer_line_parse(at, n, false);
        if (a.kind == ANSWER_VALUE) {
            add_items(s->request, to, a.body, a.body_len);
            add_items(s->request, to, "\n", 1);
        } else if (a.kind == ANSWER_ERROR) {
            chunk_add_settled(to->chunk, at, n + 1);
        } else {
            struct chunk_fault fault;
            if (a.end != CHUNK_COMPLETE)
                to->chunk->draining = true;
            else if (!chunk_finish(to->chunk, &fault))
                BUG("a value of a task was refused");
            chunk_settle(to->chunk);
        }
        at += n + 1;
    }
    chunk_skip(s->chunk, len);
    if (to->chunk->on_progress) to->chunk->on_progress(to->chunk);
    pool_feed(to->pool);
    if (held_back) pool_feed(s->pool);
}

static void send_answers(struct request *r)
{
    r->gathers = false;
    r->woken_ns = now_ns();
    http_exchange_wake(r->x);
}

static void on_gathered(uv_timer_t *timer)
{
    struct worker *w = timer->data;
    for (struct request *r = w->requests; r; r = r->next)
        if (r->gathers) send_answers(r);
}

/* Sent one by one, answers a millisecond apart cost the coordinator and its client as much as the sending costs us. So
 * one that comes soon after another waits a little for more, unless it is the last or they are many. */
static void gather_answers(struct request *r)
{
    const struct chunk *c = last_stage(r)->chunk;
    struct worker *w = r->worker;
    if (c->ended || c->held >= LIMIT_GATHER_BYTES || now_ns() - r->woken_ns >= LIMIT_GATHER_MS * NS_PER_MS) {
        send_answers(r);
        return;
    }
    r->gathers = true;
    if (!uv_is_active((uv_handle_t *)&w->gather)) uv_timer_start(&w->gather, on_gathered, LIMIT_GATHER_MS, 0);
}

static void on_progress(struct chunk *c)
{
    struct stage *s = c->owner;
    if (s == last_stage(s->request))
        gather_answers(s->request);
    else
        pump(s);
}

static ssize_t on_pull(struct http_exchange *x, char *dst, size_t cap)
{
    struct request *r = http_exchange_data(x);
    struct stage *s = last_stage(r);
    bool held_back = s->chunk->held >= LIMIT_WORKER_ANSWER_BYTES;
    ssize_t n = chunk_pull(s->chunk, dst, cap);
    if (n) r->begun = true;
    if (n < 0) return HTTP_PULL_END;
    if (held_back && s->chunk->held < LIMIT_WORKER_ANSWER_BYTES) pool_feed(s->pool);
    return n ? n : HTTP_PULL_WAIT;
}

static bool on_whole(struct http_exchange *x, struct buf *answer)
{
    struct request *r = http_exchange_data(x);
    if (!chunk_take_whole(last_stage(r)->chunk, answer)) return false;
    r->begun = true;
    return true;
}

/* The head of an answer leaves with the first value, which saves a packet, unless that takes long: its sender must
 * learn how many slots there are before the first item has ended. */
static void on_heads(uv_timer_t *timer)
{
    struct worker *w = timer->data;
    bool others = false;
    for (struct request *r = w->requests; r; r = r->next) {
        if (r->begun || !r->answering_ns) continue;
        r->begun = now_ns() - r->answering_ns >= LIMIT_HEAD_WAIT_MS * NS_PER_MS / 2;
        if (r->begun) http_exchange_send_head(r->x);
        others = others || !r->begun;
    }
    if (others) uv_timer_start(timer, on_heads, LIMIT_HEAD_WAIT_MS / 2, 0);
}

static void begin_answer(struct request *r)
{
    struct worker *w = r->worker;
    worker_set_headers(w, r->x, r->stages[0].pool);
    http_answer_stream(r->x, 200, TYPE_NDJSON);
    r->answering_ns = now_ns();
    if (!uv_is_active((uv_handle_t *)&w->heads)) uv_timer_start(&w->heads, on_heads, LIMIT_HEAD_WAIT_MS, 0);
}

/* ---- the upload ---- */

static void item_fault(struct request *r, const struct chunk_fault *f)
{
    char members[128], detail[256];
    snprintf(members, sizeof members, "\"item\":%llu,\"offset\":%zu", (unsigned long long)f->item, f->offset);
    snprintf(detail, sizeof detail, "item %llu is not valid JSON: %s", (unsigned long long)f->item, f->reason);
    refuse(r, 400, members, detail);
}

static void add_items(struct request *r, struct stage *s, const char *data, size_t len)
{
    struct chunk_fault fault;
    if (!chunk_add(s->chunk, data, len, &fault)) item_fault(r, &fault);
}

static bool add_stage(struct request *r, const char *task, bool check)
{
    struct pool *pool = worker_pool(r->worker, task);
    if (!pool) {
        char detail[300];
        snprintf(detail, sizeof detail, "the pipeline names \"%.200s\", which is no task here", task);
        refuse(r, 404, NULL, detail);
        return false;
    }
    int64_t announced = r->count ? 0 : http_exchange_content_length(r->x);
    struct stage *s = &r->stages[r->count++];
    *s = (struct stage){.request = r, .pool = pool, .chunk = chunk_new(check, announced > 0 ? (size_t)announced : 0)};
    s->chunk->item_timeout_ns = pool->task->item_timeout_ns;
    s->chunk->on_progress = on_progress;
    s->chunk->owner = s;
    if (r->name) s->chunk->name = r->name;
    s->chunk->job = r->job;
    s->chunk->base = r->base;
    s->chunk->attempt = r->attempt;
    request_trace_add_chunk(&r->trace, s->chunk);
    pool_submit(pool, s->chunk);
    return true;
}

static bool apply_header(struct request *r)
{
    struct chunk_header h;
    char err[200];
    if (!chunk_header_parse(&h, r->header.data, r->header.len, err, sizeof err)) {
        refuse(r, 400, "\"line\":1", err);
        return false;
    }
    bool ok = true;
    if (h.tasks && strcmp(h.task[0], r->stages[0].pool->task->name) != 0) {
        refuse(r, 400, "\"pointer\":\"/pipeline/0\"", "the pipeline must begin with the task of the path");
        ok = false;
    }
    for (unsigned i = 1; ok && i < h.tasks; i++) ok = add_stage(r, h.task[i], false);
    struct common *common = ok && h.common ? common_new(h.common, h.common_len) : NULL;
    for (unsigned i = 0; ok && i < r->count; i++) {
        r->stages[i].chunk->common = common_ref(common);
        if (h.has_item_timeout) r->stages[i].chunk->item_timeout_ns = h.item_timeout_ns;
    }
    common_unref(common);
    chunk_header_release(&h);
    return ok;
}

/* The first line of a body with a header; returns how much of data it took. */
static size_t take_header(struct request *r, const char *data, size_t len)
{
    const char *newline = memchr(data, '\n', len);
    size_t n = newline ? (size_t)(newline - data) : len;
    if (!buf_add(&r->header, data, n)) {
        refuse(r, 413, NULL, "the header line is too large");
        return len;
    }
    if (!newline) return len;
    r->header_done = true;
    if (!apply_header(r)) return len;
    buf_release(&r->header);
    return n + 1;
}

/* Item bytes of all requests together are bounded; the oldest upload always goes on, so that none waits for ever. */
static bool must_wait(const struct request *r)
{
    if (r->worker->held_bytes < LIMIT_WORKER_QUEUED_BYTES) return false;
    const struct request *oldest = r->worker->requests;
    while (oldest->uploaded || oldest->refused) oldest = oldest->next;
    return oldest != r;
}

static void wake_uploads(struct worker *w)
{
    for (struct request *r = w->requests; r; r = r->next) {
        if (!r->suspended) continue;
        r->suspended = false;
        http_exchange_wake(r->x);
    }
}

static size_t on_body(struct http_exchange *x, const char *data, size_t len)
{
    struct request *r = http_exchange_data(x);
    if (r->refused) return len;
    if (must_wait(r)) {
        r->suspended = true;
        return 0;
    }
    size_t used = r->has_header && !r->header_done ? take_header(r, data, len) : 0;
    if (r->refused) return len;
    r->body_bytes += len;
    r->worker->held_bytes += len;
    add_items(r, &r->stages[0], data + used, len - used);
    if (!r->refused) pool_feed(r->stages[0].pool);
    return len;
}

static void on_body_end(struct http_exchange *x)
{
    struct request *r = http_exchange_data(x);
    r->uploaded = true;
    wake_uploads(r->worker);
    if (!r->refused && r->has_header && !r->header_done) {
        r->header_done = true;
        if (!apply_header(r)) return;
    }
    struct chunk_fault fault;
    if (r->refused) return;
    if (!chunk_finish(r->stages[0].chunk, &fault)) {
        item_fault(r, &fault);
        return;
    }
    begin_answer(r);
    on_progress(r->stages[0].chunk);
    pool_feed(r->stages[0].pool);
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
    /* From the last stage on: what an earlier one still answers must not be taken for an item. */
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

void requests_init(struct worker *w)
{
    w->requests_tail = &w->requests;
    uv_timer_init(w->loop, &w->heads);
    uv_timer_init(w->loop, &w->gather);
    w->heads.data = w->gather.data = w;
}

void requests_close(struct worker *w)
{
    uv_close((uv_handle_t *)&w->heads, NULL);
    uv_close((uv_handle_t *)&w->gather, NULL);
}

void requests_cut(struct worker *w)
{
    for (struct request *r = w->requests; r; r = r->next)
        if (!r->refused) end_early(r, CHUNK_DRAINING);
}

static void trace_end(const struct request *r, enum chunk_result result, uint64_t succeeded, uint64_t failed)
{
    uint64_t without_span = 0;
    for (unsigned i = 0; i < r->count; i++)
        without_span += request_trace_items(&r->trace, r->stages[i].chunk, r->stages[i].pool->task->name);
    struct request_story story = {
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
    request_trace_end(&r->trace, &story, without_span);
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
    const struct chunk *c = last_stage(r)->chunk;
    enum chunk_result result = how != HTTP_CLOSED_DONE || r->refused ? RESULT_CANCELLED
                               : c->whole && c->cut == c->received && !c->abandoned_ns && !c->draining ? RESULT_COMPLETE
                               : c->abandoned_ns && !w->cut                                            ? RESULT_DEADLINE
                                                            : RESULT_DRAINING;
    *w->results[result] += 1;
    metric_observe_ns(w->chunk_seconds, duration);
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
    for (unsigned i = 0; i < r->count; i++) {
        struct stage *s = &r->stages[i];
        s->chunk->on_progress = NULL;
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
        w->requests_tail = r->prev;
    w->held_bytes -= r->body_bytes;
    wake_uploads(w);
    worker_count_request(w, -1);
    if (r->timed)
        uv_close((uv_handle_t *)&r->deadline, on_deadline_closed);
    else
        free_request(r);
}

static const struct http_exchange_ops ops = {
    .body = on_body, .body_end = on_body_end, .pull = on_pull, .whole = on_whole, .closed = on_closed};

/* ---- admission ---- */

static bool type_is(const char *type, const char *name)
{
    size_t len = strlen(name);
    return strncasecmp(type, name, len) == 0 && (type[len] == '\0' || type[len] == ';' || type[len] == ' ');
}

static bool is_running(const struct worker *w, const char *name)
{
    for (const struct request *r = w->requests; r; r = r->next)
        if (r->name && strcmp(r->name, name) == 0) return true;
    return false;
}

/* What the client is told of an unknown task: the ones there are. */
static void answer_unknown(struct worker *w, struct http_exchange *x, const char *name)
{
    struct buf members = {0};
    const struct task *broken = task_set_find(&w->tasks, name);
    worker_set_headers(w, x, NULL);
    if (broken) {
        http_answer_problem(x, 422, NULL, "the task \"%s\" cannot be run: %s", name, broken->error);
        return;
    }
    buf_add_str(&members, "\"tasks\":[");
    for (size_t i = 0; i < w->tasks.count; i++) {
        if (i) buf_add_char(&members, ',');
        buf_add_json_string(&members, w->tasks.list[i]->name, strlen(w->tasks.list[i]->name));
    }
    buf_add_str(&members, "]");
    http_answer_problem(x, 404, buf_cstr(&members), "there is no task \"%s\" here", name);
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
    if (digits <= 15) *ms = strtoull(text, NULL, 10); /* longer: as good as none */
    return true;
}

/* Answers and returns false when the request is not taken. */
static bool admit(struct worker *w, struct http_exchange *x, bool *has_header, uint64_t *deadline_ms)
{
    const char *task = http_exchange_param(x, "task"), *type = http_exchange_header(x, "Content-Type");
    const char *name = http_exchange_header(x, HEADER_CHUNK);
    struct pool *pool = worker_pool(w, task);
    *has_header = type && type_is(type, TYPE_CHUNK);
    bool items = !type || type_is(type, TYPE_NDJSON) || type_is(type, "application/x-www-form-urlencoded");
    if (!pool) {
        answer_unknown(w, x, task);
        return false;
    }
    worker_set_headers(w, x, pool);
    if (!*has_header && !items) {
        http_answer_problem(x, 415, NULL, "items come as %s or %s", TYPE_NDJSON, TYPE_CHUNK);
    } else if (!read_deadline(x, deadline_ms)) {
        http_answer_problem(x, 400, NULL, "%s is no number of milliseconds", HEADER_DEADLINE_MS);
    } else if (w->draining) {
        http_exchange_set_header(x, "Retry-After", "1");
        http_exchange_set_header(x, "Connection", "close");
        http_answer_problem(x, 503, NULL, "the worker is draining");
    } else if (w->open >= (unsigned)w->config->max_chunks && w->open >= 4 * pool->size) {
        http_exchange_set_header(x, "Retry-After", "1");
        http_answer_problem(x, 429, NULL, "the worker is full: it holds %u chunks", w->open);
    } else if (name && is_running(w, name)) {
        http_exchange_set_header(x, "Retry-After", "1");
        http_answer_problem(x, 409, NULL, "the chunk \"%s\" is running here already", name);
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

/* What the headers call the chunk. */
static void read_names(struct request *r)
{
    const char *name = http_exchange_header(r->x, HEADER_CHUNK), *attempt = http_exchange_header(r->x, HEADER_ATTEMPT);
    if (!name) return;
    r->name = xstrndup(name, 200);
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
    read_names(r);
    r->has_header = has_header;
    r->started_ns = now_ns();
    request_trace_begin(&r->trace, w->trace, x);
    buf_init(&r->header, LIMIT_OPTIONS_BYTES);
    r->prev = w->requests_tail;
    *w->requests_tail = r;
    w->requests_tail = &r->next;
    worker_count_request(w, 1);
    http_exchange_accept(x, &ops, r);
    if (!add_stage(r, http_exchange_param(x, "task"), !has_header)) BUG("an admitted task has no pool");
    if (deadline_ms != NO_DEADLINE) start_deadline(r, deadline_ms);
}
