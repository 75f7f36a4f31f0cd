#include "coordinator/api/api.h"

#include "coordinator/api/api_jobs.h"
#include "coordinator/api/api_tasks.h"
#include "coordinator/coordinator.h"
#include "protocol/protocol.h"

static void show_demand(struct http_exchange *x, void *data)
{
    struct coordinator *c = data;
    if (!http_check_no_query(x, NULL)) return;
    struct status now = status_now(&c->status);
    struct buf out = {0};
    status_write_demand(&out, &now);
    http_answer(x, 200, TYPE_JSON, out.data, out.len);
    buf_release(&out);
}

const struct http_route api_routes[] = {
    {"POST", PATH_JOBS, api_post_job},        {"GET", PATH_JOBS, api_list_jobs},
    {"GET", PATH_JOBS "/{id}", api_show_job}, {"DELETE", PATH_JOBS "/{id}", api_delete_job},
    {"GET", PATH_TASKS, api_list_tasks},      {0},
};

const struct http_route api_admin_routes[] = {
    {"GET", "/autoscale", show_demand},
    {0},
};
