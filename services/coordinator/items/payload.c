#include "coordinator/items/payload.h"

#include "common/base/spare_memory.h"
#include "coordinator/items/splitter.h"

#define SHARE_PART ((size_t)4) /* lines are shared if they are at least 1/SHARE_PART of the shared bytes */

struct payload_bytes {
    unsigned users;
    struct buf data;
};

/* Takes ownership of the memory of `data`. */
static struct payload_bytes *bytes_new(struct buf *data)
{
    struct payload_bytes *b = xcalloc(1, sizeof *b);
    b->users = 1;
    b->data = *data;
    *data = (struct buf){0};
    return b;
}

static void bytes_unref(struct payload_bytes *b)
{
    if (--b->users > 0) return;
    spare_memory_free(b->data.data);
    free(b);
}

static struct payload *with_bytes(struct payload_bytes *shared, const char *lines, size_t len, uint64_t count)
{
    struct payload *p = xcalloc(1, sizeof *p);
    p->shared = shared;
    p->lines = lines;
    p->len = len;
    p->count = count;
    return p;
}

struct payload *payload_new(struct buf *lines, uint64_t count)
{
    struct payload_bytes *b = bytes_new(lines);
    return with_bytes(b, b->data.data, b->data.len, count);
}

static void add_copy(struct payload *part, const char *lines, size_t len)
{
    struct payload_bytes *b = part->shared;
    if (b->users > 1 || part->lines != b->data.data || part->len != b->data.len) {
        struct buf own = {0};
        buf_add(&own, part->lines, part->len);
        part->shared = bytes_new(&own);
        bytes_unref(b);
        b = part->shared;
    }
    buf_add(&b->data, lines, len);
    part->lines = b->data.data;
}

static struct payload *part_of(struct payload_bytes *shared, const char *lines, size_t len, uint64_t count)
{
    if (len >= shared->data.len / SHARE_PART) {
        shared->users++;
        return with_bytes(shared, lines, len, count);
    }
    struct buf own = {0};
    buf_add(&own, lines, len);
    return payload_new(&own, count);
}

struct payload *payload_add(struct payload *part, struct payload *whole, uint64_t from, uint64_t to)
{
    size_t len;
    const char *lines = payload_range(whole, from, to, &len);
    if (!part) return part_of(whole->shared, lines, len, to - from);
    bool follows = part->shared == whole->shared && part->lines + part->len == lines;
    if (!follows) add_copy(part, lines, len);
    part->len += len;
    part->count += to - from;
    return part;
}

void payload_free(struct payload *p)
{
    if (!p) return;
    bytes_unref(p->shared);
    free(p);
}

/* Returns the offset at which the item begins. */
static size_t seek(struct payload *p, uint64_t item)
{
    uint64_t skipped;
    if (item < p->seen_item) p->seen_item = p->seen_at = 0;
    if (item > p->seen_item)
        p->seen_at += lines_cut(p->lines + p->seen_at, p->len - p->seen_at, item - p->seen_item, SIZE_MAX, &skipped);
    p->seen_item = item;
    return p->seen_at;
}

const char *payload_range(struct payload *p, uint64_t from, uint64_t to, size_t *len)
{
    if (from > to || to > p->count)
        BUG("items %llu to %llu of %llu", (unsigned long long)from, (unsigned long long)to,
            (unsigned long long)p->count);
    size_t start = seek(p, from);
    *len = (to == p->count ? p->len : seek(p, to)) - start;
    return p->lines + start;
}
