#include "cli/fleet/tasks_dir.h"

#include <dirent.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/base.h"

bool directory_exists(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

/* `path` is relative to the directory of this program. Returns the absolute path of that directory; NULL if the
 * directory does not exist. */
static const char *beside_program(const char *path)
{
    static char full[PATH_MAX];
    char joined[PATH_MAX + 64];
    ssize_t len = readlink("/proc/self/exe", joined, PATH_MAX);
    while (len > 0 && joined[len - 1] != '/') len--;
    snprintf(joined + (len > 0 ? len : 0), 64, "%s", path);
    return realpath(joined, full) && directory_exists(full) ? full : NULL;
}

const char *tasks_dir_find(const char *given)
{
    if (given) return directory_exists(given) ? given : NULL;
    if (directory_exists("./tasks")) return "./tasks";
    const char *built = beside_program("../tasks");
    return built ? built : beside_program("../share/fantail/tasks");
}

bool tasks_dir_is_empty(const char *dir)
{
    bool empty = true;
    DIR *d = opendir(dir);
    if (!d) return false;
    for (struct dirent *e; empty && (e = readdir(d));) {
        struct stat st;
        if (e->d_name[0] == '.' || e->d_name[0] == '_') continue;
        bool found = fstatat(dirfd(d), e->d_name, &st, 0) == 0;
        empty = !found || !(S_ISDIR(st.st_mode) || (S_ISREG(st.st_mode) && (st.st_mode & S_IXUSR)));
    }
    closedir(d);
    return empty;
}
