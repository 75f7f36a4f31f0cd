/* Splits bodies of lines: NDJSON and text. */
#include "coordinator/items/splitter_internal.h"

#define NUL_FAULT         "text has no NUL byte (is this UTF-16, or do the items end with NUL?); one was found"
#define HANDED_OVER_BYTES ((size_t)64 * KIB) /* shorter lines are copied, longer ones handed over */

static enum split_status fail_item(struct splitter *s, enum split_status status, uint64_t offset, const char *phrase)
{
    snprintf(s->error.pointer, sizeof(s->error.pointer), "/items/%llu", (unsigned long long)s->item_count);
    return split_fail(s, status, offset, phrase);
}

static enum split_status fail_mark(struct splitter *s, uint64_t offset)
{
    return fail_item(s, SPLIT_BAD, offset, "a byte order mark is only allowed at the start of the body");
}

static enum split_status fail_too_large(struct splitter *s, uint64_t offset)
{
    return fail_item(s, SPLIT_ITEM_TOO_LARGE, offset, "an item is too large");
}

/* Whether the line is valid JSON within the depth. *used is where it ends or fails; *why is the phrase about the
 * fault. */
static bool scan_line(struct splitter *s, const char *line, size_t len, size_t *used, const char **why)
{
    json_scan_init(&s->scan, s->max_depth);
    enum json_scan_status status = json_scan_feed(&s->scan, line, len, used);
    if (status == JSON_SCAN_MORE) status = json_scan_finish(&s->scan);
    *why = status == JSON_SCAN_WHOLE ? "nothing was expected after the value in its line" : s->scan.error;
    return status == JSON_SCAN_WHOLE && *used == len;
}

/* Reads one line without its newline. `offset` is the offset of its first byte in the whole body. */
static enum split_status read_json_line(struct splitter *s, const char *line, size_t len, uint64_t offset)
{
    const char *end = line + len, *p = line;
    while (p < end && split_is_space(*p)) p++;
    while (end > p && split_is_space(end[-1])) end--;
    size_t item_len = (size_t)(end - p), used;
    const char *why;
    if (item_len == 0) return SPLIT_OK;
    if (has_utf8_mark(p, item_len)) return fail_mark(s, offset + (uint64_t)(p - line));
    if (item_len > LIMIT_ITEM_BYTES) return fail_too_large(s, offset);
    if (!scan_line(s, p, item_len, &used, &why))
        return fail_item(s, SPLIT_BAD, offset + (uint64_t)(p - line) + used, why);
    split_emit(s, p, item_len);
    return SPLIT_OK;
}

/* Returns the length, including the newline, of a line at p that is an item byte for byte. Returns 0 for another
 * line. */
static size_t plain_line(struct splitter *s, const char *p, const char *end)
{
    size_t n, used;
    const char *why;
    if (*p != '{' && *p != '[') {
        /* A scalar has no newline in it, so the line's end need not be found first. */
        n = json_value_length(p, (size_t)(end - p));
        return n && n <= LIMIT_ITEM_BYTES && (size_t)(end - p) > n && p[n] == '\n' ? n + 1 : 0;
    }
    const char *lf = memchr(p, '\n', (size_t)(end - p));
    if (!lf) return 0;
    n = (size_t)(lf - p);
    if (n > LIMIT_ITEM_BYTES || memchr(p, '\r', n) || !scan_line(s, p, n, &used, &why)) return 0;
    return n + 1;
}

static void append_run(struct splitter *s, const char *run, const char *end, uint64_t count)
{
    buf_add(&s->items, run, (size_t)(end - run));
    s->items_in_buf += count;
    s->item_count += count;
}

/* Reads the whole lines of a piece. *rest is the start of the unfinished line. Nearly all lines are items byte for
 * byte. Such lines are copied together. */
static enum split_status read_json_lines(struct splitter *s, const char *data, size_t len, const char **rest)
{
    const char *p = data, *end = data + len, *run = p;
    uint64_t count = 0;
    while (p < end) {
        size_t n = plain_line(s, p, end);
        if (n) {
            p += n;
            count++;
            continue;
        }
        append_run(s, run, p, count);
        run = p;
        count = 0;
        const char *lf = memchr(p, '\n', (size_t)(end - p));
        if (!lf) break;
        enum split_status status = read_json_line(s, p, (size_t)(lf - p), s->offset + (uint64_t)(p - data));
        if (status != SPLIT_OK) return status;
        p = run = lf + 1;
    }
    append_run(s, run, p, count);
    *rest = p;
    return SPLIT_OK;
}

static void append_escaped(struct buf *out, unsigned char c)
{
    static const char named[] = "\"\\\b\f\n\r\t", letters[] = "\"\\bfnrt";
    const char *name = strchr(named, c);
    if (name)
        buf_addf(out, "\\%c", letters[name - named]);
    else
        buf_addf(out, "\\u%04x", c);
}

