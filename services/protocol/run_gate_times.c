/* Computes the time limit of a command, if necessary from the run times of the commands that have succeeded. */
#include "protocol/run_gate_internal.h"

#define CLASSES_OF_TWO 8 /* number of classes of times from one power of two to the next */

/* Each time below 8 ns has a class of its own. Larger times share a class if they have the same number of bits and the
 * same highest four bits. */
static unsigned class_of(uint64_t ns)
{
    if (ns < CLASSES_OF_TWO) return (unsigned)ns;
    unsigned shift = 60 - (unsigned)__builtin_clzll(ns);
    unsigned class = (shift + 1) * CLASSES_OF_TWO + (unsigned)(ns >> shift) % CLASSES_OF_TWO;
    return class < RUN_GATE_TIMES ? class : RUN_GATE_TIMES - 1;
}

/* Returns the middle of a class. */
static uint64_t time_of(unsigned class)
{
    if (class < CLASSES_OF_TWO) return class;
    unsigned shift = class / CLASSES_OF_TWO - 1;
    uint64_t low = (uint64_t)(CLASSES_OF_TWO + class % CLASSES_OF_TWO) << shift;
    return low + ((UINT64_C(1) << shift) >> 1);
}

static uint64_t median_ns(const struct run_gate *g)
{
    uint64_t seen = 0;
    for (unsigned class = 0; class < RUN_GATE_TIMES; class ++) {
        seen += g->times[class];
        if (2 * seen >= g->times_count) return time_of(class);
    }
    return 0;
}

uint64_t run_gate_deadline_ns(const struct run_gate *g, uint64_t started_ns)
{
    const struct run_gate_rules *r = &g->rules;
    if (r->timeout_ns) return started_ns + r->timeout_ns;
    if (r->timeout_factor <= 0 || g->times_count < RUN_GATE_LEAST) return 0;
    return started_ns + (uint64_t)(r->timeout_factor * (double)median_ns(g));
}

void run_gate_add_time(struct run_gate *g, uint64_t took_ns)
{
    g->times[class_of(took_ns)]++;
    g->times_count++;
}
