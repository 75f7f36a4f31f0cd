#include "cli/base/parent_shell.h"

#include <unistd.h>

/* Returns the parent of the process; 0: it is not known. */
static int parent_of(int pid)
{
    char path[40], text[512];
    snprintf(path, sizeof path, "/proc/%d/stat", pid);
    FILE *file = fopen(path, "re");
    size_t n = file ? fread(text, 1, sizeof text - 1, file) : 0;
    if (file) fclose(file);
    text[n] = '\0';
    const char *name_end = strrchr(text, ')'); /* the name may have spaces and parentheses */
    return name_end && name_end[1] == ' ' && name_end[2] ? (int)strtol(name_end + 4, NULL, 10) : 0;
}

static bool is_shell(const char *path)
{
    static const char *const shells[] = {"sh",   "bash",  "dash", "ash",  "ksh",  "ksh93", "mksh", "pdksh",
                                         "posh", "rbash", "zsh",  "rzsh", "yash", "fish",  "csh",  "tcsh"};
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    for (size_t i = 0; i < ARRAY_SIZE(shells); i++)
        if (strcmp(name, shells[i]) == 0) return true;
    return false;
}

char *parent_shell_find(void)
{
    char link[40], path[4096];
    for (int pid = (int)getppid(); pid > 0; pid = parent_of(pid)) {
        snprintf(link, sizeof link, "/proc/%d/exe", pid);
        ssize_t n = readlink(link, path, sizeof path - 1);
        if (n <= 0) return NULL;
        path[n] = '\0';
        if (is_shell(path)) return xstrdup(path);
    }
    return NULL;
}
