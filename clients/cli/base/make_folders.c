#include "cli/base/make_folders.h"

#include <errno.h>

bool make_folders(char *path, mode_t mode)
{
    for (char *slash = *path ? strchr(path + 1, '/') : NULL; slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        bool ok = mkdir(path, mode) == 0 || errno == EEXIST;
        *slash = '/';
        if (!ok) return false;
    }
    return mkdir(path, mode) == 0 || errno == EEXIST;
}
