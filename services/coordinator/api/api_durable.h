/* Handles the calls about durable jobs. In the first four functions, `c` must have a store. */
#ifndef FANTAIL_COORDINATOR_API_API_DURABLE_H
#define FANTAIL_COORDINATOR_API_API_DURABLE_H

#include "common/http_server/http_server.h"

struct coordinator;

/* GET /v1/jobs/{id}; with the parameter wait_s, it waits for the end of the job. */
void api_show_durable(struct http_exchange *x, struct coordinator *c);
/* DELETE /v1/jobs/{id} */
void api_delete_durable(struct http_exchange *x, struct coordinator *c);
/* PATCH /v1/jobs/{id}: api_change.c */
void api_change_durable(struct http_exchange *x, struct coordinator *c);
/* GET /v1/jobs: api_durable_list.c */
void api_list_durable(struct http_exchange *x, struct coordinator *c);

/* The functions below are handlers of routes; their data is the struct coordinator. If the coordinator has no store,
 * these handlers answer 404. */

/* POST /v1/jobs/{id}/redrive */
void api_redrive_job(struct http_exchange *x, void *coordinator);
/* GET /v1/jobs/{id}/events */
void api_show_events(struct http_exchange *x, void *coordinator);
/* GET /v1/jobs/{id}/results */
void api_show_results(struct http_exchange *x, void *coordinator);

#endif
