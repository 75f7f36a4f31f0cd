/* The survey: when it asks each worker for the worker's tasks, and when it answers the question of a job. */
#include "coordinator/fleet/survey.h"

#include "protocol/protocol.h"
#include "unit/coordinator/fake_client.h"
#include "unit/fake_clock.h"
#include "unit/leaks.h"

#define A "{\"tasks\":[{\"name\":\"a\",\"slots\":2}]}"
#define B "{\"tasks\":[{\"name\":\"b\",\"slots\":2}]}"

enum { WORKERS_MAX = 80 };

struct fleet {
    uv_loop_t loop;
    struct survey survey;
    struct endpoint at[WORKERS_MAX];
    struct survey_worker *w[WORKERS_MAX];
    unsigned n, said, failed;
    const struct task_list *has; /* the tasks of the worker that reported last */
    uint64_t worker_id;
    unsigned answered; /* how many questions were answered */
    bool ok;
    const char *wants; /* the task that a question is about; NULL: the question waits for all workers */
};

static void said(void *owner, const struct task_list *has, uint64_t worker_id)
{
    struct fleet *f = owner;
    f->failed += !has;
    f->said += has != NULL;
    f->has = has;
    f->worker_id = worker_id;
}

static void add(struct fleet *f)
{
    static char url[] = "http://w";
    f->at[f->n].url = url;
    f->w[f->n] = survey_add(&f->survey, &f->at[f->n], said, f);
    f->n++;
}

static void fleet_init(struct fleet *f, unsigned workers)
{
    *f = (struct fleet){0};
    uv_loop_init(&f->loop);
    survey_start(&f->survey, &f->loop, NULL, false);
    while (f->n < workers) add(f);
}

static void fleet_over(struct fleet *f)
{
    for (unsigned i = 0; i < f->n; i++)
        if (f->w[i]) survey_remove(&f->survey, f->w[i]);
    survey_stop(&f->survey);
    uv_run(&f->loop, UV_RUN_DEFAULT);
    cr_assert_eq(uv_loop_close(&f->loop), 0);
    fake_client_release();
    assert_no_leaks();
}

static void answer(unsigned call, const char *text)
{
    cr_assert_lt(call, fake_calls_n);
    cr_assert(call_body(fake_calls[call], text));
    call_end(fake_calls[call], HTTP_CALL_OK, 200, false);
}

static bool wants_is_there(void *data)
{
    struct fleet *f = data;
    return catalog_find(&f->survey.catalog, f->wants) != NULL;
}

static void question_answered(void *data, bool ok)
{
    struct fleet *f = data;
    f->answered++;
    f->ok = ok;
}

static struct survey_question *question(struct fleet *f)
{
    return survey_question_new(&f->survey, f->wants ? wants_is_there : NULL, question_answered, f);
}

/* Lets timers fire until n calls have been made. */
static void run_until_calls(struct fleet *f, unsigned n)
{
    while (fake_calls_n < n) uv_run(&f->loop, UV_RUN_ONCE);
    cr_assert_eq(fake_calls_n, n);
}

Test(survey, each_worker_is_asked_when_it_is_added_and_its_owner_gets_what_it_says)
{
    struct fleet f;
    fleet_init(&f, 2);
    cr_assert_eq(fake_calls_n, 2);
    cr_assert_str_eq(fake_calls[0]->url, "http://w" PATH_TASKS);
    cr_assert_null(call_sent_header(fake_calls[0], "If-None-Match"));
    fake_calls[1]->answered[0] = HEADER_WORKER;
    fake_calls[1]->answered[1] = "w1";
    answer(1, B);
    cr_assert_eq(f.said, 1);
    cr_assert_str_eq(f.has->tasks[0].name, "b");
    cr_assert_neq(f.worker_id, 0);
    cr_assert_eq(f.survey.catalog.reached, 1);
    fleet_over(&f);
}

Test(survey, it_asks_for_news_and_takes_304_for_the_same_as_before)
{
    struct fleet f;
    fleet_init(&f, 1);
    f.survey.authorization = "Authorization: Bearer x";
    fake_calls[0]->answered[0] = "ETag";
    fake_calls[0]->answered[1] = "\"17\"";
    answer(0, A);
    survey_ask(&f.survey, f.w[0], 0);
    cr_assert_eq(fake_calls_n, 2);
    cr_assert_str_eq(call_sent_header(fake_calls[1], "If-None-Match"), "\"17\"");
    cr_assert_str_eq(call_sent_header(fake_calls[1], "Authorization"), "Bearer x");
    call_end(fake_calls[1], HTTP_CALL_OK, 304, false);
    cr_assert_eq(f.said, 2);
    cr_assert_str_eq(f.has->tasks[0].name, "a");
    fleet_over(&f);
}

