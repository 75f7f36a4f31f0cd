#include "cli/fleet/run_dir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define STALE_S 60 /* a younger directory may not be locked yet */

/* No other program uses such names. */
static const char *const prefixes[] = {[RUN_DIR_MAP] = "fantail-map-", [RUN_DIR_FLEET] = "fantail-fleet-"};

static const char *tmp_dir(void)
{
    const char *tmp = getenv("TMPDIR");
    return tmp && *tmp ? tmp : "/tmp";
}

/* Opens and locks the directory. -1 if another run has locked it. */
static int open_locked(const char *dir)
{
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB) == 0) return fd;
    close(fd);
    return -1;
}

bool run_dir_make(struct run_dir *d, enum run_dir_kind kind, size_t max_len, char *err, size_t err_size)
{
    static const char pattern[] = "XXXXXX";
    const char *base = tmp_dir();
    *d = (struct run_dir){.lock_fd = -1};
    if (max_len >= sizeof(d->path)) max_len = sizeof(d->path) - 1;
    if (strlen(base) + 1 + strlen(prefixes[kind]) + strlen(pattern) > max_len) base = "/tmp";
    snprintf(d->path, sizeof(d->path), "%s/%s%s", base, prefixes[kind], pattern);
    if (!mkdtemp(d->path)) {
        snprintf(err, err_size, "cannot create a directory such as %s: %s", d->path, strerror(errno));
        d->path[0] = '\0';
        return false;
    }
    d->lock_fd = open_locked(d->path);
    return true;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st, (void)type, (void)ftw;
    remove(path);
    return 0;
}

static void remove_tree(const char *dir)
{
    nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
}

static bool is_ours(const char *path)
{
    struct stat st;
    const char *name = strrchr(path, '/') + 1;
    bool named = false;
    for (size_t i = 0; i < ARRAY_SIZE(prefixes); i++)
        named = named || strncmp(name, prefixes[i], strlen(prefixes[i])) == 0;
    return named && lstat(path, &st) == 0 && S_ISDIR(st.st_mode) && st.st_uid == geteuid() &&
           st.st_mtime + STALE_S < time(NULL);
}

/* Removes the directories of killed runs: those without a lock. */
static void remove_stale(const char *base)
{
    DIR *dir = opendir(base);
    for (struct dirent *entry = dir ? readdir(dir) : NULL; entry; entry = readdir(dir)) {
        char path[4096];
        int len = snprintf(path, sizeof(path), "%s/%s", base, entry->d_name);
        if (len < 0 || (size_t)len >= sizeof(path) || !is_ours(path)) continue;
        int fd = open_locked(path);
        if (fd < 0) continue;
        remove_tree(path);
        close(fd);
    }
    if (dir) closedir(dir);
}

void run_dir_remove(struct run_dir *d)
{
    if (!d->path[0]) return;
    remove_tree(d->path);
    if (d->lock_fd >= 0) close(d->lock_fd);
    *strrchr(d->path, '/') = '\0';
    remove_stale(d->path);
    d->path[0] = '\0';
}
