#include "spool.h"

struct spool_block {
    struct spool_block *next;
    struct buf lines;
    size_t at; /* bytes before it are gone */
    uint64_t items;
};

static void block_free(struct spool_block *b)
{
    buf_release(&b->lines);
    free(b);
}

void spool_release(struct spool *s)
{
    while (s->head) {
        struct spool_block *b = s->head;
        s->head = b->next;
        block_free(b);
    }
    *s = (struct spool){0};
}

void spool_take(struct spool *s, struct buf *lines, uint64_t items)
{
    if (lines->len == 0) return;
    struct spool_block *b = xcalloc(1, sizeof *b);
    b->lines.data = buf_detach(lines, &b->lines.len);
    b->lines.alloc = b->lines.len;
    b->items = items;
    if (s->tail)
        s->tail->next = b;
    else
        s->head = b;
    s->tail = b;
    s->items += items;
    s->bytes += b->lines.len;
}

static void drop_head(struct spool *s)
{
    struct spool_block *b = s->head;
    s->head = b->next;
    if (!s->head) s->tail = NULL;
    block_free(b);
}

/* The bytes of up to max_items lines of b that fit max_bytes; the very first line may be larger when `first`. */
static size_t measure(const struct spool_block *b, uint64_t max_items, size_t max_bytes, bool first, uint64_t *items)
{
    const char *start = b->lines.data + b->at, *end = b->lines.data + b->lines.len, *at = start;
    *items = 0;
    while (at < end && *items < max_items) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        if (!newline) BUG("a spool block ends inside a line");
        if ((size_t)(newline + 1 - start) > max_bytes && !(first && *items == 0)) break;
        at = newline + 1;
        ++*items;
    }
    return (size_t)(at - start);
}

uint64_t spool_cut(struct spool *s, uint64_t max_items, size_t max_bytes, struct buf *out)
{
    uint64_t taken = 0;
    while (s->head && taken < max_items) {
        struct spool_block *b = s->head;
        size_t left = b->lines.len - b->at, room = max_bytes > out->len ? max_bytes - out->len : 0;
        uint64_t items = b->items;
        size_t bytes = left;
        if (items > max_items - taken || left > room) bytes = measure(b, max_items - taken, room, taken == 0, &items);
        if (items == 0) break;
        s->items -= items;
        s->bytes -= bytes;
        taken += items;
        if (bytes == left && b->at == 0 && out->len == 0) { /* a whole block: its memory moves, no copy */
            buf_release(out);
            out->data = buf_detach(&b->lines, &out->len);
            out->alloc = out->len;
        } else {
            buf_add(out, b->lines.data + b->at, bytes);
        }
        b->at += bytes;
        b->items -= items;
        if (bytes == left) drop_head(s);
    }
    return taken;
}
