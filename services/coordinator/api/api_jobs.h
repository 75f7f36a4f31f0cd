/* The handlers of /v1/jobs; their data is the struct coordinator. */
#ifndef FANTAIL_COORDINATOR_API_API_JOBS_H
#define FANTAIL_COORDINATOR_API_API_JOBS_H

#include "common/http_server/http_server.h"

void api_post_job(struct http_exchange *x, void *coordinator);
void api_list_jobs(struct http_exchange *x, void *coordinator);
void api_show_job(struct http_exchange *x, void *coordinator);
void api_change_job(struct http_exchange *x, void *coordinator);
void api_delete_job(struct http_exchange *x, void *coordinator);

#endif
