#include "cli/fleet/machine.h"

#include "common/machine/cpu_quota.h"

unsigned machine_share(unsigned workers)
{
    unsigned share = cpu_quota() / workers;
    return share > 0 ? share : 1;
}
