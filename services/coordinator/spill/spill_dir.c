#include "coordinator/spill/spill_dir.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/limits.h"

/* How many bytes one step frees. A file system needs about 2 ms to free this many bytes. */
#define STEP_BYTES (16 * (uint64_t)MIB)

struct spill_rest {
    struct spill_rest *next;
    int fd;
    uint64_t bytes;
};

int spill_dir_check(const char *path)
{
    struct stat s;
    if (stat(path, &s) != 0) return errno;
    if (!S_ISDIR(s.st_mode)) return ENOTDIR;
    return access(path, W_OK | X_OK) == 0 ? 0 : errno;
}

static void close_first(struct spill_dir *d)
{
    struct spill_rest *rest = d->rests;
    d->rests = rest->next;
    d->used_bytes -= rest->bytes;
    close(rest->fd);
    free(rest);
}

void spill_dir_release(struct spill_dir *d)
{
    while (d->rests) close_first(d);
}

bool spill_dir_take(struct spill_dir *d, uint64_t bytes)
{
    if (d->max_bytes > 0 && d->used_bytes + bytes > d->max_bytes) return false;
    d->used_bytes += bytes;
    return true;
}

void spill_dir_remove(struct spill_dir *d, int fd, uint64_t bytes)
{
    struct spill_rest *rest = xcalloc(1, sizeof *rest);
    *rest = (struct spill_rest){.next = d->rests, .fd = fd, .bytes = bytes};
    d->rests = rest;
    if (bytes <= STEP_BYTES) close_first(d);
}

bool spill_dir_step(struct spill_dir *d)
{
    struct spill_rest *rest = d->rests;
    if (!rest) return false;
    if (rest->bytes <= STEP_BYTES || ftruncate(rest->fd, (off_t)(rest->bytes - STEP_BYTES)) != 0) {
        close_first(d);
    } else {
        rest->bytes -= STEP_BYTES;
        d->used_bytes -= STEP_BYTES;
    }
    return d->rests != NULL;
}
