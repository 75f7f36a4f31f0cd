/*
 * Handles workers that register themselves: accepts what they send to POST /v1/workers, and ends leases that have
 * expired.
 *
 * Owner: the fleet.
 */
#ifndef FANTAIL_COORDINATOR_FLEET_REGISTRY_H
#define FANTAIL_COORDINATOR_FLEET_REGISTRY_H

#include <uv.h>

#include "coordinator/fleet/endpoints.h"

enum registry_verdict {
    REGISTRY_TAKEN,
    REGISTRY_UNAUTHORIZED, /* no token, or an unknown one */
    REGISTRY_INVALID,      /* the body or the address is not acceptable */
    REGISTRY_CONFLICT,     /* a worker with this id is registered at another address */
    REGISTRY_FULL,
    REGISTRY_VERDICT_COUNT
};

struct registry {
    struct endpoints *endpoints;
    uv_timer_t *timer; /* NULL: not started */
    uint64_t *verdicts[REGISTRY_VERDICT_COUNT], *expired, *goodbyes;
};

void registry_register_metrics(struct registry *r, struct endpoints *endpoints);
void registry_start(struct registry *r, uv_loop_t *loop);
/* Stops the timer, so that no more leases expire. The loop must keep running until the timer is closed. */
void registry_stop(struct registry *r);

/* Handles the body of a request. `peer` is as in registration_read(). On success, returns REGISTRY_TAKEN and sets
 * *terms; if the worker has deregistered, the terms are 0. On refusal, returns the kind of fault and writes a sentence
 * to err. */
MUST_CHECK enum registry_verdict registry_take(struct registry *r, const char *body, size_t len, const char *peer,
                                               struct lease_terms *terms, char *err, size_t err_size);
/* Counts a request that was refused without registry_take(). */
void registry_refused(struct registry *r, enum registry_verdict why);

#endif
