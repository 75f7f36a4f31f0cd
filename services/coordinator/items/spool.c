#include "coordinator/items/spool.h"

#include "coordinator/items/splitter.h"

struct spool_block {
    struct spool_block *next;
    struct buf lines;
    size_t at; /* the bytes before this offset were already taken */
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

uint64_t spool_cut(struct spool *s, uint64_t max_items, size_t max_bytes, struct buf *out)
{
    uint64_t taken = 0;
    while (s->head && taken < max_items) {
        struct spool_block *b = s->head;
        size_t left = b->lines.len - b->at, room = max_bytes > out->len ? max_bytes - out->len : 0;
        uint64_t items = b->items;
        size_t bytes = left;
        /* If the block has a single item left, that item is moved as a whole, even if it is large. */
        if (items > max_items - taken || (left > room && items > 1)) {
            bytes = lines_cut(b->lines.data + b->at, left, max_items - taken, room, &items);
        }
        if (taken > 0 && bytes > room) break; /* only the first item of a cut may have more than max_bytes */
        s->items -= items;
        s->bytes -= bytes;
        taken += items;
        if (bytes == left && b->at == 0 && out->len == 0) { /* a whole block is handed over without a copy */
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

uint64_t spool_drop(struct spool *s, uint64_t max_items)
{
    uint64_t dropped = 0;
    while (s->head && dropped < max_items) {
        struct spool_block *b = s->head;
        size_t left = b->lines.len - b->at, bytes = left;
        uint64_t items = b->items;
        if (items > max_items - dropped)
            bytes = lines_cut(b->lines.data + b->at, left, max_items - dropped, SIZE_MAX, &items);
        s->items -= items;
        s->bytes -= bytes;
        dropped += items;
        b->at += bytes;
        b->items -= items;
        if (bytes == left) drop_head(s);
    }
    return dropped;
}
