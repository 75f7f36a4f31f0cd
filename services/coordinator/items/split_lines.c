/* Splits bodies of lines: NDJSON and text. */
#include "coordinator/items/splitter_internal.h"

#include "common/json/json_walk.h"

#define NUL_FAULT "there is a NUL byte, which text cannot have (is this UTF-16, or do the items end with NUL?)"

static enum split_status fail_item(struct splitter *s, enum split_status status, uint64_t offset, const char *phrase)
{
    snprintf(s->error.pointer, sizeof(s->error.pointer), "/items/%llu", (unsigned long long)s->item_count);
    return split_error_set(&s->error, status, offset, phrase);
}

static enum split_status fail_mark(struct splitter *s, uint64_t offset)
{
    return fail_item(s, SPLIT_BAD, offset, "a byte order mark is only allowed at the start of the body");
}

static enum split_status fail_too_large(struct splitter *s, uint64_t offset)
{
    return fail_item(s, SPLIT_ITEM_TOO_LARGE, offset, TOO_LARGE_ITEM);
}

/* ---- one line of JSON, in parts ---- */

/* Makes an item of `partial`, which holds a whole item without its newline. A large item is not copied, because its
 * memory is passed on. */
static void emit_partial(struct splitter *s)
{
    size_t len = s->partial.len;
    split_emit_partial(s);
    if (len >= SPLIT_HANDED_OVER_BYTES) s->line_hint = len + 2;
}

/* Skips the bytes of a byte order mark at the start of a line. Returns how many bytes were skipped. */
static size_t read_mark(struct splitter *s, const char *p, size_t len)
{
    static const char mark[] = "\xEF\xBB\xBF";
    size_t at = 0;
    while (at < len && s->mark_len < 3 && p[at] == mark[s->mark_len]) at++, s->mark_len++;
    return at;
}

/* Records what is wrong with a line that begins with the first byte of a byte order mark. */
static enum split_status fail_first_byte(struct splitter *s)
{
    size_t used;
    if (s->mark_len == 3) return fail_mark(s, s->line_offset);
    if (json_scan_feed(&s->scan, "\xEF", 1, &used) != JSON_SCAN_ERROR) BUG("a value begins with 0xEF");
    return fail_item(s, SPLIT_BAD, s->line_offset, s->scan.error);
}

/* Reads the white space before the value. Returns how many bytes it used. */
static size_t begin_line(struct splitter *s, const char *p, size_t len, uint64_t offset)
{
    size_t at = 0;
    while (at < len && split_is_space(p[at])) at++;
    if (at == len) return at;
    s->line = p[at] == '\xEF' ? LINE_MARK : LINE_VALUE;
    s->line_offset = offset + at;
    s->line_bytes = s->mark_len = 0;
    json_scan_init(&s->scan, s->max_depth);
    return at;
}

/* Scans the next bytes of a line, without the newline. Sets *value to the part of these bytes that belongs to the item.
 * Each byte is scanned once, when it arrives, so that the end of a long line does not delay the loop. `offset` is the
 * offset of the first byte in the whole body. */
static enum split_status scan_part(struct splitter *s, const char *p, size_t len, uint64_t offset,
                                   struct json_slice *value)
{
    size_t at = 0, used = 0;
    *value = (struct json_slice){p, 0};
    if (s->line == LINE_BLANK) at = begin_line(s, p, len, offset);
    if (s->line == LINE_MARK) {
        at += read_mark(s, p + at, len - at);
        return at < len || s->mark_len == 3 ? fail_first_byte(s) : SPLIT_OK;
    }
    if (s->line == LINE_VALUE) {
        enum json_scan_status status = json_scan_feed(&s->scan, p + at, len - at, &used);
        if (status == JSON_SCAN_ERROR) return fail_item(s, SPLIT_BAD, offset + at + used, s->scan.error);
        if (used > LIMIT_ITEM_BYTES || s->line_bytes > LIMIT_ITEM_BYTES - used)
            return fail_too_large(s, s->line_offset);
        *value = (struct json_slice){p + at, used};
        s->line_bytes += used;
        at += used;
        if (status == JSON_SCAN_MORE) return SPLIT_OK;
        s->line = LINE_AFTER;
    }
    while (at < len && split_is_space(p[at])) at++;
    if (at == len) return SPLIT_OK;
    return fail_item(s, SPLIT_BAD, offset + at, "nothing was expected after the value on its line");
}

