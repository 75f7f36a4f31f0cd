/* Chunks as HTTP calls: the requests, the handling of the answers, and the meaning of each end of a call. */
#include "unit/coordinator/dispatch/post.h"

static void answer_values(struct http_call *call, unsigned first, unsigned n)
{
    for (unsigned i = first; i < first + n; i++) {
        char line[32];
        snprintf(line, sizeof line, "{\"value\":%u}\n", i);
        cr_assert(call_body(call, line));
    }
}

Test(dispatcher, a_chunk_is_sent_with_all_that_a_worker_must_know)
{
    struct post p;
    struct buf body = {0};
    post_init(&p, "static://worker:8081");
    p.fleet.authorization = xstrdup("Authorization: Bearer 1234");
    struct http_call *call =
        post_job(&p, "{\"task\":\"echo\",\"items\":[\"a\",{\"b\":1}],\"chunk_size\":2,\"common\":7,"
                     "\"item_timeout_s\":2,\"deadline_s\":100}");
    const struct job *j = jobs_next(&p.jobs, NULL);
    cr_assert_str_eq(call->options.method, "POST");
    cr_assert_str_eq(call->url, "http://worker:8081" PATH_TASKS "/echo");
    cr_assert_eq(call->options.silence_timeout_ms, 12000);
    call_read_body(call, &body);
    cr_assert_str_eq(buf_cstr(&body), "{\"item_timeout_s\":2,\"common\":7}\n\"a\"\n{\"b\":1}\n");
    char chunk[80];
    snprintf(chunk, sizeof chunk, "%s/0", j->id);
    cr_assert_str_eq(call_sent_header(call, HEADER_CHUNK), chunk);
    cr_assert_str_eq(call_sent_header(call, HEADER_ATTEMPT), "1");
    cr_assert_str_eq(call_sent_header(call, "Content-Type"), TYPE_CHUNK);
    cr_assert_str_eq(call_sent_header(call, "Authorization"), "Bearer 1234");
    long left_ms = strtol(call_sent_header(call, HEADER_DEADLINE_MS), NULL, 10);
    cr_assert(left_ms > 90000 && left_ms <= 100000, "%ld", left_ms);
    buf_release(&body);
    post_over(&p);
}

Test(dispatcher, answers_reach_the_job_as_they_come)
{
    struct post p;
    post_init(&p, "static://worker:8081");
    p.x.accept = "application/x-ndjson";
    struct http_call *call = post_job(&p, FOUR);
    call_head(call, 200);
    cr_assert(call_body(call, "{\"value\":1}\n{\"val"));
    cr_assert_not(exchange_pull(&p.x, 4096));
    const char *answers = strchr(buf_cstr(&p.x.answer), '\n') + 1; /* after the start line */
    cr_assert_str_eq(answers, "{\"type\":\"result\",\"index\":0,\"value\":1}\n");
    cr_assert_eq(*p.dispatcher.answers, 1);
    cr_assert(call_body(call, "ue\":2}\n{\"error\":{\"name\":\"task_error\",\"cause\":\"no\"}}\n{\"value\":4}\n"));
    cr_assert_eq(*p.dispatcher.answers, 4, "errors count too");
    cr_assert(call_body(call, "{\"end\":\"complete\",\"done\":4}\n"));
    call_end(call, HTTP_CALL_OK, 200, false);
    scheduler_timing_run(&p.turn);
    cr_assert(exchange_pull(&p.x, 4096));
    cr_assert(
        strstr(p.x.answer.data, "{\"type\":\"result\",\"index\":1,\"value\":2}\n{\"type\":\"error\",\"index\":2,"),
        "%s", buf_cstr(&p.x.answer));
    cr_assert(strstr(p.x.answer.data, "\"status\":\"partial\""), "%s", p.x.answer.data);
    cr_assert_eq(*p.dispatcher.attempts[SCHED_END_COMPLETE], 1);
    post_over(&p);
}

