/*
 * --emf: every few seconds a line of CloudWatch's embedded metric format (emf_line.h) on standard output, which a
 * container's log driver takes to CloudWatch. Lines are written at the same instants of the clock by every coordinator,
 * so that each minute holds the same number from each and the sum over a minute, divided by it, is the sum over the
 * coordinators.
 *
 * A line that standard output does not take at once is dropped: the next one replaces it, and nothing waits for a log.
 */
#ifndef FANTAIL_COORDINATOR_STATUS_EMF_H
#define FANTAIL_COORDINATOR_STATUS_EMF_H

#include "common/base/base.h"

struct coordinator;
struct coordinator_config;
struct emf;

/* NULL, or why the options do not fit together; *option is the one to blame. */
MUST_CHECK const char *emf_check(const struct coordinator_config *config, const char **option);

/* NULL without --emf. */
MUST_CHECK struct emf *emf_start(struct coordinator *c);
/* NULL is fine. Frees itself when the loop has closed its timer. */
void emf_stop(struct emf *e);

#endif
