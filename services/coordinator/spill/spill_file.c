#include "coordinator/spill/spill_file.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/base/limits.h"

#define KEPT_BYTES (1 * MIB) /* when emptied, a smaller file keeps its space: it is likely to be filled again */

void spill_file_init(struct spill_file *f, struct spill_dir *dir)
{
    *f = (struct spill_file){.dir = dir, .fd = -1};
}

void spill_file_release(struct spill_file *f)
{
    if (f->dir && f->fd >= 0) spill_dir_remove(f->dir, f->fd, f->bytes);
    f->fd = -1;
}

void spill_file_empty(struct spill_file *f)
{
    if (f->error || f->bytes < KEPT_BYTES) return;
    spill_file_release(f);
    f->bytes = 0;
}

const char *spill_file_why(const struct spill_file *f)
{
    return f->error == EDQUOT ? "the temporary files of all jobs would exceed --max-spill-bytes" : strerror(f->error);
}

/* If a write that ends at the offset `end` makes the file longer, reserves the additional bytes. Returns false if the
 * limit of the spill directory would be exceeded. */
static bool lengthen(struct spill_file *f, uint64_t end)
{
    if (end <= f->bytes) return true;
    if (!spill_dir_take(f->dir, end - f->bytes)) {
        f->error = EDQUOT;
        return false;
    }
    f->bytes = end;
    return true;
}

bool spill_file_write(struct spill_file *f, uint64_t offset, const char *bytes, size_t len)
{
    if (f->error) return false;
    if (f->fd < 0) f->fd = open(f->dir->path, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (f->fd >= 0 && !lengthen(f, offset + len)) return false;
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
    /* A failed write (f->error) does not prevent reading the bytes that were written earlier. */
    bool whole = f->fd >= 0 && len == 0;
    if (!whole && !f->error) f->error = errno ? errno : EIO;
    return whole;
}

/* A mapping begins at the start of a page. Returns how many bytes of that page precede `offset`. */
static size_t bytes_before(uint64_t offset)
{
    return (size_t)(offset % (uint64_t)sysconf(_SC_PAGESIZE));
}

char *spill_file_map(struct spill_file *f, uint64_t offset, size_t len)
{
    size_t before = bytes_before(offset);
    char *bytes =
        f->fd < 0 ? MAP_FAILED : mmap(NULL, before + len, PROT_READ, MAP_SHARED, f->fd, (off_t)(offset - before));
    if (bytes != MAP_FAILED) return bytes + before;
    if (!f->error) f->error = f->fd < 0 ? EIO : errno;
    return NULL;
}

void spill_file_unmap(uint64_t offset, char *bytes, size_t len)
{
    size_t before = bytes_before(offset);
    munmap(bytes - before, before + len);
}
