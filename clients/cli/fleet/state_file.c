#include "cli/fleet/state_file.h"

#include <errno.h>
#include <limits.h>

#include "cli/base/make_folders.h"

bool state_file_path(const char *name, char *path, size_t path_size, char *err, size_t err_size)
{
    char folder[PATH_MAX];
    const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
    /* The XDG Base Directory Specification says that a relative path must be ignored. */
    bool given = state && state[0] == '/', at_home = home && home[0] == '/';
    int len = given ? snprintf(folder, sizeof folder, "%s/fantail", state)
                    : snprintf(folder, sizeof folder, "%s/.local/state/fantail", at_home ? home : "");
    if (!given && !at_home) {
        snprintf(err, err_size, "neither XDG_STATE_HOME nor HOME names a folder");
        return false;
    }
    if (len >= (int)sizeof folder || snprintf(path, path_size, "%s/%s", folder, name) >= (int)path_size) {
        snprintf(err, err_size, "the path of the user's state folder is too long");
        return false;
    }
    if (make_folders(folder, 0700)) return true;
    snprintf(err, err_size, "cannot create the folder %.200s: %s", folder, strerror(errno));
    return false;
}
