#include "cli/fleet/machine.h"

#include <sched.h>

#include "common/base/base.h"

/* Returns the quota in processors. In cgroup v2 the file has "QUOTA PERIOD" in microseconds, or "max PERIOD". */
static unsigned quota_processors(void)
{
    char text[64] = "", *rest;
    FILE *file = fopen("/sys/fs/cgroup/cpu.max", "re");
    if (!file) return 0;
    if (!fgets(text, sizeof(text), file)) text[0] = '\0';
    fclose(file);
    unsigned long long quota = strtoull(text, &rest, 10), period = strtoull(rest, NULL, 10);
    return rest == text || period == 0 ? 0 : (unsigned)((quota + period - 1) / period);
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
