#include "cli/items/input_source.h"

#include <errno.h>
#include <unistd.h>

/* How many blocks one read makes at most. The number is small because it takes a moment to find the end of a block in a
 * file. */
#define BLOCKS_AT_ONCE 64

void input_source_release(struct input_source *s)
{
    item_lists_release(&s->lists);
    for (size_t i = 0; i < ARRAY_SIZE(s->texts); i++) buf_release(&s->texts[i]);
    buf_release(&s->lines);
    record_source_release(&s->records);
    block_source_release(&s->blocks);
    if (s->has_records || s->has_blocks) close(s->ready_fd);
    if (s->owns_fd) close(s->fd);
    *s = (struct input_source){.fd = -1};
}

/* Returns the descriptor to poll for the next block. Returns -1 while all places have blocks: the next block then needs
 * a free place, not bytes, and an answer frees a place. */
static int block_poll_fd(const struct input_source *s)
{
    if (s->used < s->lines.len || s->blocks_ended) return s->ready_fd;
    if (!block_source_has_place(&s->blocks)) return -1;
    return !s->blocks.is_file && s->blocks.stream.needs_bytes ? s->fd : s->ready_fd;
}

int input_source_poll_fd(const struct input_source *s)
{
    if (s->has_blocks) return block_poll_fd(s);
    return s->has_records && record_source_has_more(&s->records) ? s->ready_fd : s->fd;
}

bool input_source_is_eager(const struct input_source *s)
{
    return s->has_blocks && !s->blocks.is_file;
}

uint64_t input_source_bytes(const struct input_source *s)
{
    return s->has_blocks ? block_source_bytes(&s->blocks) : s->records.bytes;
}

const char *input_source_fault(const struct input_source *s)
{
    if (s->has_blocks) return block_source_fault(&s->blocks);
    return s->records.fault[0] ? s->records.fault : NULL;
}

/* Returns where the value after the given number of commas begins; NULL: the row has fewer commas. */
static const char *value_after(struct json_slice row, unsigned commas)
{
    const char *at = row.data, *end = row.data + row.len;
    for (; at && commas > 0; commas--) {
        at = memchr(at, ',', (size_t)(end - at));
        if (at) at++;
    }
    return at;
}

void input_source_free_block(struct input_source *s, struct json_slice row)
{
    const char *offset = row.len ? value_after(row, 1) : NULL;
    if (offset) block_source_free(&s->blocks, strtoull(offset, NULL, 10));
}

/* Leaves out the index and the number of the descriptor. The latter means nothing to the user. */
static struct json_slice shown_block(struct json_slice row, struct buf *out)
{
    const char *from = value_after(row, 1), *file = value_after(row, 3), *end = row.data + row.len - 1;
    if (!from) return row;
    if (file) end = file - 1;
    buf_clear(out);
    buf_add_char(out, '[');
    buf_add(out, from, (size_t)(end - from));
    buf_add_char(out, ']');
    return (struct json_slice){out->data, out->len};
}

struct json_slice input_source_shown(const struct input_source *s, struct json_slice row, struct buf *out)
{
    if (s->has_blocks && row.len) return shown_block(row, out);
    bool several = s->lists.count > 1 || (s->has_records && item_maker_has_several(&s->records.maker));
    return item_lists_row_values(several, row, out);
}

static void add_block(struct input_source *s, const struct input_block *b)
{
    uint64_t index = s->block_index++;
    if (s->skip && done_set_has(s->skip, index)) {
        block_source_free(&s->blocks, b->offset);
        return;
    }
    buf_addf(&s->lines, "[%llu,%llu,%llu", (unsigned long long)index, (unsigned long long)b->offset,
             (unsigned long long)b->bytes);
    if (b->fd >= 0) buf_addf(&s->lines, ",%d", b->fd);
    buf_add_str(&s->lines, "]\n");
}

static ssize_t read_blocks(struct input_source *s, char *data, size_t max)
{
    struct input_block b;
    enum block_step step = BLOCK_CUT;
    if (s->used == s->lines.len) {
        buf_clear(&s->lines);
        s->used = 0;
        for (unsigned i = 0; i < BLOCKS_AT_ONCE && (step = block_source_next(&s->blocks, &b)) == BLOCK_CUT; i++)
            add_block(s, &b);
        s->blocks_ended = step == BLOCK_END;
    }
    if (s->lines.len > 0) return (ssize_t)bytes_copy_next(data, max, s->lines.data, s->lines.len, &s->used);
    if (s->blocks_ended) return 0;
    errno = EAGAIN;
    return -1;
}

ssize_t input_source_read(struct input_source *s, char *data, size_t max)
{
    if (s->has_blocks) return read_blocks(s, data, max);
    if (s->has_records) return record_source_read(&s->records, s->fd, s->has_lists ? &s->lists : NULL, data, max);
    if (!s->has_lists) return read(s->fd, data, max);
    buf_drop_front(&s->lines, s->used);
    while (s->lines.len < max && item_lists_next(&s->lists, &s->lines)) continue;
    s->used = s->lines.len < max ? s->lines.len : max;
    if (s->used) memcpy(data, s->lines.data, s->used);
    return (ssize_t)s->used;
}
