#include "coordinator/api/api_jobs.h"

#include "coordinator/api/api_durable.h"
#include "coordinator/api/job_list.h"
#include "coordinator/coordinator.h"
#include "coordinator/intake/intake.h"
#include "coordinator/job/job_request.h"
#include "coordinator/job/job.h"
#include "coordinator/store/store.h"
#include "protocol/protocol.h"

void api_post_job(struct http_exchange *x, void *data)
{
    struct coordinator *c = data;
    if (c->store && job_request_prefers_durable(x))
        intake_handle(x, &c->durable);
    else if (intake_check_key(x)) /* a synchronous job needs no Idempotency-Key, but an invalid key is refused */
        submission_handle(x, &c->jobs);
}

static ssize_t on_list_pull(struct http_exchange *x, char *dst, size_t cap)
{
    return job_list_pull(http_exchange_data(x), dst, cap);
}

static void on_list_closed(struct http_exchange *x, enum http_closed how)
{
    struct job_list *l = http_exchange_data(x);
    job_list_release(l);
    free(l);
}

void api_list_jobs(struct http_exchange *x, void *data)
{
    static const struct http_exchange_ops ops = {.pull = on_list_pull, .closed = on_list_closed};
    struct coordinator *c = data;
    struct buf before = {0};
    if (c->store) {
        api_list_durable(x, c);
        return;
    }
    if (!http_check_no_query(x, job_list_hint)) return;
    struct job_list *l = xcalloc(1, sizeof *l);
    buf_add_str(&before, "{\"scope\":\"replica\",\"jobs\":");
    job_list_begin(l, &c->jobs, &before);
    http_exchange_accept(x, &ops, l);
    http_answer_stream(x, 200, TYPE_JSON);
}

/* Returns whether the request is about a job in the store. Synchronous jobs are not in the store. */
static bool is_for_store(const struct http_exchange *x, const struct coordinator *c)
{
    const struct job *j = jobs_find(&c->jobs, http_exchange_param(x, "id"));
    return c->store && (!j || j->keeper);
}

/* Returns the job of the request. If the job does not exist, answers 404 and returns NULL. */
static struct job *find_job(struct http_exchange *x, struct coordinator *c)
{
    const char *id = http_exchange_param(x, "id");
    struct job *j = jobs_find(&c->jobs, id);
    if (j) return j;
    http_answer_problem(x, 404, "\"scope\":\"replica\"", "this coordinator is not running a job %.64s", id);
    return NULL;
}

void api_show_job(struct http_exchange *x, void *data)
{
    struct buf out = {0};
    if (is_for_store(x, data)) {
        api_show_durable(x, data);
        return;
    }
    if (!http_check_no_query(x, NULL)) return;
    const struct job *j = find_job(x, data);
    if (!j) return;
    job_list_write_job(&out, j);
    buf_add_char(&out, '\n');
    http_answer(x, 200, TYPE_JSON, out.data, out.len);
    buf_release(&out);
}

void api_change_job(struct http_exchange *x, void *data)
{
    if (is_for_store(x, data)) {
        api_change_durable(x, data);
        return;
    }
    http_exchange_leave_body(x);
    if (find_job(x, data)) http_answer_problem(x, 409, NULL, "only a durable job can be changed");
}

void api_delete_job(struct http_exchange *x, void *data)
{
    struct buf out = {0};
    if (is_for_store(x, data)) {
        api_delete_durable(x, data);
        return;
    }
    if (!http_check_query(x, "only", NULL)) return;
    struct job *j = find_job(x, data);
    if (!j) return;
    job_cancel(j, SCHED_CANCELLED, STORED_CANCELLED_BY_CLIENT);
    job_list_write_job(&out, j);
    buf_add_char(&out, '\n');
    http_answer(x, 202, TYPE_JSON, out.data, out.len);
    buf_release(&out);
}
