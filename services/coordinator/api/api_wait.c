#include "coordinator/api/api_wait.h"

#include "coordinator/api/errand.h"
#include "coordinator/intake/intake.h"
#include "coordinator/results/results_reader.h"
#include "coordinator/results/store_problem.h"

/* Call it when the job has ended. Gives its client the answer that a synchronous job would have. */
static void give_to_reader(struct errand *e, const struct store_call *read)
{
    struct http_exchange *x = e->exchange;
    const struct preferences waited = {.waits = true, .wait_s = e->prefer.wait_s};
    e->exchange = NULL;
    intake_set_headers(x, e->id, &waited);
    results_reader_answer(x, &e->coordinator->watches, e->id, read, e->likeness);
}

/* Answers when the wait is over. If the store is away or broken now, the answer is 202, because the job is already
 * committed. */
static void on_over(struct errand *e, const struct store_call *call)
{
    bool is_there = errand_has_job(call);
    if (call->status == STORE_NOT_FOUND)
        store_problem_no_job(e->exchange, e->id);
    else if (is_there && stored_state_is_end(call->found.state) && results_reader_may_answer(e->exchange, &call->found))
        give_to_reader(e, call);
    else
        intake_answer_accepted(e->exchange, is_there ? &call->found : &e->accepted, &e->prefer, e->likeness);
}

void api_wait_for_accepted(struct http_exchange *x, struct coordinator *c, const struct stored_job *job,
                           const struct preferences *wanted, enum job_likeness likeness)
{
    struct errand *e = errand_for(x, c, job->id);
    stored_job_copy(&e->accepted, job);
    e->prefer = *wanted;
    e->likeness = likeness;
    e->known = e->wants_results = true;
    errand_wait(e, now_ns() + wanted->wait_s * NS_PER_S, on_over);
}
