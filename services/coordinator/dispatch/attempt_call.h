/*
 * One attempt as an HTTP call: sends items [from, to) of a chunk to a worker, reads the answer as it arrives, passes
 * what is new of it to the job and how it ended to the scheduler. Its life is that of the sched_attempt, whose `call`
 * it is.
 */
#ifndef FANTAIL_COORDINATOR_DISPATCH_ATTEMPT_CALL_H
#define FANTAIL_COORDINATOR_DISPATCH_ATTEMPT_CALL_H

#include "coordinator/dispatch/dispatcher.h"

void attempt_call_start(struct dispatcher *d, struct sched_attempt *a);
/* Ends it now; the scheduler is told nothing. why is for the log and the trace. */
void attempt_call_cut_off(struct sched_attempt *a, const char *why);

#endif
