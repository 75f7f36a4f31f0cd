#include "coordinator/api/api_tasks.h"

#include "coordinator/coordinator.h"
#include "protocol/protocol.h"

/* A request for the list of tasks. A worker that has not answered very recently is asked again, because its tasks may
 * have changed. */
struct task_listing {
    struct coordinator *coordinator;
    struct http_exchange *exchange;
    struct survey_question *question;
};

static void answer_failure(struct http_exchange *x, const struct survey *s)
{
    http_exchange_set_header(x, "Retry-After", "5");
    http_answer_problem(x, 503, NULL, "%s%s%s",
                        s->rejects_token ? "the workers refuse the coordinator's token"
                                         : "no worker could be asked for its tasks",
                        s->fault[0] ? ": " : "", s->fault);
}

static void workers_answered(void *data, bool ok)
{
    struct task_listing *l = data;
    struct survey *s = &l->coordinator->fleet.survey;
    struct buf document = {0};
    l->question = NULL;
    if (!ok) {
        answer_failure(l->exchange, s);
        return;
    }
    catalog_write(&s->catalog, &document);
    http_answer(l->exchange, 200, TYPE_JSON, document.data, document.len);
    buf_release(&document);
}

static void listing_closed(struct http_exchange *x, enum http_closed how)
{
    struct task_listing *l = http_exchange_data(x);
    if (l->question) survey_question_drop(&l->coordinator->fleet.survey, l->question);
    free(l);
}

void api_list_tasks(struct http_exchange *x, void *data)
{
    static const struct http_exchange_ops ops = {.closed = listing_closed};
    struct coordinator *c = data;
    if (!http_check_no_query(x, NULL)) return;
    struct task_listing *l = xcalloc(1, sizeof *l);
    *l = (struct task_listing){.coordinator = c, .exchange = x};
    http_exchange_accept(x, &ops, l);
    l->question = survey_question_new(&c->fleet.survey, NULL, workers_answered, l);
    if (!l->question) workers_answered(l, false);
}
