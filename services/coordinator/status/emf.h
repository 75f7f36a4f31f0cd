/*
 * The option --emf: every few seconds, writes a line in CloudWatch's embedded metric format (emf_line.h) to standard
 * output. The log driver of the container sends the line to CloudWatch. All coordinators write at the same instants of
 * the wall clock. So each coordinator writes the same number of lines in each minute. If the sum of a metric over a
 * minute is divided by the number of lines of one coordinator, the result is the metric's sum over all coordinators.
 *
 * If standard output cannot accept a whole line immediately, the line is dropped, because the coordinator must not
 * wait for its output to be read. The next line has newer figures.
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

/* Returns NULL if the options are valid. If an option is wrong, returns what is wrong with it, and sets *option to this
 * option. ready_fd is the value of --ready-fd. */
MUST_CHECK const char *emf_check(const struct emf_config *config, int ready_fd, const char **option);

/* Returns NULL unless --emf is given. `config` and `from` are borrowed. */
MUST_CHECK struct emf *emf_start(uv_loop_t *loop, const struct emf_config *config, const struct status_source *from);
/* Stops writing. `e` is freed when the loop has closed its timer. NULL is fine. */
void emf_stop(struct emf *e);

#endif
