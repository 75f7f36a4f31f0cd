#include "common/machine/cpu_quota.h"

#include <sched.h>

#include "common/machine/control_group.h"

/* Returns quota / period, rounded up, or 0 when there is no quota. */
static unsigned quota_of(const char *text)
{
    char *end;
    double quota = strtod(text, &end), period = strtod(end, NULL);
    return quota > 0 && period > 0 ? (unsigned)(quota / period + 0.999) : 0;
}

static size_t read_text(const char *path, char *dst, size_t size)
{
    FILE *f = fopen(path, "re");
    if (!f) return 0;
    size_t n = fread(dst, 1, size - 1, f);
    dst[n] = '\0';
    fclose(f);
    return n;
}

/* Returns the smallest quota of our control group and the groups above it. */
static unsigned v2_quota(void)
{
    struct control_group group;
    char path[sizeof group.path + 40], text[64];
    unsigned least = 0;
    control_group_read(&group, CONTROL_GROUP_SELF);
    do {
        snprintf(path, sizeof path, CONTROL_GROUP_ROOT "%s/cpu.max", group.path);
        unsigned n = read_text(path, text, sizeof text) ? quota_of(text) : 0;
        if (n && (!least || n < least)) least = n;
    } while (control_group_rise(&group));
    return least;
}

static unsigned v1_quota(void)
{
    char quota[32], period[32], both[80];
    if (!read_text("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", quota, sizeof quota) ||
        !read_text("/sys/fs/cgroup/cpu/cpu.cfs_period_us", period, sizeof period))
        return 0;
    snprintf(both, sizeof both, "%s %s", quota, period);
    return quota_of(both);
}

unsigned cpu_quota(void)
{
    cpu_set_t set;
    unsigned n = sched_getaffinity(0, sizeof set, &set) == 0 ? (unsigned)CPU_COUNT(&set) : 1, v2 = v2_quota(),
             v1 = v1_quota();
    if (v2 && v2 < n) n = v2;
    if (v1 && v1 < n) n = v1;
    return n ? n : 1;
}

bool cpu_is_metered(void)
{
    return v2_quota() || v1_quota();
}
