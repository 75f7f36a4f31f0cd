/* How jobs are submitted: options, bodies, refusals, backpressure. */
#include "unit/coordinator/job/job_harness.h"

static void add_items(struct buf *body, size_t bytes)
{
    while (body->len < bytes) buf_add_str(body, ",1234567890");
}

Test(submission, a_body_that_breaks_off_into_nonsense_is_refused_and_what_runs_is_ended)
{
    struct stage s;
    struct http_exchange x = {0};
    struct buf body = {0};
    stage_init(&s);
    stage_add_slots(&s, 2);
    stage_post(&s, &x);
    buf_add_str(&body, "{\"task\":\"echo\",\"items\":[0");
    add_items(&body, 2 * LIMIT_EARLY_START_BYTES);
    cr_assert_eq(exchange_send(&x, body.data, body.len), body.len);
    stage_run(&s);
    cr_assert_gt(s.out_n, 0);
    exchange_send_text(&x, ",]");
    cr_assert_eq(x.status, 400);
    char offset[64];
    snprintf(offset, sizeof offset, "\"offset\":%zu", body.len + 1);
    cr_assert(strstr(buf_cstr(&x.members), offset), "%s, not %s", x.members.data, offset);
    cr_assert_eq(x.ops->body(&x, "more", 4), 4, "the rest of the body is dropped");
    stage_run(&s);
    cr_assert_eq(s.out_n, 0);
    exchange_close(&x, HTTP_CLOSED_DONE);
    buf_release(&body);
    stage_over(&s);
}

Test(submission, a_wrong_option_is_refused_before_anything_runs)
{
    struct stage s;
    struct http_exchange x = {0};
    stage_init(&s);
    stage_add_slots(&s, 2);
    stage_post_body(&s, &x, "{\"task\":\"echo\",\"items\":[1],\"chunk_size\":-1}");
    cr_assert_eq(x.status, 400);
    cr_assert_str_eq(buf_cstr(&x.members), "\"pointer\":\"/chunk_size\"");
    cr_assert_eq(stage_job(&s)->state, JOB_REFUSED);
    cr_assert_eq(s.out_n, 0);
    exchange_close(&x, HTTP_CLOSED_DONE);
    stage_over(&s);
}

/* Posts a job object that has a long string between the texts `begin` and `end`. */
static void post_long(struct stage *s, struct http_exchange *x, const char *begin, const char *end)
{
    struct buf body = {0};
    buf_addf(&body, "{\"priority\":7,%s\"", begin);
    while (body.len < 3 * LONG_OPTION_BYTES) buf_add_char(&body, 'c');
    buf_addf(&body, "\"%s,\"task\":\"echo\",\"items\":[1]}", end);
    stage_post_body(s, x, buf_cstr(&body));
    buf_release(&body);
}

Test(submission, a_long_common_is_kept_as_it_was_sent)
{
    struct stage s;
    struct http_exchange x = {0};
    stage_init(&s);
    stage_add_slots(&s, 2);
    post_long(&s, &x, "\"common\":", "");
    cr_assert_eq(x.status, 0, "%s", buf_cstr(&x.answer));
    const struct jobspec *spec = &stage_job(&s)->spec;
    cr_assert_eq(spec->priority, 7);
    cr_assert(spec->common_len > 2 * LONG_OPTION_BYTES && strspn(spec->common + 1, "c") == spec->common_len - 2);
    job_cancel(stage_job(&s), SCHED_CANCELLED, "enough");
    stage_run(&s);
    exchange_pull(&x, LIMIT_PULL_BYTES);
    exchange_close(&x, HTTP_CLOSED_DONE);
    stage_over(&s);
}

static void expect_long_fault(const char *begin, const char *end, const char *pointer)
{
    struct stage s;
    struct http_exchange x = {0};
    stage_init(&s);
    post_long(&s, &x, begin, end);
    cr_assert_eq(x.status, 400);
    cr_assert_str_eq(buf_cstr(&x.members), pointer);
    exchange_close(&x, HTTP_CLOSED_DONE);
    stage_over(&s);
}

