/* What this machine offers to a private fleet. */
#ifndef FANTAIL_CLI_FLEET_MACHINE_H
#define FANTAIL_CLI_FLEET_MACHINE_H

/* Processors this process may use: the affinity mask and the cgroup's CPU quota, at least 1. */
unsigned machine_processors(void);
/* Task processes of each of `workers` workers when they share the processors; at least 1. */
unsigned machine_share(unsigned workers);

#endif
