/*
 * Estimates the processor time of one unit of work (a chunk) without that of its bytes: cpu = unit * n + byte * bytes.
 * A least-squares fit to the latest measurements, with a prior that dominates until there are enough. Pure.
 */
#ifndef FANTAIL_COMMON_BASE_UNIT_COST_H
#define FANTAIL_COMMON_BASE_UNIT_COST_H

#include "common/base/base.h"

struct unit_cost {
    double nn, nb, bb, ny, by; /* decaying sums of products: n units, b bytes, y nanoseconds */
    uint64_t n, bytes;         /* since the last measurement */
    uint64_t cpu_ns;           /* of the processor's clock at the last measurement */
    double unit_ns;            /* the result */
};

/* unit_ns is the prior for a unit: the result before any measurement. */
void unit_cost_init(struct unit_cost *c, uint64_t unit_ns, uint64_t cpu_ns);
/* One unit is done, and it moved this many bytes. True: there are enough units; call unit_cost_measure(). */
bool unit_cost_add(struct unit_cost *c, uint64_t bytes);
/* cpu_ns is the processor time of the thread until now. Returns what a unit costs, ns. */
uint64_t unit_cost_measure(struct unit_cost *c, uint64_t cpu_ns);

/* The processor time that this thread has used, ns. */
uint64_t thread_cpu_ns(void);

#endif
