#include "common/machine/control_group.h"

void control_group_read(struct control_group *g, const char *self)
{
    char line[sizeof g->path + 4];
    FILE *f = fopen(self, "re");
    g->path[0] = '\0';
    while (f && fgets(line, sizeof line, f))
        if (strncmp(line, "0::", 3) == 0)
            snprintf(g->path, sizeof g->path, "%.*s", (int)strcspn(line + 3, "\n"), line + 3);
    if (f) fclose(f);
    if (strcmp(g->path, "/") == 0) g->path[0] = '\0';
}

bool control_group_rise(struct control_group *g)
{
    char *slash = strrchr(g->path, '/');
    if (slash) *slash = '\0';
    return slash;
}
