#include "coordinator/answers/answer_reader.h"

#include "common/base/limits.h"

void answer_reader_init(struct answer_reader *r, const struct answer_reader_ops *ops, void *data)
{
    *r = (struct answer_reader){.ops = ops, .data = data};
    buf_init(&r->partial, LIMIT_ANSWER_BYTES + KIB);
}

void answer_reader_release(struct answer_reader *r)
{
    buf_release(&r->partial);
    buf_release(&r->canonical);
}

enum { VALUE_FRAME_LEN = sizeof "{\"value\":" - 1 };

/* If a line is shorter than this, its value is scanned after the whole line has arrived. */
enum { SCANNED_BYTES = 4096 };

static bool is_canonical_value(const char *bytes, size_t len, const struct answer_line *line)
{
    return line->body == bytes + VALUE_FRAME_LEN && line->body_len + VALUE_FRAME_LEN + 1 == len &&
           memcmp(bytes, "{\"value\":", VALUE_FRAME_LEN) == 0;
}

/* Reports one line of any kind, except a value line in canonical form: the callers report such a value line
 * themselves. */
static void report_line(struct answer_reader *r, const struct answer_line *line)
{
    if (line->kind == ANSWER_COST || line->kind == ANSWER_END) r->ops->cost(r->data, &line->cost);
    if (line->kind == ANSWER_STARTING) r->ops->starting(r->data, line->starting);
    if (line->kind == ANSWER_COST || line->kind == ANSWER_STARTING) return;
    if (line->kind == ANSWER_END) {
        r->ended = true;
        r->ops->end(r->data, line);
        return;
    }
    buf_clear(&r->canonical);
    buf_add_str(&r->canonical, line->kind == ANSWER_VALUE ? "{\"value\":" : "{\"error\":");
    buf_add(&r->canonical, line->body, line->body_len);
    buf_add_str(&r->canonical, "}\n");
    if (line->kind == ANSWER_VALUE)
        r->ops->values(r->data, 1, r->canonical.data, r->canonical.len);
    else
        r->ops->error(r->data, line, r->canonical.data, r->canonical.len);
}

/* Reports the lines in `bytes`, all of which are whole. Consecutive values are reported in one call. */
static bool read_lines(struct answer_reader *r, const char *bytes, size_t len)
{
    const char *at = bytes, *end = bytes + len, *run = bytes;
    uint64_t values = 0;
    while (at < end && !r->ended) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        struct answer_line line = answer_line_parse(at, (size_t)(newline - at), true);
        const char *next = newline + 1;
        if (line.kind == ANSWER_VALUE && is_canonical_value(at, (size_t)(newline - at), &line)) {
            values++;
            at = next;
            continue;
        }
        if (values) r->ops->values(r->data, values, run, (size_t)(at - run));
        values = 0;
        if (line.kind == ANSWER_BAD) {
            r->fault = "a line of the answer is not an envelope";
            return false;
        }
        report_line(r, &line);
        at = run = next;
    }
    if (values) r->ops->values(r->data, values, run, (size_t)(at - run));
    if (r->ended && at < end) r->fault = "bytes come after the end line";
    return !r->fault;
}

/* Reads the whole line in r->partial. The value of the line was scanned while the line arrived. */
static bool read_scanned(struct answer_reader *r)
{
    struct buf *b = &r->partial;
    struct answer_line line = {.kind = ANSWER_VALUE};
    if (!value_scan_finish(&r->scan, b->data, b->len - 1, "}", &line.body, &line.body_len)) {
        if (b->len <= LIMIT_OTHER_LINE_BYTES) return read_lines(r, b->data, b->len);
        r->fault = "a line of the answer is not an envelope";
        return false;
    }
    if (is_canonical_value(b->data, b->len - 1, &line))
        r->ops->value(r->data, b);
    else
        report_line(r, &line);
    return true;
}

/* Reads the whole line in r->partial. */
static bool read_partial(struct answer_reader *r)
{
    struct buf *b = &r->partial;
    struct answer_line line;
    bool ok = true;
    if (r->scan.state != VALUE_SCAN_IDLE) {
        ok = read_scanned(r);
    } else {
        line = answer_line_parse(b->data, b->len - 1, true);
        if (line.kind == ANSWER_VALUE && is_canonical_value(b->data, b->len - 1, &line))
            r->ops->value(r->data, b);
        else
            ok = read_lines(r, b->data, b->len);
    }
    r->scan = (struct value_scan){0};
    buf_clear(b);
    if (b->alloc > 4 * MIB) buf_release(b);
    return ok;
}

/* Scans the part of the line that is in r->partial, without its newline. */
static void scan_partial(struct answer_reader *r)
{
    const struct buf *b = &r->partial;
    size_t len = b->len && b->data[b->len - 1] == '\n' ? b->len - 1 : b->len;
    if (len < SCANNED_BYTES) return;
    if (r->scan.state == VALUE_SCAN_IDLE && memcmp(b->data, "{\"value\":", VALUE_FRAME_LEN) == 0)
        value_scan_begin(&r->scan, VALUE_FRAME_LEN);
    if (r->scan.state == VALUE_SCAN_IDLE && len > LIMIT_OTHER_LINE_BYTES)
        r->fault = "a line of the answer without a value is too long";
    value_scan_feed(&r->scan, b->data, len);
    if (r->scan.state == VALUE_SCAN_BAD) r->fault = "a line of the answer is not an envelope";
}

static bool hold(struct answer_reader *r, const char *bytes, size_t len)
{
    buf_expect(&r->partial, len, r->line_hint);
    if (!buf_add(&r->partial, bytes, len)) r->fault = "a line of the answer is too long";
    if (!r->fault) scan_partial(r);
    return !r->fault;
}

size_t answer_reader_growth(const struct answer_reader *r, size_t len)
{
    size_t growth = buf_growth(&r->partial, len);
    return growth ? growth + r->partial.len + len : 0;
}

bool answer_reader_feed(struct answer_reader *r, const char *bytes, size_t len)
{
    if (r->fault || r->ended) {
        if (!r->fault && len) r->fault = "bytes come after the end line";
        return !r->fault;
    }
    if (r->partial.len) {
        const char *newline = memchr(bytes, '\n', len);
        size_t rest = newline ? (size_t)(newline + 1 - bytes) : len;
        if (!hold(r, bytes, rest)) return false;
        if (!newline) return true;
        if (!read_partial(r)) return false;
        bytes += rest;
        len -= rest;
    }
    const char *last = len ? memrchr(bytes, '\n', len) : NULL;
    size_t whole = last ? (size_t)(last + 1 - bytes) : 0;
    if (whole && !read_lines(r, bytes, whole)) return false;
    if (r->ended && len > whole) r->fault = "bytes come after the end line";
    return !r->fault && hold(r, bytes + whole, len - whole);
}