Test(submission, a_long_value_of_another_option_is_refused_with_its_own_fault)
{
    expect_long_fault("\"labels\":[", "]", "\"pointer\":\"/labels\"");
    expect_long_fault("\"unknown\":", "", "\"pointer\":\"/unknown\"");
    expect_long_fault("\"tolerated_failure_count\":", "", "\"pointer\":\"/tolerated_failure_count\"");
    expect_long_fault("\"retry\":{\"common\":", "}", "\"pointer\":\"/retry/common\"");
    expect_long_fault("\"common\":1,\"order\":", "", "\"pointer\":\"/order\"");
}

static void expect_late_option(const char *option, int status)
{
    struct stage s;
    struct http_exchange x = {0};
    struct buf body = {0};
    stage_init(&s);
    stage_post(&s, &x);
    buf_add_str(&body, "{\"task\":\"echo\",\"items\":[0");
    add_items(&body, 2 * LIMIT_EARLY_START_BYTES);
    buf_addf(&body, "],%s}", option);
    cr_assert_eq(exchange_send(&x, body.data, body.len), body.len);
    exchange_end_body(&x);
    cr_assert_eq(x.status, status, "%s: %d", option, x.status);
    if (!status) job_cancel(stage_job(&s), SCHED_CANCELLED, "enough");
    stage_run(&s);
    exchange_pull(&x, LIMIT_PULL_BYTES);
    exchange_close(&x, HTTP_CLOSED_DONE);
    buf_release(&body);
    stage_over(&s);
}

Test(submission, after_many_items_only_some_options_may_come)
{
    expect_late_option("\"priority\":9", 0);
    expect_late_option("\"reduce\":\"sum\"", 0);
    expect_late_option("\"common\":1", 400);
    expect_late_option("\"task\":\"other\"", 400);
    expect_late_option("\"order\":\"completion\"", 400);
}

Test(submission, an_unknown_task_is_refused_with_those_there_are)
{
    struct stage s;
    struct http_exchange x = {0};
    stage_init(&s);
    stage_has_worker(&s);
    stage_post_body(&s, &x, "{\"task\":\"ecko\",\"items\":[1]}");
    cr_assert_eq(x.status, 0);
    struct http_call *call = last_call();
    cr_assert(call_body(call, "{\"tasks\":[{\"name\":\"echo\"},{\"name\":\"sum\"}]}"));
    call_end(call, HTTP_CALL_OK, 200, false);
    cr_assert_eq(x.status, 404);
    cr_assert_str_eq(buf_cstr(&x.answer), "there is no task \"ecko\"; the workers have echo and sum");
    cr_assert_str_eq(x.job, "", "a refused job was not accepted");
    exchange_close(&x, HTTP_CLOSED_DONE);
    stage_over(&s);
}

Test(submission, a_job_starts_all_the_same_when_no_worker_can_say_which_tasks_there_are)
{
    struct stage s;
    struct http_exchange x = {0};
    stage_init(&s);
    stage_has_worker(&s);
    stage_post_body(&s, &x, "{\"task\":\"echo\",\"items\":[1]}");
    call_end(last_call(), HTTP_CALL_NOT_CONNECTED, 0, false);
    cr_assert_eq(stage_job(&s)->state, JOB_RUNNING);
    stage_add_slots(&s, 1);
    stage_answer_all(&s);
    cr_assert_eq(x.status, 200);
    exchange_close(&x, HTTP_CLOSED_DONE);
    stage_over(&s);
}

