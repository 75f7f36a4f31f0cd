#include "hosts/runs/tag_lines.h"

bool tag_lines(struct buf *text, const char *tag, size_t len)
{
    struct buf tagged;
    bool fits = true;
    buf_init(&tagged, text->cap);
    const char *end = text->data + text->len;
    for (const char *at = text->data; text->len && fits && at < end;) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        const char *next = newline ? newline + 1 : end;
        fits = buf_add(&tagged, tag, len) && buf_add_char(&tagged, '\t') && buf_add(&tagged, at, (size_t)(next - at));
        at = next;
    }
    buf_clear(text);
    fits = fits && buf_add(text, tagged.data, tagged.len);
    buf_release(&tagged);
    return fits;
}
