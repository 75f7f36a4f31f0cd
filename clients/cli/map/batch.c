#include "cli/map/batch.h"

#include "common/base/limits.h"
#include "common/json/json_scan.h"

void batch_reserve(struct batch *b, size_t extra)
{
    if (b->alloc - b->len >= extra) return;
    size_t alloc = b->alloc + b->alloc / 2;
    b->alloc = alloc > b->len + extra ? alloc : b->len + extra;
    b->data = xrealloc(b->data, b->alloc);
}

/* The length of the line without its newline. `left` bytes follow `line`. */
static size_t line_length(const char *line, size_t left)
{
    const char *newline = memchr(line, '\n', left);
    return newline ? (size_t)(newline - line) : left;
}

/* Whether only white space, as the coordinator defines it, comes before the end of the line or of the `left` bytes. */
static bool begins_blank_line(const char *line, size_t left)
{
    size_t i = 0;
    while (i < left && (line[i] == ' ' || line[i] == '\t' || line[i] == '\r')) i++;
    return i == left || line[i] == '\n';
}

size_t batch_seek(const struct batch *b, bool skip_blank, uint64_t index, uint64_t *at, size_t *offset)
{
    if (index < *at) *at = *offset = 0;
    while (*offset < b->len) {
        bool item = !skip_blank || !begins_blank_line(b->data + *offset, b->len - *offset);
        if (item && *at == index) break; /* its end is not searched for: it may be far */
        *offset += line_length(b->data + *offset, b->len - *offset) + 1;
        *at += item;
    }
    return *offset;
}

struct json_slice batch_item(const struct batch *b, bool skip_blank, uint64_t index, uint64_t *at, size_t *offset)
{
    size_t from = batch_seek(b, skip_blank, index, at, offset);
    return (struct json_slice){b->data + from, line_length(b->data + from, b->len - from)};
}

uint64_t batch_count(const struct batch *b, bool skip_blank)
{
    uint64_t count = 0;
    size_t offset = 0;
    batch_seek(b, skip_blank, UINT64_MAX, &count, &offset);
    return count;
}

static bool is_bad(const char *line, size_t len, bool text, struct bad_item *bad)
{
    size_t at = 0;
    const char *error = "";
    if (len > LIMIT_ITEM_BYTES) {
        snprintf(bad->reason, sizeof(bad->reason), "longer than %u MiB", LIMIT_ITEM_BYTES >> 20);
        return true;
    }
    if (!text) {
        if (json_valid(line, len, &at, &error)) return false;
        const char *hint = len && line[0] == '"' ? "" : " (if the items are text, give --text)";
        snprintf(bad->reason, sizeof(bad->reason), "not JSON at byte %zu of the item: %s%s", at, error, hint);
        return true;
    }
    while (at < len) {
        at += json_text_length(line + at, len - at);
        if (at == len) break;
        if ((unsigned char)line[at] >= 0x80) {
            snprintf(bad->reason, sizeof(bad->reason), "not valid UTF-8 at byte %zu of the item", at);
            return true;
        }
        at++;
    }
    return false;
}

bool batch_find_bad(const struct batch *b, bool text, uint64_t index, size_t offset, struct bad_item *bad)
{
    while (offset < b->len) {
        const char *line = b->data + offset;
        size_t len = line_length(line, b->len - offset);
        *bad = (struct bad_item){.index = index, .offset = offset, .len = len};
        if (b->too_long) return is_bad(line, SIZE_MAX, text, bad);
        bool item = text || !begins_blank_line(line, len);
        if (item && is_bad(line, len, text, bad)) return true;
        index += item;
        offset += len + 1;
    }
    return false;
}
