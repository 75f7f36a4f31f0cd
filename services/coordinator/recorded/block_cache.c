#include "coordinator/recorded/block_cache.h"

enum { LINES_OF_A_MARK = 64 };

static void drop(struct block_cache *c, size_t at)
{
    c->bytes -= c->blocks[at].lines.len;
    buf_release(&c->blocks[at].lines);
    free(c->blocks[at].marks);
    c->blocks[at] = c->blocks[--c->count];
    c->blocks[c->count] = (struct cached_block){0};
}

void block_cache_release(struct block_cache *c)
{
    while (c->count > 0) drop(c, c->count - 1);
}

struct cached_block *block_cache_find(struct block_cache *c, uint64_t number)
{
    for (size_t i = 0; i < c->count; i++)
        if (c->blocks[i].number == number) return &c->blocks[i];
    return NULL;
}

void block_cache_plan(struct block_cache *c)
{
    for (size_t i = 0; i < c->count; i++) c->blocks[i].next_item = UINT64_MAX;
}

bool block_cache_note(struct block_cache *c, uint64_t number, uint64_t item)
{
    struct cached_block *b = block_cache_find(c, number);
    if (b && item < b->next_item) b->next_item = item;
    return b != NULL;
}

/* Returns the position of the block that will be needed last, or c->count if only `keep` is left. */
static size_t find_last(const struct block_cache *c, uint64_t keep)
{
    size_t last = c->count;
    for (size_t i = 0; i < c->count; i++)
        if (c->blocks[i].number != keep && (last == c->count || c->blocks[i].next_item > c->blocks[last].next_item))
            last = i;
    return last;
}

bool block_cache_has_room(const struct block_cache *c, uint64_t item, size_t cap)
{
    if (c->count == 0) return true;
    if (c->count < BLOCK_CACHE_BLOCKS && c->bytes + c->bytes / c->count <= cap) return true;
    return c->blocks[find_last(c, 0)].next_item > item;
}

/* Counts the lines, and notes where every 64th line begins. Bytes after the last newline do not count as a line. */
static void mark_lines(struct cached_block *b)
{
    const char *at = b->lines.data, *end = at + b->lines.len;
    size_t room = 0;
    while (at < end) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        if (!newline) break;
        if (b->line_count++ % LINES_OF_A_MARK == 0) {
            if (b->mark_count == room) {
                room = room ? 2 * room : 64;
                b->marks = xrealloc(b->marks, room * sizeof *b->marks);
            }
            b->marks[b->mark_count++] = (size_t)(at - b->lines.data);
        }
        at = newline + 1;
    }
}

/* Returns the size in bytes of all blocks that have no known next item. */
static size_t spare_bytes(const struct block_cache *c)
{
    size_t bytes = 0;
    for (size_t i = 0; i < c->count; i++)
        if (c->blocks[i].next_item == UINT64_MAX) bytes += c->blocks[i].lines.len;
    return bytes;
}

void block_cache_add(struct block_cache *c, struct block *b, uint64_t item, uint64_t keep, size_t cap, size_t spare)
{
    while (c->count == BLOCK_CACHE_BLOCKS || c->bytes + b->lines.len > cap || spare_bytes(c) > spare) {
        size_t last = find_last(c, keep);
        bool is_pair = c->count == 1 && c->blocks[0].next_item != UINT64_MAX;
        if (last == c->count || is_pair) break;
        drop(c, last);
    }
    struct cached_block *to = &c->blocks[c->count++];
    *to = (struct cached_block){.number = b->number, .lines = b->lines, .next_item = item};
    b->lines = (struct buf){0};
    c->bytes += to->lines.len;
    mark_lines(to);
}

/* Returns the position where the line begins. If `line` is the number of lines, returns the end of the last line. */
static size_t find_line(const struct cached_block *b, uint64_t line)
{
    if (line == 0) return 0;
    /* The line begins after the newline of the previous line. That newline always exists. */
    uint64_t mark = (line - 1) / LINES_OF_A_MARK;
    const char *at = b->lines.data + b->marks[mark];
    for (uint64_t skip = line - mark * LINES_OF_A_MARK; skip > 0; skip--)
        at = (const char *)memchr(at, '\n', b->lines.len - (size_t)(at - b->lines.data)) + 1;
    return (size_t)(at - b->lines.data);
}

bool cached_block_lines(const struct cached_block *b, uint64_t line, uint64_t n, size_t *from, size_t *to)
{
    if (line > b->line_count || n > b->line_count - line) return false;
    *from = find_line(b, line);
    *to = find_line(b, line + n);
    return true;
}
