#include "cli/fleet/local_store.h"

#include <errno.h>
#include <sys/stat.h>

/* Appends the state folder of the XDG Base Directory Specification. Returns false if there is none. */
static bool find_state_folder(struct buf *path)
{
    const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
    if (state && state[0] == '/') return buf_add_str(path, state);
    if (!home || home[0] != '/') return false;
    return buf_addf(path, "%s/.local/state", home);
}

/* Makes the folder and those above it. */
static bool make_folders(char *path)
{
    for (char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        bool made = mkdir(path, 0700) == 0 || errno == EEXIST;
        *slash = '/';
        if (!made) return false;
    }
    return mkdir(path, 0700) == 0 || errno == EEXIST;
}

bool local_store_find(uint16_t port, struct buf *store, char *err, size_t err_size)
{
    struct buf folder = {0};
    bool good = find_state_folder(&folder) && buf_add_str(&folder, "/fantail");
    if (!good) {
        snprintf(err, err_size, "neither XDG_STATE_HOME nor HOME names a folder");
    } else if (buf_cstr(&folder), !make_folders(folder.data)) {
        snprintf(err, err_size, "cannot make the folder %s: %s", folder.data, strerror(errno));
        good = false;
    }
    if (good) buf_addf(store, "sqlite:%s/local-%u.sqlite", folder.data, (unsigned)port);
    buf_release(&folder);
    return good;
}
