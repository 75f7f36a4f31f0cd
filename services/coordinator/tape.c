#include "tape.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

void tape_init(struct tape *t, const char *dir, size_t memory_cap)
{
    *t = (struct tape){.dir = dir, .memory_cap = memory_cap, .fd = -1};
}

void tape_release(struct tape *t)
{
    buf_release(&t->head);
    if (t->fd > 0) close(t->fd);
    t->fd = -1;
}

uint64_t tape_length(const struct tape *t)
{
    return t->head.len + t->file_bytes;
}

static bool write_file(struct tape *t, const char *data, size_t len)
{
    if (t->fd < 0) t->fd = open(t->dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    while (t->fd >= 0 && len > 0) {
        ssize_t n = pwrite(t->fd, data, len, (off_t)t->file_bytes);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) break;
        data += n;
        len -= (size_t)n;
        t->file_bytes += (uint64_t)n;
    }
    if (t->fd < 0 || len > 0) t->error = errno;
    return t->error == 0;
}

bool tape_append(struct tape *t, const void *data, size_t len)
{
    if (t->error) return false;
    const char *bytes = data;
    size_t room = t->file_bytes == 0 && t->head.len < t->memory_cap ? t->memory_cap - t->head.len : 0;
    size_t in_memory = len < room ? len : room;
    buf_add(&t->head, bytes, in_memory);
    return in_memory == len || write_file(t, bytes + in_memory, len - in_memory);
}

ssize_t tape_read(struct tape *t, uint64_t offset, void *dst, size_t cap)
{
    char *out = dst;
    size_t got = 0;
    if (offset < t->head.len) {
        got = t->head.len - offset < cap ? t->head.len - (size_t)offset : cap;
        memcpy(out, t->head.data + offset, got);
    }
    while (got < cap && offset + got < tape_length(t)) {
        ssize_t n = pread(t->fd, out + got, cap - got, (off_t)(offset + got - t->head.len));
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) {
            t->error = n < 0 ? errno : EIO;
            return -1;
        }
        got += (size_t)n;
    }
    return (ssize_t)got;
}
