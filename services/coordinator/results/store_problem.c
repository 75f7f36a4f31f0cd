#include "coordinator/results/store_problem.h"

#include "common/http_server/http_server.h"

static const struct {
    int status;
    const char *sentence; /* NULL: the sentence of the store */
    bool is_retried;
} problems[] = {
    [STORE_OK] = {500, "the job store gave no answer", false},
    [STORE_NOT_FOUND] = {404, "the job store has no such job", false},
    [STORE_EXISTS] = {409, NULL, false},
    [STORE_CONFLICT] = {409, NULL, false},
    [STORE_FENCED] = {409, NULL, false},
    [STORE_FULL] = {507, NULL, false},
    [STORE_AWAY] = {503, NULL, true},
    [STORE_UNFIT] = {500, NULL, false},
    [STORE_BROKEN] = {500, NULL, false},
};
static_assert(ARRAY_SIZE(problems) == STORE_STATUS_COUNT, "a problem for each status");

void store_problem_answer(struct http_exchange *x, const struct store_call *call)
{
    const char *sentence = problems[call->status].sentence;
    if (!sentence) sentence = call->error[0] ? call->error : "the job store cannot do this now";
    if (problems[call->status].is_retried) http_exchange_set_header(x, "Retry-After", "2");
    http_answer_problem(x, problems[call->status].status, NULL, "%s", sentence);
}

void store_problem_no_job(struct http_exchange *x, const char *id)
{
    http_answer_problem(x, 404, "\"scope\":\"store\"", "the job store has no job %.64s", id);
}
