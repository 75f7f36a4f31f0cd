/*
 * Estimates the processor time of one unit of work (a chunk), without the time that its bytes cost: cpu = unit * n +
 * byte * bytes. It fits the latest measurements by least squares, with a prior that dominates until there are enough of
 * them. Pure.
 */
#ifndef FANTAIL_COMMON_BASE_UNIT_COST_H
#define FANTAIL_COMMON_BASE_UNIT_COST_H

#include "common/base/base.h"

struct unit_cost {
    double nn, nb, bb, ny, by; /* decaying sums of products: n units, b bytes, y nanoseconds */
    uint64_t n, bytes;         /* units and bytes since the last measurement */
    uint64_t cpu_ns;           /* the thread's processor time at the last measurement */
    double unit_ns;            /* processor time of one unit, ns */
};

/* unit_ns is the prior for a unit. It is the result until there is a measurement. */
void unit_cost_init(struct unit_cost *c, uint64_t unit_ns, uint64_t cpu_ns);
/* Call it when a unit is done. The unit moved `bytes` bytes. If it returns true, there are enough units to call
 * unit_cost_measure(). */
bool unit_cost_add(struct unit_cost *c, uint64_t bytes);
/* cpu_ns is the processor time that the thread has used until now. Returns the processor time of one unit, ns. */
uint64_t unit_cost_measure(struct unit_cost *c, uint64_t cpu_ns);

/* Returns the processor time that this thread has used, ns. */
uint64_t thread_cpu_ns(void);

#endif
