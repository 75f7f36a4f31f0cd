/*
 * Writes a line of the CloudWatch embedded metric format: JSON with the figures for autoscaling, which CloudWatch Logs
 * turns into metrics of the namespace `fantail`. The metrics cover only this coordinator, so the demand on a fleet is
 * the sum over its coordinators. Pure.
 */
#ifndef FANTAIL_COORDINATOR_STATUS_EMF_LINE_H
#define FANTAIL_COORDINATOR_STATUS_EMF_LINE_H

#include "common/base/base.h"
#include "common/base/buf.h"

/* The maximum length of a dimension's value. A line with two values of this length has at most EMF_LINE_BYTES, so one
 * write to a pipe can write the whole line. */
#define EMF_DIMENSION_BYTES 255
#define EMF_LINE_BYTES      4096

struct emf_demand {
    uint64_t queued_items, in_flight_items;
    uint64_t demand_items;   /* queued_items + in_flight_items */
    uint64_t demand_slots;   /* slots that would be busy if there were enough slots */
    uint64_t unserved_slots; /* demand_slots of the tasks without a slot, such as the tasks of a pool scaled to zero */
    uint64_t slots;          /* slots of the workers that this coordinator reaches */
    uint64_t jobs_running;
};

/* Returns whether CloudWatch accepts the text as a dimension's value. A valid value has 1 to 255 printable ASCII
 * characters. At least one character must not be blank, and the first character must not be a colon. */
MUST_CHECK bool emf_dimension_ok(const char *text);

/* Appends the line with its newline. emf_dimension_ok() must be true for `cluster` and `service`. */
void emf_write_line(struct buf *out, const char *cluster, const char *service, uint64_t unix_ms,
                    const struct emf_demand *demand);

/* Returns the timestamp for a line that is written now: the last multiple of the period. The timestamp is the same for
 * all coordinators. */
uint64_t emf_tick(uint64_t unix_ms, uint64_t period_ms);

#endif
