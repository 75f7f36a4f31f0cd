/*
 * Asks the workers which tasks they have, and keeps the catalog. Each is asked when it is added, when the owner wants
 * it (survey_ask()), when a question needs it (survey_question_new()), and otherwise every half minute, spread over the
 * fleet. A worker that did not answer is asked again sooner. Only some are asked at the same time.
 *
 * Owner: the fleet. Everything it does comes from the loop; callbacks are not called inside of its functions, except
 * that survey_add() and the like may start requests.
 */
#ifndef FANTAIL_COORDINATOR_FLEET_SURVEY_H
#define FANTAIL_COORDINATOR_FLEET_SURVEY_H

#include <uv.h>

#include "common/base/heap.h"
#include "common/base/random.h"
#include "common/http_client/http_client.h"
#include "coordinator/fleet/catalog.h"
#include "coordinator/fleet/endpoints.h"

struct survey_worker;
struct survey_question;

struct survey {
    struct http_client *client;
    const char *authorization; /* a header line to send; NULL: none. Borrowed; may change between requests */
    struct catalog catalog;
    bool rejects_token; /* of the last worker that did not answer: it rejected our token */
    char fault[400];    /* and why it could not be asked; "": it answered with something else */

    /* Private. */
    unsigned workers, asking;
    uint64_t round; /* counts the requests; each has its number */
    struct heap due;
    struct survey_worker *first;
    struct survey_question *questions;
    struct random_source random;
    uv_timer_t *timer;
};

void survey_start(struct survey *s, uv_loop_t *loop, struct http_client *client, bool balancer);
/* Ends requests and drops questions and the catalog. Its workers are gone. The loop must run on until the timer is
 * closed. */
void survey_stop(struct survey *s);

/* Workers. */

/* What a worker said; `has` is borrowed for the call. worker_id is a hash of its Fantail-Worker; 0: it has none. */
typedef void survey_said(void *owner, const struct task_list *has, uint64_t worker_id);

/* `at` is borrowed until survey_remove(). said may be NULL. */
struct survey_worker *survey_add(struct survey *s, const struct endpoint *at, survey_said *said, void *owner);
void survey_remove(struct survey *s, struct survey_worker *w);
/* Asks it once more, not before `after_ms` since it was asked last. */
void survey_ask(struct survey *s, struct survey_worker *w, uint64_t after_ms);

/* Questions. */

/* Asks all workers that were not asked just now: in the last millisecond for each worker of the fleet, at most a
 * second. Then, or as soon as enough(data) is true after one has answered, or after three seconds: answered(data, ok).
 * ok is false when no worker can be reached. enough may be NULL. Returns NULL when there is no worker to ask. */
struct survey_question *survey_question_new(struct survey *s, bool (*enough)(void *data),
                                            void (*answered)(void *data, bool ok), void *data);
/* It is not answered any more. Does nothing with one that was. */
void survey_question_drop(struct survey *s, struct survey_question *q);

#endif
