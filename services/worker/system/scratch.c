#include "worker/system/scratch.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/observe/log.h"

#define PREFIX "fantail-worker-"

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    return remove(path) == 0 || errno == ENOENT ? 0 : -1;
}

static void remove_tree(const char *path)
{
    nftw(path, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

static int lock_dir(const char *path)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0) return -1;
    struct stat st;
    if (fstat(fd, &st) == 0 && st.st_uid == geteuid() && flock(fd, LOCK_EX | LOCK_NB) == 0) return fd;
    close(fd);
    return -1;
}

/* Removes the directories of workers that were killed: those of the same user that are not locked. A new one stays,
 * because its worker may not have locked it yet. */
static void remove_stale(const char *base)
{
    DIR *d = opendir(base);
    if (!d) return;
    for (struct dirent *e; (e = readdir(d));) {
        if (strncmp(e->d_name, PREFIX, sizeof PREFIX - 1) != 0) continue;
        char path[4096];
        struct stat st;
        snprintf(path, sizeof path, "%s/%s", base, e->d_name);
        if (lstat(path, &st) != 0 || !S_ISDIR(st.st_mode) || time(NULL) - st.st_ctime < 5) continue;
        int fd = lock_dir(path);
        if (fd < 0) continue;
        remove_tree(path);
        close(fd);
    }
    closedir(d);
}

char *scratch_make(int *lock_fd)
{
    const char *base = getenv("TMPDIR");
    if (!base || !*base) base = "/tmp";
    remove_stale(base);
    char *path;
    if (asprintf(&path, "%s/" PREFIX "%d-XXXXXX", base, (int)getpid()) < 0) BUG("out of memory for a path");
    if (mkdtemp(path)) {
        *lock_fd = lock_dir(path);
        return path;
    }
    log_warn("tasks get no temporary directories", LOG_STR("path", path), LOG_STR("error", strerror(errno)));
    free(path);
    return NULL;
}

void scratch_remove(const char *path, int lock_fd)
{
    if (path && rmdir(path) != 0) remove_tree(path);
    if (lock_fd >= 0) close(lock_fd);
}

/* ---- one directory for each process ---- */

char *scratch_make_inner(const char *base, uint64_t token)
{
    if (!base) return NULL;
    char *path;
    if (asprintf(&path, "%s/%llu", base, (unsigned long long)token) < 0) BUG("out of memory for a path");
    if (mkdir(path, 0700) == 0) return path;
    log_warn("cannot make a temporary directory", LOG_STR("path", path), LOG_STR("error", strerror(errno)));
    free(path);
    return NULL;
}

struct removal {
    uv_work_t work;
    char *path;
};

static void on_removal(uv_work_t *work)
{
    remove_tree(CONTAINER_OF(work, struct removal, work)->path);
}

static void on_removed(uv_work_t *work, int status)
{
    struct removal *r = CONTAINER_OF(work, struct removal, work);
    free(r->path);
    free(r);
}

void scratch_remove_inner(uv_loop_t *loop, char *path)
{
    /* Mostly the directory is empty, and rmdir() is enough. */
    if (!path || rmdir(path) == 0 || errno != ENOTEMPTY) {
        free(path);
        return;
    }
    struct removal *r = xcalloc(1, sizeof *r);
    r->path = path;
    if (uv_queue_work(loop, &r->work, on_removal, on_removed) != 0) on_removed(&r->work, 0);
}