Test(survey, a_worker_that_says_that_its_tasks_have_changed_is_asked_soon)
{
    struct fleet f;
    fleet_init(&f, 1);
    uint64_t start = now_ns();
    fake_calls[0]->answered[0] = "ETag";
    fake_calls[0]->answered[1] = "\"17\"";
    answer(0, A);
    survey_compare(&f.survey, f.w[0], "\"17\"");
    survey_compare(&f.survey, f.w[0], "");
    survey_compare(&f.survey, f.w[0], "\"18\"");
    run_until_calls(&f, 2);
    cr_assert_lt(now_ns() - start, 3 * NS_PER_S,
                 "without the change, the next request comes after at least a tenth of the period");
    answer(1, A);
    fleet_over(&f);
}

Test(survey, one_that_is_wanted_while_it_is_asked_is_asked_once_more)
{
    struct fleet f;
    fleet_init(&f, 1);
    for (int i = 0; i < 5; i++) survey_ask(&f.survey, f.w[0], 0);
    cr_assert_eq(fake_calls_n, 1);
    answer(0, A);
    cr_assert_eq(fake_calls_n, 2);
    answer(1, A);
    cr_assert_eq(fake_calls_n, 2);
    fleet_over(&f);
}

Test(survey, a_pause_is_kept_also_when_it_is_wanted_while_it_is_asked)
{
    struct fleet f;
    fleet_init(&f, 1);
    uint64_t start = now_ns();
    survey_ask(&f.survey, f.w[0], 50);
    answer(0, A);
    cr_assert_eq(fake_calls_n, 1);
    run_until_calls(&f, 2);
    cr_assert_geq(now_ns() - start, 40 * NS_PER_MS);
    answer(1, A);
    fleet_over(&f);
}

Test(survey, a_failure_is_not_reported_when_the_worker_is_asked_again_at_once)
{
    struct fleet f;
    fleet_init(&f, 1);
    survey_ask(&f.survey, f.w[0], 0);
    call_end(fake_calls[0], HTTP_CALL_NOT_CONNECTED, 0, false);
    cr_assert_eq(f.failed, 0);
    cr_assert_eq(fake_calls_n, 2);
    answer(1, A);
    cr_assert_eq(f.said, 1);
    fleet_over(&f);
}

Test(survey, one_that_does_not_answer_is_asked_again_soon)
{
    struct fleet f;
    fleet_init(&f, 1);
    uint64_t start = now_ns();
    call_end(fake_calls[0], HTTP_CALL_NOT_CONNECTED, 0, false);
    cr_assert_eq(f.said, 0);
    cr_assert_eq(f.failed, 1);
    cr_assert_str_eq(f.survey.fault, "as it was told");
    run_until_calls(&f, 2);
    cr_assert_geq(now_ns() - start, 600 * NS_PER_MS);
    call_end(fake_calls[1], HTTP_CALL_OK, 401, false);
    cr_assert(f.survey.rejects_token);
    fleet_over(&f);
}

Test(survey, those_of_a_period_are_asked_together_and_not_before_it_is_over)
{
    struct fleet f;
    fleet_init(&f, 50);
    uint64_t first[8] = {0};
    unsigned different = 0;
    for (unsigned i = 0; i < f.n; i++) answer(i, A);
    cr_assert_eq(fake_calls_n, 50, "no worker is asked again at once");
    for (unsigned i = 1; i <= f.survey.due.n; i++) {
        uint64_t at = f.survey.due.nodes[i]->key;
        unsigned k = 0;
        cr_assert_gt(at, now_ns());
        cr_assert_lt(at, now_ns() + 36 * NS_PER_S);
        while (k < different && first[k] != at) k++;
        cr_assert_lt(k, ARRAY_SIZE(first));
        if (k == different) first[different++] = at;
    }
    cr_assert_gt(different, 2, "the next requests are spread over the period");
    fleet_over(&f);
}

