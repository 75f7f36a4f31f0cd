#include "answer_reader.h"

#include "limits.h"

void answer_reader_init(struct answer_reader *r, const struct answer_reader_ops *ops, void *data)
{
    *r = (struct answer_reader){.ops = ops, .data = data};
    buf_init(&r->partial, LIMIT_ANSWER_BYTES + KIB);
}

void answer_reader_release(struct answer_reader *r)
{
    buf_release(&r->partial);
}

/* Reports the whole lines of bytes; the values between two other lines go in one call. */
static bool read_lines(struct answer_reader *r, const char *bytes, size_t len)
{
    const char *at = bytes, *end = bytes + len, *run = bytes;
    uint64_t values = 0;
    while (at < end && !r->ended) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        struct answer_line line = answer_line_parse(at, (size_t)(newline - at), true);
        const char *next = newline + 1;
        if (line.kind == ANSWER_VALUE) {
            values++;
            at = next;
            continue;
        }
        if (values) r->ops->values(r->data, values, run, (size_t)(at - run));
        values = 0;
        if (line.kind == ANSWER_BAD) {
            r->fault = "a line of the answer is no envelope";
            return false;
        }
        if (line.kind == ANSWER_ERROR) r->ops->error(r->data, &line, at, (size_t)(next - at));
        if (line.kind == ANSWER_END) {
            r->ended = true;
            r->ops->end(r->data, &line);
        }
        at = run = next;
    }
    if (values) r->ops->values(r->data, values, run, (size_t)(at - run));
    if (r->ended && at < end) r->fault = "bytes follow the end line";
    return !r->fault;
}

bool answer_reader_feed(struct answer_reader *r, const char *bytes, size_t len)
{
    if (r->fault || r->ended) {
        if (!r->fault && len) r->fault = "bytes follow the end line";
        return !r->fault;
    }
    if (r->partial.len) {
        const char *newline = memchr(bytes, '\n', len);
        size_t rest = newline ? (size_t)(newline + 1 - bytes) : len;
        if (!buf_add(&r->partial, bytes, rest)) {
            r->fault = "a line of the answer is too long";
            return false;
        }
        if (!newline) return true;
        bool ok = read_lines(r, r->partial.data, r->partial.len);
        buf_clear(&r->partial);
        if (r->partial.alloc > 4 * MIB) buf_release(&r->partial);
        if (!ok) return false;
        bytes += rest;
        len -= rest;
    }
    const char *last = len ? memrchr(bytes, '\n', len) : NULL;
    size_t whole = last ? (size_t)(last + 1 - bytes) : 0;
    if (whole && !read_lines(r, bytes, whole)) return false;
    if (!buf_add(&r->partial, bytes + whole, len - whole)) r->fault = "a line of the answer is too long";
    return !r->fault;
}