/* Call it at the end of a line. Returns SPLIT_OK if the value in the line is whole, or if the line is blank. */
static enum split_status end_scan(struct splitter *s, uint64_t offset)
{
    if (s->line == LINE_MARK) return fail_first_byte(s);
    if (s->line != LINE_VALUE || json_scan_finish(&s->scan) == JSON_SCAN_WHOLE) return SPLIT_OK;
    if (s->scan.depth > 0)
        s->error.hint = "each line must be a whole JSON value; a job object that has several lines must be sent as "
                        "application/json";
    return fail_item(s, SPLIT_BAD, offset, s->scan.error);
}

/* Reads a line without its newline. `offset` is the offset of its first byte in the whole body. */
static enum split_status read_json_line(struct splitter *s, const char *line, size_t len, uint64_t offset)
{
    struct json_slice value;
    s->line = LINE_BLANK;
    enum split_status status = scan_part(s, line, len, offset, &value);
    if (status == SPLIT_OK) status = end_scan(s, offset + len);
    if (status == SPLIT_OK && s->line != LINE_BLANK) split_emit(s, value.data, value.len);
    s->line = LINE_BLANK;
    return status;
}

/* Reads the next bytes of an unfinished line. */
static enum split_status hold_json(struct splitter *s, const char *p, size_t len, uint64_t offset)
{
    struct json_slice value;
    enum split_status status = scan_part(s, p, len, offset, &value);
    if (status != SPLIT_OK) return status;
    buf_expect(&s->partial, value.len, s->line_hint);
    append_in_one_line(&s->partial, value.data, value.len);
    return SPLIT_OK;
}

static enum split_status end_json(struct splitter *s, uint64_t offset)
{
    enum split_status status = end_scan(s, offset);
    if (status == SPLIT_OK && s->line != LINE_BLANK) emit_partial(s);
    s->line = LINE_BLANK;
    return status;
}

/* ---- many lines of JSON ---- */

/* Returns whether the line is valid JSON within the depth limit. */
static bool scan_line(struct splitter *s, const char *line, size_t len)
{
    size_t used;
    json_scan_init(&s->scan, s->max_depth);
    enum json_scan_status status = json_scan_feed(&s->scan, line, len, &used);
    if (status == JSON_SCAN_MORE) status = json_scan_finish(&s->scan);
    return status == JSON_SCAN_WHOLE && used == len;
}

/* If the line at p can be copied unchanged as an item, returns its length including the newline. Otherwise returns
 * 0. */
static size_t plain_line(struct splitter *s, const char *p, const char *end)
{
    size_t n;
    if (*p != '{' && *p != '[') {
        /* A scalar has no newline in it, so the line's end need not be found first. */
        n = json_value_length(p, (size_t)(end - p));
        return n && n <= LIMIT_ITEM_BYTES && (size_t)(end - p) > n && p[n] == '\n' ? n + 1 : 0;
    }
    const char *lf = memchr(p, '\n', (size_t)(end - p));
    if (!lf) return 0;
    n = (size_t)(lf - p);
    if (n > LIMIT_ITEM_BYTES || memchr(p, '\r', n) || !scan_line(s, p, n)) return 0;
    return n + 1;
}

static void append_run(struct splitter *s, const char *run, const char *end, uint64_t count)
{
    buf_add(&s->items, run, (size_t)(end - run));
    s->items_in_buf += count;
    s->item_count += count;
}

/* Reads the whole lines of a piece. Sets *rest to the start of the unfinished line. Nearly all lines can be copied
 * unchanged as items. Consecutive lines of this kind are copied together. */
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

