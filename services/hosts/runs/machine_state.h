/* Reads how busy this machine is, for the rules of a gate. */
#ifndef FANTAIL_HOSTS_RUNS_MACHINE_STATE_H
#define FANTAIL_HOSTS_RUNS_MACHINE_STATE_H

#include "protocol/run_gate.h"

/* Reads only the values that the rules need. A value that cannot be read does not delay any command. */
struct run_gate_machine machine_state_read(const struct run_gate_rules *rules);

#endif