Test(survey, only_so_many_are_asked_at_the_same_time)
{
    struct fleet f;
    fleet_init(&f, 70);
    cr_assert_eq(fake_calls_n, 64);
    survey_remove(&f.survey, f.w[0]);
    f.w[0] = NULL;
    uv_run(&f.loop, UV_RUN_NOWAIT);
    cr_assert_eq(f.survey.asking, 64, "another worker is asked in place of the removed one");
    fleet_over(&f);
}

Test(survey, a_question_waits_for_all_that_were_not_asked_just_now)
{
    struct fleet f;
    fake_clock_start();
    fleet_init(&f, 2);
    question(&f);
    cr_assert_eq(fake_calls_n, 2, "both workers are already being asked");
    answer(0, A);
    cr_assert_eq(f.answered, 0);
    call_end(fake_calls[1], HTTP_CALL_NOT_CONNECTED, 0, false);
    cr_assert_eq(f.answered, 1);
    cr_assert(f.ok, "one worker could be reached");
    fleet_over(&f);
}

Test(survey, a_question_is_answered_as_soon_as_one_worker_has_what_it_wants)
{
    struct fleet f;
    fleet_init(&f, 3);
    f.wants = "b";
    question(&f);
    answer(0, A);
    cr_assert_eq(f.answered, 0);
    answer(1, B);
    cr_assert_eq(f.answered, 1);
    cr_assert(f.ok);
    fleet_over(&f);
}

Test(survey, a_question_asks_again_those_whose_answer_may_be_old)
{
    struct fleet f;
    fake_clock_start();
    fleet_init(&f, 1);
    answer(0, A);
    fake_clock_pass(3);
    question(&f);
    cr_assert_eq(fake_calls_n, 2);
    answer(1, B);
    cr_assert_eq(f.answered, 1);
    fleet_over(&f);
}

Test(survey, a_question_does_not_wait_for_a_worker_that_goes_or_comes)
{
    struct fleet f;
    fleet_init(&f, 2);
    question(&f);
    answer(0, A);
    add(&f);
    survey_remove(&f.survey, f.w[1]);
    f.w[1] = NULL;
    while (f.answered == 0) uv_run(&f.loop, UV_RUN_ONCE);
    cr_assert(f.ok);
    fleet_over(&f);
}

Test(survey, a_question_is_answered_after_a_while_though_a_worker_is_silent)
{
    struct fleet f;
    fleet_init(&f, 1);
    question(&f);
    while (f.answered == 0) uv_run(&f.loop, UV_RUN_ONCE);
    cr_assert_not(f.ok, "no worker was reached");
    fleet_over(&f);
}

Test(survey, a_question_that_is_dropped_is_not_answered_and_without_workers_there_is_none)
{
    struct fleet f;
    fleet_init(&f, 0);
    cr_assert_null(question(&f));
    add(&f);
    survey_question_drop(&f.survey, question(&f));
    answer(0, A);
    cr_assert_eq(f.answered, 0);
    fleet_over(&f);
}

/* Each answer to a question may begin a job. */
Test(survey, many_questions_are_answered_in_several_turns_of_the_loop)
{
    enum { QUESTIONS = 500, MOST = 50 };
    struct fleet f;
    fleet_init(&f, 1);
    f.wants = "a";
    for (int i = 0; i < QUESTIONS; i++)
        cr_assert_not_null(survey_question_new(&f.survey, wants_is_there, question_answered, &f));
    answer(0, A);
    cr_assert_gt(f.answered, 0);
    cr_assert_leq(f.answered, MOST);
    for (unsigned before = f.answered; f.answered < QUESTIONS; before = f.answered) {
        uv_run(&f.loop, UV_RUN_NOWAIT);
        cr_assert_leq(f.answered - before, MOST);
    }
    fleet_over(&f);
}

Test(survey, a_question_can_be_dropped_before_and_while_others_are_answered)
{
    struct fleet f;
    fleet_init(&f, 1);
    f.wants = "a";
    struct survey_question *first = survey_question_new(&f.survey, wants_is_there, question_answered, &f);
    struct survey_question *last = survey_question_new(&f.survey, wants_is_there, question_answered, &f);
    cr_assert_not_null(survey_question_new(&f.survey, wants_is_there, question_answered, &f));
    survey_question_drop(&f.survey, first);
    survey_question_drop(&f.survey, last);
    answer(0, A);
    cr_assert_eq(f.answered, 1);
    fleet_over(&f);
}
