#include "cli/fleet/tasks_dir.h"

#include <limits.h>
#include <linux/limits.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/base.h"

static bool is_directory(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

/* Returns the full path. `path` is relative to the directory of this program. */
static const char *beside_program(const char *path)
{
    static char full[PATH_MAX + 64];
    ssize_t len = readlink("/proc/self/exe", full, PATH_MAX);
    while (len > 0 && full[len - 1] != '/') len--;
    snprintf(full + (len > 0 ? len : 0), 64, "%s", path);
    return full;
}

const char *tasks_dir_find(const char *given)
{
    if (given) return is_directory(given) ? given : NULL;
    if (is_directory("./tasks")) return "./tasks";
    const char *built = beside_program("../tasks");
    if (is_directory(built)) return built;
    const char *installed = beside_program("../share/fantail/tasks");
    return is_directory(installed) ? installed : NULL;
}
