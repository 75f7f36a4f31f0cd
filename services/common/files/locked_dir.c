#include "common/files/locked_dir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/files/remove_tree.h"

#define MAKE_ATTEMPTS 100 /* attempts to make a directory; a sweep may remove one before it is locked */

const char *temporary_base(void)
{
    static char path[PATH_MAX];
    const char *tmp = getenv("TMPDIR");
    if (!tmp || !*tmp) return "/tmp";
    if (*tmp == '/') return tmp;
    char *folder = get_current_dir_name();
    int len = folder ? snprintf(path, sizeof path, "%s/%s", folder, tmp) : -1;
    free(folder);
    return len > 0 && (size_t)len < sizeof path ? path : tmp;
}

/* Opens and locks a directory of this user. On failure it sets errno and returns -1. EWOULDBLOCK means that a running
 * process has locked the directory. */
static int lock_dir(int parent, const char *name)
{
    struct stat st, now;
    int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) return -1;
    errno = EPERM;
    bool ours = fstat(fd, &st) == 0 && st.st_uid == geteuid() && flock(fd, LOCK_EX | LOCK_NB) == 0;
    if (ours && fstatat(parent, name, &now, AT_SYMLINK_NOFOLLOW) == 0 && now.st_ino == st.st_ino &&
        now.st_dev == st.st_dev)
        return fd;
    if (ours) errno = ENOENT; /* the directory was removed before it was locked */
    int why = errno;
    close(fd);
    errno = why;
    return -1;
}

bool locked_dir_make(struct locked_dir *d, const char *base, const char *prefix)
{
    for (unsigned attempt = 0; attempt < MAKE_ATTEMPTS; attempt++) {
        *d = (struct locked_dir){.lock_fd = -1};
        if (asprintf(&d->path, "%s/%sXXXXXX", base, prefix) < 0) BUG("out of memory for a path");
        bool made = mkdtemp(d->path) != NULL;
        if (made) d->lock_fd = lock_dir(AT_FDCWD, d->path);
        if (d->lock_fd >= 0) return true;
        int why = errno;
        bool swept = made && (why == ENOENT || why == EWOULDBLOCK);
        free(d->path);
        d->path = NULL;
        errno = why;
        if (!swept) break;
    }
    return false;
}

void locked_dir_remove(struct locked_dir *d)
{
    if (!d->path) return;
    remove_tree(d->path);
    close(d->lock_fd);
    free(d->path);
    *d = (struct locked_dir){.lock_fd = -1};
}

/* Returns whether a direct subdirectory of `dir` is locked. A lock shows that the owner of the subdirectory still runs,
 * although the owner of `dir` has ended. */
static bool has_living_inside(int dir)
{
    bool living = false;
    int again = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *d = again < 0 ? NULL : fdopendir(again);
    for (struct dirent *e; d && !living && (e = readdir(d));) {
        if (e->d_name[0] == '.' || (e->d_type != DT_DIR && e->d_type != DT_UNKNOWN)) continue;
        int fd = lock_dir(dir, e->d_name);
        living = fd < 0 && errno == EWOULDBLOCK;
        if (fd >= 0) close(fd);
    }
    if (d) closedir(d);
    return living;
}

void locked_dirs_sweep(const char *base, const char *prefix)
{
    DIR *d = opendir(base);
    for (struct dirent *e; d && (e = readdir(d));) {
        if (strncmp(e->d_name, prefix, strlen(prefix)) != 0) continue;
        int fd = lock_dir(dirfd(d), e->d_name);
        if (fd < 0) continue;
        char *path;
        if (asprintf(&path, "%s/%s", base, e->d_name) < 0) BUG("out of memory for a path");
        if (!has_living_inside(fd)) remove_tree(path);
        free(path);
        close(fd);
    }
    if (d) closedir(d);
}
