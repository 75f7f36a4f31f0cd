/* Counts the processors of this machine. */
#ifndef FANTAIL_CLI_FLEET_MACHINE_H
#define FANTAIL_CLI_FLEET_MACHINE_H

/* Returns how many processors this process may use, by its affinity mask and the CPU quota of its cgroup; at least
 * 1. */
unsigned machine_processors(void);
/* Returns how many task processes each of `workers` workers gets if they share the processors; at least 1. */
unsigned machine_share(unsigned workers);

#endif
