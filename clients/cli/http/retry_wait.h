/* Computes the wait before the next try of anything that the CLI retries. Pure. */
#ifndef FANTAIL_CLI_HTTP_RETRY_WAIT_H
#define FANTAIL_CLI_HTTP_RETRY_WAIT_H

#include "common/base/base.h"

/* Returns the wait after a try that failed. `failures` is the number of consecutive failures before the failed try. The
 * first wait is 50 ms. Each later wait is twice as long, up to 2 s. */
uint64_t retry_wait_ns(unsigned failures);
/* Returns the wait that a service asks for, at most 10 s. `retry_after_s` is from the service's answer; less than 0:
 * the answer has none. */
uint64_t retry_wait_asked_ns(double retry_after_s);

#endif
