#include "cli/items/batch.h"

#include "common/base/limits.h"
#include "common/json/encoding.h"
#include "common/json/json_scan.h"

void batch_reserve(struct batch *b, size_t extra)
{
    if (b->alloc - b->len >= extra) return;
    size_t alloc = b->alloc + b->alloc / 2;
    b->alloc = alloc > b->len + extra ? alloc : b->len + extra;
    b->data = xrealloc(b->data, b->alloc);
}

/* Returns the length of the line without its newline. `left` is the number of bytes from `line` to the end of the data.
 */
static size_t line_length(const char *line, size_t left)
{
    const char *newline = memchr(line, '\n', left);
    return newline ? (size_t)(newline - line) : left;
}

/* Returns whether the line has only white space, as the coordinator defines white space. The line ends at a newline or
 * after `left` bytes. */
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
        if (item && *at == index) break; /* the end of this line is not needed, and it may be far away */
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

size_t batch_piece(const struct batch *b, bool skip_blank, size_t from, size_t max_bytes, uint64_t *count)
{
    size_t end = from;
    for (uint64_t items = 0; end < b->len;) {
        size_t left = b->len - end, len = line_length(b->data + end, left) + 1;
        if (items > 0 && end + len - from > max_bytes) break;
        bool item = !skip_blank || !begins_blank_line(b->data + end, left);
        items += item;
        *count += item;
        end += len;
    }
    return end < b->len ? end : b->len;
}

struct json_slice batch_row_value(const char *row, size_t len)
{
    const char *comma = len ? memchr(row, ',', len) : NULL;
    if (!comma) return (struct json_slice){row, len};
    size_t at = (size_t)(comma + 1 - row);
    return (struct json_slice){comma + 1, len - at - (row[len - 1] == ']')};
}

uint64_t batch_line(const struct batch *b, size_t offset)
{
    uint64_t line = b->first_line;
    for (const char *at = b->data; line && (at = memchr(at, '\n', offset - (size_t)(at - b->data))); at++) line++;
    return line;
}

static void say_bad_byte(char byte, size_t at, struct bad_item *bad)
{
    if (byte == 0)
        snprintf(bad->reason, sizeof(bad->reason),
                 "a NUL byte at byte %zu of the item (if the items end with NUL bytes, give -0; perhaps the input is "
                 "UTF-16)",
                 at);
    else
        snprintf(bad->reason, sizeof(bad->reason), "not valid UTF-8 at byte %zu of the item", at);
}

static bool is_bad_text(const char *line, size_t len, struct bad_item *bad)
{
    size_t at = encoding_text_length(line, len);
    if (at < len) say_bad_byte(line[at], at, bad);
    return at < len;
}

/* Returns whether the item has a NUL byte or a byte that is not UTF-8. The item is a JSON string that this program made
 * from bytes of the input, so nothing else can be wrong with it. The reported position counts these input bytes. */
static bool is_bad_string(const char *line, size_t len, struct bad_item *bad)
{
    size_t byte = 0;
    for (size_t at = 1; at + 1 < len; byte++) {
        size_t n = json_text_length(line + at, len - 1 - at);
        at += n;
        byte += n;
        if (at + 1 >= len) break;
        if ((unsigned char)line[at] >= 0x80 || line[at] == 0) {
            say_bad_byte(line[at], byte, bad);
            return true;
        }
        at += line[at + 1] == 'u' ? 6 : 2;
    }
    return false;
}

/* Returns a hint about a line that is not JSON: what the user probably meant. `at` is the position of the fault. */
static const char *json_hint(const char *line, size_t len, size_t at)
{
    char first = len ? line[0] : '\0';
    if (at == len && (first == '{' || first == '['))
        return " (each line must be a whole JSON value; jq -c writes values in this form, and --array reads one JSON "
               "array)";
    return first == '"' ? "" : " (if the items are text, give --text)";
}

static bool is_bad_json(const char *line, size_t len, struct bad_item *bad)
{
    size_t at = 0;
    const char *error = "";
    if (json_valid(line, len, &at, &error)) return false;
    snprintf(bad->reason, sizeof(bad->reason), "not JSON at byte %zu of the item: %s%s", at, error,
             json_hint(line, len, at));
    return true;
}

static bool is_bad(const char *line, size_t len, enum input_form form, struct bad_item *bad)
{
    if (len > LIMIT_ITEM_BYTES) {
        snprintf(bad->reason, sizeof(bad->reason), "longer than %u MiB", LIMIT_ITEM_BYTES >> 20);
        return true;
    }
    if (input_form_has_rows(form)) {
        struct json_slice value = batch_row_value(line, len);
        line = value.data;
        len = value.len;
    }
    bool quoted = form == INPUT_TEXT_ROWS && len > 0;
    bool all_bytes = form == INPUT_NULLS || form == INPUT_NULL_ROWS;
    if (!all_bytes && has_utf8_mark(line + quoted, len - quoted)) {
        snprintf(bad->reason, sizeof(bad->reason),
                 "a byte order mark, which is only allowed at the start of the input");
        return true;
    }
    switch (form) {
    case INPUT_JSON:
    case INPUT_JSON_ROWS: return is_bad_json(line, len, bad);
    case INPUT_TEXT: return is_bad_text(line, len, bad);
    case INPUT_NULLS:
    case INPUT_TEXT_ROWS:
    case INPUT_NULL_ROWS: return is_bad_string(line, len, bad);
    }
    BUG("no such form");
}

bool batch_has_mark_at(const struct batch *b, size_t offset)
{
    return offset < b->len && has_utf8_mark(b->data + offset, b->len - offset);
}

bool batch_find_bad(const struct batch *b, enum input_form form, uint64_t index, size_t offset, struct bad_item *bad)
{
    while (offset < b->len) {
        const char *line = b->data + offset;
        size_t len = line_length(line, b->len - offset);
        *bad = (struct bad_item){.index = index, .offset = offset, .len = len};
        if (b->too_long) return is_bad(line, SIZE_MAX, form, bad);
        bool item = (form != INPUT_JSON && form != INPUT_JSON_ROWS) || !begins_blank_line(line, len);
        if (item && is_bad(line, len, form, bad)) return true;
        index += item;
        offset += len + 1;
    }
    return false;
}