Test(submission, an_upload_is_paused_while_nothing_is_sent_and_goes_on_when_it_is)
{
    struct stage s;
    struct http_exchange x = {.content_type = "application/x-ndjson", .query_task = "echo"};
    struct buf body = {0};
    stage_init(&s);
    stage_post(&s, &x);
    while (body.len < 3 * LIMIT_UNDISPATCHED_BYTES) buf_add_str(&body, "1234567890\n");
    size_t sent = exchange_send(&x, body.data, body.len);
    cr_assert_lt(sent, LIMIT_UNDISPATCHED_BYTES + 2 * LIMIT_PULL_BYTES);
    cr_assert_geq(sent, LIMIT_UNDISPATCHED_BYTES);
    x.wakes = 0;
    stage_add_slots(&s, 4);
    for (unsigned turns = 0; turns < 1000 && x.wakes == 0; turns++) stage_answer_all(&s);
    cr_assert_gt(x.wakes, 0);
    cr_assert_gt(exchange_send(&x, body.data + sent - sent % 11, 11), 0, "there is room for items again");
    exchange_close(&x, HTTP_CLOSED_HANG_UP);
    stage_run(&s);
    buf_release(&body);
    stage_over(&s);
}

Test(submission, items_without_a_task_are_kept_up_to_a_limit)
{
    struct stage s;
    struct http_exchange x = {0};
    struct buf body = {0};
    stage_init(&s);
    stage_post(&s, &x);
    buf_add_str(&body, "{\"items\":[0");
    add_items(&body, LIMIT_UNSTARTED_BYTES + 2 * MIB);
    cr_assert_lt(exchange_send(&x, body.data, body.len), body.len);
    cr_assert_eq(x.status, 413);
    exchange_close(&x, HTTP_CLOSED_DONE);
    buf_release(&body);
    stage_over(&s);
}

/* Starts a job and sends `bytes` of its lines. Returns how many of these bytes the job accepted. */
static size_t upload(struct stage *s, struct http_exchange *x, size_t bytes)
{
    *x = (struct http_exchange){.content_type = "application/x-ndjson", .query_task = "echo"};
    stage_post(s, x);
    return exchange_send_lines(x, bytes);
}

Test(submission, uploads_that_run_share_the_memory_for_items_and_go_on)
{
    enum { N = 8 };
    struct stage s;
    struct http_exchange x[N];
    stage_init(&s);
    s.jobs.item_memory.most = 4 * MIB;
    for (unsigned i = 0; i < N; i++) {
        cr_assert_lt(upload(&s, &x[i], 3 * MIB), 3 * MIB, "the upload pauses");
        cr_assert_lt(s.jobs.item_memory.used, s.jobs.item_memory.most);
    }
    size_t full = s.jobs.item_memory.used;
    cr_assert_gt(full, MIB);
    stage_add_slots(&s, 2);
    unsigned woken = x[N - 1].wakes;
    while (s.jobs.item_memory.used > full / 2) {
        stage_run(&s);
        if (s.out_n) stage_answer_all(&s);
    }
    cr_assert_gt(x[N - 1].wakes, woken);
    for (unsigned i = 0; i < N; i++) exchange_close(&x[i], HTTP_CLOSED_HANG_UP);
    stage_run(&s);
    cr_assert_eq(s.jobs.item_memory.used, 0);
    stage_over(&s);
}

Test(submission, a_job_whose_items_do_not_fit_beside_those_of_others_is_refused)
{
    struct stage s;
    struct http_exchange big = {0}, late = {0}, small = {0};
    struct buf body = {0};
    stage_init(&s);
    s.jobs.item_memory.most = MIB;
    buf_add_str(&body, "{\"items\":[0"); /* without a task the job cannot start */
    add_items(&body, MIB / 2);
    stage_post(&s, &big);
    cr_assert_eq(exchange_send(&big, body.data, body.len), body.len);
    stage_post(&s, &late);
    exchange_send(&late, body.data, body.len);
    cr_assert_eq(late.status, 503);
    exchange_close(&late, HTTP_CLOSED_DONE);
    stage_add_slots(&s, 1);
    stage_post_body(&s, &small, "{\"task\":\"echo\",\"items\":[1,2]}");
    stage_answer_all(&s);
    cr_assert_eq(small.status, 200, "a small job always fits");
    exchange_close(&small, HTTP_CLOSED_DONE);
    exchange_close(&big, HTTP_CLOSED_HANG_UP);
    cr_assert_eq(s.jobs.item_memory.used, 0);
    buf_release(&body);
    stage_over(&s);
}

