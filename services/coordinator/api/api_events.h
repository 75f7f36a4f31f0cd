/*
 * GET /v1/jobs/{id}/events: the states of a durable job as server-sent events, until the job ends. Each event has the
 * whole document of the job, so a client that misses an event learns the state from the next event.
 *
 * The id of an event describes the state of the job: "<redrives>-<fence>-<state>-<answers>", followed by "-<reason>" if
 * the job waits. A client may connect again with this id as Last-Event-ID. This client gets its first event as soon as
 * the state of the job differs from the state in that id.
 */
#ifndef FANTAIL_COORDINATOR_API_API_EVENTS_H
#define FANTAIL_COORDINATOR_API_API_EVENTS_H

#include "common/http_server/http_server.h"

struct coordinator;

/* The coordinator must have a store. */
void api_watch_events(struct http_exchange *x, struct coordinator *c);

#endif
