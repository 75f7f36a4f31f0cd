/* A job is cancelled, or its client closes the connection, in each state of the job. */
#include "unit/coordinator/job/job_harness.h"

#define STREAM "application/x-ndjson"

static const char three[] = "{\"task\":\"echo\",\"items\":[1,2,3]}";

/* The beginning of a job object, with enough items to start the job before the body has ended. */
static void add_early_items(struct buf *body)
{
    buf_add_str(body, "{\"task\":\"echo\",\"items\":[0");
    while (body->len < LIMIT_EARLY_START_BYTES * 2) buf_add_str(body, ",1234567890");
}

static void send_early_items(struct stage *s, struct http_exchange *x)
{
    struct buf body = {0};
    add_early_items(&body);
    stage_post(s, x);
    cr_assert_eq(exchange_send(x, body.data, body.len), body.len);
    buf_release(&body);
}

Test(job, runs_from_its_post_to_its_last_byte)
{
    struct stage s;
    struct http_exchange x = {.accept = STREAM};
    stage_init(&s);
    stage_add_slots(&s, 4);
    stage_post_body(&s, &x, three);
    cr_assert_eq(stage_job(&s)->state, JOB_RUNNING);
    stage_answer_all(&s);
    cr_assert_eq(stage_job(&s)->state, JOB_ENDED);
    cr_assert(exchange_pull(&x, 4096));
    cr_assert(strstr(x.answer.data, "{\"type\":\"result\",\"index\":2,\"value\":3}\n{\"type\":\"end\","), "%s",
              buf_cstr(&x.answer));
    exchange_close(&x, HTTP_CLOSED_DONE);
    cr_assert_eq(s.jobs_gone, 1);
    stage_over(&s);
}

Test(job, a_client_that_goes_before_the_start_takes_its_job_along)
{
    struct stage s;
    struct http_exchange x = {0};
    stage_init(&s);
    stage_post(&s, &x);
    exchange_send_text(&x, "{\"task\":\"echo\",\"items\":[1,");
    cr_assert_eq(stage_job(&s)->state, JOB_NEW);
    exchange_close(&x, HTTP_CLOSED_HANG_UP);
    stage_over(&s);
}

Test(job, a_client_that_goes_while_a_worker_is_asked_takes_its_job_along)
{
    struct stage s;
    struct http_exchange x = {0};
    stage_init(&s);
    stage_has_worker(&s);
    stage_post_body(&s, &x, three);
    cr_assert_eq(stage_job(&s)->state, JOB_ASKING);
    exchange_close(&x, HTTP_CLOSED_HANG_UP);
    cr_assert_eq(s.jobs.count, 0);
    call_end(last_call(), HTTP_CALL_OK, 500, false); /* no client waits for this answer any more */
    stage_over(&s);
}

Test(job, a_client_that_goes_in_the_middle_of_its_upload_ends_what_runs)
{
    struct stage s;
    struct http_exchange x = {0};
    stage_init(&s);
    stage_add_slots(&s, 4);
    send_early_items(&s, &x);
    stage_run(&s);
    cr_assert_eq(stage_job(&s)->state, JOB_RUNNING);
    cr_assert_gt(s.out_n, 0);
    exchange_close(&x, HTTP_CLOSED_HANG_UP);
    cr_assert_eq(s.jobs.count, 1, "the job stays until the scheduler has ended it");
    stage_run(&s);
    cr_assert_eq(s.out_n, 0);
    cr_assert_gt(s.cut_offs, 0);
    stage_over(&s);
}

Test(job, a_client_that_goes_while_its_job_runs_ends_it)
{
    struct stage s;
    struct http_exchange x = {.accept = STREAM};
    stage_init(&s);
    stage_add_slots(&s, 1);
    stage_post_body(&s, &x, three);
    stage_answer(&s, 1);
    cr_assert_not(exchange_pull(&x, 4096));
    exchange_close(&x, HTTP_CLOSED_HANG_UP);
    stage_run(&s);
    cr_assert_gt(s.cut_offs, 0);
    cr_assert_eq(s.out_n, 0);
    stage_over(&s);
}

Test(job, a_client_that_goes_before_it_has_read_all_frees_an_ended_job)
{
    struct stage s;
    struct http_exchange x = {.accept = STREAM};
    stage_init(&s);
    stage_add_slots(&s, 1);
    stage_post_body(&s, &x, three);
    stage_answer_all(&s);
    cr_assert_eq(stage_job(&s)->state, JOB_ENDED);
    exchange_close(&x, HTTP_CLOSED_HANG_UP);
    stage_over(&s);
}

Test(job, cancelled_while_it_runs_it_ends_with_what_was_answered)
{
    struct stage s;
    struct http_exchange x = {0};
    stage_init(&s);
    stage_add_slots(&s, 1);
    stage_post_body(&s, &x, three);
    stage_answer(&s, 1);
    job_cancel(stage_job(&s), SCHED_CANCELLED, "enough");
    job_cancel(stage_job(&s), SCHED_FAILED, "too late: the first reason counts");
    stage_run(&s);
    cr_assert_eq(x.status, 200);
    cr_assert(strstr(buf_cstr(&x.answer), "\"status\":\"cancelled\",\"reason\":\"enough\","), "%s", x.answer.data);
    cr_assert(strstr(x.answer.data, "\"results\":[1,null,null]"), "%s", x.answer.data);
    exchange_close(&x, HTTP_CLOSED_DONE);
    stage_over(&s);
}

