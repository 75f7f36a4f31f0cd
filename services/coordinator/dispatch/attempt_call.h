/*
 * One attempt as an HTTP call. The call sends items [from, to) of a chunk to a worker and reads the answer as it
 * arrives. The call passes new answers to the phase, and reports to the scheduler how the call ended. An attempt_call
 * has the same lifetime as its sched_attempt. The member `call` of the sched_attempt points to it.
 */
#ifndef FANTAIL_COORDINATOR_DISPATCH_ATTEMPT_CALL_H
#define FANTAIL_COORDINATOR_DISPATCH_ATTEMPT_CALL_H

#include "coordinator/dispatch/dispatcher.h"

void attempt_call_start(struct dispatcher *d, struct sched_attempt *a);
/* Ends the call now, without an event for the scheduler. `why` is for the log and the trace. */
void attempt_call_cut_off(struct sched_attempt *a, const char *why);

#endif
