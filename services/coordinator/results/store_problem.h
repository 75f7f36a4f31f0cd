/* Answers a request whose call to the store has failed. The status of the call selects the problem. */
#ifndef FANTAIL_COORDINATOR_RESULTS_STORE_PROBLEM_H
#define FANTAIL_COORDINATOR_RESULTS_STORE_PROBLEM_H

#include "coordinator/store/store.h"

struct http_exchange;

/* `call` must be done, and must not have the status STORE_OK. */
void store_problem_answer(struct http_exchange *x, const struct store_call *call);
/* Answers 404: the store has no such job. */
void store_problem_no_job(struct http_exchange *x, const char *id);

#endif
