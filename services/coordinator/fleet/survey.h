/*
 * Asks the workers which tasks they have, and keeps the catalog up to date. A worker is asked when it is added, when
 * the owner calls survey_ask(), and when a question needs its answer (survey_question_new()). In addition, each worker
 * is asked again about half a minute after the last request to it. These regular requests are spread over the half
 * minute. A worker that did not answer is asked again sooner. The number of workers asked at the same time is limited.
 *
 * Owner: the fleet. The survey does its work in callbacks of the loop. The functions of this header never call the
 * owner's callbacks directly, but some of them, such as survey_add(), may start requests.
 */
#ifndef FANTAIL_COORDINATOR_FLEET_SURVEY_H
#define FANTAIL_COORDINATOR_FLEET_SURVEY_H

#include <uv.h>

#include "common/base/heap.h"
#include "common/base/list.h"
#include "common/base/random.h"
#include "common/http_client/http_client.h"
#include "coordinator/fleet/task_catalog.h"
#include "coordinator/fleet/connect_error.h"
#include "coordinator/fleet/endpoints.h"

struct survey_worker;
struct survey_question;

struct survey {
    struct http_client *client;
    struct connect_error
        *connect_error;        /* records why a worker cannot be reached; NULL: this is not recorded; borrowed */
    const char *authorization; /* a header line to send; NULL: none; borrowed; it may change between requests */
    struct catalog catalog;
    bool rejects_token; /* the last worker without a usable answer rejected our token */
    char fault[400];    /* why the call to that worker failed; "": it answered, but without a list of tasks */

    /* Private. */
    unsigned workers, asking;
    struct heap due;
    struct survey_worker *first;
    struct list questions; /* the oldest first */
    struct list over;      /* questions that are being answered */
    bool goes_on;          /* questions may be over: they are answered in a later turn of the loop */
    struct random_source random;
    uv_timer_t *timer;
};

void survey_start(struct survey *s, uv_loop_t *loop, struct http_client *client, bool balancer);
/* Cancels the requests, and frees the questions and the catalog. All workers must have been removed. The loop must keep
 * running until the timer is closed. */
void survey_stop(struct survey *s);

/* Workers. */

/* Called with the tasks that a worker reported. `has` is borrowed for the call; NULL: the request failed, and the
 * worker is not asked again immediately. worker_id is a hash of the Fantail-Worker header; 0: there was none. */
typedef void survey_said(void *owner, const struct task_list *has, uint64_t worker_id);

/* Adds a worker. `at` is borrowed until survey_remove(). `said` may be NULL. */
struct survey_worker *survey_add(struct survey *s, const struct endpoint *at, survey_said *said, void *owner);
void survey_remove(struct survey *s, struct survey_worker *w);
/* Asks the worker again as soon as `after_ms` have passed since the last request to the worker. */
void survey_ask(struct survey *s, struct survey_worker *w, uint64_t after_ms);
/* Call it when a worker says that its tasks have this ETag. If the last list of tasks from the worker had a different
 * ETag, asks the worker for its tasks. "": the worker did not send an ETag. */
void survey_compare(struct survey *s, struct survey_worker *w, const char *etag);

/* Questions. */

/* Asks all workers, except those that have answered a recent request. A request is recent if it was sent in the last
 * second, or in the last n milliseconds if the fleet has n < 1000 workers. Calls answered(data, ok) when all the
 * workers have answered, when enough(data) is true after an answer, or when three seconds have passed, whichever comes
 * first. `ok` is false when no worker can be reached. `enough` may be NULL. Returns NULL when there is no worker to
 * ask. */
struct survey_question *survey_question_new(struct survey *s, bool (*enough)(void *data),
                                            void (*answered)(void *data, bool ok), void *data);
/* Drops a question that has not been answered yet. After this call, the answered() of this question is never called.
 * O(1). */
void survey_question_drop(struct survey *s, struct survey_question *q);

#endif
