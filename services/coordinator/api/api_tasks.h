/* The handler of GET /v1/tasks; its data is the struct coordinator. */
#ifndef FANTAIL_COORDINATOR_API_API_TASKS_H
#define FANTAIL_COORDINATOR_API_API_TASKS_H

#include "common/http_server/http_server.h"

void api_list_tasks(struct http_exchange *x, void *coordinator);

#endif
