/*
 * Ends this process when the program that started it has ended, even if that program is on another machine. That
 * program holds the other end of standard input, and writes a byte from time to time. Standard input ends when that
 * program ends. If the network between the two machines is cut, no byte arrives any longer.
 */
#ifndef FANTAIL_COMMON_LOOP_STDIN_LEASE_H
#define FANTAIL_COMMON_LOOP_STDIN_LEASE_H

#include <uv.h>

#include "common/base/base.h"

struct stdin_lease {
    uv_poll_t poll;
    uv_timer_t timer;
    uint64_t limit_ms; /* 0: the lease was not started */
};

/* From now on this process gets SIGTERM when standard input ends, or when no byte has arrived on it for `seconds`,
 * which is more than 0. What arrives is read and ignored. Does not keep the loop running. Returns false, with a
 * sentence in err, if standard input cannot be watched, for example because it is a file. */
MUST_CHECK bool stdin_lease_start(struct stdin_lease *l, uv_loop_t *loop, double seconds, char *err, size_t err_size);
/* Closes the handles. The loop must run once before *l is freed. A zeroed struct is fine. */
void stdin_lease_stop(struct stdin_lease *l);

#endif
