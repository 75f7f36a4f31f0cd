#include "coordinator/answers/spill_log.h"

void tape_init(struct tape *t, const char *dir, size_t memory_cap)
{
    *t = (struct tape){.memory_cap = memory_cap};
    spill_file_init(&t->file, dir);
}

void tape_release(struct tape *t)
{
    buf_release(&t->head);
    spill_file_release(&t->file);
}

uint64_t tape_length(const struct tape *t)
{
    return t->head.len + t->file_bytes;
}

bool tape_append(struct tape *t, const void *data, size_t len)
{
    if (t->file.error) return false;
    const char *bytes = data;
    size_t room = t->file_bytes == 0 && t->head.len < t->memory_cap ? t->memory_cap - t->head.len : 0;
    size_t in_memory = len < room ? len : room;
    buf_add(&t->head, bytes, in_memory);
    if (in_memory == len) return true;
    if (!spill_file_write(&t->file, t->file_bytes, bytes + in_memory, len - in_memory)) return false;
    t->file_bytes += len - in_memory;
    return true;
}

ssize_t tape_read(struct tape *t, uint64_t offset, void *dst, size_t cap)
{
    uint64_t length = tape_length(t);
    size_t want = offset >= length ? 0 : length - offset < cap ? (size_t)(length - offset) : cap, got = 0;
    if (offset < t->head.len) {
        got = t->head.len - offset < want ? t->head.len - (size_t)offset : want;
        memcpy(dst, t->head.data + offset, got);
    }
    if (got < want && !spill_file_read(&t->file, offset + got - t->head.len, (char *)dst + got, want - got)) return -1;
    return (ssize_t)want;
}