Test(dispatcher, more_answers_than_items_end_the_call_and_change_nothing)
{
    struct post p;
    post_init(&p, "static://worker:8081");
    struct http_call *call = post_job(&p, FOUR);
    call_head(call, 200);
    answer_values(call, 1, 4);
    cr_assert_not(call_body(call, "{\"value\":5}\n"));
    call_end(call, HTTP_CALL_REFUSED_BY_US, 200, false);
    scheduler_timing_run(&p.turn);
    cr_assert_eq(p.x.status, 200);
    cr_assert(strstr(buf_cstr(&p.x.answer), "\"results\":[1,2,3,4],"), "%s", p.x.answer.data);
    post_over(&p);
}

/* The lines and the status of an answer, how its HTTP call ends, and which end the dispatcher must report to the
 * scheduler. */
static const struct ending {
    const char *name, *lines;
    enum http_call_outcome outcome;
    int status;
    enum sched_end how;
} endings[] = {
    {"no connection", NULL, HTTP_CALL_NOT_CONNECTED, 0, SCHED_END_NOT_CONNECTED},
    {"a connection lost", "{\"value\":1}\n", HTTP_CALL_LOST, 200, SCHED_END_LOST},
    {"a connection lost after the end line", "{\"end\":\"draining\",\"done\":0}\n", HTTP_CALL_LOST, 200,
     SCHED_END_DRAINING},
    {"silence", NULL, HTTP_CALL_TIMED_OUT, 0, SCHED_END_SILENT},
    {"no end line", "{\"value\":1}\n", HTTP_CALL_OK, 200, SCHED_END_PROTOCOL},
    {"too few answers", "{\"value\":1}\n{\"end\":\"complete\",\"done\":1}\n", HTTP_CALL_OK, 200, SCHED_END_COMPLETE},
    {"work handed back", "{\"end\":\"draining\",\"done\":0}\n", HTTP_CALL_OK, 200, SCHED_END_DRAINING},
    {"the worker's own deadline", "{\"end\":\"deadline\",\"done\":0}\n", HTTP_CALL_OK, 200, SCHED_END_DEADLINE},
    {"https only", "no\n", HTTP_CALL_OK, 426, SCHED_END_NOT_CONNECTED},
    {"no such task", "no\n", HTTP_CALL_OK, 404, SCHED_END_TASK_UNKNOWN},
    {"a broken task", "no\n", HTTP_CALL_OK, 422, SCHED_END_TASK_UNKNOWN},
    {"the chunk still runs", "no\n", HTTP_CALL_OK, 409, SCHED_END_BUSY},
    {"busy", "no\n", HTTP_CALL_OK, 429, SCHED_END_BUSY},
    {"unavailable", "no\n", HTTP_CALL_OK, 503, SCHED_END_UNAVAILABLE},
    {"no token", "no\n", HTTP_CALL_LOST, 401, SCHED_END_REFUSED},
    {"a wrong token", "no\n", HTTP_CALL_OK, 403, SCHED_END_REFUSED},
    {"no memory for the items", "no\n", HTTP_CALL_OK, 507, SCHED_END_NO_MEMORY},
    {"anything else", "no\n", HTTP_CALL_OK, 500, SCHED_END_BAD_STATUS},
};

Test(dispatcher, each_end_of_a_call_has_its_meaning)
{
    for (size_t i = 0; i < ARRAY_SIZE(endings); i++) {
        const struct ending *e = &endings[i];
        struct post p;
        post_init(&p, "static://worker:8081");
        struct http_call *call = post_job(&p, FOUR);
        if (e->status) call_head(call, e->status);
        if (e->lines) cr_assert(call_body(call, e->lines), "%s", e->name);
        call_end(call, e->outcome, e->status, false);
        for (unsigned how = 0; how < SCHED_END_COUNT; how++)
            cr_assert_eq(*p.dispatcher.attempts[how], how == e->how, "%s: %s is %llu", e->name,
                         sched_end_name((enum sched_end)how), (unsigned long long)*p.dispatcher.attempts[how]);
        post_over(&p);
    }
}

