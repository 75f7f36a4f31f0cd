#include "worker/system/memory_group.h"

#include "common/machine/control_group.h"

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

/* The limit of a group ends processes of this group and of the groups below it. If one of the groups from ours up to
 * the group with the limit has memory.oom.group, all processes of that group end, and ours with them. */
struct memory_group memory_group_read(const char *root, const char *self)
{
    struct memory_group found = {0};
    struct control_group group;
    bool together = false;
    control_group_read(&group, self);
    do {
        uint64_t limit = read_number(root, group.path, "memory.max");
        together |= read_number(root, group.path, "memory.oom.group") == 1;
        if (limit && (!found.limit_bytes || limit < found.limit_bytes))
            found = (struct memory_group){.limit_bytes = limit, .ends_together = together};
    } while (control_group_rise(&group));
    return found;
}
