#include "common/json/json_tail.h"

static bool is_inside_character(char c)
{
    return ((unsigned char)c & 0xC0) == 0x80;
}

size_t json_tail_add(struct buf *b, const char *text, size_t len, size_t max_bytes)
{
    size_t before = b->len;
    for (;;) {
        buf_add_json_string(b, text, len);
        size_t size = b->len - before;
        if (size <= max_bytes || len == 0) return len;
        b->len = before;
        /* Estimates how much text fits. The estimate is too large if the kept text has many control characters, which
         * take six bytes each. In that case the loop repeats with less text. */
        size_t keep = (size_t)((double)len * (double)max_bytes / (double)size * 0.9);
        text += len - keep;
        len = keep;
        while (len > 0 && is_inside_character(*text)) text++, len--;
    }
}
