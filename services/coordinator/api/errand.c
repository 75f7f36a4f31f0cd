#include "coordinator/api/errand.h"

#include "common/observe/utc_time.h"
#include "coordinator/results/store_problem.h"
#include "protocol/protocol.h"

void errand_free_when_over(struct errand *e)
{
    if (e->exchange || e->call) return;
    job_list_release(&e->list);
    free(e->task);
    free(e->label);
    buf_release(&e->body);
    stored_job_release(&e->accepted);
    free(e);
}

static void on_closed(struct http_exchange *x, enum http_closed how)
{
    struct errand *e = http_exchange_data(x);
    if (e->watches) job_watch_remove(&e->watch);
    e->watches = false;
    e->exchange = NULL;
    errand_free_when_over(e);
}

static size_t on_body(struct http_exchange *x, const char *data, size_t len)
{
    struct errand *e = http_exchange_data(x);
    if (e->whole && !buf_add(&e->body, data, len) && !http_exchange_answered(x))
        http_answer_problem(x, 413, NULL, "the body of this call may have up to %d bytes", ERRAND_BODY_BYTES);
    return len;
}

static void on_body_end(struct http_exchange *x)
{
    struct errand *e = http_exchange_data(x);
    if (e->whole && !http_exchange_answered(x)) e->whole(e);
}

static void on_done(struct store_call *call)
{
    struct errand *e = call->data;
    e->call = NULL;
    e->done(e, call);
    store_call_free(call);
    errand_free_when_over(e);
}

static ssize_t on_pull(struct http_exchange *x, char *dst, size_t cap)
{
    struct errand *e = http_exchange_data(x);
    return job_list_pull(&e->list, dst, cap);
}

struct errand *errand_for(struct http_exchange *x, struct coordinator *c, const char *id)
{
    static const struct http_exchange_ops ops = {
        .body = on_body, .body_end = on_body_end, .pull = on_pull, .closed = on_closed};
    struct errand *e = xcalloc(1, sizeof *e);
    e->coordinator = c;
    e->exchange = x;
    buf_init(&e->body, ERRAND_BODY_BYTES);
    snprintf(e->id, sizeof e->id, "%s", id);
    http_exchange_accept(x, &ops, e);
    return e;
}

struct errand *errand_new(struct http_exchange *x, struct coordinator *c)
{
    const char *id = http_exchange_param(x, "id");
    if (!id || strlen(id) < STORE_ID_SIZE) return errand_for(x, c, id ? id : "");
    store_problem_no_job(x, id);
    return NULL;
}

struct store_call *errand_call(struct errand *e, enum store_op op,
                               void (*done)(struct errand *e, struct store_call *call))
{
    struct store_call *call = store_call_new(op, on_done, e);
    snprintf(call->job.id, sizeof call->job.id, "%s", e->id);
    e->done = done;
    return call;
}

void errand_start(struct errand *e, struct store_call *call)
{
    e->call = call;
    store_start(e->coordinator->store, call);
}

void errand_write_job(const struct coordinator *c, struct buf *out, const struct stored_job *job)
{
    struct durable_live live;
    bool runs_here = durable_live_of(&c->durable, job->id, &live);
    job_document_write(out, job, utc_time_now(), runs_here ? &live : NULL, NULL);
}

void errand_answer_job(struct errand *e, int status, const struct stored_job *job)
{
    struct buf out = {0};
    if (!e->exchange) return;
    errand_write_job(e->coordinator, &out, job);
    buf_add_char(&out, '\n');
    http_answer(e->exchange, status, TYPE_JSON, out.data, out.len);
    buf_release(&out);
}
