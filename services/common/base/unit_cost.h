/*
 * Estimates the processor time of one unit of work (a chunk), not counting the time that its bytes cost: cpu = unit * n
 * + byte * bytes. The estimate fits the latest measurements by least squares, with a prior that dominates until there
 * are enough measurements. Pure.
 *
 * A thread that works only on units calls unit_cost_add() once for each unit. A thread that also does other work while
 * there are no units calls unit_cost_begin() and unit_cost_end() instead. These calls count only the time during which
 * at least one unit is open. Units that are open at the same time share that time evenly.
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

/* unit_ns is the prior for the cost of a unit. It is also the result while there is no measurement. */
void unit_cost_init(struct unit_cost *c, uint64_t unit_ns, uint64_t cpu_ns);
/* Call it when a unit is done. The unit moved `bytes` bytes. If this function returns true, enough units are done: call
 * unit_cost_measure(). */
bool unit_cost_add(struct unit_cost *c, uint64_t bytes);
/* Call it when a unit begins. Returns true if no other unit is open; the caller must then set c->cpu_ns to the thread's
 * processor time. */
MUST_CHECK bool unit_cost_begin(struct unit_cost *c);
/* Call it at the end of each unit that began with unit_cost_begin(). If this function returns true, call
 * unit_cost_measure(). */
MUST_CHECK bool unit_cost_end(struct unit_cost *c, uint64_t bytes);
/* Returns what unit_cost_measure() would return if all open units ended now, after moving `bytes` bytes in total. */
uint64_t unit_cost_now(const struct unit_cost *c, uint64_t bytes, uint64_t cpu_ns);
/* Adds a measurement to the estimate: the units that were done since the last measurement, and the processor time that
 * they took. cpu_ns is the processor time that the thread has used until now. Returns the estimated processor time of
 * one unit, ns. */
uint64_t unit_cost_measure(struct unit_cost *c, uint64_t cpu_ns);

/* Returns the processor time that this thread has used, ns. */
uint64_t thread_cpu_ns(void);

#endif
