/* Divides the processors of this machine among workers. */
#ifndef FANTAIL_CLI_FLEET_MACHINE_H
#define FANTAIL_CLI_FLEET_MACHINE_H

/* Returns how many task processes each worker gets if `workers` workers share the processors that this process may use
 * (cpu_quota()); at least 1. */
unsigned machine_share(unsigned workers);

#endif
