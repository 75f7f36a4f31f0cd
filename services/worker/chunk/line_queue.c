#include "worker/chunk/line_queue.h"

struct line_block {
    struct line_block *next;
    struct buf lines;
    size_t at;       /* bytes that were skipped */
    size_t long_end; /* the end of the long line at the start of the block; 0: the block began with copied lines */
};

static struct line_block *append(struct line_queue *q)
{
    struct line_block *b = xcalloc(1, sizeof *b);
    if (q->last)
        q->last->next = b;
    else
        q->first = b;
    q->last = b;
    return b;
}

static void drop_first(struct line_queue *q)
{
    struct line_block *b = q->first;
    q->first = b->next;
    if (!q->first) q->last = NULL;
    buf_release(&b->lines);
    free(b);
}

void line_queue_release(struct line_queue *q)
{
    while (q->first) drop_first(q);
    q->len = 0;
}

/* A block with a long line has a little room after this line, for the short line that often follows. */
static bool fits(const struct line_block *b, size_t len)
{
    size_t room = b->long_end ? b->lines.alloc : LINE_QUEUE_BLOCK_BYTES;
    return b->lines.len + len <= room;
}

struct buf *line_queue_room(struct line_queue *q, size_t len)
{
    struct line_block *b = q->last && (q->len == 0 || fits(q->last, len)) ? q->last : append(q);
    if (!buf_reserve(&b->lines, len)) BUG("a block without a cap refused %zu bytes", len);
    return &b->lines;
}

void line_queue_added(struct line_queue *q, size_t len)
{
    q->len += len;
}

void line_queue_add(struct line_queue *q, const char *lines, size_t len)
{
    if (len == 0) return;
    buf_add(line_queue_room(q, len), lines, len);
    q->len += len;
}

void line_queue_take(struct line_queue *q, struct buf *line, size_t from)
{
    size_t len = line->len - from;
    if (len < LINE_QUEUE_LONG_BYTES) {
        line_queue_add(q, line->data + from, len);
        buf_clear(line);
        return;
    }
    if (q->len == 0) line_queue_release(q); /* an empty queue may still have a block */
    struct line_block *b = append(q);
    buf_trim(line);
    b->lines = *line;
    b->at = from;
    b->long_end = line->len;
    *line = (struct buf){0};
    q->len += len;
}

void line_queue_move(struct line_queue *q, struct line_queue *from)
{
    if (from->len == 0) return;
    struct line_block *b = from->first;
    size_t len = b->lines.len - b->at;
    if (b == from->last && len < LINE_QUEUE_LONG_BYTES && q->last) {
        line_queue_add(q, b->lines.data + b->at, len);
        line_queue_skip(from, len);
        return;
    }
    if (q->len == 0) line_queue_release(q);
    if (q->last)
        q->last->next = b;
    else
        q->first = b;
    q->last = from->last;
    q->len += from->len;
    *from = (struct line_queue){0};
}

const char *line_queue_peek(const struct line_queue *q, size_t *len)
{
    const struct line_block *b = q->len ? q->first : NULL;
    *len = b ? b->lines.len - b->at : 0;
    return b ? b->lines.data + b->at : NULL;
}

const char *line_queue_first_line(const struct line_queue *q, size_t *len)
{
    const struct line_block *b = q->first;
    const char *at = line_queue_peek(q, len);
    if (*len == 0) return NULL;
    if (b->at < b->long_end)
        *len = b->long_end - b->at;
    else
        *len = (size_t)((const char *)memchr(at, '\n', *len) + 1 - at);
    return at;
}

/* When the queue becomes empty, a small last block is kept, because it is likely to be filled again. A large last block
 * is freed. */
void line_queue_skip(struct line_queue *q, size_t len)
{
    struct line_block *b = q->first;
    if (len == 0) return;
    if (!b || len > b->lines.len - b->at) BUG("skipped more than was shown");
    b->at += len;
    q->len -= len;
    if (b->at < b->lines.len) return;
    if (q->len > 0 || b->lines.alloc > LINE_QUEUE_BLOCK_BYTES) {
        drop_first(q);
        return;
    }
    buf_clear(&b->lines);
    b->at = b->long_end = 0;
}

bool line_queue_detach(struct line_queue *q, struct buf *lines)
{
    if (q->len == 0 || q->first != q->last || q->first->at) return false;
    *lines = q->first->lines;
    q->first->lines = (struct buf){0};
    line_queue_release(q);
    return true;
}

void line_queue_each(const struct line_queue *q, void (*read)(void *data, const char *lines, size_t len), void *data)
{
    for (const struct line_block *b = q->len ? q->first : NULL; b; b = b->next)
        read(data, b->lines.data + b->at, b->lines.len - b->at);
}
