#include "worker/system/memory_usage.h"

#include <unistd.h>

/* Returns the memory of one process, without pages backed by files. */
static uint64_t own_memory(pid_t pid)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/statm", (int)pid);
    FILE *f = fopen(path, "re");
    if (!f) return 0;
    unsigned long long size, resident = 0, shared = 0;
    if (fscanf(f, "%llu %llu %llu", &size, &resident, &shared) != 3) resident = shared = 0;
    fclose(f);
    return resident > shared ? (resident - shared) * (uint64_t)sysconf(_SC_PAGESIZE) : 0;
}

static uint64_t tree_memory(pid_t pid, unsigned depth)
{
    uint64_t sum = own_memory(pid);
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/task/%d/children", (int)pid, (int)pid);
    FILE *f = depth < 16 ? fopen(path, "re") : NULL;
    if (!f) return sum;
    int child;
    while (fscanf(f, "%d", &child) == 1) sum += tree_memory(child, depth + 1);
    fclose(f);
    return sum;
}

uint64_t memory_usage_of_tree(pid_t pid)
{
    return tree_memory(pid, 0);
}

uint64_t memory_usage_oom_kills(void)
{
    static const char *const files[] = {"/sys/fs/cgroup/memory.events", "/sys/fs/cgroup/memory/memory.oom_control"};
    for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
        FILE *f = fopen(files[i], "re");
        if (!f) continue;
        char word[64];
        unsigned long long value, kills = 0;
        while (fscanf(f, "%63s %llu", word, &value) == 2)
            if (strcmp(word, "oom_kill") == 0) kills = value;
        fclose(f);
        return kills;
    }
    return 0;
}
