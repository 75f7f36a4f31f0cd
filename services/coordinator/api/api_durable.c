#include "coordinator/api/api_durable.h"

#include "common/base/limits.h"
#include "coordinator/api/api_events.h"
#include "coordinator/api/errand.h"
#include "coordinator/job/job.h"
#include "coordinator/results/results_reader.h"
#include "coordinator/results/store_problem.h"

static void answer_failure(struct errand *e, const struct store_call *call)
{
    if (!e->exchange) return;
    if (call->status == STORE_OK || call->status == STORE_NOT_FOUND)
        store_problem_no_job(e->exchange, e->id);
    else
        store_problem_answer(e->exchange, call);
}

/* Tells the requests that wait for this job that its state may have changed. */
static void poke(struct errand *e)
{
    job_watches_poke(&e->coordinator->watches, e->id);
}

/* GET /v1/jobs/{id}. */

static void on_shown(struct errand *e, const struct store_call *call)
{
    if (errand_has_job(call))
        errand_answer_job(e, 200, &call->found);
    else
        answer_failure(e, call);
}

static bool read_wait(struct http_exchange *x, uint64_t *deadline_ns)
{
    const char *text = http_exchange_query(x, "wait_s");
    char *end;
    *deadline_ns = 0;
    if (!text) return true;
    double seconds = strtod(text, &end);
    if (end != text && !*end && seconds >= 0 && seconds <= LIMIT_JOB_WAIT_S) {
        *deadline_ns = now_ns() + (uint64_t)(seconds * 1e9);
        return true;
    }
    http_answer_problem(x, 400, "\"pointer\":\"/wait_s\"", "\"wait_s\" is a number of seconds from 0 to %d",
                        LIMIT_JOB_WAIT_S);
    return false;
}

void api_show_durable(struct http_exchange *x, struct coordinator *c)
{
    uint64_t deadline_ns;
    if (!http_check_query(x, "wait_s", NULL) || !read_wait(x, &deadline_ns)) return;
    struct errand *e = errand_new(x, c);
    if (e) errand_wait(e, deadline_ns, on_shown);
}

/* DELETE /v1/jobs/{id}. */

static void on_removed(struct errand *e, struct store_call *call)
{
    if (call->status == STORE_OK && call->more) {
        errand_start(e, errand_call(e, STORE_REMOVE, on_removed));
        return;
    }
    if (call->status == STORE_OK) poke(e);
    if (!e->exchange) return;
    if (call->status == STORE_OK)
        http_answer(e->exchange, 204, NULL, "", 0);
    else if (call->status == STORE_CONFLICT)
        http_answer_problem(e->exchange, 409, NULL, "the job runs again, so it cannot be removed");
    else
        answer_failure(e, call);
}

/* Answers 202 after the store has recorded that the job is to be cancelled. Answers 507 if the store is so full that it
 * had room for this record, but not for the end of the job. */
static void answer_cancelled(struct errand *e, const struct stored_job *job)
{
    const char *full = durable_lacks_room(&e->coordinator->durable, e->id);
    if (!full)
        errand_answer_job(e, 202, job);
    else if (e->exchange)
        http_answer_problem(e->exchange, 507, NULL, "the job was stopped, but its end cannot be recorded yet: %s",
                            full);
}

/* If the job had already ended, removes it, unless the client only wanted to cancel it. */
static void on_cancelled(struct errand *e, struct store_call *call)
{
    if (errand_has_job(call)) {
        if (stored_state_is_end(call->found.state)) durable_was_cancelled(&e->coordinator->durable, &call->found);
        durable_cancel(&e->coordinator->durable, e->id);
        poke(e);
        answer_cancelled(e, &call->found);
    } else if (call->status == STORE_CONFLICT && stored_state_is_end(call->found.state)) {
        if (e->only_cancel && e->exchange)
            http_answer_problem(e->exchange, 409, NULL, "the job has ended, so it cannot be cancelled");
        if (e->only_cancel) return;
        errand_start(e, errand_call(e, STORE_REMOVE, on_removed));
    } else if (call->status == STORE_CONFLICT && e->exchange) {
        store_problem_no_job(e->exchange, e->id); /* its items are still being uploaded */
    } else {
        answer_failure(e, call);
    }
}

void api_delete_durable(struct http_exchange *x, struct coordinator *c)
{
    if (!http_check_query(x, "only", NULL)) return;
    const char *only = http_exchange_query(x, "only");
    if (only && strcmp(only, "cancel") != 0) {
        http_answer_problem(x, 400, "\"pointer\":\"/only\"", "\"only\" must be cancel");
        return;
    }
    struct errand *e = errand_new(x, c);
    if (!e) return;
    e->only_cancel = only != NULL;
    errand_start(e, errand_call(e, STORE_WANT_CANCEL, on_cancelled));
}

/* POST /v1/jobs/{id}/redrive. */

static void on_redriven(struct errand *e, struct store_call *call)
{
    bool conflict = call->status == STORE_CONFLICT, is_there = errand_has_job(call);
    bool runs = is_there && !stored_state_is_end(call->found.state);
    if (runs) {
        durable_claim_soon(&e->coordinator->durable);
        poke(e);
        errand_answer_job(e, 202, &call->found);
    } else if (!e->exchange) {
        return;
    } else if (conflict && call->found.state != STORED_RECEIVING) {
        http_answer_problem(e->exchange, 409, NULL, "the job has not ended, so it cannot be redriven");
    } else if (is_there) {
        http_answer_problem(e->exchange, 409, NULL,
                            "all items of the job have a value, so there is nothing to redrive");
    } else if (conflict) {
        store_problem_no_job(e->exchange, e->id);
    } else {
        answer_failure(e, call);
    }
}

/* Returns whether the job is synchronous. A synchronous job is not in the store, and only its client gets its
 * results. */
static bool is_synchronous(const struct coordinator *c, const char *id)
{
    const struct job *j = jobs_find(&c->jobs, id);
    return j && !j->keeper;
}

/* If the coordinator has no store, or runs the job as a synchronous job, answers the request and returns false. `only`
 * ends the sentence "only a durable job ...". */
static bool needs_durable(struct http_exchange *x, const struct coordinator *c, const char *only)
{
    bool synchronous = is_synchronous(c, http_exchange_param(x, "id"));
    if (c->store && !synchronous) return true;
    http_exchange_leave_body(x);
    if (c->store)
        http_answer_problem(x, 409, NULL, "only a durable job %s", only);
    else
        http_answer_problem(x, 404, "\"scope\":\"replica\"",
                            "this coordinator has no job store: start it with --store to keep jobs and their results");
    return false;
}

void api_redrive_job(struct http_exchange *x, void *data)
{
    struct coordinator *c = data;
    if (!needs_durable(x, c, "can be redriven") || !http_check_no_query(x, NULL)) return;
    struct errand *e = errand_new(x, c);
    if (e) errand_start(e, errand_call(e, STORE_REDRIVE, on_redriven));
}

/* GET /v1/jobs/{id}/events. */

void api_show_events(struct http_exchange *x, void *data)
{
    if (needs_durable(x, data, "has events")) api_watch_events(x, data);
}

/* GET /v1/jobs/{id}/results. */

void api_show_results(struct http_exchange *x, void *data)
{
    struct coordinator *c = data;
    if (!needs_durable(x, c, "has results that can be read later")) return;
    const char *id = http_exchange_param(x, "id");
    if (strlen(id) >= STORE_ID_SIZE)
        store_problem_no_job(x, id);
    else
        results_reader_handle(x, &c->watches);
}