Test(job, cancelled_before_its_start_it_ends_when_it_starts)
{
    for (int asking = 0; asking <= 1; asking++) {
        struct stage s;
        struct http_exchange x = {0};
        stage_init(&s);
        stage_add_slots(&s, 1);
        if (asking) stage_has_worker(&s);
        stage_post(&s, &x);
        exchange_send_text(&x, "{\"task\":\"echo\",\"items\":[1");
        if (!asking) job_cancel(stage_job(&s), SCHED_CANCELLED, "enough");
        exchange_send_text(&x, "]}");
        exchange_end_body(&x);
        if (asking) {
            cr_assert_eq(stage_job(&s)->state, JOB_ASKING);
            job_cancel(stage_job(&s), SCHED_CANCELLED, "enough");
            call_end(last_call(), HTTP_CALL_NOT_CONNECTED, 0, false);
        }
        stage_run(&s);
        cr_assert_eq(s.out_n, 0);
        cr_assert(strstr(buf_cstr(&x.answer), "\"status\":\"cancelled\",\"reason\":\"enough\","), "%s", x.answer.data);
        exchange_close(&x, HTTP_CLOSED_DONE);
        stage_over(&s);
    }
}

Test(job, cancelled_in_the_middle_of_its_upload_it_drops_the_rest_and_answers_at_its_end)
{
    struct stage s;
    struct http_exchange x = {.accept = STREAM};
    stage_init(&s);
    send_early_items(&s, &x);
    job_cancel(stage_job(&s), SCHED_CANCELLED, "enough");
    stage_run(&s);
    cr_assert_eq(stage_job(&s)->state, JOB_ENDED);
    exchange_send_text(&x, ", this is not read any more");
    cr_assert_eq(x.status, 0);
    exchange_end_body(&x);
    cr_assert(exchange_pull(&x, LIMIT_PULL_BYTES));
    cr_assert(strstr(x.answer.data, "{\"type\":\"end\","), "%s", buf_cstr(&x.answer));
    exchange_close(&x, HTTP_CLOSED_DONE);
    stage_over(&s);
}

Test(job, a_cancel_just_before_the_end_changes_nothing)
{
    struct stage s;
    struct http_exchange x = {0};
    stage_init(&s);
    stage_add_slots(&s, 1);
    stage_post_body(&s, &x, three);
    stage_answer_all(&s);
    job_cancel(stage_job(&s), SCHED_CANCELLED, "too late");
    stage_run(&s);
    cr_assert(strstr(buf_cstr(&x.answer), "\"status\":\"succeeded\""), "%s", x.answer.data);
    exchange_close(&x, HTTP_CLOSED_DONE);
    stage_over(&s);
}

static bool refuse_repeated(void *sink, uint64_t first, uint64_t n, const char *line, size_t len)
{
    return false;
}

static void explain_refusal(void *sink, char *out, size_t out_size)
{
    snprintf(out, out_size, "this disk takes nothing");
}

Test(job, a_failure_while_its_end_is_settled_is_the_reason_and_does_not_outlive_it)
{
    static const struct answer_sink_ops refusing = {.add_repeated = refuse_repeated, .explain = explain_refusal};
    struct stage s;
    struct http_exchange x = {0};
    stage_init(&s);
    stage_post_body(&s, &x, "{\"task\":\"echo\",\"items\":[1,2,3],\"deadline_s\":0.01}");
    stage_job(&s)->phase.answers = (struct answer_sink){&refusing, NULL};
    while (x.status == 0) stage_run(&s);
    cr_assert_eq(x.status, 507);
    cr_assert_str_eq(buf_cstr(&x.answer), "this disk takes nothing");
    exchange_close(&x, HTTP_CLOSED_DONE);
    stage_run(&s); /* the job has nothing left to cancel */
    stage_over(&s);
}

Test(job, jobs_are_found_by_their_id_and_listed_by_age_however_many_there_are)
{
    enum { N = 500 };
    struct stage s;
    static struct http_exchange x[N];
    char ids[N][UUID_TEXT_SIZE];
    stage_init(&s);
    s.config.max_jobs = N;
    for (unsigned i = 0; i < N; i++) {
        x[i] = (struct http_exchange){0};
        stage_post(&s, &x[i]);
        memcpy(ids[i], stage_job(&s)->id, sizeof ids[i]);
    }
    unsigned n = N;
    for (struct job *j = stage_job(&s); j; j = jobs_next(&s.jobs, j)) cr_assert_str_eq(j->id, ids[--n]);
    cr_assert_eq(n, 0);
    for (unsigned i = 0; i < N; i++) cr_assert_str_eq(jobs_find(&s.jobs, ids[i])->id, ids[i]);
    for (unsigned i = 0; i < N; i += 2) exchange_close(&x[i], HTTP_CLOSED_HANG_UP);
    for (unsigned i = 0; i < N; i++) cr_assert_eq(jobs_find(&s.jobs, ids[i]) != NULL, i % 2 == 1);
    cr_assert_null(jobs_find(&s.jobs, "no such id"));
    for (unsigned i = 1; i < N; i += 2) exchange_close(&x[i], HTTP_CLOSED_HANG_UP);
    stage_over(&s);
}