/* Reads one line without its newline. `offset` is the offset of its first byte in the whole body. */
static enum split_status read_text_line(struct splitter *s, const char *line, size_t len, uint64_t offset)
{
    struct buf *out = &s->items;
    size_t begin = out->len;
    if (len && line[len - 1] == '\r') len--;
    if (len > LIMIT_ITEM_BYTES) return fail_too_large(s, offset);
    if (has_utf8_mark(line, len)) return fail_mark(s, offset);
    buf_add_char(out, '"');
    for (size_t at = 0; at < len;) {
        size_t n = json_text_length(line + at, len - at);
        buf_add(out, line + at, n);
        at += n;
        if (at == len) break;
        unsigned char c = (unsigned char)line[at];
        const char *why = c >= 0x80 ? "the text is not valid UTF-8" : c == 0 ? NUL_FAULT : NULL;
        if (why || out->len - begin > LIMIT_ITEM_BYTES) {
            out->len = begin;
            return why ? fail_item(s, SPLIT_BAD, offset + at, why) : fail_too_large(s, offset);
        }
        append_escaped(out, c);
        at++;
    }
    buf_add_str(out, "\"\n");
    s->items_in_buf++;
    s->item_count++;
    return SPLIT_OK;
}

static enum split_status read_text_lines(struct splitter *s, const char *data, size_t len, const char **rest)
{
    const char *p = data, *end = data + len;
    while (p < end) {
        const char *lf = memchr(p, '\n', (size_t)(end - p));
        if (!lf) break;
        enum split_status status = read_text_line(s, p, (size_t)(lf - p), s->offset + (uint64_t)(p - data));
        if (status != SPLIT_OK) return status;
        p = lf + 1;
    }
    *rest = p;
    return SPLIT_OK;
}

/* If a large line is an item byte for byte, its memory is handed over, without a copy and without a second search for
 * line breaks. Memory for a next line of the same size is allocated at once, so that this memory does not grow step by
 * step. */
static bool hand_over(struct splitter *s)
{
    size_t len = s->partial.len;
    if (s->format == SPLIT_TEXT || s->items.len || len < HANDED_OVER_BYTES) return false;
    if (plain_line(s, s->partial.data, s->partial.data + len) != len) return false;
    struct buf empty = s->items;
    s->items = s->partial;
    s->partial = empty;
    buf_trim(&s->items);
    s->line_hint = len;
    s->items_in_buf++;
    s->item_count++;
    return true;
}

/* Reads the whole line in s->partial. The line has its newline, unless the body ended without a newline. */
static enum split_status read_partial(struct splitter *s)
{
    if (hand_over(s)) return SPLIT_OK;
    const char *line = s->partial.data;
    size_t len = s->partial.len;
    if (line[len - 1] == '\n') len--;
    enum split_status status = s->format == SPLIT_TEXT ? read_text_line(s, line, len, s->partial_offset)
                                                       : read_json_line(s, line, len, s->partial_offset);
    buf_clear(&s->partial);
    return status;
}

/* Keeps a part of a line. If `whole`, the part has the line's newline, which does not count towards the limit of an
 * item. */
static bool hold(struct splitter *s, const char *part, size_t len, bool whole)
{
    buf_expect(&s->partial, len, s->line_hint);
    return split_hold(s, part, len, LIMIT_ITEM_BYTES + 1 + whole);
}

enum split_status split_lines_feed(struct splitter *s, const char *data, size_t len)
{
    const char *p = data, *end = data + len;
    enum split_status status = SPLIT_OK;
    if (s->partial.len && len) {
        const char *lf = memchr(data, '\n', len);
        if (!hold(s, data, lf ? (size_t)(lf + 1 - data) : len, lf != NULL)) return fail_too_large(s, s->partial_offset);
        if (!lf) return SPLIT_OK;
        status = read_partial(s);
        p = lf + 1;
    }
    /* The functions called here count offsets from the first byte that they get. */
    uint64_t skipped = (uint64_t)(p - data);
    s->offset += skipped;
    if (status == SPLIT_OK && p < end) {
        status = s->format == SPLIT_TEXT ? read_text_lines(s, p, (size_t)(end - p), &p)
                                         : read_json_lines(s, p, (size_t)(end - p), &p);
    }
    s->offset -= skipped;
    if (status != SPLIT_OK || p == end) return status;
    s->partial_offset = s->offset + (uint64_t)(p - data);
    if (!hold(s, p, (size_t)(end - p), false)) return fail_too_large(s, s->partial_offset);
    return SPLIT_OK;
}

enum split_status split_lines_finish(struct splitter *s)
{
    return s->partial.len ? read_partial(s) : SPLIT_OK;
}
