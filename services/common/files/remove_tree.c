#include "common/files/remove_tree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

/* The state of a removal. The length of a path and the number of open files of a process are limited. So a removal
 * neither builds paths nor recurses. An entry of a subdirectory that cannot be removed is moved up into the top
 * directory, and removed there. */
struct tree_removal {
    int top;
    dev_t device;
    unsigned moved; /* number of the next new name in the top directory */
    bool progress;  /* something was removed or moved during this pass */
};

static int open_dir(int parent, const char *name)
{
    return openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

/* Opens a directory in `parent` to read its names. Returns NULL if this fails or the directory is on another file
 * system. The caller closes the result. */
static DIR *read_dir(const struct tree_removal *r, int parent, const char *name)
{
    struct stat st;
    int fd = open_dir(parent, name);
    DIR *d = fd >= 0 && fstat(fd, &st) == 0 && st.st_dev == r->device ? fdopendir(fd) : NULL;
    if (!d && fd >= 0) close(fd);
    return d;
}

/* Removes a file, or a directory without contents. */
static bool remove_one(int parent, const char *name)
{
    return unlinkat(parent, name, 0) == 0 || unlinkat(parent, name, AT_REMOVEDIR) == 0;
}

/* A directory can be read and moved only if its owner may read, write and search it. A task may have taken these rights
 * away. */
static void give_rights(int parent, const char *name)
{
    if (fchmodat(parent, name, S_IRWXU, AT_SYMLINK_NOFOLLOW) != 0) {
    } /* if this fails, the directory stays */
}

static bool move_up(struct tree_removal *r, int parent, const char *name)
{
    for (int attempt = 0; attempt < 100; attempt++) {
        char up[40];
        snprintf(up, sizeof up, "removed-%u", r->moved++);
        if (renameat(parent, name, r->top, up) == 0) return true;
        if (errno != EEXIST && errno != ENOTEMPTY && errno != ENOTDIR) break;
    }
    return false;
}

static bool is_dot(const char *name)
{
    return name[0] == '.' && (name[1] == 0 || (name[1] == '.' && name[2] == 0));
}

/* Removes the contents of a subdirectory of the top directory. Entries that cannot be removed are moved up into the top
 * directory. */
static void empty_dir(struct tree_removal *r, const char *name)
{
    DIR *d = read_dir(r, r->top, name);
    for (struct dirent *e; d && (e = readdir(d));) {
        if (is_dot(e->d_name)) continue;
        bool gone = remove_one(dirfd(d), e->d_name);
        if (!gone) give_rights(dirfd(d), e->d_name);
        r->progress |= gone || move_up(r, dirfd(d), e->d_name);
    }
    if (d) closedir(d);
}

static void remove_contents(struct tree_removal *r)
{
    DIR *d = read_dir(r, r->top, ".");
    for (struct dirent *e; d && (e = readdir(d));) {
        if (is_dot(e->d_name)) continue;
        bool gone = remove_one(r->top, e->d_name);
        if (!gone) {
            give_rights(r->top, e->d_name);
            empty_dir(r, e->d_name);
            gone = remove_one(r->top, e->d_name);
        }
        r->progress |= gone;
    }
    if (d) closedir(d);
}

void remove_tree(const char *path)
{
    struct stat st;
    struct tree_removal r = {.top = open_dir(AT_FDCWD, path)};
    if (r.top < 0 && errno == EACCES) {
        give_rights(AT_FDCWD, path);
        r.top = open_dir(AT_FDCWD, path);
    }
    if (r.top >= 0 && fstat(r.top, &st) == 0) {
        r.device = st.st_dev;
        (void)fchmod(r.top, S_IRWXU);
        do {
            r.progress = false;
            remove_contents(&r);
        } while (r.progress);
    }
    if (r.top >= 0) close(r.top);
    (void)remove_one(AT_FDCWD, path);
}
