#include "cli/items/row_encoder.h"

#include "common/json/byte_text.h"
#include "common/json/json_scan.h"

static char *begin_row(struct row_encoder *e, char *to)
{
    e->in_row = true;
    e->skipping = e->skip && done_set_has(e->skip, e->index);
    if (e->skipping) return to;
    bool text = e->form != INPUT_JSON_ROWS;
    return to + snprintf(to, 26, "[%llu,%s", (unsigned long long)e->index, text ? "\"" : "");
}

static char *end_row(struct row_encoder *e, char *to)
{
    e->in_row = e->has_cr = false;
    e->index++;
    if (e->skipping) return to;
    return (char *)mempcpy(to, e->form == INPUT_JSON_ROWS ? "]\n" : "\"]\n", e->form == INPUT_JSON_ROWS ? 2 : 3);
}

static char *add_escaped(char *to, char c)
{
    static const char named[] = "\"\\\b\f\n\r\t", letters[] = "\"\\bfnrt", hex[] = "0123456789abcdef";
    const char *name = c ? strchr(named, c) : NULL;
    if (name) {
        *to++ = '\\';
        *to++ = letters[name - named];
    } else if (c && (unsigned char)c < 0x20) {
        to = (char *)mempcpy(to, "\\u00", 4);
        *to++ = hex[c >> 4];
        *to++ = hex[c & 15];
    } else {
        *to++ = c;
    }
    return to;
}

static char *add_cr(struct row_encoder *e, char *to)
{
    if (e->has_cr && !e->skipping) to = add_escaped(to, '\r');
    e->has_cr = false;
    return to;
}

/* Adds the bytes to the row, unless the row is left out. */
static char *add_bytes(const struct row_encoder *e, char *to, const char *data, size_t len)
{
    if (e->skipping) return to;
    return e->raw ? byte_text_write(to, data, len) : (char *)mempcpy(to, data, len);
}

/* Encodes any bytes: only the separator has a meaning. */
static size_t add_raw(struct row_encoder *e, const char *data, size_t len, char *out)
{
    char separator = e->form == INPUT_TEXT_ROWS ? '\n' : '\0', *to = out;
    for (size_t at = 0; at < len;) {
        if (!e->in_row) to = begin_row(e, to);
        const char *end = memchr(data + at, separator, len - at);
        size_t n = end ? (size_t)(end - data) - at : len - at;
        to = add_bytes(e, to, data + at, n);
        at += n + (end != NULL);
        if (end) to = end_row(e, to);
    }
    return (size_t)(to - out);
}

static size_t add_text(struct row_encoder *e, const char *data, size_t len, char *out)
{
    bool lines = e->form == INPUT_TEXT_ROWS;
    char separator = lines ? '\n' : '\0', *to = out;
    for (size_t at = 0; at < len;) {
        if (!e->in_row) to = begin_row(e, to);
        size_t plain = json_text_length(data + at, len - at);
        if (plain) to = add_cr(e, to);
        to = add_bytes(e, to, data + at, plain);
        at += plain;
        if (at == len) break;
        char c = data[at++];
        if (c == separator) {
            to = end_row(e, to);
            continue;
        }
        to = add_cr(e, to);
        e->has_cr = lines && c == '\r';
        if (!e->has_cr && !e->skipping) to = add_escaped(to, c);
    }
    return (size_t)(to - out);
}

/* Copies lines of JSON. Blank lines are kept, so that the lines can be counted. */
static size_t add_json(struct row_encoder *e, const char *data, size_t len, char *out)
{
    char *to = out;
    for (size_t at = 0; at < len;) {
        char c = data[at];
        if (!e->in_row && (c == ' ' || c == '\t' || c == '\r' || c == '\n')) {
            if (c == '\n') *to++ = c;
            at++;
            continue;
        }
        if (!e->in_row) to = begin_row(e, to);
        const char *newline = memchr(data + at, '\n', len - at);
        size_t n = newline ? (size_t)(newline - data) - at : len - at;
        to = add_bytes(e, to, data + at, n);
        at += n;
        if (newline) to = end_row(e, to);
        at += newline != NULL;
    }
    return (size_t)(to - out);
}

size_t row_encoder_add(struct row_encoder *e, const char *data, size_t len, char *out)
{
    if (e->raw) return add_raw(e, data, len, out);
    return e->form == INPUT_JSON_ROWS ? add_json(e, data, len, out) : add_text(e, data, len, out);
}

size_t row_encoder_end(struct row_encoder *e, char *out)
{
    if (!e->in_row) return 0;
    size_t len = (size_t)(end_row(e, out) - out);
    return len ? len - 1 : 0;
}
