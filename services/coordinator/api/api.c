#include "coordinator/api/api.h"

#include "coordinator/api/api_durable.h"
#include "coordinator/api/api_jobs.h"
#include "coordinator/api/api_openapi.h"
#include "coordinator/api/api_tasks.h"
#include "coordinator/api/api_workers.h"
#include "coordinator/coordinator.h"
#include "protocol/protocol.h"

static void answer_unknown_task(struct http_exchange *x, struct coordinator *c, const char *task)
{
    struct buf names = {0};
    catalog_list_names(&c->fleet.survey.catalog, &names);
    http_answer_problem(x, 404, NULL, "there is no task \"%.200s\"; the workers have %s", task, buf_cstr(&names));
    buf_release(&names);
}

/* Shows the demand of all tasks. With ?task=NAME, it shows only the demand of that task. */
static void show_demand(struct http_exchange *x, void *data)
{
    struct coordinator *c = data;
    if (!http_check_query(x, "task", NULL)) return;
    const char *task = http_exchange_query(x, "task");
    struct status_demand demand = status_now(&c->status).demand;
    struct buf out = {0};
    if (task && !status_of_task(&c->status, task, &demand)) {
        answer_unknown_task(x, c, task);
        return;
    }
    status_write_demand(&out, &demand);
    http_answer(x, 200, TYPE_JSON, out.data, out.len);
    buf_release(&out);
}

const struct http_route api_routes[] = {
    {"POST", PATH_JOBS, api_post_job},
    {"GET", PATH_JOBS, api_list_jobs},
    {"GET", PATH_JOBS "/{id}", api_show_job},
    {"DELETE", PATH_JOBS "/{id}", api_delete_job},
    {"PATCH", PATH_JOBS "/{id}", api_change_job},
    {"GET", PATH_JOBS "/{id}/events", api_show_events},
    {"GET", PATH_JOBS "/{id}/results", api_show_results},
    {"POST", PATH_JOBS "/{id}/redrive", api_redrive_job},
    {"GET", PATH_TASKS, api_list_tasks},
    {"POST", PATH_WORKERS, api_register_worker},
    {"GET", PATH_WORKERS, api_show_workers},
    {"GET", "/openapi.json", api_show_openapi},
    {0},
};

const struct http_route api_admin_routes[] = {
    {"GET", "/autoscale", show_demand},
    {0},
};
