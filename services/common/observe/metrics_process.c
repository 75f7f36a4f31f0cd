#include <dirent.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "common/observe/metrics.h"

static double realtime_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static double cpu_seconds(void *unused)
{
    struct timespec used;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
    return (double)used.tv_sec + (double)used.tv_nsec / 1e9;
}

/* Reads a size from statm, where sizes are in pages. Field 0 is the virtual size, and field 1 is the resident size. */
static double statm_bytes(int field)
{
    FILE *f = fopen("/proc/self/statm", "re");
    if (!f) return 0;
    long long pages[2] = {0, 0};
    if (fscanf(f, "%lld %lld", &pages[0], &pages[1]) != 2) pages[field] = 0;
    fclose(f);
    return (double)pages[field] * (double)sysconf(_SC_PAGESIZE);
}

static double virtual_bytes(void *unused)
{
    return statm_bytes(0);
}

static double resident_bytes(void *unused)
{
    return statm_bytes(1);
}

static double open_fds(void *unused)
{
    DIR *dir = opendir("/proc/self/fd");
    if (!dir) return 0;
    int count = -1; /* starts at -1, because reading the directory needs a descriptor, which is listed too */
    for (struct dirent *e; (e = readdir(dir));)
        if (e->d_name[0] != '.') count++;
    closedir(dir);
    return count;
}

static double max_fds(void *unused)
{
    struct rlimit limit;
    return getrlimit(RLIMIT_NOFILE, &limit) == 0 ? (double)limit.rlim_cur : 0;
}

static double start_time(void *at)
{
    return *(const double *)at;
}

void metrics_register_process(const char *service)
{
    static double started;
    started = realtime_s();
    metric_counter_fn("process_cpu_seconds_total", "CPU time of this process, without its children.", NULL, cpu_seconds,
                      NULL);
    metric_gauge_fn("process_resident_memory_bytes", "Resident memory.", NULL, resident_bytes, NULL);
    metric_gauge_fn("process_virtual_memory_bytes", "Virtual memory.", NULL, virtual_bytes, NULL);
    metric_gauge_fn("process_open_fds", "Open file descriptors.", NULL, open_fds, NULL);
    metric_gauge_fn("process_max_fds", "Limit on open file descriptors.", NULL, max_fds, NULL);
    metric_gauge_fn("process_start_time_seconds", "Start of the process, seconds since the epoch.", NULL, start_time,
                    &started);
    struct buf labels = {0};
    metric_add_label(&labels, "version", FANTAIL_VERSION);
    metric_add_label(&labels, "service", service);
    *metric_gauge("fantail_build_info", "Always 1; the labels name the program and version.", buf_cstr(&labels)) = 1;
    buf_release(&labels);
}
