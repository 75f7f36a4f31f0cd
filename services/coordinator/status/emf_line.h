/*
 * One line of the CloudWatch embedded metric format: what autoscaling asks of this coordinator, as JSON that CloudWatch
 * Logs turns into metrics of the namespace `fantail`. Every metric is a gauge of this coordinator alone, in counts: a
 * fleet's demand is the sum over its coordinators. A pure module.
 */
#ifndef FANTAIL_COORDINATOR_STATUS_EMF_LINE_H
#define FANTAIL_COORDINATOR_STATUS_EMF_LINE_H

#include "common/base/base.h"
#include "common/base/buf.h"

/* The longest value of a dimension. With both at their most, a line fits in what a pipe takes at once. */
#define EMF_DIMENSION_BYTES 255
#define EMF_LINE_BYTES      4096

struct emf_demand {
    uint64_t queued_items, in_flight_items;
    uint64_t demand_items;   /* both together */
    uint64_t demand_slots;   /* slots that would be busy if there were enough */
    uint64_t unserved_slots; /* of these, those of a coordinator that reaches no slot at all: a fleet at zero */
    uint64_t slots;          /* of the workers it reaches */
    uint64_t jobs_running;
};

/* Whether CloudWatch takes the text as a dimension's value: 1 to 255 printable ASCII characters, not all blank, no
 * colon in front. */
MUST_CHECK bool emf_dimension_ok(const char *text);

/* Appends the line with its newline. Both dimensions must be ok. */
void emf_write_line(struct buf *out, const char *cluster, const char *service, uint64_t unix_ms,
                    const struct emf_demand *demand);

/* The instant that a line written now belongs to, when one is due at each multiple of the period: the last such
 * instant, which is the same for all coordinators. */
uint64_t emf_tick(uint64_t unix_ms, uint64_t period_ms);

#endif
