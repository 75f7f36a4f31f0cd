/*
 * Estimates the processor time of one unit of work (a chunk), without the time that its bytes cost: cpu = unit * n +
 * byte * bytes. It fits the latest measurements by least squares, with a prior that dominates until there are enough of
 * them. Pure.
 *
 * A thread that only works on units calls unit_cost_add() for each. A thread that also does other work while there are
 * no units calls unit_cost_begin() and unit_cost_end() instead. Then only the time in which units are open is counted,
 * and units that are open together share it evenly.
 */
#ifndef FANTAIL_COMMON_BASE_UNIT_COST_H
#define FANTAIL_COMMON_BASE_UNIT_COST_H

#include "common/base/base.h"

struct unit_cost {
    double nn, nb, bb, ny, by; /* decaying sums of products: n units, b bytes, y nanoseconds */
    uint64_t n, bytes;         /* units and bytes since the last measurement */
    uint64_t open;             /* units that have begun and not ended */
    uint64_t cpu_ns;           /* the thread's processor time at the last measurement */
    double unit_ns;            /* processor time of one unit, ns */
};

/* unit_ns is the prior for a unit. It is the result until there is a measurement. */
void unit_cost_init(struct unit_cost *c, uint64_t unit_ns, uint64_t cpu_ns);
/* Call it when a unit is done. The unit moved `bytes` bytes. If it returns true, there are enough units to call
 * unit_cost_measure(). */
bool unit_cost_add(struct unit_cost *c, uint64_t bytes);
/* Call it when a unit begins. If it returns true, no other unit is open: set cpu_ns to the thread's processor time. */
MUST_CHECK bool unit_cost_begin(struct unit_cost *c);
/* Call it when a unit that has begun ends. If it returns true, call unit_cost_measure(). */
MUST_CHECK bool unit_cost_end(struct unit_cost *c, uint64_t bytes);
/* Returns what unit_cost_measure() would return if all open units ended now, with `bytes` bytes together. */
uint64_t unit_cost_now(const struct unit_cost *c, uint64_t bytes, uint64_t cpu_ns);
/* cpu_ns is the processor time that the thread has used until now. Returns the processor time of one unit, ns. */
uint64_t unit_cost_measure(struct unit_cost *c, uint64_t cpu_ns);

/* Returns the processor time that this thread has used, ns. */
uint64_t thread_cpu_ns(void);

#endif
