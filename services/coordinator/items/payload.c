#include "coordinator/items/payload.h"

#include "common/base/spare_memory.h"
#include "coordinator/items/splitter.h"

struct payload_bytes {
    unsigned users;
    char *data;
};

struct payload *payload_new(struct buf *lines, uint64_t count)
{
    struct payload *p = xcalloc(1, sizeof *p);
    p->shared = xcalloc(1, sizeof *p->shared);
    p->shared->users = 1;
    p->shared->data = buf_detach(lines, &p->len);
    p->lines = p->shared->data;
    p->count = count;
    return p;
}

struct payload *payload_slice(const struct payload *p, uint64_t from, uint64_t count)
{
    struct payload *part = xcalloc(1, sizeof *part);
    part->shared = p->shared;
    part->shared->users++;
    part->lines = payload_range(p, from, from + count, &part->len);
    part->count = count;
    return part;
}

void payload_free(struct payload *p)
{
    if (!p) return;
    if (--p->shared->users == 0) {
        spare_memory_free(p->shared->data);
        free(p->shared);
    }
    free(p);
}

const char *payload_range(const struct payload *p, uint64_t from, uint64_t to, size_t *len)
{
    uint64_t skipped = 0, taken = 0;
    if (from > to || to > p->count)
        BUG("items %llu to %llu of %llu", (unsigned long long)from, (unsigned long long)to,
            (unsigned long long)p->count);
    size_t start = from ? lines_cut(p->lines, p->len, from, SIZE_MAX, &skipped) : 0;
    if (from == to)
        *len = 0;
    else
        *len =
            to == p->count ? p->len - start : lines_cut(p->lines + start, p->len - start, to - from, SIZE_MAX, &taken);
    return p->lines + start;
}