Test(dispatcher, the_sentence_of_a_worker_that_refuses_the_items_is_their_cause)
{
    struct post p;
    post_init(&p, "static://worker:8081");
    struct http_call *call =
        post_job(&p, "{\"task\":\"echo\",\"items\":[1,2,3,4],\"chunk_size\":4,\"hedge\":{\"enabled\":false},"
                     "\"retry\":{\"max_attempts\":1}}");
    call_head(call, 400);
    cr_assert(call_body(call, "{\"title\":\"Bad Request\",\"detail\":\"the header"));
    cr_assert(call_body(call, " line is wrong\"}\n"));
    call_end(call, HTTP_CALL_OK, 400, false);
    scheduler_timing_run(&p.turn);
    cr_assert(
        strstr(buf_cstr(&p.x.answer), "\"cause\":\"the worker answered with status 400: the header line is wrong\""),
        "%s", p.x.answer.data);
    post_over(&p);
}

Test(dispatcher, a_line_that_is_not_of_the_protocol_ends_the_call)
{
    struct post p;
    post_init(&p, "static://worker:8081");
    struct http_call *call = post_job(&p, FOUR);
    call_head(call, 200);
    cr_assert_not(call_body(call, "hello\n"));
    call_end(call, HTTP_CALL_REFUSED_BY_US, 200, false);
    cr_assert_eq(*p.dispatcher.attempts[SCHED_END_PROTOCOL], 1);
    post_over(&p);
}

Test(dispatcher, a_job_that_ends_cuts_its_calls_off)
{
    struct post p;
    post_init(&p, "static://worker:8081");
    struct http_call *call = post_job(&p, FOUR);
    call_head(call, 200);
    answer_values(call, 1, 2);
    job_cancel(jobs_next(&p.jobs, NULL), SCHED_CANCELLED, "enough");
    scheduler_timing_run(&p.turn);
    cr_assert(call->cancelled);
    cr_assert(strstr(buf_cstr(&p.x.answer), "\"results\":[1,2,null,null]"), "%s", p.x.answer.data);
    post_over(&p);
}

Test(dispatcher, the_slots_that_a_worker_says_are_used_and_why_it_cannot_be_reached_is_kept)
{
    struct post p;
    post_init(&p, "static://worker:8081");
    struct http_call *call = post_job(&p, FOUR);
    call->answered[0] = HEADER_WORKER;
    call->answered[1] = "w1";
    call->answered[2] = HEADER_SLOTS;
    call->answered[3] = "12";
    call->answered[4] = HEADER_FREE;
    call->answered[5] = "12";
    call_head(call, 200);
    cr_assert_eq(sched_stats(p.dispatcher.scheduler).slots, 12);
    call_end(call, HTTP_CALL_NOT_CONNECTED, 0, false);
    cr_assert_str_eq(p.fleet.connect_error.reason, "http://worker:8081: as it was told");
    post_over(&p);
}

/* Answers the open requests for the worker's tasks. `tasks` NULL: with 404. */
static void describe(const char *tasks)
{
    for (unsigned i = 0; i < fake_calls_n; i++) {
        struct http_call *call = fake_calls[i];
        if (call->over || strcmp(call->options.method, "GET") != 0) continue;
        if (tasks) cr_assert(call_body(call, tasks));
        call_end(call, HTTP_CALL_OK, tasks ? 200 : 404, false);
    }
}

Test(dispatcher, a_worker_that_rejects_the_token_is_probed_with_a_call_that_needs_it)
{
    struct post p;
    post_init(&p, "static://worker:8081");
    struct http_call *call = post_job(&p, FOUR);
    const struct worker_endpoint *e = p.fleet.endpoints.list->owner;
    call_head(call, 401);
    call_end(call, HTTP_CALL_OK, 401, false);
    cr_assert_not_null(e);
    scheduler_timing_run(&p.turn);
    for (unsigned sent = fake_calls_n; fake_calls_n == sent;) uv_run(&p.loop, UV_RUN_ONCE);
    struct http_call *probe = last_call();
    cr_assert_str_eq(probe->url, "http://worker:8081" PATH_TASKS);
    cr_assert_str_eq(probe->options.method, "GET");
    call_end(probe, HTTP_CALL_OK, 200, false);
    scheduler_timing_run(&p.turn);
    describe("{\"tasks\":[{\"name\":\"echo\"}]}");
    scheduler_timing_run(&p.turn);
    cr_assert_str_eq(last_call()->url, "http://worker:8081" PATH_TASKS "/echo", "the worker gets the chunk again");
    post_over(&p);
}