/* ---- text ---- */

static void append_escaped(struct buf *out, unsigned char c)
{
    static const char named[] = "\"\\\b\f\n\r\t", letters[] = "\"\\bfnrt", hex[] = "0123456789abcdef";
    const char *name = strchr(named, c);
    const char short_form[] = {'\\', name ? letters[name - named] : 'u'};
    const char long_form[] = {'\\', 'u', '0', '0', hex[c >> 4], hex[c & 15]};
    if (name)
        buf_add(out, short_form, sizeof short_form);
    else
        buf_add(out, long_form, sizeof long_form);
}

/* Returns whether p holds only the first bytes of a character. */
static bool is_cut_off(const char *p, size_t len)
{
    struct json_scan scan;
    size_t used;
    if (len > 3 || (unsigned char)*p < 0x80) return false;
    json_scan_init(&scan, 1);
    return json_scan_feed(&scan, "\"", 1, &used) == JSON_SCAN_MORE &&
           json_scan_feed(&scan, p, len, &used) == JSON_SCAN_MORE;
}

/* Appends the characters of a line to `out`, escaped as in a JSON string. Sets *used to the number of bytes that were
 * read: less than len if a character is cut off at the end of p. `begin` is the offset of the item in `out`. */
static enum split_status add_text(struct splitter *s, struct buf *out, size_t begin, const char *p, size_t len,
                                  uint64_t offset, size_t *used)
{
    size_t at = *used = 0;
    for (; at < len; at++) {
        size_t n = json_text_length(p + at, len - at);
        buf_add(out, p + at, n);
        at += n;
        if (at == len) break;
        unsigned char c = (unsigned char)p[at];
        if (c >= 0x80 && is_cut_off(p + at, len - at)) break;
        if (c >= 0x80) return fail_item(s, SPLIT_BAD, offset + at, "the text is not valid UTF-8");
        if (c == 0) return fail_item(s, SPLIT_BAD, offset + at, NUL_FAULT);
        if (out->len - begin > LIMIT_ITEM_BYTES) return fail_too_large(s, s->line_offset);
        append_escaped(out, c);
    }
    *used = at;
    return SPLIT_OK;
}

/* Reads a line without its newline. `offset` is the offset of its first byte in the whole body. */
static enum split_status read_text_line(struct splitter *s, const char *line, size_t len, uint64_t offset)
{
    struct buf *out = &s->items;
    size_t begin = out->len, used;
    if (len && line[len - 1] == '\r') len--;
    s->line_offset = offset;
    if (len > LIMIT_ITEM_BYTES) return fail_too_large(s, offset);
    if (has_utf8_mark(line, len)) return fail_mark(s, offset);
    buf_add_char(out, '"');
    enum split_status status = add_text(s, out, begin, line, len, offset, &used);
    if (status == SPLIT_OK && used < len)
        status = fail_item(s, SPLIT_BAD, offset + used, "the text is not valid UTF-8");
    if (status != SPLIT_OK) {
        out->len = begin;
        return status;
    }
    buf_add_str(out, "\"\n");
    s->items_in_buf++;
    s->item_count++;
    return SPLIT_OK;
}

/* Reads the next bytes of an unfinished line. Bytes at the end that cannot be read yet are kept in s->rest: a CR, which
 * may be part of the line break, or an incomplete character. */
static enum split_status add_text_part(struct splitter *s, const char *p, size_t len, uint64_t offset, size_t *used)
{
    size_t whole = len && p[len - 1] == '\r' ? len - 1 : len;
    if (s->line_bytes == 0 && has_utf8_mark(p, len)) return fail_mark(s, s->line_offset);
    if (s->partial.len == 0) buf_add_char(&s->partial, '"');
    enum split_status status = add_text(s, &s->partial, 0, p, whole, offset, used);
    if (status != SPLIT_OK) return status;
    if (*used < whole && whole < len) /* a CR cannot complete a character that is cut off */
        return fail_item(s, SPLIT_BAD, offset + *used, "the text is not valid UTF-8");
    s->line_bytes += *used;
    return s->line_bytes > LIMIT_ITEM_BYTES ? fail_too_large(s, s->line_offset) : SPLIT_OK;
}

