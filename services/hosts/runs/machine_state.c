#include "hosts/runs/machine_state.h"

#include <fcntl.h>
#include <unistd.h>

/* Reads a file of /proc, or its beginning. */
static bool read_text(const char *path, char *text, size_t size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return false;
    size_t len = 0;
    for (ssize_t n; len + 1 < size && (n = read(fd, text + len, size - 1 - len)) > 0;) len += (size_t)n;
    close(fd);
    text[len] = '\0';
    return len > 0;
}

/* Returns how many threads of the machine, apart from this thread, are running or are waiting for a processor. The
 * number with this thread is in the fourth field of /proc/loadavg, for example 3 in 3/250. */
static double read_load(void)
{
    char text[128];
    if (!read_text("/proc/loadavg", text, sizeof text)) return 0;
    const char *at = text;
    for (int field = 1; field < 4 && at; field++) at = strchr(at, ' ') ? strchr(at, ' ') + 1 : NULL;
    unsigned long long running = at ? strtoull(at, NULL, 10) : 0;
    return running > 0 ? (double)(running - 1) : 0;
}

static uint64_t read_free_bytes(void)
{
    char text[2048];
    const char *line = read_text("/proc/meminfo", text, sizeof text) ? strstr(text, "MemAvailable:") : NULL;
    return line ? strtoull(line + strlen("MemAvailable:"), NULL, 10) * 1024 : UINT64_MAX;
}

struct run_gate_machine machine_state_read(const struct run_gate_rules *rules)
{
    return (struct run_gate_machine){
        .load = rules->max_load > 0 ? read_load() : 0,
        .free_bytes = rules->min_free_bytes ? read_free_bytes() : UINT64_MAX,
    };
}
