#include "coordinator/spill/byte_log.h"

void byte_log_init(struct byte_log *l, struct spill_dir *dir, size_t memory_cap)
{
    *l = (struct byte_log){.memory_cap = memory_cap};
    spill_file_init(&l->file, dir);
}

void byte_log_release(struct byte_log *l)
{
    buf_release(&l->head);
    spill_file_release(&l->file);
}

uint64_t byte_log_length(const struct byte_log *l)
{
    return l->head.len + l->file_bytes;
}

void byte_log_clear(struct byte_log *l)
{
    buf_clear(&l->head);
    l->file_bytes = 0;
}

bool byte_log_append(struct byte_log *l, const void *data, size_t len)
{
    if (l->file.error) return false;
    const char *bytes = data;
    size_t room = l->file_bytes == 0 && l->head.len < l->memory_cap ? l->memory_cap - l->head.len : 0;
    size_t in_memory = len < room ? len : room;
    buf_add(&l->head, bytes, in_memory);
    if (in_memory == len) return true;
    if (!spill_file_write(&l->file, l->file_bytes, bytes + in_memory, len - in_memory)) return false;
    l->file_bytes += len - in_memory;
    return true;
}

ssize_t byte_log_read(struct byte_log *l, uint64_t offset, void *dst, size_t cap)
{
    uint64_t length = byte_log_length(l);
    size_t want = offset >= length ? 0 : length - offset < cap ? (size_t)(length - offset) : cap, got = 0;
    if (offset < l->head.len) {
        got = l->head.len - offset < want ? l->head.len - (size_t)offset : want;
        memcpy(dst, l->head.data + offset, got);
    }
    if (got < want && !spill_file_read(&l->file, offset + got - l->head.len, (char *)dst + got, want - got)) return -1;
    return (ssize_t)want;
}