/* Moves bytes of p to s->rest, one at a time, until the bytes in s->rest can be decoded or p is used up. Sets *taken to
 * the number of bytes that were moved. */
static enum split_status complete_rest(struct splitter *s, const char *p, size_t len, uint64_t offset, size_t *taken)
{
    *taken = 0;
    while (s->rest_len && *taken < len) {
        size_t used = 0;
        s->rest[s->rest_len++] = p[(*taken)++];
        enum split_status status = add_text_part(s, s->rest, s->rest_len, offset + *taken - s->rest_len, &used);
        if (status != SPLIT_OK) return status;
        s->rest_len -= (uint8_t)used;
        memmove(s->rest, s->rest + used, s->rest_len);
    }
    return SPLIT_OK;
}

static enum split_status hold_text(struct splitter *s, const char *p, size_t len, uint64_t offset)
{
    size_t taken, used = 0;
    if (s->line == LINE_BLANK) s->line_offset = offset;
    if (s->line == LINE_BLANK) s->line_bytes = 0;
    s->line = LINE_VALUE;
    buf_expect(&s->partial, len, s->line_hint);
    enum split_status status = complete_rest(s, p, len, offset, &taken);
    if (status == SPLIT_OK && taken < len) status = add_text_part(s, p + taken, len - taken, offset + taken, &used);
    if (status != SPLIT_OK || taken == len) return status;
    s->rest_len = (uint8_t)(len - taken - used);
    memcpy(s->rest, p + taken + used, s->rest_len);
    return SPLIT_OK;
}

static enum split_status end_text(struct splitter *s, uint64_t offset)
{
    if (s->rest_len && s->rest[0] != '\r')
        return fail_item(s, SPLIT_BAD, offset - s->rest_len, "the text is not valid UTF-8");
    s->rest_len = 0;
    s->line = LINE_BLANK;
    if (s->partial.len == 0) buf_add_char(&s->partial, '"');
    buf_add_char(&s->partial, '"');
    emit_partial(s);
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

/* ---- pieces ---- */

static enum split_status hold(struct splitter *s, const char *p, size_t len, uint64_t offset)
{
    return s->format == SPLIT_TEXT ? hold_text(s, p, len, offset) : hold_json(s, p, len, offset);
}

/* Ends a line that arrived in parts. `offset` is the offset of its newline. */
static enum split_status end_line(struct splitter *s, uint64_t offset)
{
    s->line_held = false;
    return s->format == SPLIT_TEXT ? end_text(s, offset) : end_json(s, offset);
}

enum split_status split_lines_feed(struct splitter *s, const char *data, size_t len)
{
    const char *p = data, *end = data + len;
    enum split_status status = SPLIT_OK;
    if (s->line_held) {
        const char *lf = memchr(data, '\n', len);
        size_t part = lf ? (size_t)(lf - data) : len;
        status = hold(s, data, part, s->offset);
        if (status != SPLIT_OK || !lf) return status;
        status = end_line(s, s->offset + part);
        p = lf + 1;
    }
    /* The functions that are called below count offsets from the first byte that is passed to them. */
    uint64_t skipped = (uint64_t)(p - data);
    s->offset += skipped;
    if (status == SPLIT_OK && p < end) {
        status = s->format == SPLIT_TEXT ? read_text_lines(s, p, (size_t)(end - p), &p)
                                         : read_json_lines(s, p, (size_t)(end - p), &p);
    }
    s->offset -= skipped;
    if (status != SPLIT_OK || p == end) return status;
    s->line_held = true;
    return hold(s, p, (size_t)(end - p), s->offset + (uint64_t)(p - data));
}

enum split_status split_lines_finish(struct splitter *s)
{
    return s->line_held ? end_line(s, s->offset) : SPLIT_OK;
}
