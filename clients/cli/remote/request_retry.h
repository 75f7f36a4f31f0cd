/*
 * Decides how long and how often to repeat a request about a durable job while a coordinator restarts. `fantail map`
 * has limits of its own (reconnect/outage.h). Pure: the time is an argument.
 */
#ifndef FANTAIL_CLI_REMOTE_REQUEST_RETRY_H
#define FANTAIL_CLI_REMOTE_REQUEST_RETRY_H

#include "common/base/base.h"

/* The caller sets limit_s and zeroes the other members. */
struct request_retry {
    double limit_s;    /* how long to try again after the first of several consecutive failures; 0: never */
    uint64_t since_ns; /* the time of the first of the consecutive failures; 0: the last try was answered */
    unsigned tries;    /* consecutive failures */
};

/* Call it when a try has failed. `asked_s` is how many seconds the service asked this program to wait, or -1. Returns
 * false if the caller should give up. Otherwise *wait_ms becomes the wait before the next try. */
MUST_CHECK bool request_retry_allowed(struct request_retry *p, double asked_s, uint64_t now, uint64_t *wait_ms);
/* Call it when there was progress. */
void request_retry_reset(struct request_retry *p);

#endif
