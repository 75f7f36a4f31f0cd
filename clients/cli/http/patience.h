/* Decides how long and how often to try again while a coordinator restarts. Pure: the time is an argument. */
#ifndef FANTAIL_CLI_HTTP_PATIENCE_H
#define FANTAIL_CLI_HTTP_PATIENCE_H

#include "common/base/base.h"

/* The caller sets limit_s and zeroes the other members. */
struct patience {
    double limit_s;    /* how long to try again after the first of several consecutive failures; 0: never */
    uint64_t since_ns; /* the time of the first of the consecutive failures; 0: the last try was answered */
    unsigned tries;    /* consecutive failures */
};

/* Call it when a try failed. `asked_s` is how long the service asked to wait, or -1. Returns false if the caller should
 * give up. Otherwise *wait_ms becomes the wait before the next try. */
MUST_CHECK bool patience_has(struct patience *p, double asked_s, uint64_t now, uint64_t *wait_ms);
/* Call it when there was progress. */
void patience_renew(struct patience *p);

#endif
