#include "coordinator/spill/spill_file.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

void spill_file_init(struct spill_file *f, const char *dir)
{
    *f = (struct spill_file){.dir = dir, .fd = -1};
}

void spill_file_release(struct spill_file *f)
{
    if (f->dir && f->fd >= 0) close(f->fd);
    f->fd = -1;
}

bool spill_file_write(struct spill_file *f, uint64_t offset, const char *bytes, size_t len)
{
    if (f->error) return false;
    if (f->fd < 0) f->fd = open(f->dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    while (f->fd >= 0 && len > 0) {
        ssize_t n = pwrite(f->fd, bytes, len, (off_t)offset);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) break;
        bytes += n;
        len -= (size_t)n;
        offset += (uint64_t)n;
    }
    if (f->fd < 0 || len > 0) f->error = errno ? errno : EIO;
    return f->error == 0;
}

bool spill_file_read(struct spill_file *f, uint64_t offset, char *bytes, size_t len)
{
    errno = 0;
    while (f->fd >= 0 && len > 0) {
        ssize_t n = pread(f->fd, bytes, len, (off_t)offset);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) break;
        bytes += n;
        len -= (size_t)n;
        offset += (uint64_t)n;
    }
    /* After a failed write, bytes that were written before can still be read. */
    bool whole = f->fd >= 0 && len == 0;
    if (!whole && !f->error) f->error = errno ? errno : EIO;
    return whole;
}