/* Ends the first attempt as if no connection had been possible, and answers the probe that follows. After the probe,
 * the dispatcher asks the worker for its tasks. */
static void come_back(struct post *p, struct http_call *call)
{
    call_end(call, HTTP_CALL_NOT_CONNECTED, 0, false);
    scheduler_timing_run(&p->turn);
    for (unsigned sent = fake_calls_n; fake_calls_n == sent;) uv_run(&p->loop, UV_RUN_ONCE);
    struct http_call *probe = last_call();
    cr_assert_str_eq(probe->url, "http://worker:8081/readyz");
    call_end(probe, HTTP_CALL_OK, 200, false);
    scheduler_timing_run(&p->turn);
}

Test(dispatcher, a_worker_that_comes_back_gets_chunks_only_of_the_tasks_that_it_describes)
{
    for (int has = 0; has <= 1; has++) {
        struct post p;
        post_init(&p, "static://worker:8081");
        come_back(&p, post_job(&p, FOUR));
        cr_assert_str_eq(last_call()->url, "http://worker:8081" PATH_TASKS, "no chunk is sent yet");
        describe(has ? "{\"tasks\":[{\"name\":\"echo\"}]}" : "{\"tasks\":[{\"name\":\"other\"}]}");
        scheduler_timing_run(&p.turn);
        cr_assert_eq(strcmp(last_call()->url, "http://worker:8081" PATH_TASKS "/echo") == 0, has);
        post_over(&p);
    }
}

Test(dispatcher, a_worker_that_comes_back_and_cannot_describe_its_tasks_gets_chunks)
{
    struct post p;
    post_init(&p, "static://worker:8081");
    come_back(&p, post_job(&p, FOUR));
    describe(NULL);
    scheduler_timing_run(&p.turn);
    cr_assert_str_eq(last_call()->url, "http://worker:8081" PATH_TASKS "/echo");
    post_over(&p);
}

/* Waits until the dispatcher asks the worker for its tasks again, and answers with `tasks`. */
static void expect_asked(struct post *p, unsigned calls_before, const char *tasks)
{
    while (fake_calls_n == calls_before) uv_run(&p->loop, UV_RUN_ONCE);
    struct http_call *call = last_call();
    cr_assert_str_eq(call->options.method, "GET");
    cr_assert_str_eq(call->url, "http://worker:8081" PATH_TASKS);
    cr_assert(call_body(call, tasks));
    call_end(call, HTTP_CALL_OK, 200, false);
    scheduler_timing_run(&p->turn);
}

/* Posts a job, and answers the first item. Because the job has an answer, the job waits when no worker has its task any
 * more. Returns the call of the second item. */
static struct http_call *post_answered_job(struct post *p)
{
    struct http_call *call = post_job(p, "{\"task\":\"echo\",\"items\":[1,2],\"chunk_size\":1,\"max_concurrency\":1}");
    call_head(call, 200);
    answer_values(call, 1, 1);
    cr_assert(call_body(call, "{\"end\":\"complete\",\"done\":1}\n"));
    call_end(call, HTTP_CALL_OK, 200, false);
    scheduler_timing_run(&p->turn);
    return last_call();
}

Test(dispatcher, a_worker_that_lacks_a_task_is_asked_for_its_tasks_and_gets_it_when_it_has_it_again)
{
    for (int status = 404; status <= 422; status += 18) {
        struct post p;
        post_init(&p, "static://worker:8081");
        struct http_call *call = post_answered_job(&p);
        unsigned before = fake_calls_n;
        call_head(call, status);
        call_end(call, HTTP_CALL_OK, status, false);
        scheduler_timing_run(&p.turn);
        cr_assert_eq(fake_calls_n, before, "neither the chunk nor a question is sent at once");
        expect_asked(&p, before, "{\"tasks\":[{\"name\":\"other\"},{\"name\":\"echo\",\"error\":\"no\"}]}");
        cr_assert_eq(fake_calls_n, before + 1, "the worker still lacks the task");
        survey_ask(&p.fleet.survey, ((struct worker_endpoint *)p.fleet.endpoints.list->owner)->survey, 0);
        expect_asked(&p, before + 1, "{\"tasks\":[{\"name\":\"echo\",\"slots\":2}]}");
        cr_assert_str_eq(last_call()->url, "http://worker:8081" PATH_TASKS "/echo");
        post_over(&p);
    }
}

