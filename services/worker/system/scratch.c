#include "worker/system/scratch.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/files/remove_tree.h"
#include "common/observe/log.h"

/* The prefixes are short, because programs make sockets below these directories, and a socket path has at most 107
 * bytes. */
#define PREFIX       "fantail-w-"
#define PREFIX_GIVEN "w"

/* The longest default base. With a longer base, a task has less than 20 bytes for the name of a socket. */
#define BASE_MOST_BYTES 63

static const char *default_base(void)
{
    const char *base = temporary_base();
    return strlen(base) <= BASE_MOST_BYTES ? base : "/tmp";
}

void scratch_make(struct locked_dir *d, const char *given)
{
    const char *base = given ? given : default_base();
    if (!given) locked_dirs_sweep(base, PREFIX);
    if (!locked_dir_make(d, base, given ? PREFIX_GIVEN : PREFIX))
        log_warn("tasks get no temporary directories", LOG_STR("path", base), LOG_STR("error", strerror(errno)));
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
    /* Usually the directory is empty, and rmdir() is enough. */
    if (!path || rmdir(path) == 0 || errno != ENOTEMPTY) {
        free(path);
        return;
    }
    struct removal *r = xcalloc(1, sizeof *r);
    r->path = path;
    if (uv_queue_work(loop, &r->work, on_removal, on_removed) != 0) on_removed(&r->work, 0);
}
