/* PATCH /v1/jobs/{id}. */
#include "common/net/media_type.h"
#include "coordinator/api/api_durable.h"
#include "coordinator/api/errand.h"
#include "coordinator/items/jobspec.h"
#include "coordinator/results/store_problem.h"
#include "protocol/protocol.h"

static void on_changed(struct errand *e, struct store_call *call)
{
    bool conflict = call->status == STORE_CONFLICT;
    if (call->status == STORE_OK) {
        durable_change(&e->coordinator->durable, &call->found);
        errand_answer_job(e, 200, &call->found);
    } else if (!e->exchange) {
        return;
    } else if (call->status == STORE_NOT_FOUND || (conflict && call->found.state == STORED_RECEIVING)) {
        store_problem_no_job(e->exchange, e->id);
    } else if (conflict) {
        http_answer_problem(e->exchange, 409, NULL, "the job has ended, so it cannot be changed");
    } else {
        store_problem_answer(e->exchange, call);
    }
}

static void refuse(struct http_exchange *x, const struct jobspec_error *err)
{
    struct buf members = {0};
    buf_add_str(&members, "\"pointer\":");
    buf_add_json_string(&members, err->pointer, strlen(err->pointer));
    http_answer_problem(x, err->status, buf_cstr(&members), "%s", err->detail);
    buf_release(&members);
}

/* The store gets the parsed values in a fixed form instead of the body, so that equal changes give equal texts. A null
 * is replaced by the default value. */
static void on_patch(struct errand *e)
{
    struct jobspec spec;
    struct jobspec_error err;
    struct buf changes = {0};
    size_t len = e->body.len;
    jobspec_init(&spec);
    if (jobspec_read_changes(&spec, buf_cstr(&e->body), len, &err)) {
        struct store_call *call = errand_call(e, STORE_CHANGE, on_changed);
        jobspec_write_changes(&spec, &changes);
        buf_cstr(&changes);
        call->job.changes = buf_detach(&changes, &len);
        errand_start(e, call);
    } else {
        refuse(e->exchange, &err);
    }
    jobspec_release(&spec);
}

static bool is_patch(const char *type)
{
    enum media_form form = media_type_form(type);
    return form == MEDIA_JSON || form == MEDIA_NONE || form == MEDIA_FORM || media_type_is(type, TYPE_MERGE_PATCH);
}

void api_change_durable(struct http_exchange *x, struct coordinator *c)
{
    if (!http_check_no_query(x, NULL)) return;
    if (!is_patch(http_exchange_header(x, "Content-Type"))) {
        http_exchange_leave_body(x);
        http_answer_problem(x, 415, NULL, "the Content-Type of a change must be " TYPE_MERGE_PATCH " or " TYPE_JSON);
        return;
    }
    struct errand *e = errand_new(x, c);
    if (e) e->whole = on_patch;
}
