/* Reads the header line and the items of a request, and makes the stages of its pipeline. */
#include "common/base/memory_room.h"
#include "worker/request_internal.h"

static void item_fault(struct request *r, const struct chunk_fault *f)
{
    char members[128], detail[256];
    snprintf(members, sizeof members, "\"item\":%llu,\"offset\":%zu", (unsigned long long)f->item, f->offset);
    snprintf(detail, sizeof detail, "item %llu is not valid JSON: %s", (unsigned long long)f->item, f->reason);
    request_refuse(r, 400, members, detail);
}

void request_add_items(struct stage *s, const char *data, size_t len)
{
    struct chunk_fault fault;
    if (!chunk_add(s->chunk, data, len, &fault)) item_fault(s->request, &fault);
}

bool request_add_stage(struct request *r, const char *task, bool check)
{
    struct pool *pool = worker_pool(r->worker, task);
    if (!pool) {
        char detail[300];
        struct buf members = {0};
        snprintf(detail, sizeof detail, "the pipeline names the task \"%.200s\", which this worker does not have",
                 task);
        request_write_tasks(r->worker, &members);
        request_refuse(r, 404, buf_cstr(&members), detail);
        buf_release(&members);
        return false;
    }
    int64_t announced = r->count ? 0 : http_exchange_content_length(r->x);
    if (announced > 0 && !memory_has_room((size_t)announced)) announced = 0; /* has_room() decides later */
    struct stage *s = &r->stages[r->count++];
    *s = (struct stage){.request = r, .pool = pool, .chunk = chunk_new(check, announced > 0 ? (size_t)announced : 0)};
    s->chunk->item_timeout_ns = pool->task->item_timeout_ns;
    s->chunk->on_progress = request_on_progress;
    s->chunk->chunk_ns = request_chunk_ns;
    s->chunk->owner = s;
    if (r->name) s->chunk->name = r->name;
    s->chunk->job = r->job;
    s->chunk->base = r->base;
    s->chunk->attempt = r->attempt;
    request_trace_add_chunk(&r->trace, s->chunk);
    pool_submit(pool, s->chunk);
    return true;
}

/* Sets the time limit of the chunk's items to the shorter of the task's limit and `ns`. 0: no limit. */
static void limit_item_time(struct chunk *c, uint64_t ns)
{
    if (c->item_timeout_ns == 0 || (ns > 0 && ns < c->item_timeout_ns)) c->item_timeout_ns = ns;
}

static bool apply_header(struct request *r)
{
    struct chunk_header h;
    char err[200];
    if (!chunk_header_parse(&h, &r->header_scan, r->header.data, r->header.len, err, sizeof err)) {
        request_refuse(r, 400, "\"line\":1", err);
        return false;
    }
    bool ok = true;
    if (h.tasks && strcmp(h.task[0], r->stages[0].pool->task->name) != 0) {
        request_refuse(r, 400, "\"pointer\":\"/pipeline/0\"",
                       "the first task of the pipeline must be the task of the path");
        ok = false;
    }
    for (unsigned i = 1; ok && i < h.tasks; i++) ok = request_add_stage(r, h.task[i], false);
    struct common_value *common = ok && h.common ? common_value_new(h.common, h.common_len) : NULL;
    for (unsigned i = 0; ok && i < r->count; i++) {
        r->stages[i].chunk->common = common_value_ref(common);
        if (h.has_item_timeout) limit_item_time(r->stages[i].chunk, h.item_timeout_ns);
    }
    common_value_unref(common);
    chunk_header_release(&h);
    buf_release(&r->header);
    if (ok) request_move(r, REQUEST_READING_ITEMS);
    return ok;
}

/* Reads the header line of a body. Returns how many bytes of data belong to the header line. */
static size_t read_header(struct request *r, const char *data, size_t len)
{
    const char *newline = memchr(data, '\n', len);
    size_t n = newline ? (size_t)(newline - data) : len;
    if (!buf_add(&r->header, data, n)) {
        char detail[80];
        snprintf(detail, sizeof detail, "the header line is larger than %u bytes", (unsigned)LIMIT_CHUNK_HEADER_BYTES);
        request_refuse(r, 413, NULL, detail);
        return len;
    }
    if (newline) return apply_header(r) ? n + 1 : len;
    chunk_header_look(&r->header_scan, r->header.data, r->header.len);
    return len;
}

/* Returns whether the upload must wait. Uploads wait while the bodies of all requests together have more bytes than a
 * limit. The oldest upload never waits, so no upload waits for ever. */
static bool must_wait(const struct request *r)
{
    const struct requests *set = &r->worker->requests;
    if (set->held_bytes < LIMIT_WORKER_QUEUED_BYTES) return false;
    const struct request *oldest = set->first;
    while (oldest->state > REQUEST_READING_ITEMS) oldest = oldest->next;
    return oldest != r;
}

void request_wake_uploads(struct requests *set)
{
    for (struct request *r = set->first; r; r = r->next) {
        if (!r->suspended) continue;
        r->suspended = false;
        http_exchange_wake(r->x);
    }
}

/* Returns how much memory the next `len` bytes of the body may need. A header line needs memory twice, because its
 * common value is copied. */
static size_t growth_of(const struct request *r, size_t len)
{
    size_t items = buf_growth(&r->stages[0].chunk->items, len);
    return r->state == REQUEST_READING_HEADER ? items + buf_growth(&r->header, len) + r->header.len + len : items;
}

/* Returns whether there is enough memory for the next `len` bytes. If there is not enough memory, refuses the
 * request. */
static bool has_room(struct request *r, size_t len)
{
    if (memory_has_room(growth_of(r, len))) return true;
    request_refuse(r, 507, NULL, "the worker has reached its memory limit, and the items need more memory");
    return false;
}

size_t request_on_body(struct http_exchange *x, const char *data, size_t len)
{
    struct request *r = http_exchange_data(x);
    if (r->state == REQUEST_REFUSED) return len;
    if (must_wait(r)) {
        r->suspended = true;
        return 0;
    }
    if (!has_room(r, len)) return len;
    size_t used = r->state == REQUEST_READING_HEADER ? read_header(r, data, len) : 0;
    if (r->state == REQUEST_REFUSED) return len;
    r->body_bytes += len;
    r->worker->requests.held_bytes += len;
    request_add_items(&r->stages[0], data + used, len - used);
    if (r->state != REQUEST_REFUSED) pool_feed(r->stages[0].pool);
    return len;
}

void request_on_body_end(struct http_exchange *x)
{
    struct request *r = http_exchange_data(x);
    struct chunk_fault fault;
    if (r->state == REQUEST_READING_HEADER) apply_header(r);
    if (r->state == REQUEST_READING_ITEMS && !chunk_finish(r->stages[0].chunk, &fault)) item_fault(r, &fault);
    if (r->state == REQUEST_READING_ITEMS) request_begin_answer(r);
    request_wake_uploads(&r->worker->requests); /* the oldest upload may be another one now */
    if (r->state == REQUEST_REFUSED) return;
    request_on_progress(r->stages[0].chunk);
    pool_feed(r->stages[0].pool);
}
