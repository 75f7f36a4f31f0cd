/*
 * Declarations shared by the intake*.c files. intake.c receives the items and stores them, intake_admit.c reads the
 * request, intake_job.c describes the job.
 */
#ifndef FANTAIL_COORDINATOR_INTAKE_INTAKE_INTERNAL_H
#define FANTAIL_COORDINATOR_INTAKE_INTAKE_INTERNAL_H

#include "coordinator/intake/intake.h"

/* Finds out the format of the body. If the request cannot be accepted, answers it and returns false. */
MUST_CHECK bool intake_admit(struct http_exchange *x, const struct durable *d, enum split_format *format);
/* Reads the options from the request and from the part of the body that has been split so far. Returns false if an
 * option is wrong, or if the operator does not allow the host of the notice. */
MUST_CHECK bool intake_read_spec(struct http_exchange *x, const struct durable *d, const struct splitter *splitter,
                                 bool have_items, struct jobspec *spec, struct jobspec_error *err);
/* Returns whether the items of the job are generated from a range or from spans. */
bool intake_makes_items(const struct jobspec *spec);
/* Sets the task, options, labels, notify, needs and priority of `job`. If the items are generated, also sets their
 * number. Takes the labels and the URL of `notify` from `spec`. The job belongs to the trace of its request. */
void intake_describe(struct stored_job *job, struct http_exchange *x, const struct splitter *splitter,
                     struct jobspec *spec, struct catalog *catalog, const struct trace_scope *trace);
/* If the next `len` bytes of the job may need more memory than is left, returns why the job must be refused. Otherwise
 * returns NULL. `held` is the memory of the upload so far. In the middle of a long item, the upload cannot wait until
 * other jobs need less memory, because only a whole item can go to the store. */
const char *intake_lacks_room(const struct jobs *jobs, const struct splitter *splitter, size_t held, size_t len);

#endif
