#include "coordinator/api/api_tasks.h"

#include "coordinator/coordinator.h"
#include "protocol/protocol.h"

/* A worker is asked each time, as its tasks may have changed. */
struct task_listing {
    struct coordinator *coordinator;
    struct http_exchange *exchange;
    struct catalog_question *question;
};

static void tasks_answered(void *data, bool ok)
{
    struct task_listing *l = data;
    const struct buf *document = &l->coordinator->fleet.catalog.document;
    l->question = NULL;
    if (ok) {
        http_answer(l->exchange, 200, TYPE_JSON, document->data, document->len);
        return;
    }
    http_exchange_set_header(l->exchange, "Retry-After", "5");
    const struct catalog *c = &l->coordinator->fleet.catalog;
    http_answer_problem(l->exchange, 503, NULL, "%s%s%s",
                        c->rejects_token ? "the workers refuse the coordinator's token"
                                         : "no worker could be asked for its tasks",
                        c->fault[0] ? ": " : "", c->fault);
}

static void listing_closed(struct http_exchange *x, enum http_closed how)
{
    struct task_listing *l = http_exchange_data(x);
    if (l->question) catalog_drop(&l->coordinator->fleet.catalog, l->question);
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
    l->question = worker_fleet_ask_tasks(&c->fleet, tasks_answered, l);
    if (!l->question) tasks_answered(l, false);
}
