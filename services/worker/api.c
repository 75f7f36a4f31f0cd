/* The worker's routes, the headers of every answer, and the handlers of all routes except POST /v1/tasks/{task}. */
#include "protocol/protocol.h"
#include "worker/worker.h"

void worker_set_headers(struct worker *w, struct http_exchange *x, const struct pool *pool)
{
    char number[16];
    unsigned slots = pool ? pool_slots(pool) : worker_slots(w, NULL), idle = pool ? pool_may_start(pool) : slots;
    http_exchange_set_header(x, HEADER_WORKER, w->id);
    snprintf(number, sizeof number, "%u", slots);
    http_exchange_set_header(x, HEADER_SLOTS, number);
    snprintf(number, sizeof number, "%u", idle);
    http_exchange_set_header(x, HEADER_FREE, number);
}

static void add_member(struct buf *b, const char *name, const char *value)
{
    buf_addf(b, ",\"%s\":", name);
    buf_add_json_string(b, value, strlen(value));
}

static void add_task(struct buf *b, struct worker *w, const struct task *t)
{
    buf_add_str(b, "{\"name\":");
    buf_add_json_string(b, t->name, strlen(t->name));
    if (t->error) {
        add_member(b, "error", t->error);
    } else {
        add_member(b, "mode", task_mode_name(t->mode));
        if (t->description) add_member(b, "description", t->description);
        if (t->signature) add_member(b, "signature", t->signature);
        if (t->example) buf_addf(b, ",\"example\":%s", t->example);
        buf_addf(b, ",\"processes\":%u,\"slots\":%u,\"idempotent\":%s", worker_slots(w, t),
                 worker_slots(w, t) * task_slots_per_process(t), idempotency_json(t->idempotent));
        const struct pool *pool = worker_pool(w, t->name);
        unsigned starting = pool ? pool_starting(pool) : 0;
        if (starting) buf_addf(b, ",\"starting\":%u", starting);
        const char *cause = pool ? pool_start_failure(pool) : NULL;
        if (cause) add_member(b, "cannot_start", cause);
        if (t->batch > 1) buf_addf(b, ",\"batch\":%u", t->batch);
        if (t->concurrency) buf_addf(b, ",\"concurrency\":%u", t->concurrency);
        if (t->item_timeout_ns) buf_addf(b, ",\"item_timeout_s\":%.9g", (double)t->item_timeout_ns / (double)NS_PER_S);
    }
    buf_add_char(b, '}');
}

static void write_tasks(struct buf *b, struct worker *w)
{
    buf_add_str(b, "{\"worker\":");
    buf_add_json_string(b, w->id, strlen(w->id));
    buf_addf(b, ",\"slots\":%u,\"tasks\":[", worker_slots(w, NULL));
    for (size_t i = 0; i < w->tasks.count; i++) {
        if (i) buf_add_char(b, ',');
        add_task(b, w, w->tasks.list[i]);
    }
    buf_add_str(b, "]}\n");
}

void worker_write_etag(void *worker, char *etag, size_t size)
{
    struct buf b = {0};
    write_tasks(&b, worker);
    http_etag_write(etag, size, b.data, b.len);
    buf_release(&b);
}

/* Answers GET /v1/tasks. Coordinators send GET /v1/tasks from time to time. A coordinator that already has the current
 * document gets 304. */
static void list_tasks(struct http_exchange *x, void *data)
{
    struct worker *w = data;
    struct buf b = {0};
    if (!http_check_no_query(x, NULL)) return;
    worker_look_for_tasks(w);
    write_tasks(&b, w);
    worker_set_headers(w, x, NULL);
    http_answer_tagged(x, TYPE_JSON, b.data, b.len);
    buf_release(&b);
}

static void autoscale(struct http_exchange *x, void *data)
{
    const struct worker *w = data;
    struct buf b = {0};
    if (!http_check_no_query(x, NULL)) return;
    uint64_t queued = worker_queued(w);
    unsigned busy = worker_busy(w);
    buf_addf(&b, "{\"queued\":%llu,\"in_flight\":%u,\"demand\":%llu}\n", (unsigned long long)queued, busy,
             (unsigned long long)queued + busy);
    http_answer(x, 200, TYPE_JSON, b.data, b.len);
    buf_release(&b);
}

const struct http_route worker_routes[] = {
    {"POST", PATH_TASKS "/{task}", request_handle},
    {"GET", PATH_TASKS, list_tasks},
    {0},
};

const struct http_route worker_admin_routes[] = {
    {"GET", "/autoscale", autoscale},
    {0},
};
