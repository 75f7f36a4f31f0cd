/* The handlers of POST and GET /v1/workers; their data is the struct coordinator. */
#ifndef FANTAIL_COORDINATOR_API_API_WORKERS_H
#define FANTAIL_COORDINATOR_API_API_WORKERS_H

#include "common/http_server/http_server.h"

void api_register_worker(struct http_exchange *x, void *coordinator);
void api_show_workers(struct http_exchange *x, void *coordinator);

#endif
