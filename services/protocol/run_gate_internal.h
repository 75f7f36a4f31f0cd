#ifndef FANTAIL_PROTOCOL_RUN_GATE_INTERNAL_H
#define FANTAIL_PROTOCOL_RUN_GATE_INTERNAL_H

#include "protocol/run_gate.h"

/* Counts the run time of a command that has succeeded (run_gate_times.c). */
void run_gate_add_time(struct run_gate *g, uint64_t took_ns);

#endif
