#include "coordinator/items/splitter.h"

#include "coordinator/items/splitter_internal.h"

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#define LONGEST_ESCAPE 6 /* a byte of text can become at most this many bytes in a JSON string */

void splitter_init(struct splitter *s, enum split_format format, unsigned max_depth)
{
    *s = (struct splitter){.format = format, .items_seen = format != SPLIT_JOB, .has_options = format == SPLIT_JOB};
    s->max_depth = max_depth && max_depth < LIMIT_JSON_DEPTH ? max_depth : LIMIT_JSON_DEPTH;
    buf_add_str(&s->options, "{}");
    if (format == SPLIT_JOB) split_job_init(s);
}

void splitter_expect_options(struct splitter *s)
{
    if (s->format == SPLIT_JOB) BUG("a job object has its options among its members");
    s->has_options = s->options_open = true;
}

void splitter_expect(struct splitter *s, size_t body_bytes)
{
    s->line_hint = body_bytes;
}

void splitter_release(struct splitter *s)
{
    buf_release(&s->items);
    buf_release(&s->options);
    buf_release(&s->partial);
    buf_release(&s->name);
    buf_release(&s->names);
}

static size_t skip_space(const char *p, size_t len)
{
    size_t at = 0;
    while (at < len && split_is_space(p[at])) at++;
    return at;
}

static enum split_status fail_no_options(struct splitter *s, uint64_t offset)
{
    return split_error_set(&s->error, SPLIT_BAD, offset, "an object with options was expected");
}

/* Scans the next bytes of the first line, without its newline. Each byte is scanned once, when it arrives. `offset` is
 * the offset of the first byte in the whole body. */
static enum split_status scan_options(struct splitter *s, const char *p, size_t len, uint64_t offset)
{
    size_t at = 0, used = 0;
    if (s->line != LINE_VALUE) at = skip_space(p, len);
    if (at == len) return SPLIT_OK;
    if (s->line == LINE_AFTER)
        return split_error_set(&s->error, SPLIT_BAD, offset + at,
                               "nothing was expected after the options on their line");
    if (s->line == LINE_BLANK && p[at] != '{') return fail_no_options(s, offset + at);
    if (s->line == LINE_BLANK) json_scan_init(&s->scan, s->max_depth);
    enum json_scan_status status = json_scan_feed(&s->scan, p + at, len - at, &used);
    if (status == JSON_SCAN_ERROR) return split_error_set(&s->error, SPLIT_BAD, offset + at + used, s->scan.error);
    s->line = status == JSON_SCAN_WHOLE ? LINE_AFTER : LINE_VALUE;
    return s->line == LINE_AFTER ? scan_options(s, p + at + used, len - at - used, offset + at + used) : SPLIT_OK;
}

/* Call it when the first line is whole, in s->partial. `offset` is the offset of its newline. */
static enum split_status end_options(struct splitter *s, uint64_t offset)
{
    struct buf line = s->partial;
    if (s->line == LINE_BLANK) return fail_no_options(s, offset);
    if (s->line == LINE_VALUE && json_scan_finish(&s->scan) != JSON_SCAN_WHOLE)
        return split_error_set(&s->error, SPLIT_BAD, offset, s->scan.error);
    s->options_open = false;
    s->line = LINE_BLANK;
    s->partial = s->options;
    s->options = line;
    buf_clear(&s->partial);
    return SPLIT_OK;
}

/* Reads the part of the first line that is in data. Sets *used to the length of this part, including the newline. */
static enum split_status feed_options(struct splitter *s, const char *data, size_t len, size_t *used)
{
    const char *newline = memchr(data, '\n', len);
    size_t n = newline ? (size_t)(newline - data) : len;
    uint64_t offset = s->offset;
    *used = newline ? n + 1 : n;
    s->offset += *used;
    if (!split_hold(s, data, n, LIMIT_OPTIONS_BYTES))
        return split_error_set(&s->error, SPLIT_OPTIONS_TOO_LARGE, offset, TOO_LARGE_OPTIONS);
    enum split_status status = scan_options(s, data, n, offset);
    return newline && status == SPLIT_OK ? end_options(s, offset + n) : status;
}

static enum split_status feed(struct splitter *s, const char *data, size_t len)
{
    size_t used = 0;
    if (len == 0) return SPLIT_OK;
    if (s->options_open && feed_options(s, data, len, &used) != SPLIT_OK) return s->error.status;
    if (used == len) return SPLIT_OK;
    data += used;
    len -= used;
    enum split_status status = s->format == SPLIT_JOB ? split_job_feed(s, data, len) : split_lines_feed(s, data, len);
    s->offset += len;
    return status;
}

/* Detects the encoding from the first bytes of the body, and reads `data`. */
static enum split_status begin(struct splitter *s, const char *data, size_t len)
{
    enum encoding encoding = encoding_of(data, len);
    size_t mark = encoding_mark_bytes(encoding);
    s->begun = true;
    if (encoding_is_wide(encoding)) return split_error_set(&s->error, SPLIT_BAD, 0, encoding_fault(encoding));
    s->offset = s->mark_bytes = mark;
    return feed(s, data + mark, len - mark);
}

