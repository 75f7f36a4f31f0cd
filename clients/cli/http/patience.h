/* How long and how often to try again while a coordinator restarts. Pure: the time is an argument. */
#ifndef FANTAIL_CLI_HTTP_PATIENCE_H
#define FANTAIL_CLI_HTTP_PATIENCE_H

#include "common/base/base.h"

/* Set limit_s, and zero the rest. */
struct patience {
    double limit_s;    /* how long to try again after the first failure in a row; 0: never */
    uint64_t since_ns; /* the time of the first failure in a row; 0: the last try was answered */
    unsigned tries;    /* failures in a row */
};

/* Call it when a try failed. `asked_s` is how long the service asked to wait, or -1. Returns false if it is not worth
 * trying again. Otherwise *wait_ms is how long to wait before the next try. */
MUST_CHECK bool patience_has(struct patience *p, double asked_s, uint64_t now, uint64_t *wait_ms);
/* Call it when there was progress. */
void patience_renew(struct patience *p);

#endif
