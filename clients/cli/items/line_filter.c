#include "cli/items/line_filter.h"

/* Returns whether the bytes have only white space, as the coordinator defines white space. */
static bool is_blank(const char *data, size_t len)
{
    size_t i = 0;
    while (i < len && (data[i] == ' ' || data[i] == '\t' || data[i] == '\r' || data[i] == '\n')) i++;
    return i == len;
}

bool line_filter_drops(const struct line_filter *f)
{
    return f->done && done_set_has(f->done, f->index);
}

size_t line_filter_keep(struct line_filter *f, char *data, size_t len)
{
    size_t kept = 0;
    if (!f->done) return len;
    for (size_t at = 0, n; at < len; at += n) {
        const char *newline = memchr(data + at, '\n', len - at);
        n = newline ? (size_t)(newline + 1 - data) - at : len - at;
        f->is_item = f->is_item || !f->skip_blank || !is_blank(data + at, n);
        if (!line_filter_drops(f)) {
            memmove(data + kept, data + at, n);
            kept += n;
        }
        if (!newline) break;
        f->index += f->is_item;
        f->is_item = false;
    }
    return kept;
}
