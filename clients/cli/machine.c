#include "machine.h"

#include <sched.h>

#include "base.h"

/* cgroup v2: "QUOTA PERIOD" in microseconds, or "max PERIOD". */
static unsigned quota_processors(void)
{
    unsigned long long quota, period;
    FILE *file = fopen("/sys/fs/cgroup/cpu.max", "re");
    if (!file) return 0;
    int n = fscanf(file, "%llu %llu", &quota, &period);
    fclose(file);
    if (n != 2 || period == 0) return 0;
    return (unsigned)((quota + period - 1) / period);
}

unsigned machine_processors(void)
{
    cpu_set_t set;
    unsigned n = 1;
    if (sched_getaffinity(0, sizeof(set), &set) == 0 && CPU_COUNT(&set) > 0) n = (unsigned)CPU_COUNT(&set);
    unsigned quota = quota_processors();
    return quota > 0 && quota < n ? quota : n;
}

unsigned machine_share(unsigned workers)
{
    unsigned share = machine_processors() / workers;
    return share > 0 ? share : 1;
}
