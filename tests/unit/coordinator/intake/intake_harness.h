/* Posts durable jobs to a replica, without HTTP. */
#ifndef FANTAIL_TEST_INTAKE_HARNESS_H
#define FANTAIL_TEST_INTAKE_HARNESS_H

#include "coordinator/intake/intake.h"
#include "coordinator/job/job_request.h"
#include "unit/coordinator/durable/durable_harness.h"

#define JOB "{\"task\":\"echo\",\"items\":[1,2,3]}"

static inline void post(struct bench *b, struct http_exchange *x)
{
    cr_assert(job_request_prefers_durable(x));
    intake_handle(x, &b->replica.durable);
}

/* Adds lines of items until the body has this many MiB. */
static inline void add_items(struct buf *body, size_t mib)
{
    while (body->len < mib * 1024 * 1024) buf_add_str(body, "\"0123456789\"\n");
}

static inline void post_body(struct bench *b, struct http_exchange *x, const char *body)
{
    post(b, x);
    if (x->ops && !http_exchange_answered(x)) exchange_send_text(x, body);
    if (x->ops) exchange_end_body(x);
}

static inline void expect_header(struct http_exchange *x, const char *line)
{
    cr_assert_not_null(strstr(buf_cstr(&x->headers), line), "%s is not in %s", line, x->headers.data);
}

static inline void expect_problem(struct http_exchange *x, int status, const char *detail)
{
    cr_assert_eq(x->status, status, "%d: %s", x->status, buf_cstr(&x->answer));
    cr_assert_not_null(strstr(buf_cstr(&x->answer), detail), "%s", buf_cstr(&x->answer));
    cr_assert_str_eq(x->job, "");
    exchange_close(x, HTTP_CLOSED_DONE);
}

/* Starts a bench whose replica claims no jobs, so that a test sees the accepted jobs. */
static inline void intake_start(struct bench *b)
{
    bench_start(b, 0);
    b->replica.stage.config.max_jobs = 0;
    fake_store_run(b->store);
}

static inline void intake_over(struct bench *b, size_t jobs)
{
    fake_store_run(b->store);
    cr_assert_eq(b->store->job_count, jobs, "%zu jobs are left", b->store->job_count);
    for (size_t i = 0; i < jobs; i++) cr_assert_neq(b->store->jobs[i]->job.state, STORED_RECEIVING);
    bench_over(b);
}

#endif
