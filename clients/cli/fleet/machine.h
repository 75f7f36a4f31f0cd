/* Counts the processors of this machine. */
#ifndef FANTAIL_CLI_FLEET_MACHINE_H
#define FANTAIL_CLI_FLEET_MACHINE_H

/* Returns how many processors the affinity mask and the cgroup's CPU quota allow this process; at least 1. */
unsigned machine_processors(void);
/* Returns how many task processes each worker gets if `workers` workers share the processors; at least 1. */
unsigned machine_share(unsigned workers);

#endif
