#include "worker/system/memory_group.h"

/* Reads the number in a file of the group. Returns 0 if the file is missing or has the text "max". */
static uint64_t read_number(const char *root, const char *group, const char *name)
{
    char path[1400];
    unsigned long long n = 0;
    snprintf(path, sizeof path, "%s%s/%s", root, group, name);
    FILE *f = fopen(path, "re");
    if (!f) return 0;
    if (fscanf(f, "%llu", &n) != 1) n = 0;
    fclose(f);
    return n;
}

/* Writes the path of our group, such as "/kubepods/pod1". "": the root. */
static void find_group(const char *self, char *group, size_t size)
{
    char line[1200];
    FILE *f = fopen(self, "re");
    group[0] = '\0';
    while (f && fgets(line, sizeof line, f))
        if (strncmp(line, "0::", 3) == 0) snprintf(group, size, "%.*s", (int)strcspn(line + 3, "\n"), line + 3);
    if (f) fclose(f);
    if (strcmp(group, "/") == 0) group[0] = '\0';
}

/* The limit of a group ends processes of this group and of the groups below it. If one of the groups from ours up to
 * the group with the limit has memory.oom.group, all processes of that group end, and ours with them. Inside a
 * container, the root is the container's own group. */
struct memory_group memory_group_read(const char *root, const char *self)
{
    struct memory_group found = {0};
    char group[1200];
    bool together = false;
    find_group(self, group, sizeof group);
    for (;;) {
        uint64_t limit = read_number(root, group, "memory.max");
        together |= read_number(root, group, "memory.oom.group") == 1;
        if (limit && (!found.limit_bytes || limit < found.limit_bytes))
            found = (struct memory_group){.limit_bytes = limit, .ends_together = together};
        char *slash = strrchr(group, '/');
        if (!slash) return found;
        *slash = '\0';
    }
}