/* Gathers the first bytes of a body that arrives in very small pieces. Returns how many bytes of data were used. */
static size_t gather_head(struct splitter *s, const char *data, size_t len)
{
    size_t used = 0;
    while (used < len && encoding_needs_more(s->head, s->head_len)) s->head[s->head_len++] = data[used++];
    return used;
}

enum split_status splitter_feed(struct splitter *s, const char *data, size_t len)
{
    if (s->error.status != SPLIT_OK || len == 0) return s->error.status;
    if (s->begun) return feed(s, data, len);
    if (s->head_len == 0 && !encoding_needs_more(data, len)) return begin(s, data, len);
    size_t used = gather_head(s, data, len);
    if (encoding_needs_more(s->head, s->head_len)) return SPLIT_OK;
    enum split_status status = begin(s, s->head, s->head_len);
    return status == SPLIT_OK ? feed(s, data + used, len - used) : status;
}

size_t splitter_growth(const struct splitter *s, size_t len)
{
    size_t more = s->format == SPLIT_TEXT ? LONGEST_ESCAPE * (len + sizeof s->rest) : len;
    return buf_growth(&s->partial, more) + buf_growth(&s->items, s->partial.len + more);
}

size_t splitter_held(const struct splitter *s)
{
    return s->items.alloc + s->options.alloc + s->partial.alloc + s->name.alloc + s->names.alloc;
}

bool splitter_is_empty(const struct splitter *s)
{
    size_t mark = encoding_mark_bytes(encoding_of(s->head, s->head_len));
    return s->begun ? s->offset == 0 : s->head_len == mark;
}

enum split_status splitter_finish(struct splitter *s)
{
    if (s->error.status == SPLIT_OK && !s->begun) (void)begin(s, s->head, s->head_len);
    if (s->error.status == SPLIT_OK && s->options_open) (void)end_options(s, s->offset);
    if (s->error.status != SPLIT_OK) return s->error.status;
    enum split_status status = s->format == SPLIT_JOB ? split_job_finish(s) : split_lines_finish(s);
    if (status == SPLIT_OK) s->items_ended = true;
    return status;
}

void append_in_one_line(struct buf *out, const char *json, size_t len)
{
    const char *end = json + len;
    /* The caps have been checked already, so the calls below cannot fail. */
    while (json < end) {
        if (*json == '\n' || *json == '\r') {
            json++;
            continue;
        }
        const char *lf = memchr(json, '\n', (size_t)(end - json));
        const char *stop = lf ? lf : end;
        const char *cr = memchr(json, '\r', (size_t)(stop - json));
        if (cr) stop = cr;
        buf_add(out, json, (size_t)(stop - json));
        json = stop;
    }
}

void split_emit(struct splitter *s, const char *json, size_t len)
{
    append_in_one_line(&s->items, json, len);
    buf_add_char(&s->items, '\n');
    s->items_in_buf++;
    s->item_count++;
}

void split_emit_partial(struct splitter *s)
{
    buf_add_char(&s->partial, '\n');
    if (s->items.len || s->partial.len < SPLIT_HANDED_OVER_BYTES) {
        buf_add(&s->items, s->partial.data, s->partial.len);
        buf_clear(&s->partial);
    } else {
        struct buf empty = s->items;
        s->items = s->partial;
        s->partial = empty;
        buf_trim(&s->items);
    }
    s->items_in_buf++;
    s->item_count++;
}

bool split_hold(struct splitter *s, const char *data, size_t len, size_t limit)
{
    if (s->partial.len > limit || len > limit - s->partial.len) return false;
    return buf_add(&s->partial, data, len);
}

/* Returns the position after the last newline before `end`, but goes no further than the newline that makes *lines
 * equal to max_lines. Adds the number of newlines before this position to *lines. */
static const char *skip_lines(const char *p, const char *end, uint64_t max_lines, uint64_t *lines)
{
    const char *after = p;
#ifdef __SSE2__
    const __m128i newline = _mm_set1_epi8('\n');
    for (; end - p >= 16; p += 16) {
        __m128i v = _mm_loadu_si128((const __m128i *)(const void *)p);
        unsigned mask = (unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(v, newline));
        unsigned n = (unsigned)__builtin_popcount(mask);
        if (n == 0) continue;
        if (*lines + n >= max_lines) break;
        *lines += n;
        after = p + 32 - __builtin_clz(mask);
    }
#endif
    while (*lines < max_lines) {
        const char *lf = p < end ? memchr(p, '\n', (size_t)(end - p)) : NULL;
        if (!lf) break;
        p = after = lf + 1;
        ++*lines;
    }
    return after;
}

size_t lines_cut(const char *data, size_t len, uint64_t max_lines, size_t max_bytes, uint64_t *lines)
{
    *lines = 0;
    if (max_lines == 0 || len == 0) return 0;
    const char *end = data + (len < max_bytes ? len : max_bytes);
    const char *after = skip_lines(data, end, max_lines, lines);
    /* If the first line alone has more than max_bytes, only that line is cut off. */
    if (*lines == 0) after = skip_lines(data, data + len, 1, lines);
    return (size_t)(after - data);
}
