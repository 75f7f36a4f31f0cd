/*
 * --emf: every few seconds, a line of CloudWatch's embedded metric format (emf_line.h) on standard output. The log
 * driver of the container sends it to CloudWatch. All coordinators write at the same instants of the wall clock, so
 * that each minute has the same number of lines from each of them. The sum over a minute, divided by that number, is
 * then the sum over the coordinators.
 *
 * A line that standard output cannot take at once is dropped, as the next one replaces it. Nothing waits for a log.
 */
#ifndef FANTAIL_COORDINATOR_STATUS_EMF_H
#define FANTAIL_COORDINATOR_STATUS_EMF_H

#include <uv.h>

#include "coordinator/status/status.h"

struct emf;

struct emf_config {
    bool enabled;
    int64_t period_s;
    const char *cluster, *service;
};

/* NULL, or why the options do not fit together; *option is then the wrong one. ready_fd is the value of --ready-fd. */
MUST_CHECK const char *emf_check(const struct emf_config *config, int ready_fd, const char **option);

/* NULL unless it is enabled. config and from are borrowed. */
MUST_CHECK struct emf *emf_start(uv_loop_t *loop, const struct emf_config *config, const struct status_source *from);
/* NULL is fine. Frees itself when the loop has closed its timer. */
void emf_stop(struct emf *e);

#endif
