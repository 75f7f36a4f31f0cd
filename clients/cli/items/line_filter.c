#include "cli/items/line_filter.h"

#include "cli/records/record.h"

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
        f->is_item = f->is_item || !f->skip_blank || !record_text_is_blank(data + at, n);
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