Test(submission, more_jobs_than_may_run_are_turned_away)
{
    struct stage s;
    struct http_exchange first = {0}, second = {0}, odd = {.content_type = "image/png"};
    stage_init(&s);
    s.config.max_jobs = 1;
    stage_post(&s, &first);
    stage_post(&s, &second);
    cr_assert_eq(second.status, 429);
    stage_post(&s, &odd);
    cr_assert_eq(odd.status, 415);
    cr_assert_eq(s.jobs.count, 1);
    exchange_close(&first, HTTP_CLOSED_HANG_UP);
    exchange_close(&second, HTTP_CLOSED_DONE);
    exchange_close(&odd, HTTP_CLOSED_DONE);
    stage_over(&s);
}

Test(submission, a_preference_for_a_durable_job_gets_a_hint_where_there_is_no_store)
{
    static const char *const preferences[] = {"respond-async", "wait=5", "handling=strict"};
    for (size_t i = 0; i < ARRAY_SIZE(preferences); i++) {
        struct stage s;
        struct http_exchange x = {.content_type = "application/x-ndjson", .query_task = "echo"};
        x.prefer = preferences[i];
        stage_init(&s);
        stage_add_slots(&s, 1);
        stage_post_body(&s, &x, "1\n");
        stage_answer_all(&s);
        cr_assert_eq(strstr(buf_cstr(&x.answer), "ignored the header Prefer") != NULL, i < 2, "%s", x.answer.data);
        exchange_close(&x, HTTP_CLOSED_DONE);
        stage_over(&s);
    }
}

/* Runs a job of one item. The item succeeds. `hint`: whether the answer must have a hint. */
static void expect_hint(const char *item, bool hint)
{
    struct stage s;
    struct http_exchange x = {.content_type = "application/x-ndjson", .query_task = "echo"};
    stage_init(&s);
    stage_add_slots(&s, 1);
    stage_post_body(&s, &x, item);
    stage_answer_all(&s);
    cr_assert_eq(x.status, 200);
    cr_assert_eq(strstr(buf_cstr(&x.answer), "\"hint\":") != NULL, hint, "%s", x.answer.data);
    exchange_close(&x, HTTP_CLOSED_DONE);
    stage_over(&s);
}

Test(submission, an_item_that_succeeds_gets_a_hint_only_if_it_is_a_whole_job_object)
{
    expect_hint("{\"task\":\"echo\",\"items\":[1]}", true);
    expect_hint("{\"task\":\"echo\",\"spans\":{}}\n", true);
    expect_hint("{\"items\":[1]}", false);
    expect_hint("{\"task\":\"echo\"}", false);
    expect_hint("{\"task\":\"echo\",\"items\":[1]}\n2\n", false);
}

/* Submits a job of `stop` items whose answer is a document. Returns the status of the refusal; 0: the job was not
 * refused. */
static int document_of(int64_t max_spill_bytes, const char *stop)
{
    struct stage s;
    struct http_exchange x = {0};
    char body[100];
    stage_init(&s);
    s.config.max_spill_bytes = max_spill_bytes;
    stage_add_slots(&s, 2);
    snprintf(body, sizeof body, "{\"task\":\"echo\",\"range\":{\"stop\":%s}}", stop);
    stage_post_body(&s, &x, body);
    int status = x.status;
    if (status) cr_assert_str_eq(buf_cstr(&x.members), "\"pointer\":\"/range\"");
    exchange_close(&x, status ? HTTP_CLOSED_DONE : HTTP_CLOSED_HANG_UP);
    stage_run(&s);
    stage_over(&s);
    return status;
}

Test(submission, the_results_of_a_document_are_limited_with_any_limit_of_temporary_files)
{
    cr_assert_eq(document_of(0, "1000000001"), 400);
    cr_assert_eq(document_of(0, "1000000000"), 0);
    cr_assert_eq(document_of((int64_t)1e15, "1000000001"), 400);
    cr_assert_eq(document_of(1000000, "100000"), 400);
    cr_assert_eq(document_of(1000000, "50000"), 0);
}
