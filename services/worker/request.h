/*
 * A request to run one chunk: POST /v1/tasks/{task}. The body becomes the items of a chunk, and the answers of the
 * chunk become the body of the answer.
 *
 * A pipeline has one stage for each task, and each stage has a chunk of its own. The values from one stage are the
 * items of the next stage. The answers of the last stage are the answers of the request.
 *
 *     READING_HEADER --its header line is read--> READING_ITEMS --its body is whole--> ANSWERING
 *                                                                                        |
 *     any of these --request_refuse()--> REFUSED                             its head is sent
 *                                          |                                             |
 *                                          v                                             v
 *     freed <--its timer is closed-- CLOSED <--its exchange is closed, in any state-- STREAMING
 *
 * A request without a header line begins in READING_ITEMS. A request owns its chunks and frees itself.
 */
#ifndef FANTAIL_WORKER_REQUEST_H
#define FANTAIL_WORKER_REQUEST_H

#include <uv.h>

#include "common/base/base.h"
#include "common/http_server/http_server.h"
#include "common/loop/turn.h"

struct request;

/* The requests that a worker is answering. */
struct requests {
    struct request *first, **tail; /* the requests, oldest first */
    unsigned open;
    size_t held_bytes;          /* bytes of the bodies of all requests */
    uv_timer_t gather;          /* runs while answers wait for more answers to be sent with them */
    uv_timer_t heads;           /* runs while the head of an answer waits for the first value */
    uv_timer_t quiet;           /* runs while there are answers that have not ended */
    struct turn_step pump_step; /* is awake while answers wait to be handed over to the next stage */
};

void requests_init(struct requests *set, uv_loop_t *loop);
/* Closes the timers. Call it when all requests have ended. */
void requests_close(struct requests *set);
/* Ends all requests now. Hands back all items that have no answer, even those that have been started. */
void requests_cut(struct requests *set);

/* Handles the route; `data` is the worker. */
void request_handle(struct http_exchange *x, void *data);

#endif
