/* Computes how long `fantail` waits before it sends a request or a job again. Pure. */
#ifndef FANTAIL_CLI_HTTP_RETRY_WAIT_H
#define FANTAIL_CLI_HTTP_RETRY_WAIT_H

#include "common/base/base.h"

/* Returns how long to wait after a failed try. `failures` is the number of consecutive failures before this try. The
 * first result is 50 ms. After each further failure it is twice as long, up to 2 s. */
uint64_t retry_wait_ns(unsigned failures);
/* Returns how long a service asks this program to wait, at most 10 s. `retry_after_s` is from the service's answer;
 * less than 0: the answer has none. */
uint64_t retry_wait_asked_ns(double retry_after_s);

#endif