static void set_worker(struct http_call *call, const char *id)
{
    call->answered[0] = HEADER_WORKER;
    call->answered[1] = id;
}

Test(dispatcher, another_worker_at_an_address_is_asked_for_its_tasks)
{
    struct post p;
    post_init(&p, "static://worker:8081");
    struct http_call *call = post_job(&p, FOUR);
    unsigned before = fake_calls_n;
    set_worker(call, "w1");
    call_head(call, 200);
    cr_assert_eq(fake_calls_n, before, "the first worker was already asked");
    call_end(call, HTTP_CALL_OK, 429, false);
    while (fake_calls_n == before) uv_run(&p.loop, UV_RUN_ONCE);
    call = last_call();
    cr_assert_str_eq(call->options.method, "POST");
    set_worker(call, "w2");
    call_head(call, 200);
    expect_asked(&p, before + 1, "{\"tasks\":[{\"name\":\"echo\"}]}");
    post_over(&p);
}

Test(dispatcher, a_worker_that_comes_back_is_asked_for_its_tasks)
{
    struct post p;
    post_init(&p, "static://worker:8081");
    struct http_call *call = post_job(&p, FOUR);
    unsigned before = fake_calls_n;
    call_end(call, HTTP_CALL_NOT_CONNECTED, 0, false);
    scheduler_timing_run(&p.turn);
    while (fake_calls_n == before) uv_run(&p.loop, UV_RUN_ONCE);
    cr_assert_str_eq(last_call()->url, "http://worker:8081/readyz");
    call_end(last_call(), HTTP_CALL_OK, 200, false);
    expect_asked(&p, before + 1, "{\"tasks\":[{\"name\":\"echo\"}]}");
    post_over(&p);
}

Test(dispatcher, an_item_is_sent_again_after_a_loss_unless_its_task_says_it_is_not_idempotent)
{
    static const struct {
        const char *says;
        enum idempotency want;
    } cases[] = {{"true", IDEMPOTENCY_YES}, {"false", IDEMPOTENCY_NO}, {"null", IDEMPOTENCY_UNSAID}};
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct post p;
        char text[100];
        post_init(&p, "static://worker:8081");
        unsigned before = fake_calls_n;
        snprintf(text, sizeof text, "{\"tasks\":[{\"name\":\"echo\",\"idempotent\":%s}]}", cases[i].says);
        survey_ask(&p.fleet.survey, ((struct worker_endpoint *)p.fleet.endpoints.list->owner)->survey, 0);
        expect_asked(&p, before, text);
        cr_assert_eq(catalog_find(&p.fleet.survey.catalog, "echo")->idempotent, cases[i].want);
        struct http_call *call = post_job(&p, FOUR);
        call_end(call, HTTP_CALL_LOST, 0, false);
        scheduler_timing_run(&p.turn);
        bool failed = jobs_next(&p.jobs, NULL)->state == JOB_ENDED;
        cr_assert_eq(failed, cases[i].want == IDEMPOTENCY_NO, "%s: sends the chunk again after a loss", cases[i].says);
        post_over(&p);
    }
}

Test(dispatcher, an_endpoint_may_go_while_its_call_runs)
{
    struct post p;
    post_init(&p, "static://worker:8081");
    struct http_call *call = post_job(&p, FOUR);
    call_head(call, 200);
    answer_values(call, 1, 2);
    endpoints_stop(&p.fleet.endpoints);
    answer_values(call, 3, 2);
    cr_assert(call_body(call, "{\"end\":\"complete\",\"done\":4}\n"));
    call_end(call, HTTP_CALL_OK, 200, false);
    scheduler_timing_run(&p.turn);
    cr_assert(strstr(buf_cstr(&p.x.answer), "\"results\":[1,2,3,4],"), "%s", p.x.answer.data);
    post_over(&p);
}
